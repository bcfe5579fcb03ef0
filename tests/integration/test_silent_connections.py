"""A connection that goes silent is given up at both ends, and another is made.

In between is a proxy that stops forwarding and closes nothing, as a cut network does.
"""

import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.serving.server import GrpcServer
from twisted_bazaar.runtime.address import Address

SOON_SECONDS = 5.0
NOTICED_SECONDS = 4.0
"""It takes two seconds, and less than three on a busy machine; by default it takes 20 or more."""
QUIET_SECONDS = 6.0
"""A server that was not told of the questions ends the connection at the fourth."""

METHOD = "/Parrot/Say"


class End(Protocol):
    """One end of a connection through the proxy: what comes from there goes to the other."""

    def __init__(self, proxy: "Proxy") -> None:
        self.other: End | None = None
        self.forwards = True
        self.is_open = True
        self._proxy = proxy

    def connectionMade(self) -> None:
        if self.other is None:
            self._proxy.connected(self)

    def dataReceived(self, data: bytes) -> None:
        assert self.other is not None
        if self.forwards:
            self.other.transport.write(data)

    def connectionLost(self, reason: object = None) -> None:
        self.is_open = False
        if self.forwards and self.other is not None:
            self.other.transport.loseConnection()


class Proxy(Factory):
    """Connections to `address`, each of which can be made silent."""

    noisy = False

    def __init__(self, reactor: Any, address: Address) -> None:
        self.callers: list[End] = []
        """An end for every connection that was ever made."""
        self._reactor = reactor
        self._server = TCP4ClientEndpoint(reactor, address.host, address.port)

    def buildProtocol(self, _: object) -> End:
        return End(self)

    def connected(self, caller: End) -> None:
        self.callers.append(caller)
        caller.transport.pauseProducing()
        server = End(self)
        server.other, caller.other = caller, server

        def forward(_: object) -> None:
            if caller.is_open:
                caller.transport.resumeProducing()
            else:
                server.transport.loseConnection()

        connectProtocol(self._server, server).addCallback(forward)

    def silence(self, takes: bool = True) -> None:
        """Stop forwarding on all open connections, and close none.

        `takes`: what is sent is taken, and dropped; else it stays with who sends it.
        """
        for end in self.ends():
            end.forwards = False
            if not takes:
                end.transport.pauseProducing()

    def ends(self) -> list[End]:
        """Those that are still open."""
        return [
            end for caller in self.callers for end in (caller, caller.other) if end and end.is_open
        ]


class World:
    """A server that says what it is told, and a channel to it through a proxy."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            address = Address(*found.getsockname())
        self.server = GrpcServer(self.reactor, address, 4, self._add, Random(1))
        self.proxy = Proxy(self.reactor, address)
        self.channels = Channels(self.reactor, 4)

    def _add(self, server: grpc.Server) -> None:
        say = grpc.unary_unary_rpc_method_handler(lambda words, _: words)
        _, service, method = METHOD.split("/")
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: say})]
        )

    async def start(self) -> None:
        self.server.startService()
        self.channels.startService()
        listening = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self._port = await listening.listen(self.proxy)
        self._channel = self.channels.to(Address("127.0.0.1", self._port.getHost().port))

    def say(self, words: bytes = b"x", timeout: float = SOON_SECONDS) -> Deferred[bytes]:
        """Have `words` come back; fails with `Unavailable`."""
        say = self._channel.grpc.unary_unary(METHOD)
        return self._channel.call(lambda left: say(words, timeout=left), timeout)

    async def until(self, happened: Callable[[], object], within: float) -> None:
        deadline = time.monotonic() + within
        while not happened():
            assert time.monotonic() < deadline, f"not within {within} s"
            await deferLater(self.reactor, 0.01)

    async def said_again(self) -> bytes:
        """What comes back once anything does."""
        deadline = time.monotonic() + NOTICED_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                # A call that waits behind a message that is stuck outlives its own timeout.
                return await self.say(b"again", 0.2).addTimeout(left, self.reactor)
            except (Unavailable, TimeoutError):
                await deferLater(self.reactor, 0.02)
        raise AssertionError(f"the channel holds on to what was silent for {NOTICED_SECONDS} s")

    async def stop(self) -> None:
        await self._port.stopListening()
        for end in self.proxy.ends():
            end.transport.abortConnection()
        # The channel waits for the calls under way, however long that takes.
        await self.until(lambda: not self.proxy.ends(), SOON_SECONDS)
        self.channels.stopService()
        await self.server.stopService()


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.start()
    yield world
    await world.stop()


@pytest_twisted.ensureDeferred
async def test_calls_are_answered_again_though_their_connection_stays_silent(
    world: World,
) -> None:
    assert await world.say() == b"x"
    world.proxy.silence()
    assert await world.said_again() == b"again"
    assert len(world.proxy.callers) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_USER_TIMEOUT, which Linux has")
@pytest_twisted.ensureDeferred
async def test_a_stuck_large_message_does_not_delay_the_detection_of_silence(world: World) -> None:
    """What asks for a sign of life waits behind it, and is never sent."""
    large = b"x" * 3_000_000
    assert await world.say(large) == large
    world.proxy.silence(takes=False)
    stuck = [world.say(large) for _ in range(3)]
    assert await world.said_again() == b"again"
    for each in stuck:
        with pytest.raises(Unavailable):
            await each


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_an_idle_connection_is_kept_until_it_goes_silent(world: World) -> None:
    """Then both ends give it up."""
    await world.say()
    await deferLater(world.reactor, QUIET_SECONDS)
    assert (len(world.proxy.callers), len(world.proxy.ends())) == (1, 2)
    world.proxy.silence()
    await world.until(lambda: not world.proxy.ends(), NOTICED_SECONDS)
    assert await world.say(b"again") == b"again", "at once, by a new connection"
