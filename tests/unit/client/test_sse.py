"""Server-sent events: the same messages come out, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.client.sse import MAX_MESSAGE_BYTES, Message, Parser, TooLong

STREAM = (
    "\ufeffretry: 1500\n"
    ": a comment\n"
    "\n"
    'event: order\r\nid: 7\r\ndata: {"name": "Café"}\r\n\r\n'
    "data:one\rdata:  two\r\r"
    "id: 8\n\n"
    "event: nothing\n\n"
    "data\n\n"
    "unknown: field\nid: a\0b\nretry: soon\ndata: last\n\n"
    "data: never ends\n"
).encode()

MESSAGES = [
    Message("order", '{"name": "Café"}', "7"),
    Message("message", "one\n two", "7"),
    Message("message", "", "8"),
    Message("message", "last", "8"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_the_same_messages_come_out_however_the_stream_is_cut(cuts: list[int]) -> None:
    parser = Parser()
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[begin:end] for begin, end in pairwise(places)]
    assert [message for piece in pieces for message in parser.feed(piece)] == MESSAGES
    assert (parser.last_id, parser.retry_seconds) == ("8", 1.5)


def test_byte_by_byte_they_come_as_soon_as_their_empty_line() -> None:
    parser = Parser()
    came = [parser.feed(bytes([byte])) for byte in b"data: x\r\n\r\ndata: y\r\n\r\n"]
    assert [len(each) for each in came] == [0] * 9 + [1, 0] + [0] * 9 + [1, 0]


@pytest.mark.parametrize("piece", [b"x" * 20_000, b"data: " + b"x" * 20_000 + b"\n"])
def test_a_message_that_does_not_end_is_not_held(piece: bytes) -> None:
    parser = Parser()
    for _ in range(MAX_MESSAGE_BYTES // (len(piece) + 1) - 10):
        parser.feed(piece)
    with pytest.raises(TooLong):
        parser.feed(piece * 20)


def test_comments_without_end_are_no_message() -> None:
    parser = Parser()
    for _ in range(MAX_MESSAGE_BYTES // 10):
        parser.feed(b": still here\n\n")
    assert parser.feed(b"data: x\n\n") == [Message("message", "x", "")]
