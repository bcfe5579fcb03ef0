"""One connection of a gRPC server: HTTP/2 by the library h2, calls out of it, answers into it."""

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

from .call import Call, Serving
from .framing import (
    ANSWER_HEAD,
    Field,
    NotGrpc,
    NotHttp,
    Refused,
    Status,
    framed,
    http_error,
    read_head,
    trailers,
)
from .http2 import ANY_STREAM, STREAM_WINDOW, Http2
from .limits import Excess, FrameGauge
from .patience import Patience, Verdict
from .sending import Sending

__all__ = ["GrpcConnection"]

_UNSENT_BYTES = 64 * 1024
"""Answers to frames, and heads, that are kept for a peer that takes nothing."""

_ALIVE = b"alive?\0\0"
_LEAVES = b"goodbye\0"
"""What pings of ours say, and so the answers to them."""


@implementer(IPushProducer)
class GrpcConnection(Protocol):
    """A `call.Caller`."""

    log = Logger()

    def __init__(
        self,
        serving: Serving,
        next_turn: Callable[[Callable[[], None]], None],
        lost: Callable[["GrpcConnection"], None],
    ) -> None:
        """`next_turn` has something done once, before the reactor waits again; `lost` is told
        when the connection is gone."""
        self.peer = ""
        self.working = 0
        self.idle_since = serving.reactor.seconds()
        self._serving = serving
        self._next_turn = next_turn
        self._lost = lost
        self._gauge = FrameGauge(serving.limits.header_bytes, self.idle_since)
        self._patience = Patience(serving.limits)
        self._h2 = Http2(serving.limits)
        self._calls: dict[int, Call] = {}
        self._sending = Sending(self._h2)
        self._flushes = False
        self._unsent = bytearray()
        self._paused = self._deaf = False
        self._leaves = False
        self._last_stream = ANY_STREAM
        self._closing = False

    @property
    def calls(self) -> int:
        """How many have not ended."""
        return len(self._calls)

    # From the transport.

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.peer = _named(transport.getPeer())
        transport.registerProducer(self, True)
        self._flush_soon()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closing = True
        self._abandon_all()
        self._lost(self)

    def pauseProducing(self) -> None:
        """The transport has enough: the peer is slow, or TLS has not begun."""
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._closing:
            self._flush_soon()

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self._patience.heard()
        now = self._serving.reactor.seconds()
        try:
            self._gauge.take(data, now)
            self._handle(self._h2.receive(data), now)
        except Excess as why:
            self._h2.close_connection(why.code, why.why.encode("ascii", "replace"))
            self._refuse_connection(why)
        except ProtocolError as why:
            self._refuse_connection(why)
        except Exception:
            self.log.failure("unexpected error on a connection from {peer}", peer=self.peer)
            self.abort()
        else:
            self._flush_soon()

    # What has come.

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
                if event.ping_data == _LEAVES:
                    self._refuse_further()
            elif isinstance(event, events.ConnectionTerminated):
                self._leaves = True
                self._refuse_further()

    def _request(self, event: events.RequestReceived, now: float) -> None:
        stream, streams = event.stream_id, self._serving.limits.streams
        if stream > self._last_stream or max(len(self._calls), self.working) >= streams:
            self._gauge.resets.spend(now)
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        try:
            head = read_head(event.headers)
            if (method := self._serving.methods.find(head.path)) is None:
                raise Refused(Status.UNIMPLEMENTED, "Method not found!")
        except NotHttp:
            self._gauge.resets.spend(now)
            self._h2.reset_stream(stream, ErrorCodes.PROTOCOL_ERROR)
        except NotGrpc as why:
            self._end(stream, event.stream_ended is not None, http_error(why.status))
        except Refused as why:
            end = trailers(why.status, why.details, why.fields)
            self._end(stream, event.stream_ended is not None, [*ANSWER_HEAD, *end])
        else:
            self._calls[stream] = Call(self._serving, self, stream, method, head, now)

    def _data(self, call: Call, event: events.DataReceived) -> None:
        if call.over:
            return
        call.unacknowledged += event.flow_controlled_length
        if call.unacknowledged >= STREAM_WINDOW // 2 and event.stream_ended is None:
            self._h2.increment_flow_control_window(call.unacknowledged, call.stream)
            call.unacknowledged = 0
        try:
            call.keep(len(event.data))
            call.body.take(event.data)
        except Refused as why:
            self._refused(call, why)

    def _begin(self, call: Call, now: float) -> None:
        if call.over:
            return
        call.complete = True
        try:
            call.begin(now)
        except Refused as why:
            self._refused(call, why)

    def _refused(self, call: Call, why: Refused) -> None:
        call.over = True
        self.refuse(call, why.status, why.details, list(why.fields))

    def _forget(self, stream: int) -> None:
        """The call on `stream`, if there is one, has ended: its handler is told."""
        self._sending.drop(stream)
        if (call := self._calls.pop(stream, None)) is not None:
            call.abandon()
            self._gone(call)

    def _gone(self, call: Call) -> None:
        call.gone()
        self.idle_since = self._serving.reactor.seconds()

    # What calls say, as `Caller` has it.

    def send(self, call: Call, message: bytes, head: list[Field], end: list[Field]) -> None:
        h2, stream = self._h2, call.stream
        if stream not in self._calls:
            return
        size = len(message) + 5
        try:
            call.keep(size)
        except Refused as why:
            self.refuse(call, why.status, why.details, [])
            return
        ending = trailers(Status.OK, "", end)
        try:
            h2.send_headers(stream, [*ANSWER_HEAD, *head])
            if size <= min(h2.local_flow_control_window(stream), h2.max_outbound_frame_size):
                h2.send_data(stream, framed(message))
                self._end(stream, call.complete, ending)
                return
        except ProtocolError:
            # Its reset has come, and is handled next.
            return
        call.due = self._serving.reactor.seconds() + self._serving.limits.taking
        self._sending.add(stream, framed(message), ending)
        self._flush_soon()

    def refuse(self, call: Call, status: int, details: str, end: list[Field]) -> None:
        if call.stream in self._calls:
            fields = [*ANSWER_HEAD, *trailers(status, details, end)]
            self._end(call.stream, call.complete, fields)

    def drop(self, call: Call) -> None:
        self._reset(call.stream, ErrorCodes.CANCEL)

    def _end(self, stream: int, complete: bool, fields: Sequence[Field]) -> None:
        """Say the last there is to say on `stream`; `complete` if its request is."""
        try:
            self._h2.send_headers(stream, fields, end_stream=True)
            if not complete:
                # Else the caller may go on with a request that is answered (RFC 9113, 8.1).
                self._h2.reset_stream(stream, ErrorCodes.NO_ERROR)
        except ProtocolError:
            pass
        self._gauge.pings.refill()
        if (call := self._calls.pop(stream, None)) is not None:
            self._gone(call)
        self._flush_soon()

    def _reset(self, stream: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):
            self._h2.reset_stream(stream, code)
        self._forget(stream)
        self._flush_soon()

    # To the transport.

    def _flush_soon(self) -> None:
        if not self._flushes:
            self._flushes = True
            self._next_turn(self._flush)

    def _flush(self) -> None:
        """Write what was said in this turn."""
        self._flushes = False
        if self._closing:
            return
        transport: Any = self.transport
        if self._sending and not self._paused:
            self._send_parts()
        self._unsent += self._h2.data_to_send()
        if self._paused:
            # What comes might add to it without end.
            if len(self._unsent) > _UNSENT_BYTES and not self._deaf:
                self._deaf = True
                transport.pauseProducing()
            return
        if self._deaf:
            self._deaf = False
            transport.resumeProducing()
        if self._unsent:
            said, self._unsent = bytes(self._unsent), bytearray()
            transport.write(said)
        if not self._calls and self._last_stream < ANY_STREAM:
            self._close()

    def _send_parts(self) -> None:
        due = self._serving.reactor.seconds() + self._serving.limits.taking
        went = False
        for stream, end in self._sending.send():
            went = True
            call = self._calls[stream]
            call.due = due
            if end is not None:
                self._end(stream, call.complete, end)
        if went and self._sending:
            self._flush_soon()

    def _refuse_connection(self, why: Exception) -> None:
        self._serving.complaints.refused("a connection", self.peer, why)
        transport: Any = self.transport
        transport.write(bytes(self._unsent + self._h2.data_to_send()))
        self._close()

    def _close(self) -> None:
        self._closing = True
        self._abandon_all()
        transport: Any = self.transport
        # It would wait for a producer that is paused.
        transport.unregisterProducer()
        transport.loseConnection()

    def _abandon_all(self) -> None:
        self._sending.clear()
        for stream in list(self._calls):
            self._forget(stream)

    def abort(self) -> None:
        """Close the connection now."""
        self._closing = True
        self._abandon_all()
        transport: Any = self.transport
        transport.abortConnection()

    # Leaving.

    def leave(self) -> None:
        """Take no further calls, and close once those under way have ended.

        Calls that cross the first GOAWAY are still served; the peer has read it when it answers
        the ping (RFC 9113, 6.8).
        """
        if self._leaves or self._closing:
            return
        self._leaves = True
        self._h2.go_away(ANY_STREAM)
        self._h2.ping(_LEAVES)
        self._flush_soon()

    def _refuse_further(self) -> None:
        if self._leaves and self._last_stream == ANY_STREAM:
            self._last_stream = self._h2.highest_inbound_stream_id
            self._h2.go_away(self._last_stream)
            self._flush_soon()

    # What is overdue.

    def sweep(self, now: float) -> None:
        """To be called every `TICK_SECONDS`."""
        for call in [each for each in self._calls.values() if each.due <= now]:
            if call.over:
                self._reset(call.stream, ErrorCodes.CANCEL)
            else:
                call.expire()
        gauge, patience = self._gauge, self._patience
        if self._closing:
            verdict = patience.closing()
        else:
            verdict = patience.tick(self._paused, gauge.frames, gauge.waits, self._leaves)
        if verdict is Verdict.ABORT:
            self.abort()
        elif verdict is Verdict.REFUSE:
            self._refuse_further()
        elif verdict is Verdict.PING:
            self._h2.ping(_ALIVE)
            self._flush_soon()


def _named(peer: Any) -> str:
    """An address as gRPC names it."""
    host = getattr(peer, "host", None)
    if host is None:
        return "unix:"
    if ":" in host:
        return f"ipv6:%5B{host}%5D:{peer.port}"
    return f"ipv4:{host}:{peer.port}"
