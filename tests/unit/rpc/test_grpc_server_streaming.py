"""Calls that stream, of the gRPC server on a fake transport and clock."""

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import grpc
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import Frame, GoAwayFrame, PingFrame
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.fakes.grpc_peer import LIMITS, Peer, hold
from tests.fakes.grpc_streams import Answers, Streams, opened, released
from twisted_bazaar.errors import Overloaded
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.liveness import TICK_SECONDS

DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 4, 8, 12
INTERNAL, UNAVAILABLE = 13, 14


@pytest.fixture
def streams() -> Iterator[Streams]:
    streams = Streams()
    yield streams
    for peer in streams.peers:
        peer.server.connectionLost()


# Answers that stream.


def test_each_message_is_sent_in_the_turn_in_which_it_is_made_until_the_handler_ends(
    streams: Streams,
) -> None:
    peer = streams.peer()
    answer = opened(peer, b"words")
    assert streams.asked == [b"words"]
    assert not answer.head
    for number, message in enumerate((b"one", b"", bytes(20_000))):
        before = len(peer.transport.writes)
        streams.say(message)
        assert len(peer.transport.writes) == before + 1
        peer.pump()
        assert len(streams.gates) == number + 2
    assert answer.head[":status"] == "200"
    assert answer.message == framed(b"one") + framed(b"") + framed(bytes(20_000))
    assert not answer.ended
    streams.say(None)
    peer.pump()
    assert (answer.status, answer.reset, answer.ended) == (0, None, True)
    assert streams.ends == ["done"]
    assert released(peer)


def test_calls_that_stream_are_counted_once_and_not_timed(streams: Streams) -> None:
    peer = streams.peer(attrs.evolve(LIMITS, message_bytes=100))
    figures = peer.state.figures = CallFigures.of_server(Metrics())
    for message in (None, bytes(101)):
        answer = opened(peer)
        streams.say(message)
        peer.pump()
        assert answer.ended
    left = opened(peer)
    assert not left.ended
    peer.server.connectionLost()
    counted = {labels[1]: each.value for labels, each in figures._calls.values.items()}
    assert counted == {"OK": 1, "RESOURCE_EXHAUSTED": 1, "CANCELLED": 1}
    assert sum(each.count for each in figures._seconds.values.values()) == 0


def test_a_call_may_end_without_a_message_and_metadata_goes_both_ways() -> None:
    async def nothing(request: bytes, context: Any) -> Answers:
        context.set_trailing_metadata([("last", "words")])
        for each in ():
            yield each

    async def one(request: bytes, context: Any) -> Answers:
        context.send_initial_metadata([("first", "words")])
        yield dict(context.invocation_metadata())["some"].encode()
        context.set_code(grpc.StatusCode.ABORTED)
        context.set_details("enough")

    method = grpc.unary_stream_rpc_method_handler
    peer = Peer(Nothing=method(nothing), One=method(one))
    answer = opened(peer, method="Nothing")
    assert (answer.status, answer.message, answer.head["last"]) == (0, b"", "words")
    answer = opened(peer, method="One", some="thing")
    assert (answer.head["first"], answer.message) == ("words", framed(b"thing"))
    assert (answer.status, answer.details) == (10, "enough")
    assert released(peer)


def test_errors_end_a_stream_as_they_end_a_call(
    streams: Streams, logged_failures: list[Failure]
) -> None:
    peer = streams.peer()
    for error, status in ((Overloaded("full"), RESOURCE_EXHAUSTED), (ValueError("bug"), INTERNAL)):
        answer = opened(peer)
        streams.say(b"one")
        peer.pump()
        streams.gates[-1].errback(error)
        peer.pump()
        assert (answer.message, answer.status) == (framed(b"one"), status)
    assert len(logged_failures) == 1
    logged_failures.clear()
    most = LIMITS.message_bytes
    answer = opened(peer, b"%d" % (most + 1), "Endless")
    assert answer.status == RESOURCE_EXHAUSTED
    assert streams.ends[-1] == "over"
    assert released(peer)


