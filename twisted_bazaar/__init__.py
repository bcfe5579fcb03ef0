"""The back end of a stock-trading platform: three kinds of service on the Twisted reactor.

Clients speak REST to a front-end; the order log, replicated, is the only truth; a catalog is
a projection of it that answers lookups. `docs/architecture.md` is the map.
"""

import os

__version__ = "0.1.0"

# All of this is read when grpc is first imported, or used, by whomever.
_FOR_PEOPLE = {"GRPC_VERBOSITY", "GRPC_TRACE"}
"""What these say changes nothing but what is shown."""

# The calls between services are the bazaar's own: how names are resolved, what is polled with
# or which proxy is asked is not for a machine's environment to say.
for _name in [each for each in os.environ if each.startswith("GRPC_") and each not in _FOR_PEOPLE]:
    del os.environ[_name]

# gRPC's core prints refused connections and taken ports on standard error by itself; the
# bazaar says each once, in its own words.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
