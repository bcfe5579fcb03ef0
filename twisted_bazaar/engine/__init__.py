"""The order log in an existing distributed database, the *engine*, in place of files and Raft.

It decides who leads a partition (`tenure`), and what is sent to the engine and is certain after its
answer (`shared_log`). Start with `shared_log`: `SharedLog` is one partition's log, `Engine` the
database. `memory` is one in memory, for tests and the simulator; `postgres` is PostgreSQL.

`Tenure` is what one member does about one partition, `standing` the part of it that is asked.
`incumbent` says when the leader may be replaced, `campaign` is a candidate, `leadership` a leader,
`window` the end of its log, and `calls` what either has the engine do. Pure, as all of this package
but the database.

`postgres` says what is asked of the database, `sql` in which words, `statement` with which
parameters, and `rows` what rows mean. `servers` finds the one that takes writes, and `connection`
ends calls that none answers. `schema` makes the tables, by numbered `migrations`.
"""
