"""How much of a front-end one client may use.

`TokenBucket` (`bucket`) counts what one client has left, `Limits` (`limits`) whose bucket a request
takes from; both are pure. `Admission` (`admission`) asks them for each request, and `connections`
says how many connections there may be. `options` are those of a service. The bounds of
connections are in `http`, the fair shares of trades that wait in `trading.lanes`.
"""
