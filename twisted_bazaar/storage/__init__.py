"""The order log and its index on the disk of one replica.

`logfile` is the entry: `LogFile` appends to the log and is the `Storage` that `consensus` writes
to, and `LogReader` reads it while the replica runs. `lines` and `segments` are the format,
`recovery` reads it at a start, and `mark` and `trust` decide whether all that was acknowledged is
there. `places` and `sidecar` say where each entry is. `index` finds the order of a key, and the
orders of a stock or side (`stock_orders`) or a client (`client_orders`), without reading the log.

Closed segments leave the log (`leaving`), which then begins later (`beginning`), for an archive
(`archive`, of files in the format of `archived`, in one of the `stores`); `earlier` reads on from
there into the log. A `snapshot` takes the place of log and index. `owner` says whose a folder is,
and `files` replaces small files whole.

Only `order` and `tools` import this package, and others `files` and `owner`. Everything blocks: an
order replica writes on a thread of its own and reads on others, and one thread at a time writes.
"""
