"""Every process's lines come out whole and named."""

import json
from typing import Any

import pytest

from twisted_bazaar.local.console import MAX_LINE_BYTES, Console, Lines
from twisted_bazaar.runtime.log_lines import MAX_LINE_BYTES as MAX_EVENT_BYTES
from twisted_bazaar.runtime.log_lines import plain_event
from twisted_bazaar.runtime.log_settings import Format, Level
from twisted_bazaar.runtime.output import Output


class Shown:
    """What a console has written."""

    def __init__(self, form: Format = Format.TEXT) -> None:
        self._written: list[bytes] = []
        self._output = Output(self._written.append)
        self.console = Console(self._output, form, lambda: 1.5)

    def read(self) -> bytes:
        assert self._output.flush(10)
        return b"".join(self._written)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_lines_are_written_whole_though_they_arrive_in_pieces(shown: Shown) -> None:
    lines = Lines(shown.console, "order-3")
    for piece in (b"on", b"e\ntwo\n\nth", b"ree"):
        lines.received(piece)
    lines.ended()
    assert shown.read() == b"order-3 | one\norder-3 | two\norder-3 | \norder-3 | three\n"


def test_a_very_long_line_is_cut(shown: Shown) -> None:
    lines = Lines(shown.console, "redis")
    lines.received(b"x" * (MAX_LINE_BYTES + 5))
    lines.received(b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\n")
    rows = shown.read().split(b"\n")
    assert [len(line) - len(b"redis   | ") for line in rows[:-1]] == [
        MAX_LINE_BYTES,
        5,
        MAX_LINE_BYTES,
        1,
    ]


EVENT = plain_event(7.25, "info", "order-3", "leads in term 1").removesuffix(b"\n")
TRACEBACK = b"""Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import nothing

ModuleNotFoundError: No module named 'nothing'"""


@pytest.fixture
def events() -> Shown:
    return Shown(Format.JSON)


def read(shown: Shown) -> list[dict[str, Any]]:
    lines = shown.read().split(b"\n")
    assert lines.pop() == b""
    assert all(len(line) < MAX_EVENT_BYTES for line in lines)
    return [json.loads(line) for line in lines]


def test_as_json_an_event_of_a_process_stays_as_it_is(events: Shown) -> None:
    lines = Lines(events.console, "order-3", Level.WARN)
    lines.received(EVENT[:30])
    lines.received(EVENT[30:] + b"\n")
    assert events.read() == EVENT + b"\n"


@pytest.mark.parametrize("level", [Level.INFO, Level.WARN])
def test_as_json_what_is_no_event_becomes_one_of_the_process(events: Shown, level: Level) -> None:
    lines = Lines(events.console, "redis", level)
    lines.received(b'{"time": half\n\n \r\n\xffnot "JSON"\x1b[2J\n' + EVENT + b"\nthe end")
    lines.ended()
    head = {"time": "1970-01-01T00:00:01.500Z", "level": level, "service": "redis"}
    broken, odd, event, end = read(events)
    assert broken == {**head, "message": '{"time": half'}
    assert odd == {**head, "message": '\\xffnot "JSON"\x1b[2J'}
    assert event == json.loads(EVENT)
    assert end == {**head, "message": "the end"}


def test_as_json_a_traceback_is_one_event(events: Shown) -> None:
    lines = Lines(events.console, "catalog", Level.WARN)
    for piece in (b"before\n" + TRACEBACK[:60], TRACEBACK[60:] + b"\nafter\n"):
        lines.received(piece)
    before, traceback, after = read(events)
    assert (before["message"], after["message"]) == ("before", "after")
    assert (traceback["message"], traceback["level"]) == (TRACEBACK.decode(), "error")


def test_as_json_a_traceback_ends_where_an_event_begins_or_the_process_ends(events: Shown) -> None:
    lines = Lines(events.console, "catalog")
    begun = TRACEBACK[:60]
    lines.received(begun + b"\n" + EVENT + b"\n" + begun + b"\n")
    lines.ended()
    first, event, second = read(events)
    assert first["message"] == second["message"] == begun.decode()
    assert event == json.loads(EVENT)


def test_as_json_endless_lines_and_tracebacks_are_cut(events: Shown) -> None:
    lines = Lines(events.console, "catalog")
    lines.received(b"y" * (3 * MAX_EVENT_BYTES) + b"\n")
    lines.received(TRACEBACK[:34] + b"\n" + b"  a line of it\n" * 10_000 + b"\xff" * 100_000)
    lines.ended()
    shown = read(events)
    assert shown[0]["message"].startswith("yyy")
    # A process that is in a traceback for ever is not kept in memory.
    assert len(shown) > 5_000
    tracebacks = [each for each in shown if each["message"].startswith("Traceback")]
    assert [each["level"] for each in tracebacks] == ["error"]


NEEDLESS = (
    b"123:M 28 Nov 2026 08:46:19.412 * Ready to accept. Redis is now ready to exit, bye bye..."
)


@pytest.mark.parametrize("form", list(Format))
def test_what_redis_says_at_each_start_and_stop_is_left_out(form: Format) -> None:
    shown = Shown(form)
    shown.console.write("redis", NEEDLESS)
    assert shown.read() == b""
