"""How one event of the log is written, as text or as JSON.

Whatever an event holds, it becomes a line of a bounded size: an error here would hide the one that
was to be logged. Control characters are escaped, so that no client can forge a line or command a
terminal.
"""

import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

from .log_settings import Format

__all__ = [
    "FIELDS",
    "MAX_LINE_BYTES",
    "Writer",
    "is_event",
    "json_line",
    "named",
    "plain_event",
    "text_line",
    "writer",
]

FIELDS = (
    *("request_id", "trace_id", "number", "index", "term", "replica"),
    *("method", "path", "route", "code", "bytes", "seconds", "client", "caller", "user_agent"),
)
"""What an event may carry beside its message: JSON has these names. All other values of an event
are in its message only."""

MAX_LINE_BYTES = 32 * 1024
"""The size of a line of JSON."""

_MESSAGE_CHARACTERS = 8 * 1024
_FAILURE_CHARACTERS = 16 * 1024
_FIELD_CHARACTERS = 512
_STRICT_CHARACTERS = 1024, 2048, 64
"""The same three bounds for an event that is too large nevertheless: JSON may write six bytes for a
character, and there may be many fields."""

_OURS = "twisted_bazaar"
_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_INTEGER = 1 << 63

_encode = msgspec.json.Encoder().encode

Writer = Callable[[LogEvent], bytes]
"""Makes a line, or several, of an event."""


def writer(form: Format, service: str, has_name: bool = False) -> Writer:
    """What writes the events of `service`. With `has_name` each line of text begins with it."""
    if form is Format.JSON:
        return lambda event: json_line(event, service)
    if not has_name:
        return text_line
    return lambda event: b"".join(named(service, line) for line in text_line(event).splitlines())


def named(name: str, line: bytes) -> bytes:
    """`line`, which process `name` wrote, as text shows it among those of others."""
    return b"%-8s| %b\n" % (name.encode(), line)


# JSON


def json_line(event: LogEvent, service: str) -> bytes:
    """`event` as one JSON object, and a line end."""
    try:
        line = _json(_shown(event, service))
        if len(line) >= MAX_LINE_BYTES:
            line = _json(_shown(event, service, *_STRICT_CHARACTERS))
    except Exception as why:
        shown = _head(event, service)
        shown["message"] = f"an event could not be written: {type(why).__name__}"
        line = _json(shown)
    return line + b"\n"


def plain_event(seconds: float, level: str, service: str, message: str) -> bytes:
    """A line of JSON for what is no event, such as a line of a process that logs no JSON."""
    shown = {"time": _time(seconds), "level": level, "service": service}
    line = _json({**shown, "message": _clean(message, _MESSAGE_CHARACTERS)})
    if len(line) >= MAX_LINE_BYTES:
        line = _json({**shown, "message": _clean(message, _STRICT_CHARACTERS[0])})
    return line + b"\n"


def _json(shown: dict[str, Any]) -> bytes:
    """`shown` on one line, whatever counts as the end of one. JSON itself has characters escaped
    that are below the space only."""
    line: bytes = _encode(shown)
    if line.isascii() and b"\x7f" not in line:
        return line
    return _CONTROLS.sub(_json_escaped, line.decode()).encode()


class _Event(msgspec.Struct):
    """What every line of JSON has."""

    time: str
    level: str
    service: str
    message: str


_decode = msgspec.json.Decoder(_Event).decode


def is_event(line: bytes) -> bool:
    """Whether `line` is one that `json_line` wrote."""
    if not line.startswith(b'{"time":'):
        return False
    try:
        _decode(line)
        line.decode()
    except ValueError:  # msgspec's errors are of this kind
        return False
    return True


def _head(event: LogEvent, service: str) -> dict[str, Any]:
    return {"time": _time_of(event), "level": _level(event), "service": service}


def _shown(
    event: LogEvent,
    service: str,
    message_characters: int = _MESSAGE_CHARACTERS,
    failure_characters: int = _FAILURE_CHARACTERS,
    field_characters: int = _FIELD_CHARACTERS,
) -> dict[str, Any]:
    shown = _head(event, service)
    shown["message"] = _clean(_message(event), message_characters)
    for name in FIELDS:
        if (value := event.get(name)) is not None:
            shown[name] = _scalar(value, field_characters)
    shown["logger"] = _clean(str(event.get("log_namespace", "")), field_characters)
    if (failure := event.get("log_failure")) is not None:
        shown["failure"] = _tail(_traceback(failure), failure_characters)
    return shown


def _scalar(value: object, characters: int) -> str | int | float | bool:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_MAX_INTEGER < value < _MAX_INTEGER:
        return int(value)
    return _clean(_as_text(value), characters)


def _json_escaped(matched: re.Match[str]) -> str:
    return f"\\u{ord(matched.group()):04x}"


# Text


def text_line(event: LogEvent) -> bytes:
    """`event` as text: time, level, message, and the fields that the message does not hold. Further
    lines, as those of a traceback, are indented."""
    try:
        text = _text(event)
    except Exception as why:
        text = f"an event could not be written: {type(why).__name__}"
    line = f"{_time_of(event)} {_level(event):<5} {text}\n"
    return line.encode("utf-8", "backslashreplace")


def _text(event: LogEvent) -> str:
    parts = [_clean(_message(event), _MESSAGE_CHARACTERS)]
    form = str(event.get("log_format") or "")
    parts += [
        f" {name}={_word(value)}"
        for name in FIELDS
        if (value := event.get(name)) is not None and f"{{{name}" not in form
    ]
    source = str(event.get("log_namespace") or "")
    if "." in source and source.partition(".")[0] != _OURS:
        parts.append(f" [{_clean(source, _FIELD_CHARACTERS)}]")
    if (failure := event.get("log_failure")) is not None:
        parts.append("\n" + _tail(_traceback(failure), _FAILURE_CHARACTERS).rstrip("\n"))
    return _CONTROLS.sub(_escaped, "".join(parts)).replace("\n", "\n\t")


def _word(value: object) -> str:
    text = _clean(_as_text(value), _FIELD_CHARACTERS)
    return text if text.isprintable() and " " not in text and '"' not in text else repr(text)


def _escaped(matched: re.Match[str]) -> str:
    return matched.group().encode("unicode_escape").decode("ascii")


# Both


def _message(event: LogEvent) -> str:
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not message and isinstance(failure, Failure):
        return f"unexpected error: {_as_text(failure.value) or failure.type}"
    return message


def _traceback(failure: object) -> str:
    try:
        return failure.getTraceback() if isinstance(failure, Failure) else str(failure)
    except Exception:
        # Of what is no Failure and has no text, for example.
        return f"{getattr(failure, 'type', None)!r}, whose traceback cannot be shown"


def _as_text(value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8", "backslashreplace")
        return str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"


def _clean(text: str, characters: int) -> str:
    """`text` in UTF-8, cut to so many characters."""
    if len(text) > characters:
        text = f"{text[:characters]}… ({len(text)} characters)"
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _tail(text: str, characters: int) -> str:
    """The end of a traceback, which says what happened."""
    return _clean(f"…{text[-characters:]}" if len(text) > characters else text, sys.maxsize)


def _level(event: Mapping[str, Any]) -> str:
    return str(getattr(event.get("log_level"), "name", "info"))


def _time_of(event: LogEvent) -> str:
    try:
        return _time(float(event.get("log_time") or 0))
    except (TypeError, ValueError, OverflowError, OSError):
        return _time(0)


def _time(seconds: float) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03d}Z"


@lru_cache(16)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
