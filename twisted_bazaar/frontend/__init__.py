"""The front-end: the REST API, over trades, cached lookups and elections.

Start with `assembly`, which puts one together, then `api.routes`, which has a route for each call.
A trade goes from there to `trading`, a lookup to `lookups` and `cache`; `election` pings replicas
and nominates leaders; `upstream` and `clients` call the replicas and catalogs; `http` serves any
resource. `partition` makes the parts of which there is one for each partition, `front` puts
`partitions` before those of several, `wires` has the connections that all share, and `internal` the
endpoint for catalogs and operators. This package reaches `order` and `catalog` through gRPC only,
and no other package imports it. Importing `tap` imports neither Klein nor gRPC.
"""
