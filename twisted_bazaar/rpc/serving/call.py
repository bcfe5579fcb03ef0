"""One call that a gRPC server answers: how its handler is asked, and how it ends."""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import CoroutineType
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar

import attrs
import grpc
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Malformed, NotAuthorised
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads

from .complaints import Complaints
from .framing import Field, Head, Metadata, RequestBody, Status, encode_metadata
from .limits import Limits
from .methods import Method, Methods

__all__ = ["Call", "Caller", "Serving"]

P = ParamSpec("P")
T = TypeVar("T")


@attrs.define(eq=False)
class Serving:
    """What all calls of one server share."""

    reactor: Reactor
    threads: Threads
    """For what blocks."""
    methods: Methods
    limits: Limits
    complaints: Complaints
    random: Random
    """Names the calls that fail."""
    kept: int = 0
    """Bytes of requests and answers, of all connections."""


class Caller(Protocol):
    """The connection that a call came by."""

    peer: str
    """As gRPC names it."""
    working: int
    """Handlers that have not finished, including those of calls that have ended."""

    def send(self, call: "Call", message: bytes, head: list[Field], end: list[Field], /) -> None:
        """The call went well. `head` and `end` are more fields before and after the message."""

    def refuse(self, call: "Call", status: int, details: str, end: list[Field], /) -> None:
        """The call ends with `status`, and without a message."""

    def drop(self, call: "Call", /) -> None:
        """The call ends without a word."""


class _Aborted(Exception):
    """What `abort` raises, to end a handler."""


class Call(grpc.ServicerContext):
    """A call is also the context that its handler gets.

    Its methods are called on the reactor's thread, or by the handler on its own.
    """

    log = Logger()

    def __init__(
        self, serving: Serving, caller: Caller, stream: int, method: Method, head: Head, now: float
    ) -> None:
        self.stream = stream
        self.body = RequestBody(head.encoding, serving.limits.message_bytes)
        self.unacknowledged = 0
        """Bytes of the request for which the caller has not been given new credit."""
        self.kept = 0
        """What `Serving.kept` counts for this call."""
        self.complete = False
        """Whether all of the request has come."""
        self.over = False
        """Whether it has been decided how the call ends; nothing else is said to the caller."""
        self.deadline = None if head.timeout is None else now + head.timeout
        request_due = now + serving.limits.request
        self.due = request_due if self.deadline is None else min(request_due, self.deadline)
        """When the connection ends the call, unless it goes on."""
        self._serving = serving
        self._caller = caller
        self._method = method
        self._head = head
        self._answer: Deferred[Any] | None = None
        self._status = 0
        self._details = ""
        self._initial: Metadata = ()
        self._trailing: Metadata = ()
        self._callbacks: list[Callable[[], None]] = []

    # What the connection tells.

    def begin(self, now: float) -> None:
        """All of the request has come: ask the handler. Raises `Refused`."""
        message = self.body.message()
        self.complete = True
        limits = self._serving.limits
        self.due = now + limits.answer if self.deadline is None else self.deadline
        if now >= self.due:
            self.expire()
            return
        if self._method.blocking:
            # Not to be cancelled: it counts for as long as it has the thread.
            self._wait(self.defer(self._ask, message))
            return
        try:
            answer = self._ask(message)
        except Exception:
            self._failed(Failure())
            return
        if isinstance(answer, CoroutineType):
            answer = Deferred.fromCoroutine(answer)
        if isinstance(answer, Deferred):
            self._answer = answer
            self._wait(answer)
        else:
            self._answered(answer)

    def expire(self) -> None:
        """The time of the call is over."""
        if not self.over:
            self.over = True
            self._caller.refuse(self, Status.DEADLINE_EXCEEDED, "Deadline Exceeded", [])
            self.abandon()

    def abandon(self) -> None:
        """The call has ended, and a handler that still works on it works in vain."""
        self.over = True
        self._tell_ended()
        if self._answer is not None:
            self._answer.cancel()

    def _tell_ended(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                self.log.failure("unexpected error in a callback of {path}", path=self._head.path)

    # The handler.

    def _ask(self, message: bytes) -> Any:
        try:
            request = self._method.decode(message)
        except Exception as why:
            self._serving.complaints.refused(self._head.path, self._caller.peer, why)
            self.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
        return self._method.behaviour(request, self)

    def _wait(self, answer: Deferred[Any]) -> None:
        self._caller.working += 1
        answer.addCallbacks(self._answered, self._failed).addErrback(self._failed)
        answer.addBoth(self._finished)

    def _finished(self, _: object) -> None:
        self._caller.working -= 1
        self._answer = None

    def _answered(self, reply: Any) -> None:
        if self.over:
            return
        if self._status:
            self._end(self._status, self._details)
            return
        try:
            message = self._method.encode(reply)
            head, end = encode_metadata(self._initial), encode_metadata(self._trailing)
        except Exception:
            self._failed(Failure())
            return
        most = self._serving.limits.message_bytes
        if len(message) > most:
            self._end(
                Status.RESOURCE_EXHAUSTED,
                f"SERVER: Sent message larger than max ({len(message)} vs. {most})",
            )
            return
        self.over = True
        self._caller.send(self, message, list(head), list(end))
        self._tell_ended()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, BazaarError):
            if isinstance(error, Malformed | NotAuthorised):
                self._serving.complaints.refused(self._head.path, self._caller.peer, error)
            try:
                abort_with(self, error)
            except _Aborted as aborted:
                error = aborted
        if isinstance(error, _Aborted):
            self._end(self._status or Status.UNKNOWN, self._details)
        elif not (self.over and isinstance(error, CancelledError)):
            name = f"{self._serving.random.getrandbits(48):012x}"
            self.log.failure(
                "call {name} of {method} failed", failure, name=name, method=self._head.path
            )
            self._trailing = ()
            self._end(Status.INTERNAL, f"the service failed; its log says {name}")

    def _end(self, status: int, details: str) -> None:
        if not self.over:
            self.over = True
            try:
                end = list(encode_metadata(self._trailing))
            except ValueError:
                self.log.failure("{path} ended with wrong metadata", path=self._head.path)
                end = []
            self._caller.refuse(self, status, details, end)
            self._tell_ended()

    # What the handler asks and says, as a `grpc.ServicerContext`.

    def defer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """What `function` returns, or fails with, on a thread for what blocks.

        It is not begun if the call has ended by the time there is a thread for it.
        """

        def work() -> T:
            if self.over:
                raise CancelledError
            return function(*args, **kwargs)

        return self._serving.threads.defer(self._serving.reactor, work)

    def is_active(self) -> bool:
        return not self.over

    def time_remaining(self) -> float | None:  # type: ignore[override]  # None, as grpcio's
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._serving.reactor.seconds())

    def cancel(self) -> bool:
        """End the call; False if it has ended. On the reactor's thread."""
        if self.over:
            return False
        self.over = True
        self._caller.drop(self)
        self.abandon()
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when the call has ended; False if it has."""
        if not self.over:
            self._callbacks.append(callback)
        return not self.over

    def invocation_metadata(self) -> Any:
        return tuple(self._head.metadata)

    def peer(self) -> str:
        return self._caller.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, bytes]:
        return {}

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._initial = tuple(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self.set_code(code)
        self.set_details(details)
        raise _Aborted(details)

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._trailing = tuple(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self._status = int(code.value[0])

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> Any:
        codes = {each.value[0]: each for each in grpc.StatusCode}
        return codes[self._status] if self._status else None

    def details(self) -> Any:
        return self._details
