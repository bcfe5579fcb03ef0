"""`python -m load bench`: a bazaar compared with the bare frameworks that it is built on.

Imports `load.bazaar`, `load.client.http`, `load.report` and `load.run.latencies`; no other package
imports it. Start with `speed` and `growth`.
"""
