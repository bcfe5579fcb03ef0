"""Answers the requests that come in frames (see `format`), on the reactor.

A request is handled in the reactor turn in which it arrives, and answered in the turn in which
the Deferred of its method fires. A `FrameServer` listens nowhere itself: see `first_bytes`.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

import attrs
import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import Malformed, NotAuthorised, Overloaded, Unavailable
from twisted_bazaar.rpc.failures import Failures
from twisted_bazaar.rpc.figures import OK, MethodFigures
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.security.roles import Role, may_call
from twisted_bazaar.security.transport import role_of

from .format import (
    ANSWER,
    CONTROL,
    GREETING,
    REFUSAL,
    Greeting,
    Welcome,
    decode_greeting,
    encode_greeting,
    encode_refusal,
)
from .protocol import TICK_SECONDS, FrameProtocol

__all__ = [
    "GRACE_SECONDS",
    "MAX_BYTES_HELD",
    "MAX_CALLS",
    "MAX_CONNECTIONS",
    "Announced",
    "Bounds",
    "Method",
    "FrameServer",
]

MAX_CONNECTIONS = 64
"""A caller has one, and a second until the server has found that the first is dead."""
MAX_CALLS = 256
"""Requests of one connection that are not answered yet."""
MAX_BYTES_HELD = 4 * MAX_MESSAGE_BYTES
"""Of all connections together: incomplete frames, and requests that are not answered yet."""
GRACE_SECONDS = 5.0
"""How long calls that are under way may take to finish when the server stops."""
LONGEST_WAIT_TICKS = 60
"""A request that is not answered after this long is refused: no caller waits longer."""
STUCK_TICKS = 20
"""A connection is closed when the peer has not read its answers for this long: twice as long as
any caller waits."""

_STOPPING = "this process is stopping"


@attrs.frozen
class Bounds:
    """What a server holds for its callers."""

    connections: int = MAX_CONNECTIONS
    held: int = MAX_BYTES_HELD
    """Bytes of all connections together."""
    body: int = MAX_MESSAGE_BYTES
    """Of a request that was not announced."""


@attrs.frozen
class Announced:
    """What a method returns to allow the next request of the connection a body of `length` bytes.
    The request itself is answered with an empty body."""

    length: int


@attrs.frozen
class Method:
    """The requests of one kind."""

    name: str
    """For the log."""
    answer: Callable[[bytes], "bytes | Deferred[bytes] | Announced"]
    """Returns the body of the answer to the body of a request. A `BazaarError` that it raises, or
    fails with, is sent to the caller."""
    figures: MethodFigures | None = None
    """Count the requests; None: they are not counted."""
    path: str = ""
    """Its row in `security.roles.ALLOWED`, which says who may call it where callers have roles."""


class FrameServer(Service):
    """Answers requests until `stopService`, on the connections that `connections` makes."""

    def __init__(
        self,
        reactor: IReactorTime,
        methods: Mapping[int, Method],
        welcome: Callable[[Greeting], Welcome],
        random: Random,
        bounds: Bounds = Bounds(),
    ) -> None:
        """`methods` are by the kind of request. `welcome` answers a peer's greeting; one with a
        refusal, or without a version, closes its connection. `random` names the failures that
        are logged."""
        self._reactor = reactor
        self.connections = _Connections(
            reactor, _Serving(methods, welcome, Failures(reactor.seconds, random), bounds)
        )
        """The factory to listen with."""

    def stopService(self) -> Deferred[None]:
        """Begin no further call, and close each connection when its calls are answered, or after
        `GRACE_SECONDS`. Fires when all are closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        closed = self.connections.finish()
        late = self._reactor.callLater(GRACE_SECONDS, self.connections.abort)
        await closed
        if late.active():
            late.cancel()


@attrs.define(eq=False)
class _Serving:
    """What all connections of a server share."""

    methods: Mapping[int, Method]
    welcome: Callable[[Greeting], Welcome]
    failures: Failures
    bounds: Bounds
    held: int = 0
    """Bytes that `Bounds.held` bounds."""


