"""`python -m load sweep`: the reference workload by share of trades, with and without a cache.

Imports `load.run` and what that imports; no other package imports it. Start with `command`.
"""