def test_a_request_that_is_no_message_is_refused(streams: Streams) -> None:
    def decode(message: bytes) -> bytes:
        raise ValueError(message)

    streams = Streams()
    peer = Peer(
        Down=grpc.unary_stream_rpc_method_handler(streams.down, decode),
        Both=grpc.stream_stream_rpc_method_handler(streams.both, decode),
    )
    for method in ("Down", "Both"):
        answer = opened(peer, b"nonsense", method)
        assert (answer.status, answer.details) == (INTERNAL, "Exception deserializing request!")
    assert streams.asked == []
    assert released(peer)


def test_a_client_that_reads_nothing_costs_one_message_and_is_reset_in_time(
    streams: Streams,
) -> None:
    peer = streams.peer()
    peer.gives_credit = False
    peer.h2.increment_flow_control_window(2**20)
    answer = opened(peer, b"10000", "Endless", grpc_timeout="1H")
    assert len(answer.message) == 65_535
    assert len(streams.asked) == 7, "none is made that cannot be sent"
    assert peer.state.kept < 2 * 10_005
    peer.wait(LIMITS.taking - 0.2)
    assert (answer.reset, len(streams.asked)) == (None, 7)
    assert peer.lives()
    peer.wait(0.4)
    assert answer.reset == ErrorCodes.CANCEL
    assert streams.ends == ["over"]
    assert released(peer)


def test_a_client_that_reads_slowly_goes_on_where_it_was(streams: Streams) -> None:
    peer = streams.peer()
    peer.gives_credit = False
    stream = peer.call(b"10000", "Endless")
    peer.pump()
    answer = peer.answers[stream]
    for read in range(1, 4):
        peer.wait(LIMITS.taking - 1)
        peer.h2.acknowledge_received_data(40_000, stream)
        peer.pump()
        assert len(answer.message) == 65_535 + read * 40_000
    assert answer.message == b"".join([framed(bytes(10_000))] * 30)[: len(answer.message)]


def test_a_stream_has_one_message_in_a_turn_and_holds_up_no_call(streams: Streams) -> None:
    peer = streams.peer()
    peer.h2.increment_flow_control_window(2**30)
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    peer.pump()
    turn: list[Callable[[], None]] = []
    peer.server._next_turn = turn.append
    stream = peer.call(b"1", "Endless")
    peer.server.dataReceived(peer.h2.data_to_send())
    for made in range(1, 20):
        assert len(streams.asked) == made
        [resume] = turn
        turn.clear()
        resume()
    peer.h2.reset_stream(stream)
    peer.pump()
    assert streams.ends == ["over"]
    assert peer.lives()


def test_nothing_more_is_made_while_the_transport_is_full(streams: Streams) -> None:
    peer = streams.peer()
    opened(peer)
    peer.server.pauseProducing()
    streams.say(b"one")
    peer.pump()
    assert len(streams.gates) == 1
    peer.server.resumeProducing()
    peer.pump()
    assert len(streams.gates) == 2
    assert peer.answers[1].message == framed(b"one")


# The end of a call.


def test_a_reset_a_deadline_and_a_lost_connection_cancel_the_handler(streams: Streams) -> None:
    peer = streams.peer()
    stream = peer.call(b"", "Down")
    peer.pump()
    peer.h2.reset_stream(stream)
    peer.pump()
    assert streams.ends == ["cancelled"]
    answer = opened(peer, grpc_timeout="1S")
    streams.say(b"one")
    peer.wait(1.1)
    assert (answer.message, answer.status) == (framed(b"one"), DEADLINE_EXCEEDED)
    assert streams.ends == ["cancelled"] * 2
    told: list[str] = []
    opened(peer)
    assert streams.contexts[-1].add_callback(lambda: told.append("ended"))
    peer.server.connectionLost()
    assert streams.ends == ["cancelled"] * 3
    assert told == ["ended"]
    assert not streams.contexts[-1].is_active()
    assert released(peer)


def test_a_deadline_that_comes_while_the_client_reads_nothing_ends_the_call_in_time(
    streams: Streams,
) -> None:
    peer = streams.peer()
    peer.gives_credit = False
    answer = opened(peer, b"100000", "Endless", grpc_timeout="1S")
    peer.wait(1.1)
    assert answer.reset == ErrorCodes.CANCEL
    assert streams.ends == ["over"]
    assert released(peer)