class _Connections(Factory):
    """Makes connections, up to `Bounds.connections`."""

    noisy = False

    def __init__(self, reactor: IReactorTime, serving: _Serving) -> None:
        self._reactor = reactor
        self._serving = serving
        self._open: dict[_Server, None] = {}
        """The oldest first."""
        self._closed: Deferred[None] | None = None
        """Fires when none is open; None until no more are made."""
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor

    def __len__(self) -> int:
        return len(self._open)

    def buildProtocol(self, addr: IAddress | None) -> "_Server | None":
        """None, which closes the connection, if no more are made.

        If there are too many, one is closed whose requests have all failed, if there is one: the
        one that has made no request for the longest time.
        """
        if self._closed is not None:
            return None
        if len(self._open) >= self._serving.bounds.connections:
            idle = [each for each in self._open if not each.calls]
            if not idle:
                return None
            oldest = min(idle, key=lambda each: (each.succeeded, each.asked_at))
            self._close(oldest, "there are too many")
        connection = _Server(self._serving, addr, self._reactor.seconds, self._lost, self._relieve)
        self._open[connection] = None
        if not self._ticking.running:
            self._ticking.start(TICK_SECONDS, now=False)
        return connection

    def finish(self) -> Deferred[None]:
        """Make no more, and have each close when its calls are answered."""
        self._closed = Deferred()
        for connection in tuple(self._open):
            connection.finish()
        if not self._open:
            self._closed.callback(None)
        return self._closed

    def abort(self) -> None:
        """Close all at once."""
        for connection in tuple(self._open):
            connection.give_up(_STOPPING)

    def _close(self, connection: "_Server", why: str) -> None:
        connection.give_up(why)
        self._lost(connection)

    def _lost(self, connection: "_Server") -> None:
        """It counts no more. May be called again."""
        self._open.pop(connection, None)
        if not self._open and self._ticking.running:
            self._ticking.stop()
            if self._closed is not None and not self._closed.called:
                self._closed.callback(None)

    def _relieve(self) -> None:
        """Too many bytes are held: close the connection with the longest incomplete frame."""
        longest = max(self._open, key=lambda connection: connection.buffered)
        longest.give_up("too many bytes of incomplete frames are held")

    def _tick(self) -> None:
        for connection in tuple(self._open):
            connection.tick()


class _Call(NamedTuple):
    """A request that is not answered."""

    tick: int
    """In which it came."""
    size: int
    began: float
    figures: MethodFigures | None


