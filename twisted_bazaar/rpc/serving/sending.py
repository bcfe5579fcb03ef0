"""Answers that do not go out at once: how much of which is sent now. Pure.

Of an answer goes out what the caller's flow control lets through, in frames, and of all of a
connection so much in one turn of the reactor.
"""

from collections.abc import Iterator, Sequence

from .framing import Field
from .http2 import Http2

__all__ = ["Sending"]

_TURN_BYTES = 256 * 1024
"""Of messages that are written in one turn of the reactor."""
_FRAME_BYTES = 64 * 1024
"""Of the largest frame that is sent, to a caller that takes such."""


class _Part:
    """A message, of which `at` bytes are sent, and what the call ends with."""

    __slots__ = ("at", "end", "message")

    def __init__(self, message: bytes, end: Sequence[Field]) -> None:
        self.message = memoryview(message)
        self.at = 0
        self.end = end


class Sending:
    """The answers of one connection, by stream."""

    def __init__(self, h2: Http2) -> None:
        self._h2 = h2
        self._parts: dict[int, _Part] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, stream: int, message: bytes, end: Sequence[Field]) -> None:
        """Send `message`, with its prefix, and then `end`. The head has been sent."""
        self._parts[stream] = _Part(message, end)

    def drop(self, stream: int) -> None:
        """Send nothing more on `stream`."""
        self._parts.pop(stream, None)

    def clear(self) -> None:
        self._parts.clear()

    def send(self) -> Iterator[tuple[int, Sequence[Field] | None]]:
        """Send what goes now. Gives the streams of which some went; with what the call ends with
        if that was the last of it."""
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
                # The next turn begins with another.
                self._parts[stream] = self._parts.pop(stream)
                yield stream, None
