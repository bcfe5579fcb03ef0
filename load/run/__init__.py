"""`python -m load run`: the platform's reference workload, measured.

Imports `load.bazaar`, `load.client`, `load.history` and `load.report`; `sweep` imports all of it,
`bench` its latencies. Start with `workload`, then `command`.
"""
