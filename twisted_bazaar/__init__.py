"""The back end of a stock-trading platform: three kinds of service on the Twisted reactor.

Clients speak REST to a front-end; the order log, replicated, is the only truth; a catalog is
a projection of it that answers lookups. `docs/architecture.md` is the map.
"""

__version__ = "0.1.0"
