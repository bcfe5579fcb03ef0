"""The bazaars under test: their processes, network, disks, folders and Redis.

`fleet` is what all of them have in common, `local` is `twistd bazaar`, `namespaces` has a
network namespace for each service. Imports `load.client` and `load.history`. Start with `fleet`.
"""
