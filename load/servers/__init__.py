"""The servers of an engine under test: PostgreSQL, Patroni and etcd, as if each had a machine.

Start with `patroni`. Its methods block: call them in a thread. Imports nothing else of `load`.
"""
