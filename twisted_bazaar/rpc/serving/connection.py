"""One connection of a gRPC server: turns h2's events into calls, and answers into bytes."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.runtime.writing import write_now
from twisted_bazaar.security.roles import Role, may_call
from twisted_bazaar.security.transport import role_of

from .call import Call, ServerState
from .framing import (
    ANSWER_HEAD,
    PREFIX_BYTES,
    Field,
    Head,
    NotGrpc,
    NotHttp,
    Refused,
    Status,
    framed,
    http_error,
    read_head,
    trailers,
)
from .http2 import ANY_STREAM, Http2
from .limits import FrameCounter, Violation
from .liveness import Action, Liveness
from .pending import PendingAnswers
from .shortcut import Shortcut
from .streaming import StreamingCall

__all__ = ["GrpcConnection"]

_UNSENT_BYTES = 64 * 1024
"""Bytes that wait for a full transport before the connection is no longer read."""

_ALIVE = b"alive?\0\0"
_DRAINED = b"goodbye\0"
"""The opaque data of the server's pings."""


@implementer(IPushProducer)
class GrpcConnection(Protocol):
    """A `call.Connection`."""

    log = Logger()

    def __init__(
        self,
        server: ServerState,
        next_turn: Callable[[Callable[[], None]], None],
        lost: Callable[["GrpcConnection"], None],
    ) -> None:
        """`next_turn(f)` calls `f` in the next turn of the reactor; `lost` is called when the
        connection is lost."""
        self.peer = ""
        self.working = 0
        self.idle_since = server.reactor.seconds()
        self._server = server
        self._next_turn = next_turn
        self._lost = lost
        self._counter = FrameCounter(server.limits.header_bytes, self.idle_since)
        self._liveness = Liveness(server.limits)
        self._h2 = Http2(server.limits)
        self._shortcut = Shortcut(self._h2)
        self._calls: dict[int, Call] = {}
        self._pending = PendingAnswers(self._h2)
        self._flushes = False
        """Whether `_flush` is about to be called."""
        self._unsent = bytearray()
        self._paused = self._deaf = False
        self._draining = False
        self._last_stream = ANY_STREAM
        self._closing = False
        self._role: Role | None = None
        """Of the client; None: the connection is in plain text, and all may be called."""

    @property
    def calls(self) -> int:
        """Streams that have not ended."""
        return len(self._calls)

    # Called by the transport.

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.peer = _named(transport.getPeer())
        self._role = role_of(transport)
        transport.registerProducer(self, True)
        self._flush_soon()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closing = True
        self._abandon_all()
        self._lost(self)

    def pauseProducing(self) -> None:
        """The transport's buffer is full, or the TLS handshake is not over."""
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._closing:
            self._flush_soon()

    def stopProducing(self) -> None:
        """`connectionLost` follows."""

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self._liveness.heard()
        now = self._server.reactor.seconds()
        self._flushes = True
        try:
            begins = not self._counter.waits
            self._counter.take(data, now)
            if not (begins and self._take_ordinary(data, now)):
                self._shortcut.table_changed()
                self._handle(self._h2.receive(data), now)
            self._flush()
        except Violation as why:
            self._h2.close_connection(why.code, why.why.encode("ascii", "replace"))
            self._refuse_connection(why)
        except ProtocolError as why:
            self._refuse_connection(why)
        except Exception:
            self.log.failure("unexpected error on a connection from {peer}", peer=self.peer)
            self.abort()

    # Incoming.

    def _take_ordinary(self, data: bytes, now: float) -> bool:
        """Take in `data`, which begins with a frame, if it is nothing but ordinary calls that are
        to be handled; False: it is for h2."""
        if self._last_stream < ANY_STREAM or (read := self._shortcut.read(data)) is None:
            return False
        server, limits = self._server, self._server.limits
        calls: list[tuple[Call, bytes]] = []
        if max(len(self._calls), self.working) + len(read.calls) > limits.streams:
            return False
        for each in read.calls:
            method = server.methods.find(each.head.path)
            if method is None or len(each.message) > limits.message_bytes:
                return False
            if self._role is not None and not may_call(self._role, each.head.path):
                return False
            calls.append((Call(server, self, each.stream, method, each.head, now), each.message))
        self._h2.took(read.received, read.credits)
        self._calls.update((call.stream, call) for call, _ in calls)
        for call, message in calls:
            try:
                call.keep(len(message) + PREFIX_BYTES)
                call.begin(message, now)
            except Refused as why:
                self._refused(call, why)
        return True

    def _handle(self, happened: Sequence[events.Event], now: float) -> None:
        reset = {each.stream_id for each in happened if isinstance(each, events.StreamReset)}
        for event in happened:
            if isinstance(event, events.RequestReceived):
                if event.stream_id not in reset:
                    self._request(event, now)
            elif isinstance(event, events.DataReceived):
                if (call := self._calls.get(event.stream_id)) is not None:
                    self._data(call, event)
            elif isinstance(event, events.StreamEnded):
                if (call := self._calls.get(event.stream_id)) is not None:
                    self._begin(call, now)
            elif isinstance(event, events.StreamReset):
                self._forget(event.stream_id)
            elif isinstance(event, events.PingAckReceived):
                if event.ping_data == _DRAINED:
                    self._refuse_new_calls()
            elif isinstance(event, events.ConnectionTerminated):
                self._draining = True
                self._refuse_new_calls()

    def _request(self, event: events.RequestReceived, now: float) -> None:
        stream, streams = event.stream_id, self._server.limits.streams
        if stream > self._last_stream or max(len(self._calls), self.working) >= streams:
            self._counter.resets.spend(now)
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        try:
            head = read_head(event.headers)
            if (method := self._server.methods.find(head.path)) is None:
                self._stream(stream, head, now)
                return
            self._server.check_role(self._role, head.path, self.peer)
        except NotHttp:
            self._counter.resets.spend(now)
            self._h2.reset_stream(stream, ErrorCodes.PROTOCOL_ERROR)
        except NotGrpc as why:
            self._end(stream, event.stream_ended is not None, http_error(why.status))
        except Refused as why:
            end = trailers(why.status, why.details, why.fields)
            self._end(stream, event.stream_ended is not None, [*ANSWER_HEAD, *end])
        else:
            self._calls[stream] = Call(self._server, self, stream, method, head, now)

    def _stream(self, stream: int, head: Head, now: float) -> None:
        """Begin a streaming call, or raise `Refused`."""
        if (method := self._server.methods.find_streaming(head.path)) is None:
            raise Refused(Status.UNIMPLEMENTED, "Method not found!")
        self._server.check_role(self._role, head.path, self.peer)
        if self._draining:
            raise Refused(Status.UNAVAILABLE, "the server is stopping")
        limits = self._server.limits
        mine = sum(isinstance(each, StreamingCall) for each in self._calls.values())
        if (
            mine >= limits.streaming_calls
            or self._server.streaming_calls >= limits.all_streaming_calls
        ):
            raise Refused(Status.RESOURCE_EXHAUSTED, "SERVER: too many calls stream")
        call = StreamingCall(self._server, self, stream, method, head, now)
        self._calls[stream] = call
        call.opened()

    def _data(self, call: Call, event: events.DataReceived) -> None:
        if call.over:
            return
        received = 0 if event.stream_ended is not None else event.flow_controlled_length
        try:
            call.take(event.data, received)
        except Refused as why:
            self._refused(call, why)

    def _begin(self, call: Call, now: float) -> None:
        if call.over:
            return
        try:
            call.ended(now)
        except Refused as why:
            self._refused(call, why)

    def _refused(self, call: Call, why: Refused) -> None:
        call.over = True
        self.refuse(call, why.status, why.details, list(why.fields))

    def _forget(self, stream: int) -> None:
        """Drop the call on `stream`, if there is one, and cancel its handler."""
        self._pending.drop(stream)
        if (call := self._calls.pop(stream, None)) is not None:
            call.abandon()
            self._ended(call)

    def _ended(self, call: Call) -> None:
        call.forgotten()
        self.idle_since = self._server.reactor.seconds()

    # Called by calls.

    def send(self, call: Call, message: bytes, head: list[Field], end: list[Field]) -> None:
        h2, stream = self._h2, call.stream
        if stream not in self._calls:
            return
        size = len(message) + PREFIX_BYTES
        try:
            call.keep(size)
        except Refused as why:
            self.refuse(call, why.status, why.details, [])
            return
        if not head and not end:
            answer = h2.answer(stream, framed(message))
            if answer is not None:
                self._unsent += h2.data_to_send()
                self._unsent += answer
                self._over(stream)
                return
        ending = trailers(Status.OK, "", end)
        try:
            h2.send_headers(stream, [*ANSWER_HEAD, *head])
            if size <= min(h2.local_flow_control_window(stream), h2.max_outbound_frame_size):
                h2.send_data(stream, framed(message))
                self._end(stream, call.complete, ending)
                return
        except ProtocolError:
            # The stream is closed: its StreamReset is among the events still to be handled.
            return
        call.due = self._taken_by(call)
        self._pending.add(stream, framed(message), ending)
        self._flush_now()

    def say(self, call: Call, message: bytes, head: list[Field]) -> None:
        if call.stream not in self._calls:
            return
        if not call.headed:
            try:
                self._h2.send_headers(call.stream, [*ANSWER_HEAD, *head])
            except ProtocolError:
                # As in `send`.
                return
            call.headed = True
        self._pending.add(call.stream, framed(message), ())
        call.due = self._taken_by(call)
        self._flush_now()

    def credit(self, call: Call, size: int) -> None:
        with suppress(ProtocolError):
            self._h2.increment_flow_control_window(size, call.stream)
        self._flush_now()

    def refuse(self, call: Call, status: int, details: str, end: list[Field]) -> None:
        if call.stream in self._pending:
            # The client waits for the rest of a message.
            self.reset(call)
        elif call.stream in self._calls:
            fields = trailers(status, details, end)
            if not call.headed:
                fields = [*ANSWER_HEAD, *fields]
            self._end(call.stream, call.complete, fields)

    def reset(self, call: Call) -> None:
        self._reset(call.stream, ErrorCodes.CANCEL)

    def _end(self, stream: int, complete: bool, fields: Sequence[Field]) -> None:
        """End `stream` with `fields`. `complete`: the client has sent END_STREAM."""
        try:
            self._h2.send_headers(stream, fields, end_stream=True)
            if not complete:
                # The client need not send the rest of the request (RFC 9113, 8.1).
                self._h2.reset_stream(stream, ErrorCodes.NO_ERROR)
        except ProtocolError:
            pass
        self._over(stream)

    def _over(self, stream: int) -> None:
        """What ends `stream` has been said."""
        self._counter.pings.refill()
        if (call := self._calls.pop(stream, None)) is not None:
            self._ended(call)
        self._flush_now()

    def _reset(self, stream: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):
            self._h2.reset_stream(stream, code)
        self._forget(stream)
        self._flush_now()

    # Outgoing.

    def _flush_now(self) -> None:
        """Write what was sent; at the end of the call into this connection, if it is in one."""
        if not self._flushes:
            self._flush()

    def _flush_soon(self) -> None:
        if not self._flushes:
            self._flushes = True
            self._next_turn(self._flush)

    def _flush(self) -> None:
        more = False
        if not self._closing:
            self._flushes = True
            more = bool(self._pending) and not self._paused and self._send_parts()
            self._write()
        self._flushes = False
        if more:
            self._flush_soon()

    def _write(self) -> None:
        transport: Any = self.transport
        self._unsent += self._h2.data_to_send()
        if self._paused:
            # Frames that are read are answered, and would add to it without bound.
            if len(self._unsent) > _UNSENT_BYTES and not self._deaf:
                self._deaf = True
                transport.pauseProducing()
            return
        if self._deaf:
            self._deaf = False
            transport.resumeProducing()
        if self._unsent:
            said, self._unsent = bytes(self._unsent), bytearray()
            write_now(transport, said)
        if not self._calls and self._last_stream < ANY_STREAM:
            self._close()

    def _send_parts(self) -> bool:
        """Send as much of the pending answers as a turn may. Returns whether to go on in the next
        one."""
        went = False
        for stream, end in self._pending.send():
            went = True
            call = self._calls[stream]
            call.due = self._taken_by(call)
            if end:
                self._end(stream, call.complete, end)
            elif end is not None:
                self._next_turn(call.said)
        return went and bool(self._pending)

    def _taken_by(self, call: Call) -> float:
        """When the client must have taken more of what is pending for it."""
        due = self._server.reactor.seconds() + self._server.limits.taking
        return due if call.over or call.deadline is None else min(due, call.deadline)

    def _refuse_connection(self, why: Exception) -> None:
        self._server.failures.refused("a connection", self.peer, why)
        transport: Any = self.transport
        transport.write(bytes(self._unsent + self._h2.data_to_send()))
        self._close()

    def _close(self) -> None:
        self._closing = True
        self._abandon_all()
        transport: Any = self.transport
        # Otherwise the transport would wait for a paused producer before it closes.
        transport.unregisterProducer()
        transport.loseConnection()

    def _abandon_all(self) -> None:
        self._pending.clear()
        for stream in list(self._calls):
            self._forget(stream)

    def abort(self) -> None:
        """Close the connection at once."""
        self._closing = True
        self._abandon_all()
        transport: Any = self.transport
        transport.abortConnection()

    # Draining.

    def drain(self) -> None:
        """Refuse new calls, end those that stream, and close when the others have ended.

        Calls that the client sends before it sees the first GOAWAY are served. It has seen it
        when it answers the ping (RFC 9113, 6.8).
        """
        if self._draining or self._closing:
            return
        self._draining = True
        self._h2.go_away(ANY_STREAM)
        self._h2.ping(_DRAINED)
        for call in list(self._calls.values()):
            call.leave()
        self._flush_now()

    def _refuse_new_calls(self) -> None:
        if self._draining and self._last_stream == ANY_STREAM:
            self._last_stream = self._h2.highest_inbound_stream_id
            self._h2.go_away(self._last_stream)
            self._flush_now()

    # Timeouts.

    def sweep(self, now: float) -> None:
        """End overdue calls, and check the connection. Called every `TICK_SECONDS`."""
        self._flushes = True
        for call in [each for each in self._calls.values() if each.due <= now]:
            if call.over:
                self._reset(call.stream, ErrorCodes.CANCEL)
            else:
                call.expire()
        counter, liveness = self._counter, self._liveness
        if self._closing:
            action = liveness.closing()
        else:
            action = liveness.tick(self._paused, counter.frames, counter.waits, self._draining)
        if action is Action.ABORT:
            self.abort()
        elif action is Action.REFUSE:
            self._refuse_new_calls()
        elif action is Action.PING:
            self._h2.ping(_ALIVE)
        self._flush()


def _named(peer: Any) -> str:
    """An address in gRPC's notation."""
    host = getattr(peer, "host", None)
    if host is None:
        return "unix:"
    if ":" in host:
        return f"ipv6:%5B{host}%5D:{peer.port}"
    return f"ipv4:{host}:{peer.port}"
