"""`GET /events`: orders, quotes and leaders, as they are released, to readers that stay connected.

What a reader has been given, and is given next, is decided by `journal` and `reader`; when it is
written to, by `turns`. They are pure, as are `asked`, which decodes requests, and `encoding`.
`EventFeed` (`feed`) asks the replicas what is new while there are readers, `OrderPages` (`replay`)
reads older orders from their logs, and `EventStream` (`stream`) writes to one connection. Start
with `feed`. Only `frontend.api` and what puts a front-end together import this package, and
`frontend.clients` its `news`.

Several partitions are one stream: `following` asks each what is new, and `merged_feed`,
`merged_journal` and `merged_reader` are what `feed`, `journal` and `reader` are for one.
"""
