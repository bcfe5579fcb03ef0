"""What a caller of the gRPC server cannot do to it: floods, silence, taking nothing."""

import attrs
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from twisted.internet.defer import Deferred

from tests.fakes.grpc_frames import frame_of, head_of
from tests.fakes.grpc_peer import LIMITS, Peer, ended, hold
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.methods import blocking

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED = 8, 4


# Floods.


def test_calls_beyond_the_limit_are_refused_and_the_others_go_on() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    peer.h2.remote_settings.acknowledge()
    streams = [peer.call(b"x", "Later") for _ in range(LIMITS.streams + 20)]
    peer.pump()
    assert len(held) == LIMITS.streams
    for answer in held:
        answer.callback(b"")
    peer.pump()
    answers = [peer.answers[stream] for stream in streams]
    assert [each.status for each in answers[: LIMITS.streams]] == [0] * LIMITS.streams
    assert {each.reset for each in answers[LIMITS.streams :]} == {ErrorCodes.REFUSED_STREAM}
    assert peer.lives()


def flood(peer: Peer, count: int, method: str) -> int:
    """Open and reset calls; how many it took to end the connection."""
    for number in range(count):
        if peer.closed:
            return number
        stream = peer.call(b"x", method)
        peer.pump()
        refused = stream in peer.answers
        if not peer.closed and not refused:
            peer.h2.reset_stream(stream, ErrorCodes.CANCEL)
            peer.pump()
    return count


def test_calls_that_are_opened_to_be_reset_end_the_connection() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    assert 200 < flood(peer, 2000, "Later") < 300
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_resets")
    assert peer.server.working == 0


def test_resets_as_a_busy_caller_makes_them_are_tolerated() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    for _ in range(100):
        flood(peer, 40, "Later")
        peer.wait(1)
    assert peer.lives()


def test_calls_that_are_reset_on_threads_are_refused_before_they_queue() -> None:
    peer = Peer(Wait=blocking(lambda request, _: request))
    flood(peer, 200, "Wait")
    assert len(peer.threads.waiting) == LIMITS.streams


def test_refused_calls_are_bounded_too() -> None:
    peer = Peer(Later=hold([]))
    peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100_000
    peer.h2.remote_settings.acknowledge()
    asked = 0
    while not peer.closed:
        peer.call(b"x", "Later")
        peer.pump()
        asked += 1
    assert asked < 300
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_resets")


def test_pings_are_answered_and_a_flood_of_them_is_not() -> None:
    peer = Peer()
    for number in range(2000):
        if peer.closed:
            break
        peer.send(PingFrame(0, opaque_data=b"%8d" % number))
    assert 100 < number < 200
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_pings")
    assert peer.acknowledged() == number - 1


def test_pings_beside_calls_and_of_a_caller_that_keeps_alive_are_tolerated() -> None:
    peer = Peer()
    for _ in range(20):
        peer.send(*[PingFrame(0, opaque_data=b"estimate")] * 50)
        assert peer.lives()
    for _ in range(500):
        peer.send(*[PingFrame(0, opaque_data=b"alive?!!")] * 5)
        peer.wait(0.5)
    assert peer.lives()


