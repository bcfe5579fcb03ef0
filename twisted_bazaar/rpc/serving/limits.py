"""What one connection may ask of a gRPC server, beside its calls. Pure.

The library h2 holds the rules of HTTP/2. What it leaves open is bounded here: what it would keep
before it looks at it, and what costs an answer and brings no call.
"""

import struct

import attrs
from h2.errors import ErrorCodes

__all__ = ["Allowance", "Excess", "FrameGauge", "Limits"]


@attrs.frozen
class Limits:
    """Bounds of a server. Times are in seconds, sizes in bytes."""

    message_bytes: int
    """Of one message, in either direction."""
    kept_bytes: int = 128 * 1024 * 1024
    """Of requests that are not complete and of answers that are not sent, of all connections."""
    header_bytes: int = 16 * 1024
    """Of the head of a call, as RFC 9113 counts it (6.5.2). grpcio's own bound."""
    connections: int = 512
    streams: int = 128
    """Calls of one connection at a time, with those that were cancelled and still run."""
    handshake: float = 10.0
    """For a connection to begin, and for a frame or a head that has begun to be complete."""
    request: float = 20.0
    """For the message of a call to be complete."""
    answer: float = 30.0
    """For the handler of a call whose caller names no deadline."""
    taking: float = 20.0
    """For a caller to go on taking an answer."""
    silence: float = 1.0
    """After so long without a byte the peer is pinged, and after twice that it is given up."""
    leaving: float = 2.0
    """For a connection that was refused to be closed in good order."""


class Excess(Exception):
    """A connection is to be ended with GOAWAY: `code`, and `why` as its debug data."""

    def __init__(self, code: ErrorCodes, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Allowance:
    """So many at once, and so many a second."""

    def __init__(self, burst: float, rate: float, now: float, why: str) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now
        self._why = why

    def spend(self, now: float) -> None:
        """Raises `Excess`."""
        self._left = min(self._burst, self._left + self._rate * max(0.0, now - self._at)) - 1
        self._at = now
        if self._left < 0:
            raise Excess(ErrorCodes.ENHANCE_YOUR_CALM, self._why)

    def refill(self) -> None:
        """As much as at first is left."""
        self._left = self._burst


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD_BYTES = 9
_HEAD = struct.Struct(">HBBBI")
"""The length in two parts, the type, flags and the stream."""
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 8, 9
_END_STREAM = _ACK = 0x1
_END_HEADERS = 0x4
MAX_FRAME_BYTES = 16 * 1024
"""What a peer may send that was told nothing else."""


class FrameGauge:
    """Reads the heads of frames as they come in, before h2 gets them.

    h2 looks at a frame once it is complete, however large it says it is, and answers pings and
    settings without bound.
    """

    def __init__(self, header_bytes: int, now: float) -> None:
        self.frames = 0
        """How many have begun."""
        self.resets = Allowance(256, 64, now, "too_many_resets")
        """Calls that were opened for nothing: reset, refused or malformed."""
        # grpcio's callers look for this word, and then ping half as often.
        self.pings = Allowance(128, 16, now, "too_many_pings")
        self._others = Allowance(256, 16, now, "too_many_frames_without_a_call")
        self._header_bytes = header_bytes
        self._preface = _PREFACE
        self._partial = b""
        self._rest = 0
        self._block = 0

    @property
    def waits(self) -> bool:
        """Whether the peer is in the middle of something: its preface, a frame or a head."""
        return bool(self._preface or self._partial or self._rest or self._block)

    def take(self, data: bytes, now: float) -> None:
        """Raises `Excess`."""
        at = self._begin(data) if self._preface else 0
        end = len(data)
        while at < end:
            if self._rest:
                step = min(self._rest, end - at)
                self._rest -= step
                at += step
                continue
            step = _HEAD_BYTES - len(self._partial)
            head = self._partial + data[at : at + step]
            at += step
            if len(head) < _HEAD_BYTES:
                self._partial = head
                return
            self._partial = b""
            self._frame(head, now)

    def _begin(self, data: bytes) -> int:
        step = min(len(self._preface), len(data))
        if data[:step] != self._preface[:step]:
            raise Excess(ErrorCodes.PROTOCOL_ERROR, "this port is for gRPC over HTTP/2")
        self._preface = self._preface[step:]
        return step

    def _frame(self, head: bytes, now: float) -> None:
        high, low, kind, flags, _ = _HEAD.unpack(head)
        self._rest = length = high << 8 | low
        if length > MAX_FRAME_BYTES:
            raise Excess(ErrorCodes.FRAME_SIZE_ERROR, f"a frame must not have {length} bytes")
        if not self.frames and kind != _SETTINGS:
            raise Excess(ErrorCodes.PROTOCOL_ERROR, "the first frame must be SETTINGS")
        self.frames += 1
        if kind in (_HEADERS, _CONTINUATION):
            self._block += length
            if self._block > self._header_bytes:
                raise Excess(ErrorCodes.ENHANCE_YOUR_CALM, "the head is too large")
            if flags & _END_HEADERS:
                self._block = 0
            elif not length:
                self._others.spend(now)
        elif kind == _RST_STREAM:
            self.resets.spend(now)
        elif kind == _PING:
            if not flags & _ACK:
                self.pings.spend(now)
        elif kind == _DATA:
            if not length and not flags & _END_STREAM:
                self._others.spend(now)
        elif kind != _WINDOW_UPDATE and not (kind == _SETTINGS and flags & _ACK):
            self._others.spend(now)
