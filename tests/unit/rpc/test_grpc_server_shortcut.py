"""Calls that the gRPC server reads and answers without h2: nobody can tell by the answers."""

from random import Random
from typing import Any

import grpc
import pytest
from h2.events import RequestReceived
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame
from twisted.internet.defer import Deferred

from tests.fakes.grpc_peer import LIMITS, Answer, Peer, hold
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.http2 import CONNECTION_WINDOW

INDEXED, INCREMENTAL = 0x80, 0x40


def warm(**behaviours: Any) -> Peer:
    """The compression table has all that the next call of Echo needs."""
    peer = Peer(**behaviours)
    peer.answer(b"first")
    return peer


def reads_of_h2(peer: Peer) -> list[int]:
    """The streams whose requests h2 reads from now on."""
    read: list[int] = []
    receive = peer.server._h2.receive

    def noted(data: bytes) -> Any:
        events = receive(data)
        read.extend(each.stream_id for each in events if isinstance(each, RequestReceived))
        return events

    peer.server._h2.receive = noted  # type: ignore[method-assign]
    return read


def test_an_ordinary_call_is_not_read_by_h2_and_is_answered_alike() -> None:
    peer = warm()
    read = reads_of_h2(peer)
    first = peer.answers[1]
    for message in (b"", b"words", bytes(10_000)):
        answer = peer.answer(message)
        assert (answer.head, answer.trailers, answer.ended) == (first.head, first.trailers, True)
        assert answer.message == framed(message)
    assert read == []
    assert peer.state.kept == 0


def test_calls_that_come_together_are_all_taken() -> None:
    peer = warm()
    read = reads_of_h2(peer)
    streams = [peer.call(b"%d" % n) for n in range(LIMITS.streams)]
    peer.pump()
    assert [peer.answers[each].message for each in streams] == [
        framed(b"%d" % n) for n in range(LIMITS.streams)
    ]
    assert read == []
    peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    peer.h2.remote_settings.acknowledge()
    streams = [peer.call(b"") for n in range(LIMITS.streams + 1)]
    peer.pump()
    assert read == streams, "too many at a time: h2 refuses them one by one"


def test_grpcios_calls_are_ordinary_with_metadata_and_credit_for_the_answer() -> None:
    """The frames are those of grpcio: see `Shortcut`."""
    seen: list[Any] = []
    peer = warm(See=lambda request, context: seen.append(context) or b"")
    peer.answer(b"", "See", grpc_timeout="5S")
    block = peer.h2.encoder.encode(
        [
            *((":method", "POST"), (":scheme", "http"), (":authority", "there")),
            *((":path", "/S/See"), ("te", "trailers"), ("content-type", "application/grpc")),
            ("grpc-timeout", "5S"),
        ]
    )
    assert min(block) >= INDEXED
    read = reads_of_h2(peer)
    metadata = b"\0\x0cx-request-id\x09some-name\0\x01a\0"
    frames = (
        HeadersFrame(5, block + metadata, flags=["END_HEADERS"]),
        WindowUpdateFrame(5, 5),
        DataFrame(5, framed(b"x"), flags=["END_STREAM"]),
        WindowUpdateFrame(0, 100),
    )
    peer.server.dataReceived(b"".join(each.serialize() for each in frames))
    assert read == []
    assert seen[-1].invocation_metadata() == (("x-request-id", "some-name"), ("a", ""))
    assert seen[-1].deadline == peer.clock.seconds() + 5


