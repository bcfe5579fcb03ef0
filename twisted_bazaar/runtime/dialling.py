"""The Twisted endpoint by which a client connects to an address."""

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from .address import Address
from .reactor import Reactor

__all__ = ["client_endpoint"]

_ATTEMPT_DELAY_SECONDS = 0.05
"""Between attempts at the addresses of a name. A `HostnameEndpoint` reports a refused connection
only after this."""


def client_endpoint(reactor: Reactor, address: Address) -> IStreamClientEndpoint:
    """Connects to `address` by TCP; a name is looked up for each connection."""
    if isIPAddress(address.host):
        return TCP4ClientEndpoint(reactor, address.host, address.port)
    if isIPv6Address(address.host):
        return TCP6ClientEndpoint(reactor, address.host, address.port)
    return HostnameEndpoint(
        reactor, address.host, address.port, attemptDelay=_ATTEMPT_DELAY_SECONDS
    )
