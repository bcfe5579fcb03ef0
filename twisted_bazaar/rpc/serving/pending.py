"""Messages that wait for the client's flow-control window, or for their turn. Pure.

They are answers that do not fit into the window or into one frame, and all of streaming calls.
"""

from collections.abc import Iterator, Sequence

from .framing import Field
from .http2 import Http2

__all__ = ["PendingAnswers"]

_TURN_BYTES = 256 * 1024
"""Bytes of pending answers that a connection writes in one turn of the reactor."""
_FRAME_BYTES = 64 * 1024
"""Bytes of the largest DATA frame, if the client's SETTINGS_MAX_FRAME_SIZE allows it."""


class _Part:
    """A message, of which `at` bytes have been sent, and the trailers after it; none: the call goes
    on."""

    __slots__ = ("at", "end", "message")

    def __init__(self, message: bytes, end: Sequence[Field]) -> None:
        self.message = memoryview(message)
        self.at = 0
        self.end = end


class PendingAnswers:
    """The pending answers of one connection, by stream."""

    def __init__(self, h2: Http2) -> None:
        self._h2 = h2
        self._parts: dict[int, _Part] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, stream: int, message: bytes, end: Sequence[Field]) -> None:
        """Queue `message`, with its prefix, and the trailers `end`; none: the call goes on. There
        must be none queued on `stream`."""
        self._parts[stream] = _Part(message, end)

    def drop(self, stream: int) -> None:
        """Forget the answer on `stream`, if there is one."""
        self._parts.pop(stream, None)

    def __contains__(self, stream: int) -> bool:
        return stream in self._parts

    def clear(self) -> None:
        self._parts.clear()

    def send(self) -> Iterator[tuple[int, Sequence[Field] | None]]:
        """Send what the windows and the turn's bound allow.

        Yields the streams that have sent something; with the trailers, still to be sent, once
        the whole message has been.
        """
        h2, left = self._h2, _TURN_BYTES
        most = min(h2.max_outbound_frame_size, _FRAME_BYTES)
        for stream, part in list(self._parts.items()):
            before, size = part.at, len(part.message)
            while part.at < size:
                step = min(h2.local_flow_control_window(stream), most, left, size - part.at)
                if step <= 0:
                    break
                h2.send_data(stream, part.message[part.at : part.at + step])
                part.at += step
                left -= step
            if part.at == size:
                del self._parts[stream]
                yield stream, part.end
            elif part.at > before:
                # The next turn starts with another stream.
                self._parts[stream] = self._parts.pop(stream)
                yield stream, None
