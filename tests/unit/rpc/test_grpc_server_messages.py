"""Requests and answers of the gRPC server as bytes: their size, their heads, what is no call."""

import pytest
from h2.errors import ErrorCodes

from tests.fakes.grpc_peer import LIMITS, Peer
from twisted_bazaar.rpc.serving.framing import framed

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED = 0, 1, 2, 3, 4
NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 5, 7, 8, 9
UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 12, 13, 14


# Messages.


def test_a_request_that_is_no_message_is_refused() -> None:
    peer = Peer()
    assert peer.answer(b"x" * 100, grpc_encoding="gzip").status == OK
    bodies = {
        b"": UNIMPLEMENTED,
        framed(b"one") + framed(b"two"): UNIMPLEMENTED,
        framed(b"one") + b"\0": UNIMPLEMENTED,
        framed(b"cut")[:-1]: INTERNAL,
        b"\0\0\0": INTERNAL,
        b"\1" + framed(b"flag")[1:]: INTERNAL,
        b"\2" + framed(b"flag")[1:]: INTERNAL,
        b"\0\xff\xff\xff\xff": RESOURCE_EXHAUSTED,
    }
    for body, status in bodies.items():
        stream = peer.open()
        peer.h2.send_data(stream, body, end_stream=True)
        peer.pump()
        assert peer.answers[stream].status == status, body
    assert peer.state.kept == peer.server.calls == 0


def test_a_compressed_message_is_refused_with_what_would_do() -> None:
    peer = Peer()
    stream = peer.open(grpc_encoding="gzip", grpc_accept_encoding="identity, gzip")
    peer.h2.send_data(stream, b"\1" + framed(b"squeezed")[1:], end_stream=True)
    peer.pump()
    answer = peer.answers[stream]
    assert answer.status == UNIMPLEMENTED
    assert answer.head["grpc-accept-encoding"] == "identity"


def test_a_message_may_come_in_many_small_pieces() -> None:
    peer = Peer()
    stream = peer.open()
    for byte in framed(b"words"):
        peer.h2.send_data(stream, bytes([byte]), pad_length=7)
        peer.pump()
    peer.h2.end_stream(stream)
    peer.pump()
    assert peer.answers[stream].message == framed(b"words")


def test_a_large_request_is_given_credit_as_it_comes() -> None:
    peer = Peer(Size=lambda request, _: b"%d" % len(request))
    for size in (LIMITS.message_bytes, LIMITS.message_bytes + 1):
        stream, body, at = peer.open("Size"), framed(bytes(size)), 0
        peer.pump()
        while at < len(body) and not peer.answers.get(stream):
            step = min(peer.h2.local_flow_control_window(stream), 16384, len(body) - at)
            assert step > 0, "the server gives no credit"
            at += step
            peer.h2.send_data(stream, body[at - step : at], end_stream=at == len(body))
            peer.pump()
        answer = peer.answers[stream]
        if size == LIMITS.message_bytes:
            assert answer.message == framed(b"%d" % size)
        else:
            assert at < 20_000
            assert answer.status == RESOURCE_EXHAUSTED
            assert answer.details == (
                f"SERVER: Received message larger than max ({size} vs. {LIMITS.message_bytes})"
            )
    assert peer.state.kept == 0
    assert peer.lives()


def test_a_large_answer_waits_for_the_callers_credit() -> None:
    peer = Peer(
        Fill=lambda request, _: bytes(int(request)),
        Few=lambda request, _: b"few",
    )
    answer = peer.answer(b"%d" % LIMITS.message_bytes, "Fill")
    assert len(answer.message) == LIMITS.message_bytes + 5
    assert answer.status == OK
    answer = peer.answer(b"%d" % (LIMITS.message_bytes + 1), "Fill")
    assert answer.status == RESOURCE_EXHAUSTED
    assert "Sent message larger than max" in answer.details
    peer.gives_credit = False
    peer.h2.update_settings({4: 0})
    peer.pump()
    stuck = peer.answer(b"100", "Fill")
    assert (stuck.message, stuck.ended) == (b"", False)
    peer.h2.update_settings({4: 30})
    peer.pump()
    assert len(stuck.message) == 30
    peer.h2.update_settings({4: 300})
    peer.pump()
    assert len(stuck.message) == 105
    assert stuck.status == OK
    assert peer.state.kept == 0


