"""The order log in an existing distributed database, the *engine*, in place of files and Raft.

It decides who leads a partition (`tenure`), and what is sent to the engine and is certain after its
answer (`shared_log`). Start with `shared_log`: `SharedLog` is one partition's log, `Engine` the
database. `memory` is one in memory, for tests and the simulator; `postgres` is PostgreSQL.
"""
