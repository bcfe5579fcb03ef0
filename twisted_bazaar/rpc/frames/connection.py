"""The caller's connection to a peer: kept open, and made again with backoff when it is lost.

In a cluster that is being upgraded, a peer of an earlier release has gRPC only, on the same port.
It is recognised by its first bytes (see `format`), and called by gRPC. Likewise a proxy for HTTP.
Frames are tried again every `OTHERWISE_PAUSE_SECONDS`, and at once when the peer, upgraded, has
connected to this replica: see `retry`.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import Malformed, NotOurs, Unavailable
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.security.transport import NotAdmitted

from .format import (
    ANSWER,
    GREETING,
    REFUSAL,
    VERSIONS,
    Greeting,
    Http1,
    Http2,
    Welcome,
    decode_welcome,
    encode_greeting,
)
from .protocol import TICK_SECONDS, FrameProtocol

__all__ = ["BY_GRPC", "BY_HTTP", "Down", "FrameConnection", "NotFrames", "Otherwise"]

ATTEMPT_SECONDS = 1.0
"""For TCP, or TLS, to connect. `FrameProtocol.tick` bounds the greetings."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
"""Between two attempts: a peer that was restarted is reached again within this time."""
PAUSE_FACTOR = 1.6
PAUSE_SPREAD = 0.2
"""The jitter of a pause, up or down, as a share of it. Factor and spread are those of gRPC."""
STEADY_SECONDS = 1.0
"""After a connection that lasted this long, the first attempt follows at once."""
OTHERWISE_PAUSE_SECONDS = 5.0
"""Between two attempts at frames, while the peer is called in another way."""


class NotFrames(Unavailable):
    """The peer is to be called in another way: it has no frames, or no version of them in common.
    The call was not sent."""


@attrs.frozen
class Otherwise:
    """How a peer without frames is called."""

    name: str
    """For the log."""
    shown_by: type[Malformed]
    """What its first bytes are."""


BY_GRPC = Otherwise("gRPC", Http2)
BY_HTTP = Otherwise("HTTP", Http1)


Down = tuple[type[Unavailable], str]
"""Why there is no connection."""


