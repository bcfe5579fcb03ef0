"""The calls of one peer, on one connection that carries frames: all on the reactor.

A call is written in the reactor turn in which it is made. Without a connection, it waits for the
attempt under way, if there is one, and fails at once in the pause after an attempt that failed.
"""

from collections.abc import Mapping
from math import inf

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.figures import DEADLINE_EXCEEDED, OK, UNAVAILABLE, MethodFigures
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.rpc.status import error_said

from .connection import FrameConnection, NotFrames
from .format import (
    ANSWER,
    CONTROL,
    HEAD_BYTES,
    MAX_ID_OF_CALL,
    decode_refusal,
)

__all__ = ["MAX_BYTES_UNDER_WAY", "NotFrames", "FrameChannel"]

MAX_BYTES_UNDER_WAY = 4 * MAX_MESSAGE_BYTES
"""Of requests that the peer has not answered. A call that has failed counts until then: it may
still be in a buffer."""

_STOPPING = "this process is stopping"


class FrameChannel(Service):
    """Calls one peer, from `startService` to `stopService`."""

    def __init__(
        self,
        reactor: IReactorTime,
        connection: FrameConnection,
        peer: object,
        figures: Mapping[int, MethodFigures] | None = None,
    ) -> None:
        """`connection` is this channel's own. `peer` names the peer in errors. `figures` count the
        requests, by kind."""
        self._figures = figures or {}
        self._reactor = reactor
        self._peer = peer
        self._connection = connection
        self._calls: dict[int, _Call] = {}
        """By id: those that the peer has not answered."""
        self._queue: dict[int, tuple[int, bytes]] = {}
        """Kind and body of those that wait for a connection."""
        self._under_way = 0
        """Bytes."""
        self._last_id = 0
        self._sweep: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._connection.start(self._opened, self._fail, self._answered)

    def stopService(self) -> Deferred[None]:
        """The calls under way fail. Fires when the connection is closed."""
        super().stopService()
        gone = self._connection.stop(_STOPPING)
        self._fail(Unavailable, _STOPPING)
        return gone

    @property
    def connected(self) -> bool:
        """Whether a call would be sent at once."""
        return self._connection.current is not None

    @property
    def leaves_at_once(self) -> bool:
        """Whether a request is with the kernel when `call` returns, if the peer reads."""
        connection = self._connection.current
        return connection is not None and connection.leaves_at_once

    @property
    def lacks_frames(self) -> bool:
        """Whether calls fail with `NotFrames`."""
        return self._connection.lacks_frames

    def retry(self) -> None:
        """The peer is known to be up: connect now, if the next attempt is yet to come."""
        self._connection.retry()

    def call(self, kind: int, body: bytes, timeout: float) -> Deferred[bytes]:
        """Send a request of this `kind`; fires with the body of the answer.

        Fails with the `BazaarError` that the peer has sent, and with `Unavailable` without an
        answer within `timeout` seconds: it is `NotOurs` if another server answers at the address,
        and `NotFrames` if the peer is to be called in another way. Never fires before this
        returns. Can be cancelled.
        """
        assert 0 <= kind < CONTROL
        if not self.running:
            return self._failed(Unavailable, _STOPPING)
        figures = self._figures.get(kind)
        connection = self._connection
        if connection.down is not None:
            if figures is not None and not connection.lacks_frames:
                figures.ended(UNAVAILABLE, 0.0)
            return self._failed(*connection.down)
        size = HEAD_BYTES + len(body)
        if len(body) > MAX_MESSAGE_BYTES or self._under_way + size > MAX_BYTES_UNDER_WAY:
            return self._failed(Unavailable, "too much is under way")
        id_ = self._next_id()
        answer: Deferred[bytes] = Deferred(lambda _: self._forget(id_))
        began = self._reactor.seconds()
        deadline = began + timeout
        self._calls[id_] = _Call(answer, deadline, size, began, figures)
        self._under_way += size
        self._sweep_at(deadline)
        if connection.current is not None:
            connection.current.send(id_, kind, body)
        else:
            self._queue[id_] = kind, body
        return answer

    def _failed(self, error: type[Unavailable], why: str) -> Deferred[bytes]:
        # In a turn of its own: a caller may not be ready for an answer while it calls.
        answer: Deferred[bytes] = Deferred()
        self._reactor.callLater(0, answer.errback, error(f"{self._peer}: {why}"))
        return answer

    def _next_id(self) -> int:
        while True:
            self._last_id = id_ = self._last_id % MAX_ID_OF_CALL + 1
            if id_ not in self._calls:
                return id_

    def _opened(self) -> None:
        """Send the calls that have waited for a connection."""
        connection = self._connection.current
        assert connection is not None
        queue, self._queue = self._queue, {}
        for id_, (kind, body) in queue.items():
            connection.send(id_, kind, body)

    # Answers, and what comes instead.

    def _answered(self, id_: int, kind: int, body: bytes) -> None:
        """An answer or a refusal has arrived, perhaps to a call that has failed or never was."""
        if (call := self._calls.pop(id_, None)) is None:
            return
        self._under_way -= call.size
        if (answer := call.answer) is None:
            return
        if kind == ANSWER:
            self._count(call, OK)
            answer.callback(body)
        else:
            status, text = decode_refusal(body)
            self._count(call, status)
            answer.errback(error_said(status, text, self._peer))

    def _count(self, call: "_Call", status: int) -> None:
        if call.figures is not None:
            call.figures.ended(status, self._reactor.seconds() - call.began)

    def _forget(self, id_: int) -> None:
        """The call `id_` has failed. Its bytes count until it is answered, if it was sent."""
        if (call := self._calls.get(id_)) is None:
            return
        call.answer = None
        if self._queue.pop(id_, None) is not None:
            del self._calls[id_]
            self._under_way -= call.size

    def _sweep_at(self, deadline: float) -> None:
        if self._sweep is not None:
            if self._sweep.getTime() <= deadline:
                return
            self._sweep.cancel()
        self._sweep = self._reactor.callLater(
            max(0.0, deadline - self._reactor.seconds()), self._swept
        )

    def _swept(self) -> None:
        """Fail the calls whose deadline has passed."""
        self._sweep = None
        now = self._reactor.seconds()
        late: list[tuple[int, _Call, Deferred[bytes]]] = []
        following = inf
        for id_, call in self._calls.items():
            if call.answer is None:
                continue
            if call.deadline <= now:
                late.append((id_, call, call.answer))
            else:
                following = min(following, call.deadline)
        if following < inf:
            self._sweep_at(following)
        for id_, call, answer in late:
            self._forget(id_)
            if not answer.called:
                self._count(call, DEADLINE_EXCEEDED)
                answer.errback(Unavailable(f"{self._peer}: no answer in time"))

    def _fail(self, error: type[Unavailable], why: str) -> None:
        """Fail all calls: the connection was lost, or there is none."""
        calls, self._calls = self._calls, {}
        self._queue.clear()
        self._under_way = 0
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for call in calls.values():
            # A callback of an earlier one may have cancelled it.
            if call.answer is not None and not call.answer.called:
                if error is not NotFrames:
                    self._count(call, UNAVAILABLE)
                call.answer.errback(error(f"{self._peer}: {why}"))


class _Call:
    """A request without an answer."""

    __slots__ = ("answer", "began", "deadline", "figures", "size")

    def __init__(
        self,
        answer: "Deferred[bytes]",
        deadline: float,
        size: int,
        began: float,
        figures: MethodFigures | None,
    ) -> None:
        self.began = began
        self.figures = figures
        self.answer: Deferred[bytes] | None = answer
        """None: it has failed."""
        self.deadline = deadline
        self.size = size
