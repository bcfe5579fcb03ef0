"""What Twisted's `Agent` lacks for short requests to servers that may be down."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from .address import Address
from .reactor import Reactor
from .tcp import client_endpoint

__all__ = ["BytesProducer", "Endpoints"]


@implementer(IAgentEndpointFactory)
class Endpoints:
    """The endpoint of a URL's host. Unlike with `Agent` by itself, a refused connection is
    reported at once, not 0.3 s later, when a name's next address would be tried."""

    def __init__(self, reactor: Reactor, connect_seconds: float = 30) -> None:
        self._reactor = reactor
        self._seconds = connect_seconds

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        address = Address(uri.host.decode("ascii"), uri.port)
        return client_endpoint(self._reactor, address, self._seconds)


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
