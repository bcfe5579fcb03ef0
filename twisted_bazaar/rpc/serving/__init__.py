"""A gRPC server on the reactor, without compression, over the library h2.

`server` holds the Service: it listens, bounds the connections, and stops gracefully.
`connection` turns h2's events into calls, and their answers into bytes. `call` runs the handler
of one call, and `streaming` of one that streams; `context` is the part of it that the handler sees.
`methods` takes the registration that generated code makes with grpcio's server. The other modules
are pure. Servicers may import `methods.blocking` and `context.Context`, assemblies
`server.GrpcServer`. Start with `server`.
"""