def test_small_answers_pass_large_ones_that_are_stuck() -> None:
    peer = Peer(Fill=lambda request, _: bytes(100_000))
    stuck = [peer.call(b"", "Fill") for _ in range(3)]
    said = peer.h2.data_to_send()
    peer.server.dataReceived(said)
    peer.clock.advance(0)
    taken = peer.transport.value()
    peer.transport.clear()
    assert 65_000 < len(taken) < 66_500, "as much as HTTP/2 begins with"
    peer._received(taken)
    peer.pump()
    assert all(len(peer.answers[stream].message) == 100_005 for stream in stuck)


# What is not gRPC.


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({":method": "GET"}, "405"),
        ({"content-type": "text/html"}, "415"),
        ({"content-type": "application/grpc-web"}, "415"),
        ({"content-type": None}, "415"),
    ],
)
def test_what_is_no_call_of_grpc_has_an_answer_of_http(
    fields: dict[str, str | None], status: str
) -> None:
    peer = Peer()
    answer = peer.answer(b"x", **fields)
    assert answer.head == {":status": status, "content-length": "0"}
    assert answer.ended
    assert peer.lives()


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;x=y"])
def test_a_content_type_may_say_more(kind: str) -> None:
    assert Peer().answer(b"x", content_type=kind).status == OK


@pytest.mark.parametrize(
    "fields",
    [
        {":path": None},
        {":path": ""},
        {":scheme": None},
        {":method": None},
        {":unknown": "x"},
        {"te": "gzip"},
        {"connection": "close"},
        {"transfer-encoding": "chunked"},
        {"Upper": "x"},
        {"sp ace": "x"},
        {"": "x"},
        {"some": "a\nb"},
        {"some": "a\0b"},
    ],
    ids=str,
)
def test_a_head_that_breaks_the_rules_of_http_is_reset(fields: dict[str, str | None]) -> None:
    peer = Peer()
    answer = peer.answer(b"x", **fields)
    assert answer.reset == ErrorCodes.PROTOCOL_ERROR
    assert peer.lives()


def test_pseudo_fields_come_once_and_first() -> None:
    peer = Peer()
    head = [(":method", "POST"), (":scheme", "http"), ("te", "trailers"), (":path", "/S/Echo")]
    for fields in (head, [(":path", "/S/Echo"), *head]):
        stream = peer.open_with(fields, end=True)
        peer.pump()
        assert peer.answers[stream].reset == ErrorCodes.PROTOCOL_ERROR
    assert peer.lives()


def test_an_unknown_method_is_refused_before_its_message_comes() -> None:
    peer = Peer()
    stream = peer.open("Nope")
    peer.pump()
    answer = peer.answers[stream]
    assert (answer.status, answer.details) == (UNIMPLEMENTED, "Method not found!")
    assert answer.reset == ErrorCodes.NO_ERROR
    assert peer.answer(b"x", **{":path": "/T/Echo"}).status == UNIMPLEMENTED
    assert peer.answer(b"x", **{":path": "\xff\u2028"}).status == UNIMPLEMENTED
    assert peer.lives()


def test_trailers_of_a_request_are_taken() -> None:
    peer = Peer()
    stream = peer.open()
    peer.h2.send_data(stream, framed(b"words"))
    peer.h2.send_headers(stream, [("some", "trailer")], end_stream=True)
    peer.pump()
    assert peer.answers[stream].message == framed(b"words")