@pytest.mark.parametrize(
    "field",
    [
        b"\0\x0cgrpc-timeout\x0212",
        b"\0\x02te\x01x",
        b"\0\x05x-bin\x04AAAA",
        b"\0\x01A\0",
        b"\0\x01a\x01\n",
        b"\0\x05:path\x01x",
        b"\x10\x01a\0",
        b"\0\x81a\0",
        b"\0\x01a\x7f",
        b"\0\x01a",
        b"\0",
        bytes((INCREMENTAL,)) + b"\x01a\0",
    ],
)
def test_other_fields_are_for_h2(field: bytes) -> None:
    peer = warm()
    block = peer.h2.encoder.encode(
        [
            *((":method", "POST"), (":scheme", "http"), (":authority", "there")),
            *((":path", "/S/Echo"), ("te", "trailers"), ("content-type", "application/grpc")),
        ]
    )
    head = HeadersFrame(3, block + field, flags=["END_HEADERS"]).serialize()
    data = DataFrame(3, framed(b""), flags=["END_STREAM"]).serialize()
    assert peer.server._shortcut.read(head + data) is None
    plain = HeadersFrame(3, block, flags=["END_HEADERS"]).serialize()
    assert peer.server._shortcut.read(plain + data) is not None


def test_what_indexes_mean_is_looked_up_again_once_the_table_has_changed() -> None:
    """The same bytes are another path, when others have come in between."""
    said: list[str] = []
    peer = Peer(
        One=lambda request, context: said.append("one") or b"",
        Other=lambda request, context: said.append("other") or b"",
    )
    post, http, newest, second = 0x83, 0x86, 0xBE, 0xBF
    indexes = bytes((post, http, second, newest))

    def inserts(path: bytes) -> bytes:
        content_type = b"application/grpc"
        return bytes((post, http, INCREMENTAL | 4, len(path))) + (
            path + bytes((INCREMENTAL | 31, len(content_type))) + content_type
        )

    blocks = inserts(b"/S/One"), indexes, indexes, inserts(b"/S/Other"), indexes, indexes
    for number, block in enumerate(blocks):
        stream = 2 * number + 1
        head = HeadersFrame(stream, block, flags=["END_HEADERS"]).serialize()
        data = DataFrame(stream, framed(b""), flags=["END_STREAM"]).serialize()
        assert (peer.server._shortcut.read(head + data) is not None) == (block == indexes)
        peer.server.dataReceived(head + data)
    assert said == ["one"] * 3 + ["other"] * 3


def test_a_call_that_is_cancelled_is_cancelled() -> None:
    held: list[Deferred[bytes]] = []
    peer = warm(Held=hold(held))
    peer.answer(b"", "Held")
    held[0].callback(b"")
    peer.pump()
    read = reads_of_h2(peer)
    stream = peer.call(b"", "Held")
    peer.pump()
    assert (read, len(peer.server._h2.unknown)) == ([], 1)
    peer.send(RstStreamFrame(stream, 8))
    assert peer.server.calls == 0
    assert held[1].called
    assert peer.state.kept == 0
    assert peer.lives()


def test_a_reset_that_comes_with_its_call_keeps_it_from_being_begun() -> None:
    begun: list[bytes] = []
    peer = warm(Begin=lambda request, context: begun.append(request) or b"")
    peer.answer(b"x", "Begin")
    peer.h2.reset_stream(peer.call(b"y", "Begin"))
    peer.pump()
    assert begun == [b"x"]
    assert peer.lives()


def test_failures_and_deadlines_are_answered() -> None:
    def fail(request: bytes, context: Any) -> bytes:
        if request == b"abort":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        raise Unavailable("not now")

    held: list[Deferred[bytes]] = []
    peer = warm(Fail=fail, Held=hold(held))
    for _ in range(2):
        assert (peer.answer(b"abort", "Fail").status, peer.answer(b"", "Fail").status) == (5, 14)
        late = peer.answer(b"", "Held", grpc_timeout="1S")
        peer.wait(1.1)
        assert (late.status, late.ended) == (4, True)
    assert peer.lives()


def test_trailing_metadata_is_sent() -> None:
    def tell(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("told", "yes"),))
        return b"message"

    peer = warm(Tell=tell)
    for _ in range(2):
        answer = peer.answer(b"", "Tell")
        assert (answer.message, answer.trailers["told"]) == (framed(b"message"), "yes")