@implementer(IPushProducer)
class _Server(FrameProtocol):
    """The server's end of a connection."""

    log = Logger()

    def __init__(
        self,
        serving: _Serving,
        peer: IAddress | None,
        seconds: Callable[[], float],
        lost: Callable[["_Server"], None],
        relieve: Callable[[], None],
    ) -> None:
        """`lost` is called when the connection is; `relieve` when too many bytes are held."""
        super().__init__(serving.bounds.body)
        self._serving = serving
        self._peer = peer
        self._seconds = seconds
        self._lost_to = lost
        self._relieve = relieve
        self.buffered = 0
        """Bytes of an incomplete frame."""
        self.asked_at = float("-inf")
        """When the last request came."""
        self.succeeded = False
        """Whether any was answered, other than with a refusal."""
        self._calls: dict[int, _Call] = {}
        """By id: the requests that are not answered."""
        self._finishing = False
        self._role: Role | None = None
        """Of the caller; None: the connection is in plain text, and all may be called."""
        self._stuck: int | None = None
        """Ticks since the transport's buffer filled up; None: it has room."""

    @property
    def calls(self) -> int:
        """Requests that are not answered yet."""
        return len(self._calls)

    def connectionMade(self) -> None:
        super().connectionMade()
        self._role = role_of(self._out)
        self._out.registerProducer(self, True)

    # What comes in.

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self._count() and self._serving.held > self._serving.bounds.held:
            self._relieve()

    def _count(self) -> bool:
        """Count the bytes of an incomplete frame. Returns whether there are more than before."""
        more = self._decoder.buffered - self.buffered
        self.buffered += more
        self._serving.held += more
        return more > 0

    def give_up(self, why: str) -> None:
        super().give_up(why)
        self._count()

    def received(self, id_: int, kind: int, body: bytes) -> None:
        if not self.greeted:
            if kind != GREETING:
                raise Malformed(f"a frame of kind {kind} before the greeting")
            self._greet(decode_greeting(body))
        elif kind >= CONTROL or id_ in self._calls:
            raise Malformed(f"a frame of kind {kind} with id {id_}, which is no request")
        else:
            self._begin(id_, kind, body)

    def _greet(self, greeting: Greeting) -> None:
        welcome = self._serving.welcome(greeting)
        if self._role is not None and greeting.sender != self._role.number:
            claimed = f"the certificate of {self._role} is not that of replica {greeting.sender}"
            self._serving.failures.refused("a connection", self._peer, claimed)
            welcome = msgspec.structs.replace(welcome, refusal=claimed)
        self.send(0, GREETING, encode_greeting(welcome))
        if welcome.refusal or not welcome.version:
            self._close()
        else:
            self.begin()

    def _begin(self, id_: int, kind: int, body: bytes) -> None:
        if self.buffered:
            self._count()
        self.asked_at = self._seconds()
        self._decoder.most = self._serving.bounds.body
        method = self._serving.methods.get(kind)
        name = f"a request of kind {kind}" if method is None else method.name
        try:
            if self._finishing:
                raise Unavailable(_STOPPING)
            if len(self._calls) >= MAX_CALLS:
                raise Overloaded("too many calls are under way")
            if self._serving.held + len(body) > self._serving.bounds.held:
                raise Overloaded("too many bytes are under way")
            if method is None:
                raise Unavailable(f"{name} is not served here")
            if self._role is not None and not may_call(self._role, method.path):
                raise NotAuthorised(f"{self._role} may not call {method.path}")
            answer = method.answer(body)
        except Exception:
            status = self._refuse(id_, name, Failure())
            if method is not None and method.figures is not None:
                method.figures.ended(status, self._seconds() - self.asked_at)
            return
        figures = None if method is None else method.figures
        self._calls[id_] = _Call(self._ticks, len(body), self.asked_at, figures)
        self._serving.held += len(body)
        if isinstance(answer, Announced):
            self._decoder.most = answer.length
            answer = b""
        if isinstance(answer, Deferred):
            answer.addCallback(self._answered, id_).addErrback(self._failed, id_, name)
            return
        try:
            self._answered(answer, id_)
        except Exception:
            self._failed(Failure(), id_, name)

    # What goes out.

    def _answered(self, body: bytes, id_: int) -> None:
        if id_ not in self._calls:
            return
        if len(body) > MAX_MESSAGE_BYTES:
            raise Unavailable("the answer is too long")
        self.succeeded = True
        self.send(id_, ANSWER, body)
        self._ended(id_, OK)

    def _failed(self, failure: Failure, id_: int, name: str) -> None:
        if id_ in self._calls:
            self._ended(id_, self._refuse(id_, name, failure))

    def _ended(self, id_: int, status: int) -> None:
        call = self._calls.pop(id_)
        self._serving.held -= call.size
        if call.figures is not None:
            call.figures.ended(status, self._seconds() - call.began)
        self._finish()

    def _refuse(self, id_: int, name: str, failure: Failure) -> int:
        """Returns the number of the status."""
        status, text = self._serving.failures.status(name, self._peer, failure)
        self.send(id_, REFUSAL, encode_refusal(status, text))
        return status

    def tick(self) -> None:
        if self._stuck is not None:
            # Nothing is read meanwhile, so that nothing is heard means nothing.
            self._stuck += 1
            if self._stuck >= STUCK_TICKS:
                self.give_up("it does not read its answers")
            return
        super().tick()
        while self._calls:
            id_, call = next(iter(self._calls.items()))
            if self._ticks - call.tick < LONGEST_WAIT_TICKS:
                break
            self._failed(Failure(Unavailable("the answer took too long")), id_, "a call")

    # An IPushProducer: the transport calls these as its buffer fills up and empties.

    def pauseProducing(self) -> None:
        if self._stuck is None:
            self._stuck = 0
            self._out.pauseProducing()

    def resumeProducing(self) -> None:
        self._stuck = None
        self._out.resumeProducing()

    def stopProducing(self) -> None:
        pass

    # The end.

    def finish(self) -> None:
        """Begin no further call, and close when those under way are answered."""
        self._finishing = True
        self._finish()

    def _finish(self) -> None:
        if self._finishing and not self._calls:
            self._close()

    def _close(self) -> None:
        """Close when the buffer has been sent."""
        self._decoder.close()
        # A transport does not close while it has a producer.
        self._out.unregisterProducer()
        self._out.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._count()
        self._serving.held -= sum(call.size for call in self._calls.values())
        self._calls.clear()
        self._lost_to(self)
