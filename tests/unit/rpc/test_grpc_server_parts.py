"""The pure parts of the gRPC server, where its connections do not show them."""

from itertools import pairwise

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.grpc_frames import head_of
from twisted_bazaar.rpc.serving.framing import (
    Refused,
    RequestBody,
    Status,
    encode_metadata,
    framed,
    read_head,
    trailers,
)
from twisted_bazaar.rpc.serving.limits import Allowance, FrameCounter, Violation

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/S/M"),
    (b"content-type", b"application/grpc"),
]


def test_an_allowance_is_so_much_at_once_and_so_much_a_second() -> None:
    allowance = Allowance(3, 2, 100.0, "too_much")
    for _ in range(3):
        allowance.spend(100.0)
    with pytest.raises(Violation, match="too_much"):
        allowance.spend(100.4)
    allowance = Allowance(3, 2, 100.0, "too_much")
    for tenth in range(1000):
        allowance.spend(100.0 + tenth / 2)
    allowance.spend(50.0), allowance.spend(50.0)
    with pytest.raises(Violation):
        allowance.spend(50.0)
    allowance.refill()
    allowance.spend(50.0)


FRAMES = [
    SettingsFrame(0),
    HeadersFrame(1, head_of()),
    HeadersFrame(1, head_of(), flags=("END_HEADERS",)),
    DataFrame(1, b"x" * 300),
    DataFrame(1, b"", flags=("END_STREAM",)),
    PingFrame(0, opaque_data=b"12345678"),
    WindowUpdateFrame(0, window_increment=1),
]


@given(frames=st.lists(st.sampled_from(FRAMES), max_size=8), cuts=st.sets(st.integers(1, 600)))
def test_frames_are_counted_however_they_are_cut(frames: list[DataFrame], cuts: set[int]) -> None:
    sent = [SettingsFrame(0), *frames]
    said = PREFACE + b"".join(frame.serialize() for frame in sent)
    whole, in_parts = FrameCounter(10_000, 0.0), FrameCounter(10_000, 0.0)
    whole.take(said, 0.0)
    ends = [0, *sorted(cut for cut in cuts if cut < len(said)), len(said)]
    for begin, end in pairwise(ends):
        in_parts.take(said[begin:end], 0.0)
        assert in_parts.waits or end >= len(PREFACE)
    assert whole.frames == in_parts.frames == len(sent)
    assert whole.waits == in_parts.waits


def test_what_a_gauge_refuses_it_refuses_at_the_first_byte_that_is_wrong() -> None:
    counter = FrameCounter(100, 0.0)
    counter.take(PREFACE[:10], 0.0)
    assert counter.waits
    with pytest.raises(Violation) as refused:
        counter.take(b"GET", 0.0)
    assert refused.value.code == ErrorCodes.PROTOCOL_ERROR


def test_messages_are_taken_up_to_the_limit() -> None:
    body = RequestBody(b"identity", 10)
    for byte in framed(bytes(10)):
        body.take(bytes([byte]))
    assert body.message() == bytes(10)
    with pytest.raises(Refused) as refused:
        RequestBody(b"identity", 10).take(framed(bytes(11))[:5])
    assert refused.value.status == Status.RESOURCE_EXHAUSTED


@given(st.text(max_size=200))
def test_details_are_ascii_that_a_caller_reads_back(details: str) -> None:
    from urllib.parse import unquote

    fields = dict(trailers(Status.UNKNOWN, details))
    assert fields[b"grpc-status"] == b"2"
    said = fields.get(b"grpc-message", b"")
    assert all(0x20 <= byte < 0x7F for byte in said)
    assert unquote(said.decode()) == details


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.from_regex(r"x[a-z0-9_.-]{0,9}y", fullmatch=True),
                st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True),
            ),
            st.tuples(st.from_regex(r"x[a-z]{0,9}-bin", fullmatch=True), st.binary(max_size=30)),
        ),
        max_size=5,
    )
)
def test_metadata_comes_back_as_it_was_sent(metadata: list[tuple[str, str | bytes]]) -> None:
    assert list(read_head([*HEAD, *encode_metadata(metadata)]).metadata) == metadata


def test_metadata_that_should_be_base64_and_is_not_ends_the_call() -> None:
    with pytest.raises(Refused, match="must be base64"):
        read_head([*HEAD, (b"some-bin", b"!")])
