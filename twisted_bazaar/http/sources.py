"""How many connections each client has, by its address. Pure."""

from collections.abc import Callable
from ipaddress import ip_address

from .client_address import network_of

__all__ = ["MAX_CONNECTIONS_OF_ONE", "Sources", "is_loopback"]

MAX_CONNECTIONS_OF_ONE = 256
"""More than an HTTP client keeps open, and than the users behind one address have at a time; of a
front-end's connections one fortieth."""


def is_loopback(address: str) -> bool:
    """Whether `address` is one of this machine to itself. What is no address is: a connection
    without one is a Unix socket's."""
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True


class Sources:
    """Counts the connections of each client, and bounds them. Addresses of one network, as
    `network_of` has it, are those of one client."""

    def __init__(self, limit: int, is_exempt: Callable[[str], bool]) -> None:
        """`limit` bounds the connections of a client, unless its address is exempt."""
        assert limit > 0
        self._limit = limit
        self._is_exempt = is_exempt
        self._counts: dict[str, int] = {}

    def opened(self, address: str) -> bool:
        """Count a connection from `address`, to be `closed` later. False: there are too many, and
        this one is not counted."""
        network = network_of(address)
        count = self._counts.get(network, 0)
        if count >= self._limit and not self._is_exempt(address):
            return False
        self._counts[network] = count + 1
        return True

    def closed(self, address: str) -> None:
        """A connection from `address` that was counted has ended."""
        network = network_of(address)
        count = self._counts.pop(network) - 1
        if count:
            self._counts[network] = count

    def __len__(self) -> int:
        """How many clients have connections."""
        return len(self._counts)
