"""One listening port for several protocols, told apart by the first bytes of each connection.

So gRPC, frames (see `frames`) and HTTP for probes (`http.probes`) share a port, and no service
needs an option for a second one.
With an endpoint of TLS, the first bytes are those inside TLS.
"""

from collections.abc import Mapping
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    ILoggingContext,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["FIRST_BYTES_SECONDS", "FirstBytes", "SharedPort"]

FIRST_BYTES_SECONDS = 5.0
"""How long a client may take to send enough to tell."""


@implementer(ILoggingContext)
class FirstBytes(Factory):
    """Hands each connection over to the factory whose first bytes the client sends."""

    noisy = False

    def __init__(
        self, reactor: IReactorTime, choices: Mapping[bytes, IProtocolFactory], undecided: int = 256
    ) -> None:
        """`choices` are by the first bytes of the client, which the protocol of the factory
        receives, too. None begins with another. A connection with other first bytes is closed,
        and the oldest one that has not sent its own if there are more than `undecided`."""
        self.reactor = reactor
        self.choices = choices
        self.undecided: dict[_Undecided, None] = {}
        """The connections whose clients have not sent enough to tell, the oldest first."""
        self._most = undecided

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "gRPC, frames and HTTP"

    def buildProtocol(self, addr: IAddress | None) -> "_Undecided":
        if len(self.undecided) >= self._most:
            next(iter(self.undecided)).close()
        return _Undecided(self, addr)


@implementer(IStreamServerEndpoint)
class SharedPort:
    """An endpoint for one more protocol: what listens on it shares the port with others."""

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamServerEndpoint,
        first: bytes,
        others: Mapping[bytes, IProtocolFactory],
    ) -> None:
        """The factory that listens is given the connections of clients that first send `first`,
        and `others` those of theirs. `endpoint` is where all are listened for."""
        self._reactor = reactor
        self._endpoint = endpoint
        self._first = first
        self._others = others

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Fails as that of `endpoint` does."""
        choices = {**self._others, self._first: protocolFactory}
        return self._endpoint.listen(FirstBytes(self._reactor, choices))


class _Undecided(Protocol):
    """A connection whose client has not sent enough to tell."""

    def __init__(self, ports: FirstBytes, addr: IAddress | None) -> None:
        self._ports = ports
        self._addr = addr
        self._data = b""
        self._late: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._ports.undecided[self] = None
        self._late = self._ports.reactor.callLater(FIRST_BYTES_SECONDS, self.close)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        for first, factory in self._ports.choices.items():
            if self._data.startswith(first):
                self._decided()
                self._hand_over(factory)
                return
        if not any(first.startswith(self._data) for first in self._ports.choices):
            self.close()

    def _hand_over(self, factory: IProtocolFactory) -> None:
        assert self.transport is not None
        protocol = factory.buildProtocol(cast(IAddress, self._addr))
        if protocol is None:
            self.close()
            return
        # The transport goes on to call that protocol: from here on, this one costs nothing.
        if hasattr(self.transport, "protocol"):
            self.transport.protocol = protocol
        else:  # One of TLS.
            self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
            self.connectionLost = protocol.connectionLost  # type: ignore[assignment, method-assign]
        protocol.makeConnection(self.transport)
        protocol.dataReceived(self._data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._decided()

    def close(self) -> None:
        """Close the connection."""
        self._decided()
        assert self.transport is not None
        self.transport.loseConnection()

    def _decided(self) -> None:
        """It counts as undecided no more. May be called again."""
        if self._late is not None:
            del self._ports.undecided[self]
            if self._late.active():
                self._late.cancel()
            self._late = None
