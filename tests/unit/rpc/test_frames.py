"""Frames come out of a stream as they went in, however it is cut, and nothing else comes out."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twisted_bazaar.errors import Malformed
from twisted_bazaar.rpc.bounds import MAX_ID
from twisted_bazaar.rpc.frames.format import (
    GREETING,
    HEAD_BYTES,
    HTTP2_PREFACE,
    MAGIC,
    MAX_GREETING_BYTES,
    MAX_REFUSAL_CHARACTERS,
    Decoder,
    Greeting,
    Http2,
    Welcome,
    agree,
    decode_greeting,
    decode_refusal,
    decode_welcome,
    encode_greeting,
    encode_refusal,
    frame,
)

MOST = 64

Frame = tuple[int, int, bytes]
FRAMES = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary(max_size=MOST)), max_size=8
)
SETTINGS = bytes.fromhex("000018040000000000") + bytes(24)
"""What grpcio's server says first."""


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """`stream` in pieces."""
    ends = sorted({place % (len(stream) + 1) for place in places} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def decoded(pieces: list[bytes], most: int = MOST) -> list[Frame]:
    got: list[Frame] = []
    decoder = Decoder(lambda *each: got.append(each), most)
    for piece in pieces:
        decoder.feed(piece)
    return got


@given(FRAMES, st.lists(st.integers(0, 2**16)))
def test_any_split_of_the_bytes_gives_the_same_frames(frames: list[Frame], at: list[int]) -> None:
    stream = MAGIC + b"".join(frame(*each) for each in frames)
    assert decoded(cut(stream, at)) == frames
    assert decoded([stream[n : n + 1] for n in range(len(stream))]) == frames


@given(FRAMES, st.integers(1, 100))
def test_a_frame_is_handed_out_as_soon_as_it_is_whole(frames: list[Frame], missing: int) -> None:
    whole = MAGIC + b"".join(frame(*each) for each in frames)
    last = frame(7, 1, bytes(MOST))
    assert decoded([whole + last[: -min(missing, len(last))]]) == frames


@given(FRAMES, st.integers(MOST + 1, 2**32 - 1), st.lists(st.integers(0, 2**16)))
def test_a_frame_that_is_too_long_is_refused_by_its_head(
    frames: list[Frame], length: int, at: list[int]
) -> None:
    head = length.to_bytes(4, "big") + bytes(HEAD_BYTES - 4)
    stream = MAGIC + b"".join(frame(*each) for each in frames) + head
    got: list[Frame] = []
    decoder = Decoder(lambda *each: got.append(each), MOST)
    *pieces, last = (piece for piece in cut(stream, at) if piece)
    for piece in pieces:
        decoder.feed(piece)
    with pytest.raises(Malformed, match=f"a frame of {length} bytes"):
        decoder.feed(last)
    assert got == frames


@given(st.binary(min_size=1, max_size=64), st.lists(st.integers(0, 2**16)))
@example(bytes(9), [])
@example(b"\0\0", [])
def test_what_does_not_begin_as_frames_do_is_refused(said: bytes, at: list[int]) -> None:
    decoder = Decoder(lambda *each: pytest.fail("a frame"), MOST)
    refused: Malformed | None = None
    try:
        for piece in cut(said, at):
            decoder.feed(piece)
    except Malformed as why:
        refused = why
    first = said[: len(MAGIC)]
    if MAGIC.startswith(first) or (said[:1] == b"\0" and len(said) < 4):
        assert refused is None, "it may yet begin so"
    else:
        assert isinstance(refused, Http2) == (said[:1] == b"\0" and said[3:4] == b"\x04")


@given(st.lists(st.integers(0, 2**16)))
def test_a_server_that_only_speaks_grpc_is_known_by_what_it_says(at: list[int]) -> None:
    with pytest.raises(Http2):
        decoded(cut(SETTINGS, at))


def test_a_port_can_tell_frames_from_grpc_and_tls_by_their_first_byte() -> None:
    tls = b"\x16\x03\x01"
    assert len({MAGIC[0], HTTP2_PREFACE[0], tls[0]}) == 3


def test_a_frame_that_comes_in_many_pieces_takes_time_in_proportion_to_its_length() -> None:
    """A buffer that is copied for each piece would have 160 GB copied for this one."""
    body = bytes(8_000_000)
    got: list[Frame] = []
    decoder = Decoder(lambda *each: got.append(each), len(body))
    decoder.feed(MAGIC)
    stream = frame(1, 1, body)
    started = time.process_time()
    for start in range(0, len(stream), 200):
        decoder.feed(stream[start : start + 200])
        assert time.process_time() - started < 3
    assert got == [(1, 1, body)]


def test_nothing_comes_out_once_it_is_closed() -> None:
    got: list[int] = []

    def receive(id_: int, kind: int, body: bytes) -> None:
        got.append(id_)
        if id_ == 2:
            decoder.close()

    decoder = Decoder(receive, MOST)
    decoder.feed(MAGIC + b"".join(frame(n, 1, b"") for n in range(1, 5)))
    decoder.feed(frame(9, 1, b""))
    assert got == [1, 2]


# Greetings.

GREETING_OF_3 = Greeting(service="order", sender=1, to=3, cluster="4d")


def test_a_greeting_comes_across() -> None:
    assert decode_greeting(encode_greeting(GREETING_OF_3)) == GREETING_OF_3
    welcome = Welcome(service="order", sender=3, cluster="", version=1, refusal="no")
    assert decode_welcome(encode_greeting(welcome)) == welcome


def test_a_greeting_of_a_later_release_is_understood() -> None:
    body = encode_greeting(GREETING_OF_3)[:-1] + b',"proof":"5f","capacity":7}'
    assert decode_greeting(body) == GREETING_OF_3


def test_the_longest_greeting_is_within_its_bound() -> None:
    longest = Welcome(
        service="🐟" * 256, sender=MAX_ID, cluster="🐟" * 256, version=2**16 - 1, refusal="🐟" * 999
    )
    assert decode_welcome(encode_greeting(longest)).refusal == "🐟" * 256
    assert len(frame(0, GREETING, encode_greeting(longest))) < MAX_GREETING_BYTES


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\xff",
        b"[" * 2000,
        b"{}",
        {"sender": -1},
        {"to": 2**31},
        {"least": 0},
        {"most": 2**16},
        {"cluster": "x" * 257},
        {"service": 7},
    ],
)
def test_a_greeting_that_makes_no_sense_is_refused(wrong: Any) -> None:
    fields = {"service": "order", "sender": 1, "to": 3, "cluster": "4d"}
    body = wrong if isinstance(wrong, bytes) else msgspec.json.encode({**fields, **wrong})
    with pytest.raises(Malformed):
        decode_greeting(body)


