"""Being called: a gRPC server on the reactor, as a Service.

Handlers run on the reactor's thread, but for those that are marked with `blocking`. Unary calls
only, without compression.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, cast

import grpc
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    ILoggingContext,
    IProtocolNegotiationFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import Unusable
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads

from .call import Serving
from .complaints import Complaints
from .connection import GrpcConnection
from .limits import Limits
from .methods import Methods
from .patience import TICK_SECONDS

__all__ = ["GRACE_SECONDS", "GrpcServer"]

GRACE_SECONDS = 5.0
"""How long calls that are under way may take to finish when the server stops."""

BACKLOG = 1024
"""Connections that may wait to be taken; Twisted's own 50 leave callers waiting a second each."""

LIMITS = Limits(MAX_MESSAGE_BYTES)

_UNCONFIRMED_MS = 1000
"""How long the other machine may leave bytes unconfirmed (TCP_USER_TIMEOUT, on Linux)."""


class _NextTurn:
    """Does things once, together, before the reactor waits again."""

    log = Logger()

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: list[Callable[[], None]] = []

    def add(self, what: Callable[[], None]) -> None:
        if not self._waiting:
            self._reactor.callLater(0, self._run)
        self._waiting.append(what)

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            try:
                what()
            except Exception:
                self.log.failure("unexpected error while answers were written")


@implementer(IProtocolNegotiationFactory, ILoggingContext)
class _Connections(Factory):
    """Makes connections, and keeps them in bounds."""

    noisy = False

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._turn = _NextTurn(serving.reactor)
        self._connections: set[GrpcConnection] = set()
        self._emptied: Deferred[None] | None = None
        self._stopped = False

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "gRPC"

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - Twisted's name
        """What is offered where the endpoint is one of TLS."""
        return [b"h2"]

    def buildProtocol(self, _: object) -> GrpcConnection | None:
        if self._stopped:
            return None
        if len(self._connections) >= self._serving.limits.connections:
            idle = [each for each in self._connections if not each.calls and not each.working]
            if not idle:
                return None
            min(idle, key=lambda each: each.idle_since).abort()
        connection = _Connection(self._serving, self._turn.add, self._lost)
        self._connections.add(connection)
        return connection

    def _lost(self, connection: GrpcConnection) -> None:
        self._connections.discard(connection)
        if not self._connections and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def sweep(self) -> None:
        now = self._serving.reactor.seconds()
        for connection in list(self._connections):
            connection.sweep(now)

    def leave(self) -> Deferred[None]:
        """Let the calls under way finish; fires when no connection is left."""
        self._stopped = True
        left: Deferred[None] = Deferred()
        self._emptied = left
        for connection in list(self._connections):
            connection.leave()
        if not self._connections:
            left.callback(None)
        return left

    def abort(self) -> None:
        self._emptied = None
        for connection in list(self._connections):
            connection.abort()


class _Connection(GrpcConnection):
    def connectionMade(self) -> None:
        transport: Any = self.transport
        # Neither TLS nor a socket of another kind has all of it.
        with suppress(AttributeError, OSError):
            transport.setTcpNoDelay(True)
            transport.getHandle().setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNCONFIRMED_MS
            )
        super().connectionMade()


class GrpcServer(Service):
    """Serves from `startService` to `stopService`."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        address: Address,
        threads: int,
        add_servicers: Callable[[grpc.Server], None],
        random: Random,
        endpoint: IStreamServerEndpoint | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """`threads` bounds the handlers that block at a time. `random` names the calls that
        fail. `endpoint`, if it is not that of TCP at `address`, is where it listens."""
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint or _tcp(reactor, address)
        self._threads = Threads(threads, "grpc")
        methods = Methods()
        add_servicers(cast(grpc.Server, methods))
        complaints = Complaints(reactor.seconds)
        serving = Serving(reactor, self._threads, methods, limits, complaints, random)
        self._connections = _Connections(serving)
        self._sweeping = LoopingCall(self._connections.sweep)
        self._sweeping.clock = reactor
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Raises `Unusable` if the address cannot be listened on."""
        failures: list[Failure] = []
        listening = self._endpoint.listen(self._connections)
        # Every endpoint of ours is local: it has listened, or failed, when `listen` returns.
        listening.addCallbacks(self._listens, failures.append)
        for failure in failures:
            failure.trap(CannotListenError, OSError)
            raise Unusable(f"cannot listen on {self._address}: is the port taken?") from None
        self._threads.start()
        swept = self._sweeping.start(TICK_SECONDS, now=False)
        swept.addErrback(lambda failure: self.log.failure("unexpected error in a sweep", failure))
        super().startService()

    def _listens(self, port: Any) -> None:
        self._port = port
        port.socket.listen(BACKLOG)

    def stopService(self) -> Deferred[None] | None:
        """Take no further calls, and let those under way finish."""
        super().stopService()
        if self._port is None:
            return None
        return Deferred.fromCoroutine(self._stop(self._port))

    async def _stop(self, port: IListeningPort) -> None:
        await maybeDeferred(port.stopListening)
        left = self._connections.leave()
        # Cancelled, it goes on as if all had left.
        late = self._reactor.callLater(GRACE_SECONDS, left.callback, None)
        await left
        if late.active():
            late.cancel()
        self._connections.abort()
        if self._sweeping.running:
            self._sweeping.stop()
        # A handler that still has a thread may wait for the reactor.
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._threads.stop)


def _tcp(reactor: Reactor, address: Address) -> IStreamServerEndpoint:
    kind = TCP6ServerEndpoint if ":" in address.host else TCP4ServerEndpoint
    return kind(reactor, address.port, interface=address.host)