@pytest.mark.parametrize(
    "frame",
    [
        SettingsFrame(0, settings={SettingCodes.INITIAL_WINDOW_SIZE: 70_000}),
        SettingsFrame(0),
        PriorityFrame(99, depends_on=1),
        frame_of(0xFA, 0, 0, b"?"),
        DataFrame(1, b""),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_flood_of_frames_that_bring_no_call_ends_the_connection(frame: Frame | bytes) -> None:
    peer = Peer()
    peer.open()
    peer.pump()
    peer.send(*[frame] * 200)
    assert peer.lives()
    peer.send(*[frame] * 400)
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_frames_without_a_call")


@pytest.mark.parametrize(
    "frame",
    [
        WindowUpdateFrame(0, window_increment=1),
        DataFrame(1, b"x"),
        SettingsFrame(0, flags=("ACK",)),
        PingFrame(0, opaque_data=b"12345678", flags=("ACK",)),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_turn_of_the_reactor_is_not_spent_on_small_frames(frame: Frame) -> None:
    peer = Peer()
    peer.open()
    peer.pump()
    for _ in range(10):
        peer.send(*[frame] * 1000)
    assert not peer.closed
    peer.send(*[frame] * 3000)
    assert ended(peer) == (ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_small_frames")


# Silence.


def test_a_silent_peer_is_pinged_and_dropped() -> None:
    peer = Peer()
    peer.wait(0.9, answers_pings=False)
    assert peer.transport.value() == b""
    peer.wait(0.1, answers_pings=False)
    peer.clock.advance(0)
    assert b"alive?" in peer.transport.value()
    peer.wait(0.9, answers_pings=False)
    assert not peer.transport.aborted
    peer.wait(0.3, answers_pings=False)
    assert peer.transport.aborted


def test_a_peer_that_answers_pings_stays() -> None:
    peer = Peer()
    peer.wait(60)
    assert peer.lives()


def test_a_process_that_was_paused_reads_before_it_drops_a_connection() -> None:
    peer = Peer()
    peer.wait(1, answers_pings=False)
    peer.clock.advance(30)
    peer.server.sweep(peer.clock.seconds())
    peer.wait(5)
    assert peer.lives()


def test_a_connection_that_says_nothing_is_closed_without_a_ping() -> None:
    peer = Peer(begins=False)
    peer.wait(2.2, answers_pings=False)
    assert b"alive?" not in peer.transport.value()
    assert peer.transport.aborted


def test_a_frame_that_trickles_in_is_dropped() -> None:
    peer = Peer()
    stream = peer.open()
    peer.pump()
    frame = DataFrame(stream, framed(bytes(1000))).serialize()
    waited = 0.0
    for at in range(len(frame)):
        if peer.transport.aborted:
            break
        peer.server.dataReceived(frame[at : at + 1])
        peer.wait(0.5, answers_pings=False)
        waited += 0.5
    # Its own head, of nine bytes, has as much time as the rest.
    assert LIMITS.handshake <= waited < 2 * LIMITS.handshake


def test_a_head_without_its_end_is_dropped() -> None:
    """Not even the answer to a ping may come in between."""
    peer = Peer()
    peer.server.dataReceived(HeadersFrame(1, head_of()).serialize())
    peer.wait(2.2, answers_pings=False)
    assert peer.transport.aborted


def test_a_preface_that_trickles_in_is_dropped() -> None:
    peer = Peer(begins=False)
    waited = 0.0
    for at in range(len(PREFACE)):
        if peer.transport.aborted:
            break
        peer.server.dataReceived(PREFACE[at : at + 1])
        peer.wait(1.5, answers_pings=False)
        waited += 1.5
    assert LIMITS.handshake <= waited < LIMITS.handshake + 2


def test_a_request_that_stays_incomplete_ends_and_releases_its_bytes() -> None:
    peer = Peer()
    bare = peer.open(grpc_timeout="99999999H")
    begun = peer.open(grpc_timeout="99999999H")
    peer.h2.send_data(begun, framed(bytes(1000))[:500])
    peer.wait(LIMITS.request - 0.2)
    assert peer.state.kept == 500
    assert not peer.answers
    peer.wait(0.4)
    for stream in (bare, begun):
        assert peer.answers[stream].status == DEADLINE_EXCEEDED
        assert peer.answers[stream].reset == ErrorCodes.NO_ERROR
    assert peer.state.kept == peer.server.calls == 0
    assert peer.lives()


# Callers that take nothing.


def test_a_peer_that_reads_nothing_is_dropped() -> None:
    peer = Peer(Fill=lambda request, _: bytes(1_000_000))
    peer.server.pauseProducing()
    stream = peer.call(b"", "Fill")
    peer.pump()
    peer.wait(LIMITS.taking - 0.2)
    assert not peer.transport.aborted
    peer.server.resumeProducing()
    peer.pump()
    assert len(peer.answers[stream].message) == 1_000_005
    peer.server.pauseProducing()
    peer.wait(LIMITS.taking + 0.3)
    assert peer.transport.aborted


def test_a_peer_is_not_read_while_too_much_waits_for_it() -> None:
    peer = Peer()
    # It goes on calling although it has seen no call end.
    peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    peer.h2.remote_settings.acknowledge()
    peer.server.pauseProducing()
    answered = 0
    while peer.transport.reads:
        assert peer.answer(b"x" * 1000).status is None
        answered += 1
    assert 60 < answered < 70
    assert not peer.transport.writes[1:]
    peer.server.resumeProducing()
    peer.pump()
    assert peer.transport.reads
    assert sum(each.status == 0 for each in peer.answers.values()) == answered


def test_no_turn_writes_more_than_a_part_of_a_large_answer() -> None:
    peer = Peer(Fill=lambda request, _: bytes(4_000_000))
    peer.h2.increment_flow_control_window(2**30)
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    peer.pump()
    peer.call(b"", "Fill")
    peer.transport.writes.clear()
    peer.server.dataReceived(peer.h2.data_to_send())
    assert sum(peer.transport.writes) < 300_000
    peer.clock.advance(0)
    assert max(peer.transport.writes) < 300_000
    assert sum(peer.transport.writes) > 4_000_000


def test_an_answer_whose_caller_gives_no_credit_is_reset() -> None:
    peer = Peer(Fill=lambda request, _: bytes(100_000))
    peer.gives_credit = False
    answer = peer.answer(b"", "Fill", grpc_timeout="1H")
    assert len(answer.message) == 65_535
    peer.wait(LIMITS.taking - 0.2)
    assert answer.reset is None
    peer.wait(0.4)
    assert answer.reset == ErrorCodes.CANCEL
    assert peer.state.kept == peer.server.calls == 0


def test_the_bytes_of_all_calls_together_are_bounded() -> None:
    limits = attrs.evolve(LIMITS, kept_bytes=1_000_000)
    peer = Peer(limits, Fill=lambda request, _: bytes(400_000))
    peer.gives_credit = False
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    peer.pump()
    answers = [peer.answer(b"", "Fill") for _ in range(4)]
    assert [each.status for each in answers] == [None, None, RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED]
    stream = peer.open()
    for _ in range(20):
        peer.h2.send_data(stream, framed(bytes(500_000))[:10_000])
        peer.pump()
        if peer.answers.get(stream):
            break
    assert peer.answers[stream].status == RESOURCE_EXHAUSTED
    peer.wait(LIMITS.taking + 0.2)
    assert peer.state.kept == 0
    assert peer.server.calls == 0