@pytest.mark.parametrize(
    ("theirs", "ours", "agreed"),
    [
        ((1, 1), (1, 1), 1),
        ((1, 3), (1, 2), 2),
        ((2, 3), (1, 2), 2),
        ((1, 2), (2, 5), 2),
        ((3, 4), (1, 2), 0),
        ((1, 2), (3, 3), 0),
        ((2, 1), (1, 2), 0),
    ],
)
def test_the_highest_version_that_both_speak_is_spoken(
    theirs: tuple[int, int], ours: tuple[int, int], agreed: int
) -> None:
    least, most = theirs
    greeting = Greeting(service="", sender=0, to=0, cluster="", least=least, most=most)
    assert agree(greeting, range(ours[0], ours[1] + 1)) == agreed


# Refusals.


@given(st.integers(1, 255), st.text())
def test_a_refusal_comes_across(code: int, text: str) -> None:
    said = text[:MAX_REFUSAL_CHARACTERS].encode("utf-8", "replace").decode()
    assert decode_refusal(encode_refusal(code, text)) == (code, said)


@given(st.binary(max_size=32))
def test_any_bytes_are_a_refusal(body: bytes) -> None:
    code, text = decode_refusal(body)
    assert code == (body[0] if body else 0)
    assert isinstance(text, str)
