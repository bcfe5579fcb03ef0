"""A gRPC server on the reactor, as a Service."""

import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, cast

import grpc
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
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
from twisted_bazaar.rpc.failures import Failures
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import server_endpoint
from twisted_bazaar.runtime.threads import Threads

from .call import ServerState
from .connection import GrpcConnection
from .limits import Limits
from .liveness import TICK_SECONDS
from .methods import Methods

__all__ = ["GRACE_SECONDS", "GrpcServer"]

GRACE_SECONDS = 5.0
"""How long calls under way may take to finish when the server stops."""

BACKLOG = 1024
"""Connections that may wait to be accepted. At Twisted's default of 50, further clients wait for
a second each."""

LIMITS = Limits(MAX_MESSAGE_BYTES)

_UNCONFIRMED_MS = 1000
"""TCP_USER_TIMEOUT, on Linux: how long bytes may stay unacknowledged."""


class _NextTurn:
    """Calls functions together, in the next turn of the reactor."""

    log = Logger()

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: list[Callable[[], None]] = []

    def add(self, what: Callable[[], None]) -> None:
        """Call `what` once, soon."""
        if not self._waiting:
            self._reactor.callLater(0, self._run)
        self._waiting.append(what)

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            try:
                what()
            except Exception:
                self.log.failure("unexpected error while writing answers")


@implementer(IProtocolNegotiationFactory, ILoggingContext)
class _Connections(Factory):
    """Makes connections, and bounds their number."""

    log = Logger()
    noisy = False

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._turn = _NextTurn(state.reactor)
        self._connections: set[GrpcConnection] = set()
        self._emptied: Deferred[None] | None = None
        self._stopped = False

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "gRPC"

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - Twisted's name
        """For ALPN, if the endpoint is one of TLS."""
        return [b"h2"]

    def buildProtocol(self, _: object) -> GrpcConnection | None:
        if self._stopped:
            return None
        if len(self._connections) >= self._state.limits.connections:
            idle = [each for each in self._connections if not each.calls and not each.working]
            if not idle:
                return None
            min(idle, key=lambda each: each.idle_since).abort()
        connection = _Connection(self._state, self._turn.add, self._lost)
        self._connections.add(connection)
        return connection

    def _lost(self, connection: GrpcConnection) -> None:
        self._connections.discard(connection)
        if not self._connections and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def sweep(self) -> None:
        """Check the timeouts of all connections."""
        now = self._state.reactor.seconds()
        for connection in list(self._connections):
            try:
                connection.sweep(now)
            except Exception:
                self.log.failure(
                    "unexpected error on a connection from {peer}", peer=connection.peer
                )
                connection.abort()

    def drain(self) -> Deferred[None]:
        """Let the calls under way finish; fires when all connections are closed."""
        self._stopped = True
        left: Deferred[None] = Deferred()
        self._emptied = left
        for connection in list(self._connections):
            connection.drain()
        if not self._connections:
            left.callback(None)
        return left

    def abort(self) -> None:
        """Close all connections at once."""
        self._emptied = None
        for connection in list(self._connections):
            connection.abort()


class _Connection(GrpcConnection):
    """A connection over a socket, whose options it sets."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        # TLS and Unix sockets do not have all of these.
        with suppress(AttributeError, OSError):
            transport.setTcpNoDelay(True)
            transport.getHandle().setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNCONFIRMED_MS
            )
        super().connectionMade()


class GrpcServer(Service):
    """Serves from `startService` to `stopService`.

    Handlers run on the reactor's thread, unless they are marked with `methods.blocking`.
    """

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
        figures: CallFigures | None = None,
    ) -> None:
        """`threads` is the number of blocking handlers that run at a time. `random` names the
        calls that fail. `endpoint` is where to listen, by default TCP at `address`. `figures`
        count the calls."""
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint or server_endpoint(reactor, address)
        self._threads = Threads(threads, "grpc")
        methods = Methods()
        add_servicers(cast(grpc.Server, methods))
        failures = Failures(reactor.seconds, random)
        state = ServerState(reactor, self._threads, methods, limits, failures, figures)
        self._connections = _Connections(state)
        self._sweeping = LoopingCall(self._connections.sweep)
        self._sweeping.clock = reactor
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Raises `Unusable` if the address cannot be listened on."""
        failures: list[Failure] = []
        listening = self._endpoint.listen(self._connections)
        # Server endpoints listen, or fail, before `listen` returns.
        listening.addCallbacks(self._listens, failures.append)
        for failure in failures:
            failure.trap(CannotListenError, OSError)
            raise Unusable(f"cannot listen on {self._address}: is the port taken?") from None
        self._threads.start()
        self._sweeping.start(TICK_SECONDS, now=False)
        super().startService()

    def _listens(self, port: Any) -> None:
        self._port = port
        port.socket.listen(BACKLOG)
        self.log.info("serves the other services at {address}", address=self._address)

    def stopService(self) -> Deferred[None] | None:
        """Refuse new calls, and let those under way finish."""
        super().stopService()
        if self._port is None:
            return None
        return Deferred.fromCoroutine(self._stop(self._port))

    async def _stop(self, port: IListeningPort) -> None:
        await maybeDeferred(port.stopListening)
        left = self._connections.drain()
        late = self._reactor.callLater(GRACE_SECONDS, left.callback, None)
        await left
        if late.active():
            late.cancel()
        self._connections.abort()
        if self._sweeping.running:
            self._sweeping.stop()
        # Not on the reactor's thread: a blocking handler may wait for it.
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._threads.stop)
