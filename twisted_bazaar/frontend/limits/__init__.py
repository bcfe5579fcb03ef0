"""How much of a front-end one client may use.

`TokenBucket` (`bucket`) counts what one client has left, `Limits` (`limits`) whose bucket a request
takes from, `rate` reads rates; all are pure. `options` are those of a service. The bounds of
connections are in `http`, the fair shares of trades that wait in `trading.lanes`.
"""
