"""A client of the REST API that records its calls: `api`. It makes them by `twisted_bazaar.client`,
and adds what went over the wire; `http` reads what no client needs.

It imports `load.history`; all that sends requests imports it. Start with `api`.
"""
