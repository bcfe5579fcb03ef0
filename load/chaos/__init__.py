"""`python -m load chaos`: fault injection under load, and the checks of a trial.

A trial has up to two stages: process faults, and network faults in namespaces. Imports
`load.bazaar`, `load.client`, `load.history` and `load.report`; no other package imports it. Start
with `command`, then `stage`.
"""
