"""How many connections the options of a front-end allow."""

import resource

from twisted_bazaar.errors import Unusable
from twisted_bazaar.http.client_address import TrustedProxies
from twisted_bazaar.http.connections import connections_for
from twisted_bazaar.http.sources import MAX_CONNECTIONS_OF_ONE, Sources, is_loopback

from .options import LimitConfig

__all__ = ["max_connections", "sources"]


def max_connections(limits: LimitConfig) -> int:
    """How many connections clients may have in all. Raises `Unusable` if an option asks for more
    than there are file descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections
    if wanted is None:
        return connections_for(descriptors)
    found = connections_for(descriptors, wanted)
    if found < wanted:
        raise Unusable(
            f"--max-connections {wanted}: the limit of open files, {descriptors}, leaves {found}; "
            "raise it (ulimit -n)"
        )
    return found


def sources(limits: LimitConfig, proxies: TrustedProxies) -> Sources:
    """The connections of each client. A trusted proxy has those of many, and so do the programs of
    this machine, unless an option bounds them."""
    if limits.connections_of_one is not None:
        return Sources(limits.connections_of_one, proxies.trusts)
    return Sources(
        MAX_CONNECTIONS_OF_ONE, lambda address: is_loopback(address) or proxies.trusts(address)
    )
