"""The Twisted endpoints of an address: where a client connects, and where a server listens."""

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from .address import Address
from .reactor import Reactor

__all__ = ["client_endpoint", "server_endpoint"]

_ATTEMPT_DELAY_SECONDS = 0.05
"""Between attempts at the addresses of a name. A `HostnameEndpoint` reports a refused connection
only after this."""


def client_endpoint(
    reactor: Reactor, address: Address, timeout: float = 30
) -> IStreamClientEndpoint:
    """Connects to `address` by TCP, in `timeout` seconds; a name is looked up for each
    connection."""
    if isIPAddress(address.host):
        return TCP4ClientEndpoint(reactor, address.host, address.port, timeout)
    if isIPv6Address(address.host):
        return TCP6ClientEndpoint(reactor, address.host, address.port, timeout)
    return HostnameEndpoint(
        reactor, address.host, address.port, timeout, attemptDelay=_ATTEMPT_DELAY_SECONDS
    )


def server_endpoint(reactor: Reactor, address: Address) -> IStreamServerEndpoint:
    """Listens on `address` by TCP."""
    kind = TCP6ServerEndpoint if ":" in address.host else TCP4ServerEndpoint
    return kind(reactor, address.port, interface=address.host)
