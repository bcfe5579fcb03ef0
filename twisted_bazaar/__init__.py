"""The back end of a stock-trading platform: three kinds of service on the Twisted reactor.

Front-ends (`frontend`) speak REST with clients. Order replicas (`order`, over `consensus` and
`storage`) agree on the order log, which is the source of truth. Catalogs (`catalog`) follow the
log and answer lookups. `local` runs all of them on one machine, `tools` are for operators, and
`rpc` and `runtime` are what the services share.

The modules here are vocabulary that every package may import. They are pure, and import
nothing else of the package. `docs/architecture.md` is the map.
"""

import os

__version__ = "0.1.0"

# gRPC reads its variables when it is first imported or used, by any package.
_FOR_PEOPLE = {"GRPC_VERBOSITY", "GRPC_TRACE"}
"""These change only what gRPC prints."""

# The calls between services are internal: the environment of a machine must not choose how names
# are resolved, which poller runs, or which proxy is used.
for _name in [each for each in os.environ if each.startswith("GRPC_") and each not in _FOR_PEOPLE]:
    del os.environ[_name]

# gRPC's core prints refused connections and taken ports on standard error; the bazaar reports
# each of them once.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
