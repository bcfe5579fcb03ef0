"""A client of the REST API: `http` sends requests, `api` makes the calls and records them.

It imports `load.history`; all that sends requests imports it. Start with `api`.
"""
