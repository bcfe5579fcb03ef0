"""The gRPC server and odd frames: those that are allowed, and those that break the rules."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from tests.fakes.grpc_frames import frame_of, head_of, headers, serialized, settings_frame
from tests.fakes.grpc_peer import LIMITS, Peer, ended, hold
from twisted_bazaar.rpc.serving.framing import framed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED = 8, 4


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """The lines that are logged."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


# Frames that say little.


def test_what_the_server_allows_is_said_at_once() -> None:
    peer = Peer()
    said = peer.h2.remote_settings
    assert said.max_concurrent_streams == LIMITS.streams
    assert said.max_header_list_size == LIMITS.header_bytes
    assert said.initial_window_size == 1024 * 1024
    assert peer.h2.outbound_flow_control_window == 4 * 1024 * 1024


def test_frames_that_say_little_are_tolerated() -> None:
    peer = Peer()
    stream = peer.open()
    peer.pump()
    peer.send(
        PriorityFrame(stream, depends_on=0, stream_weight=5),
        PriorityFrame(77, depends_on=3, exclusive=True),
        frame_of(0xFA, 0xFF, 0, b"unknown"),
        frame_of(0xFB, 0, stream),
        WindowUpdateFrame(0, window_increment=100),
        WindowUpdateFrame(stream, window_increment=100),
        settings_frame({SettingCodes.MAX_FRAME_SIZE: 2**20, 0xF00D: 7}),
        PingFrame(0, opaque_data=b"12345678"),
        DataFrame(stream, b""),
        DataFrame(stream, framed(b"words"), pad_length=200, flags=("PADDED", "END_STREAM")),
    )
    assert peer.answers[stream].message == framed(b"words")
    assert peer.acknowledged() == 1
    assert peer.lives()


def test_frames_for_calls_that_have_ended_are_tolerated() -> None:
    peer = Peer()
    stream = peer.call(b"x")
    peer.pump()
    peer.send(
        RstStreamFrame(stream, error_code=8),
        WindowUpdateFrame(stream, window_increment=1),
        PriorityFrame(stream),
    )
    refused = peer.open("Nope")
    peer.pump()
    peer.send(DataFrame(refused, b"late"), DataFrame(refused, b"late", flags=("END_STREAM",)))
    assert peer.lives()


def test_settings_that_nobody_knows_are_not_kept() -> None:
    peer = Peer()
    before = len(peer.server._h2.remote_settings)
    for block in range(100, 10_000, 1000):
        peer.send(settings_frame(dict.fromkeys(range(block, block + 1000), 1)))
    assert len(peer.server._h2.remote_settings) == before
    assert peer.lives()


@pytest.mark.parametrize(
    "frames",
    [
        [WindowUpdateFrame(0, window_increment=2**31 - 1)],
        [DataFrame(1, b"before its head")],
        [RstStreamFrame(7)] * 300,
        [ContinuationFrame(1, b"alone", flags=("END_HEADERS",))],
        [headers(1, b"\xff\xff\xff\xff\xff")],
        [headers(2, head_of())],
        [frame_of(1, 0x4 | 0x8, 1, b"\xff" + head_of())],
        [headers(3, head_of()), headers(1, head_of())],
        [PushPromiseFrame(1, 2, head_of(), flags=("END_HEADERS",))],
        [HeadersFrame(1, head_of()), PingFrame(0, opaque_data=b"between!")],
        [SettingsFrame(0, settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**31})],
        [SettingsFrame(0, settings={SettingCodes.ENABLE_PUSH: 7})],
        [b"\0\0\7\6\0\0\0\0\0" + bytes(7)],
        [b"\0\0\3\4\0\0\0\0\0" + bytes(3)],
        [b"\0\0\4\3\0\0\0\0\0" + bytes(4)],
        [b"\0\0\4\x08\0\0\0\0\0" + bytes(4)],
    ],
    ids=lambda frames: repr(frames[0])[:60],
)
def test_frames_that_break_the_rules_end_the_connection(
    frames: list[Frame | bytes], logged: list[LogEvent]
) -> None:
    peer = Peer()
    peer.send(*frames)
    assert peer.closed
    assert len(logged) == 1
    assert "a connection" in str(logged)


def test_a_window_that_overflows_ends_its_call() -> None:
    peer = Peer()
    stream = peer.open()
    peer.pump()
    peer.send(WindowUpdateFrame(stream, window_increment=2**31 - 1))
    assert peer.answers[stream].reset == ErrorCodes.FLOW_CONTROL_ERROR
    assert peer.server.calls == 0
    assert peer.lives()


# What is not HTTP/2.


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/1.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(1000),
        b"\xff",
        PREFACE + PingFrame(0, opaque_data=b"too soon").serialize(),
        PREFACE + bytes(range(256)),
    ],
    ids=lambda said: repr(said)[:30],
)
def test_what_is_not_http_2_is_closed_with_one_line_of_log(
    said: bytes, logged: list[LogEvent]
) -> None:
    peer = Peer(begins=False)
    peer.server.dataReceived(said)
    assert peer.closed
    peer.server.dataReceived(said)
    assert len(logged) == 1


