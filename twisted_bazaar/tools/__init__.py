"""What `python -m twisted_bazaar` does: `export` and `verify` an order log, and check `health`.

`inspection` reads the log of an order replica, which may run meanwhile; `probe` asks a running
service. Nothing imports this package but `__main__`, and `probe` imports little, as a container
runs it every few seconds.
"""