class FrameConnection:
    """The connection to one peer, from `start` to `stop`."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        peer: object,
        greeting: Callable[[], Greeting],
        mistake: Callable[[Welcome], str | None],
        random: Random,
        otherwise: Otherwise = BY_GRPC,
        most: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """`peer` names it in the log. `greeting` makes the greeting of this end. `mistake` says
        why a welcome is not that of the peer that is meant, or None. `random` is for jitter. An
        answer may have `most` bytes."""
        self._reactor = reactor
        self._endpoint = endpoint
        self._peer = peer
        self._greeting = greeting
        self._mistake = mistake
        self._random = random
        self._otherwise = otherwise
        self._most = most
        self.current: FrameProtocol | None = None
        """One on which requests can be sent."""
        self.down: Down | None = None
        """Why there is none, and calls fail; None: they wait for the attempt under way."""
        self._opened: Callable[[], None]
        self._lost: Callable[[type[Unavailable], str], None]
        self._answered: Callable[[int, int, bytes], None]
        self._running = False
        self._pause = 0.0
        """Before the next attempt."""
        self._pausing = False
        self._waiting: Deferred[Any] | None = None
        """The pause, or the attempt to connect."""
        self._dialled: _Caller | None = None
        """The connection, also before it is greeted."""
        self._since: float | None = None
        """The time since when there is a `current` one."""
        self._kept: Deferred[None] = succeed(None)
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor

    def start(
        self,
        opened: Callable[[], None],
        lost: Callable[[type[Unavailable], str], None],
        answered: Callable[[int, int, bytes], None],
    ) -> None:
        """Connect. `opened` is called when there is a `current` connection; `lost` when it is
        lost, or an attempt fails, with the reason; `answered` with each answer or refusal."""
        self._opened, self._lost, self._answered = opened, lost, answered
        self._running = True
        self._ticking.start(TICK_SECONDS, now=False)
        self._kept = Deferred.fromCoroutine(self._keep())

    def stop(self, why: str) -> Deferred[None]:
        """Close the connection at once. Fires when it is closed."""
        if self._running:
            self._running = False
            self._ticking.stop()
            if self._dialled is not None:
                self._dialled.give_up(why)
            elif self._waiting is not None:
                self._waiting.cancel()
        return self._kept

    def retry(self) -> None:
        """End the pause, if there is one: the peer is known to be up."""
        self._pause = 0.0
        if self._pausing and self._waiting is not None:
            self._waiting.cancel()

    def _tick(self) -> None:
        if self._dialled is not None:
            self._dialled.tick()

    async def _keep(self) -> None:
        """Connect, again and again, until this is stopped."""
        while self._running:
            if self._pause:
                await self._rest()
            try:
                down = await self._session()
            except Exception:
                self.log.failure("unexpected error while connecting to {peer}", peer=self._peer)
                down = Unavailable, "unexpected error while connecting"
                if self._dialled is not None:
                    self._dialled.give_up(down[1])
            self._dialled = self.current = None
            if self._running:
                self._over(*down)

    async def _rest(self) -> None:
        pause = self._pause * (1 + PAUSE_SPREAD * (2 * self._random.random() - 1))
        self._waiting, self._pausing = deferLater(self._reactor, pause), True
        # It is cancelled by `retry`, and by `stop`.
        await self._waiting.addErrback(lambda failure: failure.trap(CancelledError))
        self._waiting, self._pausing = None, False

    async def _session(self) -> Down:
        """Connect, and use the connection until it is lost. Returns why it failed or was lost."""
        if not self.lacks_frames:
            self.down = None
        greeting = self._greeting()
        try:
            self._waiting = self._dial(greeting)
            dialled = self._dialled = await self._waiting
        except (CancelledError, ConnectingCancelledError, TimeoutError):
            return Unavailable, "no connection in time"
        except Exception as why:
            return Unavailable, f"no connection: {why}"
        finally:
            self._waiting = None
        await dialled.settled
        unfit = self._unfit(dialled)
        if unfit is None:
            self._use(dialled)
        else:
            dialled.give_up(unfit[1])
        await dialled.gone
        return unfit or (Unavailable, f"the connection was lost: {dialled.lost_because}")

    def _dial(self, greeting: Greeting) -> "Deferred[_Caller]":
        factory: Any = Factory.forProtocol(
            lambda: _Caller(self._answered, greeting, self._otherwise.shown_by, self._most)
        )
        factory.noisy = False
        attempt: Deferred[Any] = self._endpoint.connect(factory)
        return attempt.addTimeout(ATTEMPT_SECONDS, self._reactor)

    def _unfit(self, dialled: "_Caller") -> Down | None:
        """Why requests cannot be sent on `dialled`; None: they can."""
        welcome = dialled.welcome
        if welcome is None:
            return dialled.unfit or (Unavailable, f"no greeting: {dialled.lost_because}")
        if mistake := welcome.refusal or self._mistake(welcome):
            return NotOurs, mistake
        if welcome.version not in VERSIONS:
            return NotFrames, "it has no version of the frames in common"
        return None

    def _use(self, dialled: "_Caller") -> None:
        if self.lacks_frames:
            self.log.info("{peer} speaks frames now", peer=self._peer)
        self.down = None
        self.current = dialled
        self._since = self._reactor.seconds()
        dialled.begin()
        self._opened()

    def _over(self, error: type[Unavailable], why: str) -> None:
        """A connection was lost, or an attempt failed: decide when to try again."""
        since, self._since = self._since, None
        if error is NotFrames:
            if not self.lacks_frames:
                way = self._otherwise.name
                self.log.info("{peer} is called by {way}: {why}", peer=self._peer, way=way, why=why)
            self._pause = OTHERWISE_PAUSE_SECONDS
        elif since is not None and self._reactor.seconds() - since >= STEADY_SECONDS:
            self._pause = 0.0
        else:
            last = 0.0 if self.lacks_frames else self._pause
            self._pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, last * PAUSE_FACTOR))
        self.down = (error, why) if self._pause else None
        self._lost(error, why)

    @property
    def lacks_frames(self) -> bool:
        """Whether the peer is called in another way. Then calls do not wait for an attempt."""
        return self.down is not None and self.down[0] is NotFrames


class _Caller(FrameProtocol):
    """The caller's end of a connection."""

    def __init__(
        self,
        answered: Callable[[int, int, bytes], None],
        greeting: Greeting,
        no_frames: type[Malformed],
        most: int,
    ) -> None:
        super().__init__(most)
        self._no_frames = no_frames
        self._answered = answered
        self._greeting = greeting
        self.settled: Deferred[None] = Deferred()
        """Fires when there is a `welcome`, or the connection is lost before."""
        self.welcome: Welcome | None = None
        self.unfit: Down | None = None
        """What the other end has sent instead."""
        self.gone: Deferred[None] = Deferred()
        """Fires when the connection is lost."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.send(0, GREETING, encode_greeting(self._greeting))

    def received(self, id_: int, kind: int, body: bytes) -> None:
        if self.greeted:
            if kind not in (ANSWER, REFUSAL):
                raise Malformed(f"a frame of kind {kind}, which is no answer")
            self._answered(id_, kind, body)
        elif self.welcome is None:
            if kind != GREETING:
                raise Malformed(f"a frame of kind {kind} before the greeting")
            self.welcome = decode_welcome(body)
            self.settled.callback(None)

    def malformed(self, why: Malformed) -> None:
        if not self.greeted:
            self.unfit = (NotFrames if isinstance(why, self._no_frames) else NotOurs), str(why)
        super().malformed(why)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if reason.check(NotAdmitted):
            self.unfit = NotOurs, str(reason.value)
        if not self.settled.called:
            self.settled.callback(None)
        self.gone.callback(None)
