"""An event is one line, whatever it holds, and nothing in it can command a terminal."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, LogLevel

from twisted_bazaar.runtime.log_lines import json_line, plain_event, text_line

CONTROLS = "\0\x07\x1b\r\n\x7f\x85\x9b\u2028\u2029"
TEXTS = st.text(st.sampled_from(CONTROLS + '[31m "\\é株'))


def event(value: str) -> LogEvent:
    return {
        "log_format": "{said}",
        "said": value,
        "user_agent": value,
        "log_time": 1.0,
        "log_level": LogLevel.info,
        "log_namespace": "twisted_bazaar.test",
    }


@given(text=TEXTS)
def test_json_is_one_line_without_control_characters_and_says_all(text: str) -> None:
    remark = plain_event(1.0, "warn", "redis", text)
    for line in json_line(event(text), "frontend"), remark:
        shown = line.decode().removesuffix("\n")
        assert shown.splitlines() == [shown]
        assert not set(shown) & set(CONTROLS)
        decoded = json.loads(line)
        assert decoded["message"] == text
        assert decoded.get("user_agent", text) == text


@given(text=TEXTS)
def test_further_lines_of_text_are_indented_and_have_no_control_characters(text: str) -> None:
    first, *others = text_line(event(text)).decode().removesuffix("\n").split("\n")
    assert first.startswith("1970-01-01T00:00:01.000Z info  ")
    for line in (first, *others):
        assert not set(line) & set(CONTROLS)
    assert all(line.startswith("\t") for line in others)
