"""What Twisted's `Agent` lacks for short requests to servers that may be down."""

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IConsumer
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from .reactor import Reactor

__all__ = ["BytesProducer", "Endpoints"]


@implementer(IAgentEndpointFactory)
class Endpoints:
    """The endpoint of a URL's host. For an address, unlike `Agent` by itself, a refused
    connection is reported at once, not 0.3 s later, when a name's next address would be tried."""

    def __init__(self, reactor: Reactor, connect_seconds: float = 30) -> None:
        self._reactor = reactor
        self._seconds = connect_seconds

    def endpointForURI(
        self, uri: URI
    ) -> TCP4ClientEndpoint | TCP6ClientEndpoint | HostnameEndpoint:
        host = uri.host.decode("ascii")
        kind: type[TCP4ClientEndpoint | TCP6ClientEndpoint | HostnameEndpoint] = HostnameEndpoint
        if isIPAddress(host):
            kind = TCP4ClientEndpoint
        elif isIPv6Address(host):
            kind = TCP6ClientEndpoint
        return kind(self._reactor, host, uri.port, self._seconds)


@implementer(IBodyProducer)
class BytesProducer:
    """The body of a request, written with its head. Twisted's own producer, which reads from a
    file, writes it in a later turn of the reactor."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass
