"""The back end of a stock-trading platform: three kinds of service on the Twisted reactor.

Clients speak REST to a front-end; the order log, replicated, is the only truth; a catalog is
a projection of it that answers lookups. `docs/architecture.md` is the map.
"""

import os

__version__ = "0.1.0"

# gRPC's core prints refused connections and taken ports on standard error by itself; the
# bazaar says each once, in its own words. Read when grpc is first imported, by whomever.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
