"""Peers that speak frames over real connections on loopback, well and badly."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from twisted_bazaar.rpc.frames.channel import FrameChannel
from twisted_bazaar.rpc.frames.connection import FrameConnection
from twisted_bazaar.rpc.frames.format import (
    GREETING,
    MAGIC,
    Decoder,
    Greeting,
    Welcome,
    agree,
    encode_greeting,
    frame,
)
from twisted_bazaar.rpc.frames.server import FrameServer, Method
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES

SOON = 5.0
"""Seconds within which what works has happened, however busy the machine is."""

ECHO, HOLD, FAIL = 1, 2, 3
"""Kinds of requests: answered with itself, when the test says so, and with an error."""

GREETING_OF_1 = Greeting(service="order", sender=1, to=2, cluster="ours")
WELCOME_OF_2 = Welcome(service="order", sender=2, cluster="ours", version=1)


class Scripted(Protocol):
    """The far end of a connection, which says what a test has it say."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.heard = b""
        self.frames: list[tuple[int, int, bytes]] = []
        self.lost: Failure | None = None
        self._decoder = Decoder(lambda *each: self.frames.append(each), MAX_MESSAGE_BYTES)
        self.out: Any = None

    def connectionMade(self) -> None:
        self.out = self.transport
        self._world.scripted.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._decoder.feed(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionError())) -> None:  # noqa: B008
        self.lost = reason

    def say(self, *said: bytes) -> None:
        self.out.write(b"".join(said))

    def welcome(self, welcome: Welcome = WELCOME_OF_2) -> None:
        self.say(MAGIC, frame(0, GREETING, encode_greeting(welcome)))

    def requests(self) -> list[tuple[int, int, bytes]]:
        """Those that came so far."""
        return [each for each in self.frames if each[1] < 0x80]


class World:
    """The channel of replica 1 to replica 2, which a `FrameServer` or a `Scripted` plays."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.held: list[Deferred[bytes]] = []
        self.failing: Callable[[], Any] = lambda: b""
        self.greetings: list[Greeting] = []
        self.answer: Callable[[Greeting], Welcome] = self._welcome
        self.scripted: list[Scripted] = []
        self.server = self.new_server()
        self.factory: Any = self.server.connections
        self._listening: Any = None
        self.port = 0
        self.mistake: Callable[[Welcome], str | None] = mistake
        here: Any = self
        connection = FrameConnection(
            reactor,
            here,
            "peer",
            lambda: GREETING_OF_1,
            lambda welcome: self.mistake(welcome),
            Random(1),
        )
        self.channel = FrameChannel(reactor, connection, "peer")
        self.said: list[str] = []
        globalLogPublisher.addObserver(self._observe)

    def new_server(self) -> FrameServer:
        methods = {
            ECHO: Method("Echo", lambda body: body),
            HOLD: Method("Hold", self._hold),
            FAIL: Method("Fail", lambda body: self.failing()),
        }
        return FrameServer(self.reactor, methods, lambda each: self.answer(each), Random(1))

    def script(self) -> None:
        """Have the peer be a `Scripted` from now on."""
        self.factory = Factory.forProtocol(lambda: Scripted(self))

    def connect(self, factory: Any) -> Deferred[Any]:
        """This is the channel's endpoint: it leads to the port that is listened on by now."""
        at = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port)
        return at.connect(factory)

    def listen(self) -> None:
        self._listening = self.reactor.listenTCP(self.port, self.factory, interface="127.0.0.1")
        self.port = self._listening.getHost().port

    async def close(self) -> None:
        """Listen no more."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await maybeDeferred(listening.stopListening)

    async def start(self) -> None:
        """Listen, connect, and wait until the greetings fit."""
        self.listen()
        self.channel.startService()
        await self.connected()

    async def far_end(self) -> Scripted:
        """The far end of a connection of the channel, greeted."""
        self.script()
        self.listen()
        self.channel.startService()
        await self.until(lambda: self.scripted and self.scripted[-1].frames)
        self.scripted[-1].welcome()
        await self.connected()
        return self.scripted[-1]

    async def connected(self) -> None:
        await self.until(lambda: self.channel.connected)

    async def stop(self) -> None:
        globalLogPublisher.removeObserver(self._observe)
        await self.close()
        await maybeDeferred(self.channel.stopService)
        for each in self.scripted:
            each.out.abortConnection()
        await self.until(lambda: all(each.lost for each in self.scripted))
        for held in self.held:
            if not held.called:
                held.callback(b"")
        await self.server.stopService()

    async def until(self, happened: Callable[[], object], seconds: float = SOON) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline
            await self.sleep(0.002)

    async def sleep(self, seconds: float) -> None:
        await deferLater(self.reactor, seconds)

    def said_of_peer(self) -> list[str]:
        """What was logged of the peer."""
        return [line for line in self.said if ": peer " in line]

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_format"):
            line = str(event["log_format"]).format(**event)
            self.said.append(f"{event['log_level'].name}: {line}")

    def _hold(self, body: bytes) -> Deferred[bytes]:
        self.held.append(Deferred())
        return self.held[-1]

    def _welcome(self, greeting: Greeting) -> Welcome:
        self.greetings.append(greeting)
        refusal = "" if greeting.to == 2 else f"this is replica 2, not replica {greeting.to}"
        return Welcome(
            service="order", sender=2, cluster="ours", version=agree(greeting), refusal=refusal
        )


def mistake(welcome: Welcome) -> str | None:
    """Why this is not replica 2 of the cluster."""
    if welcome.sender != 2:
        return f"what answers at the address of replica 2 is replica {welcome.sender}"
    return None if welcome.cluster == "ours" else f"it is of cluster {welcome.cluster}"


async def error_of(call: Deferred[bytes]) -> Exception:
    """What `call` fails with."""
    try:
        answer = await call
    except Exception as error:
        return error
    raise AssertionError(f"it was answered with {answer[:80]!r}")


def outcomes_of(calls: list[Deferred[bytes]]) -> list[object]:
    """What `calls` end with, each as often as it ends."""
    got: list[object] = []
    for call in calls:
        call.addCallbacks(got.append, lambda failure: got.append(failure.value))
    return got
