"""One call of a gRPC server: runs its handler, and turns what comes of it into an answer."""

from collections.abc import Callable
from types import CoroutineType
from typing import Any, ParamSpec, Protocol, TypeVar

import attrs
import grpc
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.rpc.failures import Failures
from twisted_bazaar.rpc.figures import CANCELLED, DEADLINE_EXCEEDED, OK, CallFigures
from twisted_bazaar.rpc.request_ids import named_in
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.security.roles import Role, may_call

from .context import Aborted, Context
from .framing import Field, Head, Refused, RequestBody, Status, encode_metadata
from .http2 import STREAM_WINDOW
from .limits import Limits
from .methods import Method, Methods

__all__ = ["Call", "Connection", "ServerState"]

P = ParamSpec("P")
T = TypeVar("T")


@attrs.define(eq=False)
class ServerState:
    """What all calls of one server share."""

    reactor: Reactor
    threads: Threads
    """For what blocks."""
    methods: Methods
    limits: Limits
    failures: Failures
    figures: CallFigures | None = None
    kept: int = 0
    """Bytes that `Limits.kept_bytes` bounds."""
    streaming_calls: int = 0
    """Calls that `Limits.all_streaming_calls` bounds."""

    def check_role(self, role: Role | None, path: str, peer: str) -> None:
        """Raises `Refused` if `peer` may not call the method at `path`. None is the role of a
        connection in plain text, on which all may be called."""
        if role is not None and not may_call(role, path):
            why = f"{role} may not call {path}"
            self.failures.refused(path, peer, why)
            raise Refused(Status.PERMISSION_DENIED, why)


class Connection(Protocol):
    """What a call needs of its connection."""

    peer: str
    """In gRPC's notation: `ipv4:127.0.0.1:5000`."""
    working: int
    """Calls with a handler that runs, including calls that have ended."""

    def send(self, call: "Call", message: bytes, head: list[Field], end: list[Field], /) -> None:
        """End the call with OK. `head` and `end` are metadata before and after `message`."""

    def say(self, call: "Call", message: bytes, head: list[Field], /) -> None:
        """Send a message of a streaming call. `Call.said` is called once it is written. `head` is
        metadata, before the first message."""

    def credit(self, call: "Call", size: int, /) -> None:
        """Let the client send so many more bytes of the request."""

    def refuse(self, call: "Call", status: int, details: str, end: list[Field], /) -> None:
        """End the call with `status` and trailing metadata `end`."""

    def reset(self, call: "Call", /) -> None:
        """End the call with RST_STREAM."""


