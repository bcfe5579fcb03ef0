"""Calls in frames, over TCP connections that stay open, on the reactor: no thread takes part.

Order replicas call each other in frames, and the leader calls catalogs. Front-ends and others call
by gRPC. A `channel.FrameChannel` calls a `server.FrameServer`; `exchanges` says what is called,
`greeter` who is at the ends. Start with `format`, which is pure. docs/transport.md explains it all.
"""
