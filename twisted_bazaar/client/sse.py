"""Server-sent events, as they arrive: bytes in, messages out, however they are cut. Pure.

As https://html.spec.whatwg.org/multipage/server-sent-events.html parses them.
"""

import re
from collections.abc import Iterator

import msgspec

__all__ = ["MAX_MESSAGE_BYTES", "Message", "Parser", "TooLong"]

MAX_MESSAGE_BYTES = 1 << 20

_LINE_END = re.compile(rb"\r\n|\r|\n")


class TooLong(Exception):
    """A message is longer than `MAX_MESSAGE_BYTES`."""


class Message(msgspec.Struct, frozen=True):
    """One event."""

    event: str
    data: str
    last_id: str
    """The last id that this message or an earlier one has; empty: none had."""


class Parser:
    """Of one stream, from its first byte."""

    def __init__(self) -> None:
        self.last_id = ""
        """Where the stream can be taken up again: the last id of the blocks that are complete, also
        of one without data."""
        self._id = ""
        self.retry_seconds: float | None = None
        """What the server asks to wait before that; None: it does not say."""
        self._rest = b""
        """The beginning of a line."""
        self._begun = False
        self._after_return = False
        """The last line ended with a carriage return: a line feed may still belong to it."""
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, received: bytes) -> list[Message]:
        """The messages that `received` completes. Raises `TooLong`."""
        messages = [
            message for line in self._lines(received) if (message := self._take(line)) is not None
        ]
        if self._size + len(self._rest) > MAX_MESSAGE_BYTES:
            raise TooLong(f"a message has more than {MAX_MESSAGE_BYTES} bytes")
        return messages

    def _lines(self, received: bytes) -> Iterator[str]:
        if not received:
            return
        if self._after_return:
            received = received.removeprefix(b"\n")
        *lines, self._rest = _LINE_END.split(self._rest + received)
        self._after_return = received.endswith(b"\r")
        for line in lines:
            text = line.decode("utf-8", "replace")
            yield text if self._begun else text.removeprefix("\ufeff")
            self._begun = True

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        self._size += len(line)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal():
                self.retry_seconds = int(value) / 1000
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        self.last_id = self._id
        return Message(event or "message", "\n".join(data), self.last_id) if data else None