class Call(Context):
    """A call of a unary method, which is also the context that its handler gets. `streaming` has
    the other kind."""

    log = Logger()

    headed = False
    """Whether the response headers were sent, before the end of the call."""

    def __init__(
        self,
        server: ServerState,
        connection: Connection,
        stream: int,
        method: Method,
        head: Head,
        now: float,
    ) -> None:
        deadline = None if head.timeout is None else now + head.timeout
        super().__init__(connection.peer, head.metadata, deadline, server.reactor.seconds)
        self.stream = stream
        self.body = RequestBody(head.encoding, server.limits.message_bytes)
        self.unacknowledged = 0
        """Bytes of the request since the last WINDOW_UPDATE for the stream."""
        self.complete = False
        """Whether the client has sent END_STREAM."""
        request_due = now + server.limits.request
        self.due = request_due if deadline is None else min(request_due, deadline)
        """When the connection ends the call; set anew when it goes into the next phase."""
        self._server = server
        self._connection = connection
        self._method = method
        self._path = head.path
        self._answer: Deferred[Any] | None = None
        self._works = 0
        self._kept = 0
        self._forgotten = False
        self._began: float | None = None
        """When its handler began; None: it did not, or the call is counted."""

    # Called by the connection.

    def keep(self, size: int) -> None:
        """Add to `ServerState.kept`. Raises `Refused` above the limit."""
        if self._server.kept + size > self._server.limits.kept_bytes:
            raise Refused(Status.RESOURCE_EXHAUSTED, "SERVER: too many bytes are under way")
        self._server.kept += size
        self._kept += size

    def release(self, size: int) -> None:
        """So many bytes are no longer kept."""
        self._server.kept -= size
        self._kept -= size

    def take(self, data: bytes, received: int) -> None:
        """A part of the request has come, and is to be given `received` bytes of credit for what
        comes next. Raises `Refused`."""
        self.keep(len(data))
        self.body.take(data)
        self._acknowledge(received)

    def _acknowledge(self, received: int) -> None:
        self.unacknowledged += received
        if self.unacknowledged >= STREAM_WINDOW // 2 and not self.complete:
            self._connection.credit(self, self.unacknowledged)
            self.unacknowledged = 0

    def ended(self, now: float) -> None:
        """The request is complete. Raises `Refused`."""
        self.complete = True
        self.begin(self.body.message(), now)

    def said(self) -> None:
        """The message of a streaming call is written."""

    def leave(self) -> None:
        """The server stops: end a call that may go on for ever."""

    def forgotten(self) -> None:
        """The connection has dropped the call: release what it keeps, once no handler runs."""
        self._forgotten = True
        if not self._works:
            self._server.kept -= self._kept
            self._kept = 0

    def begin(self, message: bytes, now: float) -> None:
        """The request is complete, with this message: run the handler."""
        self.complete = True
        self._began = now
        limits = self._server.limits
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
        """End the call with DEADLINE_EXCEEDED."""
        if not self.over:
            self.over = True
            self._count(DEADLINE_EXCEEDED)
            self._connection.refuse(self, Status.DEADLINE_EXCEEDED, "Deadline Exceeded", [])
            self.abandon()

    def abandon(self) -> None:
        """The call has ended: cancel its handler."""
        self.over = True
        self._count(CANCELLED)
        self._tell_ended()
        if self._answer is not None:
            self._answer.cancel()

    def cancel(self) -> bool:
        """End the call; False if it had ended. On the reactor's thread."""
        if self.over:
            return False
        self.over = True
        self._connection.reset(self)
        self.abandon()
        return True

    @property
    def _requests(self) -> str:
        """The requests that this call is made for, for log lines."""
        return named_in(self._metadata)

    def _count(self, status: int) -> None:
        """The call ended with `status`. May be called again."""
        figures, began = self._server.figures, self._began
        if figures is not None and began is not None:
            self._began = None
            figures.of_path(self._path).ended(status, self._seconds() - began)

    def _tell_ended(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                self.log.failure("unexpected error in a callback of {method}", method=self._path)

    # Runs the handler.

    def defer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        def work() -> T:
            if self.over:
                raise CancelledError
            return function(*args, **kwargs)

        def worked(result: T | Failure) -> None:
            self._let_go()
            # After a pause of the process, the reactor gets to this before the sweep.
            if not self.over and self._seconds() >= self.due:
                self.expire()
            if not answer.called:
                answer.callback(result)  # or errback, for a Failure
            elif isinstance(result, Failure) and not result.check(CancelledError, BazaarError):
                self.log.failure(
                    "unexpected error after {method} ended{requests}",
                    result,
                    method=self._path,
                    requests=self._requests,
                )

        # To cancel `answer` does not stop the thread.
        answer: Deferred[Any] = Deferred()
        self._hold()
        self._server.threads.defer(self._server.reactor, work).addBoth(worked)
        return answer

    def _hold(self) -> None:
        if not self._works:
            self._connection.working += 1
        self._works += 1

    def _let_go(self, _: object = None) -> None:
        self._works -= 1
        if not self._works:
            self._connection.working -= 1
            if self._forgotten:
                self.forgotten()

    def _wait(self, answer: Deferred[Any]) -> None:
        self._hold()
        answer.addCallbacks(self._answered, self._failed).addErrback(self._failed)
        answer.addBoth(self._let_go)

    def _ask(self, message: bytes) -> Any:
        try:
            request = self._method.decode(message)
        except Exception as why:
            failures = self._server.failures
            failures.refused(self._path, self._connection.peer, why, self._requests)
            self.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
        return self._method.behaviour(request, self)

    def _work(self, message: bytes) -> Any:
        """The encoded answer. Runs on a thread."""
        answer = self._ask(message)
        return answer if self._status else self._method.encode(answer)

    def _answered(self, answer: Any) -> None:
        """`answer` is the handler's: a message, or the bytes of one."""
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
        most = self._server.limits.message_bytes
        if len(message) > most:
            self._end(
                Status.RESOURCE_EXHAUSTED,
                f"SERVER: Sent message larger than max ({len(message)} vs. {most})",
            )
            return
        self.over = True
        self._count(OK)
        self._connection.send(self, message, list(head), list(end))
        self._tell_ended()

    def _failed(self, failure: Failure) -> None:
        error, failures = failure.value, self._server.failures
        if isinstance(error, BazaarError):
            failures.expected(self._path, self._connection.peer, error, self._requests)
            try:
                abort_with(self, error)
            except Aborted as aborted:
                error = aborted
        if isinstance(error, Aborted):
            self._end(self._status or Status.UNKNOWN, self._details)
        elif not (self.over and isinstance(error, CancelledError)):
            self._trailing = ()
            said = failures.unexpected(self._path, failure, self._requests)
            self._end(Status.INTERNAL, said)

    def _end(self, status: int, details: str) -> None:
        if not self.over:
            self.over = True
            self._count(status)
            try:
                end = list(encode_metadata(self._trailing))
            except ValueError:
                self.log.failure(
                    "invalid metadata at the end of a call of {method}", method=self._path
                )
                end = []
            self._connection.refuse(self, status, details, end)
            self._tell_ended()
