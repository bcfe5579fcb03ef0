"""The headers of requests and answers are Twisted's, at a lower cost."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http_headers import Headers, InvalidHeaderName

from twisted_bazaar.http.fields import Fields, canonical

NAMES = [b"X-Cache", b"x-cache", b"ETAG", b"Www-Authenticate", "X-Cache", "x-other"]
VALUES = [b"a", b"", b"a\nb", b"a\r\nSet-Cookie: b", b"a\r", b"\xc3\xa4", "a", "\xe4", "a\nb"]


def made(headers: Headers, values: list[tuple[str | bytes, list[str | bytes]]]) -> Headers:
    for name, each in values:
        headers.setRawHeaders(name, each)
    return headers


def seen(headers: Headers) -> list[object]:
    found = [(name, list(values)) for name, values in headers.getAllRawHeaders()]
    asked = [(name, headers.getRawHeaders(name)) for name in (*NAMES, b"none", "none")]
    return [found, asked, [headers.hasHeader(name) for name in NAMES]]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=2))))
def test_they_say_what_twisted_s_say(values: list[tuple[str | bytes, list[str | bytes]]]) -> None:
    ours, twisteds = made(Fields(), values), made(Headers(), values)
    assert seen(ours) == seen(twisteds)
    assert ours == twisteds


def test_they_are_sent_as_they_were_set() -> None:
    fields = Fields()
    fields.setRawHeaders(b"b", [b"1", b"2"])
    fields.setRawHeaders(b"A", [b"3\r\n4"])
    assert fields.lines() == b"B: 1\r\nB: 2\r\nA: 3 4\r\n"
    assert Fields().lines() == b""


def test_those_that_are_taken_are_had() -> None:
    fields = Fields()
    fields.setRawHeaders(b"A", [b"1"])
    fields.take({b"X-Cache": [b"hit"]})
    assert seen(fields) == seen(Headers({b"X-Cache": [b"hit"]}))
    assert fields.has(b"X-Cache")
    assert not fields.has(b"A")
    assert fields.getRawHeaders(b"A", b"default") == b"default"


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"\xff"])
@pytest.mark.parametrize(
    "use",
    [
        canonical,
        Fields().getRawHeaders,
        lambda name: Fields().setRawHeaders(name, [b"a"]),
    ],
)
def test_a_name_that_is_none_is_refused(use: Callable[[bytes], object], name: bytes) -> None:
    with pytest.raises(InvalidHeaderName):
        use(name)
