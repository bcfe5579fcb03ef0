"""A gRPC server of unary calls on the reactor, over the library h2.

`server` is the Service and keeps connections in bounds; `connection` makes calls out of what h2
says, and bytes out of their answers; `call` asks the handler, and is its context. The others are
pure. Begin with `server`.
"""