def test_a_thousand_of_them_are_two_lines_of_log(logged: list[LogEvent]) -> None:
    peer = Peer()
    for _ in range(1000):
        peer.state.failures.refused("a connection", "ipv4:192.0.2.7:1", "not HTTP/2")
    peer.clock.advance(11)
    peer.state.failures.refused("a connection", "ipv4:192.0.2.7:1", "x" * 1000)
    assert len(logged) == 2
    assert logged[1]["more"] == 999
    assert len(logged[1]["why"]) == 300


# Large frames and heads.


def test_a_frame_that_says_it_is_too_large_is_not_waited_for() -> None:
    for frame in (b"\0\x40\1\0\0\0\0\0\1", b"\xff\xff\xff\1\0\0\0\0\1", b"\1\0\0\x55\0\0\0\0\0"):
        peer = Peer()
        peer.send(frame)
        assert ended(peer)[0] == ErrorCodes.FRAME_SIZE_ERROR


def test_a_head_is_not_kept_beyond_its_limit() -> None:
    peer = Peer()
    block = head_of(some="x" * 30_000)
    peer.send(headers(1, block[:16_000], "END_STREAM"), ContinuationFrame(1, block[16_000:]))
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"the header block is too large")


def test_a_head_that_unpacks_beyond_its_limit_ends_the_connection() -> None:
    peer = Peer()
    encoder = Encoder()
    bomb = encoder.encode([(b"some", b"x" * 3000)]) + encoder.encode([(b"some", b"x" * 3000)]) * 10
    assert len(bomb) < 3100
    peer.send(headers(1, bomb))
    assert ended(peer)[0] == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_head_as_large_as_is_allowed_is_taken() -> None:
    peer = Peer(Size=lambda request, context: b"%d" % len(context.invocation_metadata()[0][1]))
    assert peer.answer(b"", "Size", some="x" * 15_000).message == framed(b"15000")


def test_empty_continuations_end_the_connection() -> None:
    peer = Peer()
    peer.send(HeadersFrame(1, head_of()), *[ContinuationFrame(1, b"")] * 500)
    assert peer.closed


# Whatever comes.


FRAMES: list[Any] = [
    *[HeadersFrame(1, head_of(), flags=flags) for flags in (("END_HEADERS",), (), ("PADDED",))],
    HeadersFrame(3, head_of(**{":path": "/S/Later"}), flags=("END_HEADERS", "END_STREAM")),
    HeadersFrame(5, head_of(), flags=("END_HEADERS", "PRIORITY"), depends_on=1),
    ContinuationFrame(1, head_of(), flags=("END_HEADERS",)),
    DataFrame(1, framed(b"words")),
    DataFrame(1, framed(b"words")[3:], flags=("END_STREAM",)),
    DataFrame(5, b"", flags=("END_STREAM",)),
    RstStreamFrame(1),
    RstStreamFrame(3),
    SettingsFrame(0, settings={SettingCodes.INITIAL_WINDOW_SIZE: 3}),
    SettingsFrame(0, settings={SettingCodes.HEADER_TABLE_SIZE: 0}),
    SettingsFrame(0, flags=("ACK",)),
    PingFrame(0, opaque_data=b"goodbye\0", flags=("ACK",)),
    PingFrame(0, opaque_data=b"12345678"),
    WindowUpdateFrame(1, window_increment=5),
    WindowUpdateFrame(0, window_increment=2**30),
    GoAwayFrame(0, error_code=2),
    PriorityFrame(1, depends_on=1),
    frame_of(0xFA, 0, 9, b"?"),
]


@given(
    frames=st.lists(st.sampled_from(FRAMES), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    spoiled=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
    leaves=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_no_input_is_an_unexpected_error(
    frames: list[Frame | bytes], cuts: list[int], spoiled: list[tuple[int, int]], leaves: bool
) -> None:
    failures: list[LogEvent] = []

    def failed(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event)

    globalLogPublisher.addObserver(failed)
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    said = bytearray(b"".join(map(serialized, frames)))
    for at, byte in spoiled:
        if at < len(said):
            said[at] = byte
    ends = [0, *sorted(cut for cut in cuts if cut < len(said)), len(said)]
    for begin, end in pairwise(ends):
        peer.server.dataReceived(bytes(said[begin:end]))
        peer.clock.advance(0)
    if leaves:
        peer.server.drain()
    for answer in held:
        if not answer.called:
            answer.callback(b"late")
    peer.wait(45, answers_pings=False)
    globalLogPublisher.removeObserver(failed)
    assert not failures
    assert peer.closed
    peer.server.connectionLost()
    assert peer.state.kept == peer.server.calls == peer.server.working == 0