def test_answers_that_the_windows_have_no_room_for_are_sent_in_pieces() -> None:
    peer = warm()
    peer.gives_credit = False
    answers = [peer.answer(bytes(16_000)) for _ in range(5)]
    assert [each.ended for each in answers] == [True] * 4 + [False]
    peer.h2.increment_flow_control_window(100_000)
    peer.pump()
    assert [each.message for each in answers] == [framed(bytes(16_000))] * 5


def test_a_smaller_window_of_a_stream_holds_for_calls_under_way() -> None:
    held: list[Deferred[bytes]] = []
    peer = warm(Held=hold(held))
    peer.gives_credit = False
    peer.answer(b"", "Held")
    peer.answer(b"", "Held")
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    peer.pump()
    for each in held:
        each.callback(b"more than ten bytes")
    peer.pump()
    assert [peer.answers[stream].ended for stream in (3, 5)] == [False, False]
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    peer.pump()
    assert peer.answers[5].message == framed(b"more than ten bytes")


def test_clients_are_given_credit_for_what_they_send() -> None:
    peer = warm()
    read = reads_of_h2(peer)
    for _ in range(2 * CONNECTION_WINDOW // 16_000):
        assert peer.answer(bytes(16_000)).ended
    assert read == []


@pytest.mark.parametrize("seed", range(25))
def test_no_client_can_tell(seed: int) -> None:
    """The same conversation, with the short way and without it."""
    spoken = [converse(Random(seed), short) for short in (True, False)]
    assert spoken[0] == spoken[1]


def converse(random: Random, short: bool) -> Any:
    held: list[Deferred[bytes]] = []
    seen: list[Any] = []

    def see(request: bytes, context: Any) -> bytes:
        seen.append((request, context.invocation_metadata(), context.deadline))
        if len(request) % 3 == 1:
            context.set_trailing_metadata((("told", "yes"),))
        if len(request) % 3 == 2:
            raise Unavailable("not now")
        return request

    peer = Peer(See=see, Held=hold(held))
    if not short:
        peer.server._shortcut.read = lambda data: None  # type: ignore[method-assign]
    peer.gives_credit = random.random() < 0.5
    for _ in range(60):
        what = random.random()
        if what < 0.6:
            for _ in range(random.choice((1, 1, 1, 2, 5))):
                fields = {"grpc_timeout": random.choice(("5S", "9S", "100m"))}
                if random.random() < 0.2:
                    fields["user"] = random.choice("abc")
                method = random.choice(("Echo", "Echo", "See", "Held", "None"))
                size = random.choice((0, 1, 2, 200, 9000))
                if peer.h2.open_outbound_streams < LIMITS.streams:
                    peer.call(bytes(size), method, **fields)
        elif what < 0.7 and held:
            answer = held.pop(random.randrange(len(held)))
            if not answer.called:
                answer.callback(bytes(random.choice((0, 5, 20_000))))
        elif what < 0.8 and (open_ := [s for s, a in peer.answers.items() if not a.ended]):
            stream = random.choice(open_)
            if peer.answers[stream].reset is None:
                peer.h2.reset_stream(stream)
                peer.answers[stream].reset = -1
        elif what < 0.85:
            size = random.choice((10, 5_000, 65_535))
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        elif what < 0.9:
            peer.h2.increment_flow_control_window(random.choice((1, 30_000)))
        elif what < 0.95:
            peer.wait(0.1)
        else:
            peer.h2.ping(b"12345678")
        if random.random() < 0.8:
            cut = random.choice((0, 0, 0, 7, 30))
            said = peer.h2.data_to_send(cut) if cut else b""
            if said:
                peer.server.dataReceived(said)
            peer.pump()
        for stream in range(1, peer.h2.get_next_available_stream_id(), 2):
            peer.answers.setdefault(stream, Answer())
    return peer.answers, seen, peer.goaways, peer.state.kept, peer.server.calls