def test_a_call_without_a_deadline_goes_on_for_as_long_as_its_client_is_there(
    streams: Streams,
) -> None:
    peer = streams.peer()
    answer = opened(peer)
    peer.wait(3 * LIMITS.answer)
    streams.say(b"late")
    peer.pump()
    assert answer.message == framed(b"late")
    peer.wait(2 * LIMITS.silence + 2 * TICK_SECONDS, answers_pings=False)
    assert peer.transport.aborted
    assert streams.ends == ["cancelled"]


def test_a_request_that_stays_incomplete_ends(streams: Streams) -> None:
    peer = streams.peer()
    stream = peer.open("Down")
    peer.h2.send_data(stream, framed(b"words")[:7])
    peer.pump()
    peer.wait(LIMITS.request + 0.2)
    assert peer.answers[stream].status == DEADLINE_EXCEEDED
    assert streams.asked == []
    assert released(peer)


def drained(peer: Peer) -> None:
    """Let the server begin to stop, and the client, of h2, go on in spite of GOAWAY."""
    peer.server.drain()
    peer.clock.advance(0)
    data, kept = peer.transport.value(), b""
    peer.transport.clear()
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        if not isinstance(frame, GoAwayFrame | PingFrame):
            kept += data[: 9 + length]
        data = data[9 + length :]
    peer._received(kept)


def test_a_server_that_stops_ends_streams_at_once_and_begins_none(streams: Streams) -> None:
    held: list[Deferred[bytes]] = []
    peer = streams.peer(Later=hold(held))
    down, later = opened(peer), opened(peer, method="Later")
    both = peer.open("Both")
    peer.h2.send_data(both, framed(b"a"))
    peer.pump()
    drained(peer)
    assert down.status == peer.answers[both].status == UNAVAILABLE
    assert peer.answers[both].message == framed(b"A")
    assert streams.ends == ["cancelled"] * 2
    assert opened(peer).status == UNAVAILABLE
    assert len(streams.asked) == 2
    assert not later.ended
    held[0].callback(b"")
    peer.pump()
    assert later.status == 0
    assert released(peer)


def test_a_server_that_stops_resets_a_stream_whose_client_reads_nothing(streams: Streams) -> None:
    peer = streams.peer()
    peer.gives_credit = False
    answer = opened(peer, b"100000", "Endless")
    drained(peer)
    assert answer.reset == ErrorCodes.CANCEL
    assert streams.ends == ["over"]
    assert released(peer)


# How many.


def test_calls_that_stream_are_bounded_on_a_connection_and_in_all(streams: Streams) -> None:
    limits = attrs.evolve(LIMITS, streaming_calls=3, all_streaming_calls=5)
    first = streams.peer(limits)
    answers = [opened(first) for _ in range(4)]
    assert [each.status for each in answers] == [None] * 3 + [RESOURCE_EXHAUSTED]
    first.state.streaming_calls += 2
    streams.say(None)
    first.pump()
    assert answers[2].status == 0
    assert opened(first).status is None
    first.state.streaming_calls += 1
    streams.say(None)
    first.pump()
    assert opened(first).status == RESOURCE_EXHAUSTED
    assert first.lives()


def test_a_handler_that_goes_on_after_its_call_counts_until_it_ends() -> None:
    gate: Deferred[None] = Deferred()

    async def stubborn(request: bytes, context: Any) -> Answers:
        try:
            yield b"one"
            await Deferred()
        except CancelledError:
            await gate
        yield b"two"

    peer = Peer(Down=grpc.unary_stream_rpc_method_handler(stubborn))
    stream = peer.call(b"", "Down")
    peer.pump()
    peer.h2.reset_stream(stream)
    peer.pump()
    assert (peer.state.streaming_calls, peer.server.working) == (1, 1)
    gate.callback(None)
    peer.pump()
    assert released(peer)
    assert peer.answers[stream].message == framed(b"one")


# Unary calls.


def test_ordinary_calls_beside_a_stream_take_the_short_way(streams: Streams) -> None:
    peer = streams.peer()
    peer.answer(b"first")
    opened(peer)
    peer.answer(b"second")
    receive, read = peer.server._h2.receive, []
    peer.server._h2.receive = lambda data: read.append(data) or receive(data)  # type: ignore
    assert peer.answer(b"third").message == framed(b"third")
    assert read == []
