"""A call that streams answers: runs its handler, an async generator, one message at a time.

The handler is resumed in a turn of the reactor after its last message was written. So a call keeps
one message, however little its client reads, and no call holds up the others. The requests of a
call that streams those, too, stay encoded until the handler asks for them, and the client gets
credit for more only then.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from .call import Call, Connection, ServerState
from .framing import PREFIX_BYTES, Head, Refused, RequestMessages, Status, encode_metadata
from .methods import Method

__all__ = ["StreamingCall"]

_NEVER = float("inf")


class StreamingCall(Call):
    """A call of a method that streams answers. It ends with the handler, at the client's deadline,
    if the client does not take what was sent or say what is asked for, and with the server."""

    def __init__(
        self,
        server: ServerState,
        connection: Connection,
        stream: int,
        method: Method,
        head: Head,
        now: float,
    ) -> None:
        super().__init__(server, connection, stream, method, head, now)
        self._incoming = RequestMessages(head.encoding, server.limits.streamed_bytes)
        self._writing: Deferred[None] | None = None
        """Fires when the handler's message is written."""
        self._asking: Deferred[None] | None = None
        """Fires when more of the request that the handler asks for has come."""
        self._counts = True
        server.streaming_calls += 1
        self._figures = server.figures
        """None: nobody asks for them, or the call is counted."""

    # Called by the connection.

    def opened(self) -> None:
        """The headers have come."""
        if self._method.streams_requests:
            self.due = self._last
            self._run(self._method.behaviour(self._read(), self))

    def take(self, data: bytes, received: int) -> None:
        if not self._method.streams_requests:
            super().take(data, received)
            return
        self.keep(len(data))
        self._incoming.take(data)
        # Padding is not read by the handler.
        self._acknowledge(max(0, received - len(data)))
        self._came()

    def ended(self, now: float) -> None:
        if not self._method.streams_requests:
            super().ended(now)
            return
        self.complete = True
        self._came()

    def begin(self, message: bytes, now: float) -> None:
        self.due = self._last
        if now >= self.due:
            self.expire()
            return
        try:
            answers = self._ask(message)
        except Exception:
            self._failed(Failure())
            return
        self._run(answers)

    def said(self) -> None:
        written, self._writing = self._writing, None
        if written is not None and not self.over:
            written.callback(None)

    def _came(self) -> None:
        more, self._asking = self._asking, None
        if more is not None:
            more.callback(None)

    def leave(self) -> None:
        if not self.over:
            self._end(Status.UNAVAILABLE, "the server is stopping")
            self.abandon()

    def forgotten(self) -> None:
        super().forgotten()
        if self._counts and not self._works:
            self._counts = False
            self._server.streaming_calls -= 1

    def _count(self, status: int) -> None:
        figures, self._figures = self._figures, None
        if figures is not None:
            figures.of_path(self._path).ended(status, None)

    # Runs the handler.

    @property
    def _last(self) -> float:
        """When the call ends at the latest."""
        return _NEVER if self.deadline is None else self.deadline

    def _run(self, answers: AsyncGenerator[Any, None]) -> None:
        self._answer = Deferred.fromCoroutine(self._send_all(answers))
        self._wait(self._answer)
        if self.over:
            self._answer.cancel()

    async def _send_all(self, answers: AsyncGenerator[Any, None]) -> None:
        async with aclosing(answers):
            async for answer in answers:
                await self._say(self._method.encode(answer))

    async def _say(self, message: bytes) -> None:
        """Returns in a turn of the reactor after the message was written. Raises
        `CancelledError` if the call has ended."""
        if self.over:
            raise CancelledError
        most, size = self._server.limits.message_bytes, len(message) + PREFIX_BYTES
        if len(message) > most:
            raise Refused(
                Status.RESOURCE_EXHAUSTED,
                f"SERVER: Sent message larger than max ({len(message)} vs. {most})",
            )
        self.keep(size)
        head = [] if self.headed else list(encode_metadata(self._initial))
        written: Deferred[None] = Deferred()
        self._writing = written
        self._connection.say(self, message, head)
        await written
        self.release(size)
        self.due = self._last

    async def _read(self) -> AsyncGenerator[Any, None]:
        """The requests, decoded."""
        while (message := self._incoming.next()) is not None or not self.complete:
            if message is None:
                limit = self._server.limits.next_request
                self.due = min(self._last, self._seconds() + limit)
                self._asking = Deferred()
                await self._asking
                continue
            self.due = self._last
            self.release(len(message) + PREFIX_BYTES)
            self._acknowledge(len(message) + PREFIX_BYTES)
            yield self._decode(message)
        self._incoming.check_ended()

    def _decode(self, message: bytes) -> Any:
        try:
            return self._method.decode(message)
        except Exception as why:
            self._server.failures.refused(self._path, self._connection.peer, why, self._requests)
            self.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")

    def _answered(self, answer: object) -> None:
        """The handler has sent all."""
        if not self.over:
            self._end(self._status, self._details)

    def _failed(self, failure: Failure) -> None:
        why = failure.value
        if not isinstance(why, Refused):
            super()._failed(failure)
        elif not self.over:
            self.over = True
            self._count(why.status)
            self._connection.refuse(self, why.status, why.details, list(why.fields))
            self._tell_ended()
