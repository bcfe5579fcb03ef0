"""One call that a gRPC server answers: how its handler is asked, and how it ends."""

from collections.abc import Callable
from random import Random
from types import CoroutineType
from typing import Any, ParamSpec, Protocol, TypeVar

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
from .context import Aborted, Context
from .framing import Field, Head, Refused, RequestBody, Status, encode_metadata
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


class Call(Context):
    """A call is also the context that its handler gets."""

    log = Logger()

    def __init__(
        self, serving: Serving, caller: Caller, stream: int, method: Method, head: Head, now: float
    ) -> None:
        deadline = None if head.timeout is None else now + head.timeout
        super().__init__(caller.peer, head.metadata, deadline, serving.reactor.seconds)
        self.stream = stream
        self.body = RequestBody(head.encoding, serving.limits.message_bytes)
        self.unacknowledged = 0
        """Bytes of the request for which the caller has not been given new credit."""
        self.complete = False
        """Whether all of the request has come."""
        request_due = now + serving.limits.request
        self.due = request_due if deadline is None else min(request_due, deadline)
        """When the connection ends the call, unless it goes on."""
        self._serving = serving
        self._caller = caller
        self._method = method
        self._path = head.path
        self._answer: Deferred[Any] | None = None
        self._works = 0
        self._kept = 0
        self._gone = False

    # What the connection tells.

    def keep(self, size: int) -> None:
        """Count bytes that are kept because of this call. Raises `Refused`."""
        if self._serving.kept + size > self._serving.limits.kept_bytes:
            raise Refused(Status.RESOURCE_EXHAUSTED, "SERVER: too much is under way")
        self._serving.kept += size
        self._kept += size

    def gone(self) -> None:
        """The connection knows the call no longer. What a handler still works on is kept."""
        self._gone = True
        if not self._works:
            self._serving.kept -= self._kept
            self._kept = 0

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
            self._wait(self.defer(self._work, message))
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

    def cancel(self) -> bool:
        """End the call; False if it has ended. On the reactor's thread."""
        if self.over:
            return False
        self.over = True
        self._caller.drop(self)
        self.abandon()
        return True

    def _tell_ended(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                self.log.failure("unexpected error in a callback of {path}", path=self._path)

    # The handler.

    def defer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        def work() -> T:
            if self.over:
                raise CancelledError
            return function(*args, **kwargs)

        def worked(result: T | Failure) -> None:
            self._let_go()
            # Threads are heard before the sweep, in a process that was paused.
            if not self.over and self._seconds() >= self.due:
                self.expire()
            if not answer.called:
                answer.callback(result)  # a Failure makes it fail
            elif isinstance(result, Failure) and not result.check(CancelledError, BazaarError):
                self.log.failure("unexpected error after {path} ended", result, path=self._path)

        # Whoever cancels `answer` waits no longer, but the thread is still at work.
        answer: Deferred[Any] = Deferred()
        self._hold()
        self._serving.threads.defer(self._serving.reactor, work).addBoth(worked)
        return answer

    def _hold(self) -> None:
        if not self._works:
            self._caller.working += 1
        self._works += 1

    def _let_go(self, _: object = None) -> None:
        self._works -= 1
        if not self._works:
            self._caller.working -= 1
            if self._gone:
                self.gone()

    def _wait(self, answer: Deferred[Any]) -> None:
        self._hold()
        answer.addCallbacks(self._answered, self._failed).addErrback(self._failed)
        answer.addBoth(self._let_go)

    def _ask(self, message: bytes) -> Any:
        try:
            request = self._method.decode(message)
        except Exception as why:
            self._serving.complaints.refused(self._path, self._caller.peer, why)
            self.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
        return self._method.behaviour(request, self)

    def _work(self, message: bytes) -> Any:
        """On a thread."""
        answer = self._ask(message)
        return answer if self._status else self._method.encode(answer)

    def _answered(self, answer: Any) -> None:
        """`answer` may be encoded, if there is much of it, on a thread: bytes."""
        if self.over:
            return
        if self._status:
            self._end(self._status, self._details)
            return
        try:
            message = answer if isinstance(answer, bytes) else self._method.encode(answer)
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
                self._serving.complaints.refused(self._path, self._caller.peer, error)
            try:
                abort_with(self, error)
            except Aborted as aborted:
                error = aborted
        if isinstance(error, Aborted):
            self._end(self._status or Status.UNKNOWN, self._details)
        elif not (self.over and isinstance(error, CancelledError)):
            name = f"{self._serving.random.getrandbits(48):012x}"
            self.log.failure(
                "unexpected error in call {name} of {method}",
                failure,
                name=name,
                method=self._path,
            )
            self._trailing = ()
            self._end(Status.INTERNAL, f"unexpected error: call {name} in the log of the service")

    def _end(self, status: int, details: str) -> None:
        if not self.over:
            self.over = True
            try:
                end = list(encode_metadata(self._trailing))
            except ValueError:
                self.log.failure("{path} ended with wrong metadata", path=self._path)
                end = []
            self._caller.refuse(self, status, details, end)
            self._tell_ended()
