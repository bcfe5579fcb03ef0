"""Calls between processes, in frames and by gRPC.

Every service serves gRPC, on the reactor (`serving`). A caller by gRPC has a `channel.Channel`,
which runs each blocking call of grpcio on a thread of a pool and fires a Deferred: front-ends call
replicas and catalogs, and the leader calls catalogs. Replicas call each other in frames, without
threads: a `peer_channel.PeerChannel` calls a `peer_server.PeerServer`, and by gRPC where the peer
is of an earlier release. `server.serve` has both share a port. docs/transport.md explains them.

A message comes in through `wire`, which checks it against `bounds`; an error crosses by the table
in `status`. `push` is the one message that goes over HTTP, from a catalog to a front-end. `bazaar`
holds the stubs that `proto/generate.py` makes.
"""
