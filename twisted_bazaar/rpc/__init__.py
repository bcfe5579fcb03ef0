"""gRPC between the services, and all that knows of gRPC's threads.

A caller on the reactor has a `channel.Channel`, which runs each blocking call on a thread of a
pool and fires a Deferred. Front-ends call replicas and catalogs, replicas call each other, and
the leader calls catalogs. A `server.RpcServer` runs each handler on one of gRPC's threads; a
handler reads files there, and calls the reactor with `server.on_reactor`, which blocks until the
answer. A message comes in through `wire`, which checks it against `bounds`; an error crosses by
the table in `status`. `push` is the one message that goes over HTTP, from a catalog to a
front-end. `bazaar` holds the stubs that `proto/generate.py` makes.

Beside gRPC there are frames, for calls between replicas without threads: a
`peer_channel.PeerChannel` calls a `peer_server.PeerServer`, and `first_bytes.SharedPort` has both
share a port with gRPC. docs/transport.md explains them.
"""
