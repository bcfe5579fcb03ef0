"""Whatever an event holds, it is written: as JSON one object on one line, of a bounded size.
Nothing in it can add a line or command a terminal."""

import json
import re
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from twisted.logger import LogEvent, LogLevel
from twisted.python.failure import Failure

from twisted_bazaar.runtime import log_lines
from twisted_bazaar.runtime.log_lines import (
    MAX_LINE_BYTES,
    is_event,
    json_line,
    plain_event,
    text_line,
    writer,
)
from twisted_bazaar.runtime.log_settings import Format

TIME = "1970-01-01T00:00:01.500Z"
CONTROLS = "\0\x07\x1b\r\n\x7f\x85\x9b\u2028\u2029"
TEXTS = st.text(st.sampled_from(CONTROLS + '[31m "\\é株'))


class Textless:
    """Has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Odd(int):
    """Does not say what it is."""

    def __int__(self) -> int:
        raise RuntimeError("no number")


def event(form: str = "hello", **fields: Any) -> LogEvent:
    given: LogEvent = {
        "log_format": form,
        "log_time": 1.5,
        "log_level": LogLevel.info,
        "log_namespace": "twisted_bazaar.test",
    }
    return {**given, **fields}


def shown(given: LogEvent) -> dict[str, Any]:
    """An event as a program reads it from its line."""
    line = json_line(given, "catalog")
    assert line.count(b"\n") == 1
    assert len(line) <= MAX_LINE_BYTES
    assert is_event(line.removesuffix(b"\n"))
    read: dict[str, Any] = json.loads(line.decode("utf-8"))
    return read


def failed(error: BaseException) -> Failure:
    try:
        raise error
    except BaseException:
        return Failure()


def test_an_event_is_an_object_with_its_fields_and_no_others() -> None:
    given = event("order {number} of {owner}", number=7, owner="a", term=2, seconds=0.5, index=None)
    assert shown(given) == {
        "time": TIME,
        "level": "info",
        "service": "catalog",
        "message": "order 7 of a",
        "number": 7,
        "term": 2,
        "seconds": 0.5,
        "logger": "twisted_bazaar.test",
    }


def test_as_text_the_fields_follow_that_the_message_does_not_hold() -> None:
    given = event("order {number} of {owner}", number=7, owner="a", user_agent="my bot", term=2)
    line = text_line(given).decode()
    assert line == f"{TIME} info  order 7 of a term=2 user_agent='my bot'\n"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**53, 2**53),
        (-5, -5),
        (True, True),
        (0.25, 0.25),
        (float("nan"), None),
        (float("inf"), None),
        (2**64, str(2**64)),
        (b"\xff\0a", "\\xff\0a"),
        ("\udc80", "\\udc80"),
        (["a", 1], "['a', 1]"),
        (Textless(), "<Textless without a text>"),
        ("x" * 600, f"{'x' * 512}… (600 characters)"),
    ],
)
def test_a_field_is_a_number_or_a_text(value: object, read: object) -> None:
    assert shown(event(code=value))["code"] == read


@pytest.mark.parametrize(
    "fields",
    [
        {"form": "{"},
        {"form": "{missing}"},
        {"form": "{value.nothing}", "value": 1},
        {"form": "{value}", "value": Textless()},
        {"code": Odd(5)},
        {"log_time": "noon"},
        {"log_time": float("inf")},
        {"log_time": float("nan")},
        {"log_time": 1e300},
        {"log_time": None},
        {"log_level": None},
        {"log_level": "loud"},
        {"log_namespace": None},
        {"log_namespace": Textless()},
        {"log_failure": "no failure"},
        {"log_failure": Textless()},
        {"form": None},
        {"log_format": b"bytes {code}", "code": 1},
        {1: 2, b"bytes": Textless(), (): []},
    ],
)
def test_an_odd_event_is_written_nevertheless(fields: dict[Any, Any]) -> None:
    given: LogEvent = event(str(fields.get("form", "hello")))
    given.update({name: value for name, value in fields.items() if name != "form"})
    line = shown(given)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["service"], type(line["message"]), type(line["level"])) == ("catalog", str, str)
    assert text_line(given).endswith(b"\n")


def test_an_event_without_anything_is_a_line_too() -> None:
    assert shown({})["message"] == ""
    assert text_line({}) == b"1970-01-01T00:00:00.000Z info  \n"


HOSTILE = 'a\r\n{"time":"x"}\n\x1b[2J\0\x85\u2028\u2029\x7f\ud800"\\'


def test_what_a_client_sends_adds_no_line_and_commands_no_terminal() -> None:
    given = event("{said}", said=HOSTILE, user_agent=HOSTILE)
    line = shown(given)
    assert line["message"] == line["user_agent"] == HOSTILE.replace("\ud800", "\\ud800")
    text = text_line(given).decode()
    first, *others = text.removesuffix("\n").split("\n")
    assert first.startswith(f"{TIME} info  a")
    assert all(other.startswith("\t") for other in others)
    assert not re.search(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)
    assert len(text.splitlines()) == len([first, *others])


@drawn(text=TEXTS)
def test_json_is_one_line_without_control_characters_and_says_all(text: str) -> None:
    remark = plain_event(1.0, "warn", "redis", text)
    for line in json_line(event("{said}", said=text, user_agent=text), "frontend"), remark:
        shown = line.decode().removesuffix("\n")
        assert shown.splitlines() == [shown]
        assert not set(shown) & set(CONTROLS)
        decoded = json.loads(line)
        assert decoded["message"] == text
        assert decoded.get("user_agent", text) == text


@drawn(text=TEXTS)
def test_further_lines_of_text_are_indented_and_have_no_control_characters(text: str) -> None:
    line = text_line(event("{said}", said=text, user_agent=text)).decode()
    first, *others = line.removesuffix("\n").split("\n")
    assert first.startswith(f"{TIME} info  ")
    for each in (first, *others):
        assert not set(each) & set(CONTROLS)
    assert all(other.startswith("\t") for other in others)


@pytest.mark.parametrize("character", ["x", "é", "\u2603", "\0", "\x85", '"', "\udc80"])
def test_a_huge_event_is_cut(character: str) -> None:
    huge = character * 200_000
    fields: dict[str, Any] = dict.fromkeys(log_lines.FIELDS, huge)
    given = event("{said}", said=huge, log_failure=failed(ValueError(huge)), **fields)
    line = shown(given)
    assert line["message"].endswith("… (200000 characters)")
    assert line["failure"].startswith("…")
    assert len(text_line(given)) < 512 * 1024
    assert len(plain_event(1.5, "info", "redis", huge)) <= MAX_LINE_BYTES


def test_a_failure_is_in_the_event_and_not_in_its_message() -> None:
    line = shown(event("it broke", log_failure=failed(ValueError("bad data"))))
    assert line["message"] == "it broke"
    assert line["failure"].startswith("Traceback")
    assert "ValueError: bad data" in line["failure"]


def test_a_failure_without_a_message_says_what_it_is() -> None:
    given = event("", log_failure=failed(ValueError("bad data")))
    assert shown(given)["message"] == "unexpected error: bad data"


def test_as_text_a_traceback_is_indented() -> None:
    lines = text_line(event("it broke", log_failure=failed(ValueError("bad\ndata")))).splitlines()
    assert lines[0] == f"{TIME} info  it broke".encode()
    assert lines[-1] == b"\tdata"
    assert all(line.startswith(b"\t") for line in lines[1:])


class Unspeakable(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("form", ["it broke", ""])
def test_a_failure_that_has_no_text_is_written(form: str) -> None:
    line = shown(event(form, log_failure=failed(Unspeakable())))
    assert "Unspeakable" in line["failure"]


def test_a_failure_that_cannot_be_shown_hides_no_message() -> None:
    line = shown(event("it broke", log_failure=Textless()))
    assert line["message"] == "it broke"
    assert "cannot be shown" in line["failure"]


def test_the_name_of_the_process_is_before_each_line_where_others_come_between() -> None:
    given = event("it broke", log_failure=failed(ValueError("bad data")))
    lines = writer(Format.TEXT, "order-3", has_name=True)(given).splitlines()
    assert len(lines) > 2
    assert all(line.startswith(b"order-3 | ") for line in lines)
    assert json.loads(writer(Format.JSON, "order-3", has_name=True)(given))["service"] == "order-3"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"{}",
        b'{"time":1,"level":"info","service":"a","message":"b"}',
        b'{"time":"1","level":"info","service":"a"}',
        b'{"time":"1","level":"info","service":"a","message":"b"',
        b'{"time":"1","level":"info","service":"a","message":"b"}{}',
        b'{"time":"1","level":"info","service":"a","message":"\xff"}',
        b'{"time":"1","level":"info","service":"a","message":"b","logger":"\xff"}',
        b' {"time":"1","level":"info","service":"a","message":"b"}',
    ],
)
def test_what_is_no_event_is_not_taken_for_one(line: bytes) -> None:
    assert not is_event(line)
