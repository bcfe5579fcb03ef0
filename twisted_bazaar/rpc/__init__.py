"""Calls between processes, in frames and by gRPC. docs/transport.md explains both.

Every service serves gRPC, on the reactor (`serving`). A caller by gRPC has a `channel.Channel`,
which runs each blocking call of grpcio on a thread of a pool and fires a Deferred: so do
front-ends. Replicas call each other and catalogs in frames, without threads (`frames`), and by
gRPC where the other is of an earlier release. `server.serve` has both share a port.

A message comes in through `wire`, which checks it against `bounds`; an error crosses by the table
in `status`. `push` is the one message that goes over HTTP, from a catalog to a front-end. `bazaar`
holds the stubs that `proto/generate.py` makes.
"""
