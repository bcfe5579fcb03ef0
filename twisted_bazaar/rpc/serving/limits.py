"""Bounds of a gRPC server, and of the frames that one connection may send. Pure.

h2 enforces the rules of HTTP/2. This module bounds what h2 does not: the size of an incomplete
frame or header block, and the rate of frames that carry no call (CVE-2019-9512, 9514, 9515,
9518; CVE-2023-44487; CVE-2024-27316).
"""

import struct

import attrs
from h2.errors import ErrorCodes

__all__ = ["Allowance", "Violation", "FrameCounter", "Limits"]


@attrs.frozen
class Limits:
    """Bounds of a server. Times are in seconds, sizes in bytes."""

    message_bytes: int
    """Of one message, in either direction."""
    kept_bytes: int = 128 * 1024 * 1024
    """Of all connections' requests that are incomplete or being handled, and unsent answers."""
    header_bytes: int = 16 * 1024
    """SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113, 6.5.2); the same as grpcio's hard limit."""
    connections: int = 512
    streams: int = 128
    """SETTINGS_MAX_CONCURRENT_STREAMS, and the bound of one connection's running handlers."""
    streaming_calls: int = 16
    """Calls with streaming methods, of one connection; each counts among `streams`, too."""
    all_streaming_calls: int = 128
    """Of all connections."""
    streamed_bytes: int = 64 * 1024
    """Of one message of a request that streams."""
    handshake: float = 10.0
    """For a preface, a frame or a header block to be complete once it has begun."""
    request: float = 20.0
    """For a request to be complete after its headers."""
    answer: float = 30.0
    """For the handler of a call without a deadline."""
    next_request: float = 60.0
    """For the next message of a request that streams, once the handler asks for it."""
    taking: float = 20.0
    """For a client to take a part of an answer, or anything that was written to it."""
    silence: float = 1.0
    """A client that sends nothing for so long is pinged, and after twice that dropped."""
    closing: float = 2.0
    """For a connection to close after the last bytes were written to it."""


class Violation(Exception):
    """The connection must end with GOAWAY: `code`, and `why` as its debug data."""

    def __init__(self, code: ErrorCodes, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Allowance:
    """A token bucket: `burst` at once, and `rate` a second."""

    def __init__(self, burst: float, rate: float, now: float, why: str) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now
        self._why = why

    def spend(self, now: float) -> None:
        """Raises `Violation`."""
        self._left = min(self._burst, self._left + self._rate * max(0.0, now - self._at)) - 1
        self._at = now
        if self._left < 0:
            raise Violation(ErrorCodes.ENHANCE_YOUR_CALM, self._why)

    def refill(self) -> None:
        """Allow `burst` again."""
        self._left = self._burst


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD_BYTES = 9
_HEAD = struct.Struct(">HBBBI")
"""The length in two parts, the type, flags and the stream."""
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 8, 9
_END_STREAM = _ACK = 0x1
_END_HEADERS = 0x4
MAX_FRAME_BYTES = 16 * 1024
"""SETTINGS_MAX_FRAME_SIZE: the default, which the server does not change."""


MAX_FRAMES_AT_ONCE = 2048
"""In bytes that are read together, 64 KiB: a turn of the reactor. 128 calls are some 500 frames."""


class FrameCounter:
    """Reads the 9-byte header of every frame before h2 gets the bytes.

    h2 checks the length of a frame only once it has all of it, and answers PING and SETTINGS
    without bound.
    """

    def __init__(self, header_bytes: int, now: float) -> None:
        self.frames = 0
        """Frames whose header has been read."""
        self.resets = Allowance(256, 64, now, "too_many_resets")
        """Streams that were opened in vain: reset by the client, refused or malformed."""
        # A grpcio client that gets this word doubles its interval between pings.
        self.pings = Allowance(128, 16, now, "too_many_pings")
        self._others = Allowance(256, 16, now, "too_many_frames_without_a_call")
        self._header_bytes = header_bytes
        self._preface = _PREFACE
        self._partial = b""
        self._rest = 0
        self._block = 0

    @property
    def waits(self) -> bool:
        """Whether the preface, a frame or a header block is incomplete."""
        return bool(self._preface or self._partial or self._rest or self._block)

    def take(self, data: bytes, now: float) -> None:
        """Raises `Violation`."""
        at = self._begin(data) if self._preface else 0
        end, most = len(data), self.frames + MAX_FRAMES_AT_ONCE
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
            if self.frames > most:
                raise Violation(ErrorCodes.ENHANCE_YOUR_CALM, "too_many_small_frames")

    def _begin(self, data: bytes) -> int:
        step = min(len(self._preface), len(data))
        if data[:step] != self._preface[:step]:
            raise Violation(ErrorCodes.PROTOCOL_ERROR, "this port is for gRPC over HTTP/2")
        self._preface = self._preface[step:]
        return step

    def _frame(self, head: bytes, now: float) -> None:
        high, low, kind, flags, _ = _HEAD.unpack(head)
        self._rest = length = high << 8 | low
        if length > MAX_FRAME_BYTES:
            raise Violation(ErrorCodes.FRAME_SIZE_ERROR, f"a frame must not have {length} bytes")
        if not self.frames and kind != _SETTINGS:
            raise Violation(ErrorCodes.PROTOCOL_ERROR, "the first frame must be SETTINGS")
        self.frames += 1
        if kind in (_HEADERS, _CONTINUATION):
            self._block += length
            if self._block > self._header_bytes:
                raise Violation(ErrorCodes.ENHANCE_YOUR_CALM, "the header block is too large")
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
