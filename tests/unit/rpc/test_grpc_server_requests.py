"""Calls whose requests stream, of the gRPC server on a fake transport and clock."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from twisted.internet.defer import Deferred

from tests.fakes.grpc_peer import LIMITS, Peer
from tests.fakes.grpc_streams import Answers, Streams, opened, released
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.http2 import STREAM_WINDOW

DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 4, 8, 12, 13


@pytest.fixture
def streams() -> Iterator[Streams]:
    streams = Streams()
    yield streams
    for peer in streams.peers:
        peer.server.connectionLost()


def test_requests_are_answered_as_they_come_until_the_client_ends_its_half(
    streams: Streams,
) -> None:
    peer = streams.peer()
    stream = peer.open("Both")
    peer.pump()
    for number, message in enumerate((b"a", b"", b"bc")):
        peer.h2.send_data(stream, framed(message))
        peer.pump()
        assert len(streams.asked) == number + 1
    answer = peer.answers[stream]
    assert answer.message == framed(b"A") + framed(b"") + framed(b"BC")
    assert not answer.ended
    peer.h2.end_stream(stream)
    peer.pump()
    assert answer.message.endswith(framed(b"end"))
    assert (answer.status, answer.reset) == (0, None)
    assert released(peer)


def test_requests_may_come_in_pieces_and_several_at_once(streams: Streams) -> None:
    peer = streams.peer()
    stream = peer.open("Both")
    said = framed(b"one") + framed(b"two") + framed(b"three")
    for part in (said[:2], said[2:7], said[7:]):
        peer.h2.send_data(stream, part)
        peer.pump()
    peer.h2.end_stream(stream)
    peer.pump()
    assert streams.asked == [b"one", b"two", b"three"]
    assert peer.answers[stream].status == 0


def test_a_client_may_end_its_half_with_the_head_or_within_a_message(streams: Streams) -> None:
    peer = streams.peer()
    stream = peer.open("Both", end=True)
    peer.pump()
    assert peer.answers[stream].message == framed(b"end")
    stream = peer.open("Both")
    peer.h2.send_data(stream, framed(b"words")[:7], end_stream=True)
    peer.pump()
    assert peer.answers[stream].status == INTERNAL
    assert released(peer)


def test_requests_that_are_not_read_are_bounded_by_flow_control() -> None:
    gate: Deferred[None] = Deferred()
    read: list[int] = []

    async def slow(requests: AsyncIterator[bytes], context: Any) -> Answers:
        await gate
        async for request in requests:
            read.append(len(request))
        yield b""

    peer = Peer(Slow=grpc.stream_stream_rpc_method_handler(slow))
    stream = peer.open("Slow")
    peer.pump()
    one, sent = framed(bytes(10_000)), 0
    while peer.h2.local_flow_control_window(stream) >= len(one):
        peer.h2.send_data(stream, one)
        sent += 1
        peer.pump()
    assert STREAM_WINDOW - len(one) < sent * len(one) <= STREAM_WINDOW
    assert peer.state.kept == sent * len(one)
    gate.callback(None)
    peer.pump()
    assert read == [10_000] * sent
    assert peer.state.kept == 0
    for _ in range(300):
        peer.h2.send_data(stream, one)
        peer.pump()
    peer.h2.end_stream(stream)
    peer.pump()
    assert len(read) == sent + 300
    assert peer.answers[stream].status == 0
    assert released(peer)


def test_padding_is_given_credit_though_no_handler_reads_it(streams: Streams) -> None:
    peer = streams.peer()
    stream = peer.open("Both")
    for _ in range(STREAM_WINDOW // (100 * 256) + 10):
        for _ in range(100):
            peer.h2.send_data(stream, framed(b"x"), pad_length=255)
        peer.pump()
    assert peer.answers[stream].status is None
    assert peer.server.calls == 1


def test_requests_that_are_too_large_or_compressed_are_refused(streams: Streams) -> None:
    peer = streams.peer()
    most = LIMITS.streamed_bytes
    for said, status in (
        (framed(bytes(most + 1))[:10], RESOURCE_EXHAUSTED),
        (b"\1" + framed(b"x")[1:], INTERNAL),
    ):
        stream = peer.open("Both")
        peer.h2.send_data(stream, said)
        peer.pump()
        assert peer.answers[stream].status == status
    stream = peer.open("Both", grpc_encoding="gzip")
    peer.h2.send_data(stream, b"\1" + framed(b"x")[1:])
    peer.pump()
    assert peer.answers[stream].status == UNIMPLEMENTED
    assert released(peer)


def test_a_client_that_says_nothing_for_long_is_asked_no_more(streams: Streams) -> None:
    peer = streams.peer()
    answer = opened(peer, b"", "Both")
    assert answer.ended
    stream = peer.open("Both")
    peer.h2.send_data(stream, framed(b"a"))
    peer.pump()
    peer.wait(LIMITS.next_request - 1)
    peer.h2.send_data(stream, framed(b"b"))
    peer.pump()
    peer.wait(LIMITS.next_request - 1)
    answer = peer.answers[stream]
    assert (answer.message, answer.ended) == (framed(b"A") + framed(b"B"), False)
    peer.wait(1.2)
    assert answer.status == DEADLINE_EXCEEDED
    assert streams.ends == ["cancelled"]
    assert released(peer)
