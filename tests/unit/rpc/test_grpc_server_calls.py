"""Calls on one connection of the gRPC server, by a client that talks h2: no network, no time."""

from contextlib import suppress
from typing import Any

import grpc
import pytest
from h2.errors import ErrorCodes
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from tests.fakes.grpc_peer import LIMITS, Peer, hold
from twisted_bazaar.errors import (
    Malformed,
    NotAuthorised,
    NotLeader,
    NotOurs,
    Overloaded,
    Unavailable,
)
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.methods import blocking

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED = 0, 1, 2, 3, 4
NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 5, 7, 8, 9
UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 12, 13, 14


# Answers.


def test_a_handler_may_answer_at_once_later_or_as_a_coroutine() -> None:
    async def coroutine(request: bytes, context: Any) -> bytes:
        return await succeed(request) + b"!"

    held: list[Deferred[bytes]] = []
    peer = Peer(Coroutine=coroutine, Later=hold(held))
    answer = peer.answer(b"words")
    assert (answer.message, answer.status, answer.ended) == (framed(b"words"), OK, True)
    assert answer.head == {":status": "200", "content-type": "application/grpc"}
    assert peer.answer(b"words", "Coroutine").message == framed(b"words!")
    later = peer.answer(b"", "Later")
    assert not later.ended
    held[0].callback(b"at last")
    peer.pump()
    assert (later.message, later.status) == (framed(b"at last"), OK)


def test_what_blocks_runs_on_a_thread() -> None:
    class Servicer:
        runs_on_a_thread = True

        def wait(self, request: bytes, context: Any) -> bytes:
            return b"waited"

    marked = blocking(lambda request, context: request)
    peer = Peer(Marked=marked, OfAClass=Servicer().wait)
    calls = [peer.answer(b"x", "Marked"), peer.answer(b"", "OfAClass")]
    assert not any(call.ended for call in calls)
    peer.threads.run()
    peer.pump()
    assert [call.message for call in calls] == [framed(b"x"), framed(b"waited")]


def test_a_coroutine_may_have_a_part_of_it_done_on_a_thread() -> None:
    async def behaviour(request: bytes, context: Any) -> bytes:
        return await context.defer(bytes.upper, request)

    peer = Peer(Behaviour=behaviour)
    call = peer.answer(b"words", "Behaviour")
    peer.threads.run()
    peer.pump()
    assert call.message == framed(b"WORDS")


def test_a_large_answer_may_be_encoded_on_a_thread() -> None:
    async def behaviour(request: bytes, context: Any) -> bytes:
        return await context.defer(lambda: b"encoded " + request)

    def encode(answer: object) -> bytes:
        raise AssertionError("it is encoded")

    peer = Peer()
    handler = grpc.unary_unary_rpc_method_handler(behaviour, response_serializer=encode)
    peer.state.methods.add_registered_method_handlers("S", {"Large": handler})
    call = peer.answer(b"words", "Large")
    peer.threads.run()
    peer.pump()
    assert call.message == framed(b"encoded words")


def test_answers_go_out_in_the_turn_in_which_they_are_made_and_in_one_write() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    streams = [peer.call(b"now"), peer.call(method="Later"), peer.call(method="Later")]
    peer.transport.writes.clear()
    peer.pump()
    assert len(peer.transport.writes) == 1
    for count, answer in enumerate(held, 2):
        answer.callback(b"later")
        assert len(peer.transport.writes) == count
    peer.pump()
    assert len(peer.transport.writes) == 3
    assert all(peer.answers[stream].status == OK for stream in streams)


def test_metadata_goes_both_ways() -> None:
    seen: list[Any] = []

    def behaviour(request: bytes, context: Any) -> bytes:
        seen.extend(context.invocation_metadata())
        assert context.peer() == "ipv4:192.168.1.1:54321"
        context.send_initial_metadata([("first", "1"), ("raw-bin", b"\0\xff")])
        context.set_trailing_metadata([("last", "2")])
        return request

    peer = Peer(Behaviour=behaviour)
    answer = peer.answer(b"", "Behaviour", some="words", of_bin="AAE,Ag")
    assert seen == [("some", "words"), ("of-bin", b"\0\1"), ("of-bin", b"\2")]
    assert (answer.head["first"], answer.head["raw-bin"]) == ("1", "AP8")
    assert answer.trailers == {"grpc-status": "0", "last": "2"}


@pytest.mark.parametrize("metadata", [("Upper", "x"), ("grpc-x", "x"), ("a", "ü"), ("a-bin", "x")])
def test_metadata_that_grpc_cannot_carry_is_a_bug(
    metadata: tuple[str, str], logged_failures: list[Failure]
) -> None:
    def behaviour(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata([metadata])
        return request

    assert Peer(Behaviour=behaviour).answer(b"", "Behaviour").status == INTERNAL
    assert len(logged_failures) == 1
    logged_failures.clear()


# Errors.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotLeader(), FAILED_PRECONDITION),
        (NotOurs("other"), NOT_FOUND),
        (Overloaded("full"), RESOURCE_EXHAUSTED),
        (Unavailable("später: 100 %"), UNAVAILABLE),
        (Malformed("term"), INVALID_ARGUMENT),
        (NotAuthorised("who"), PERMISSION_DENIED),
    ],
)
def test_an_error_of_ours_has_its_status_and_says_so(error: Exception, status: int) -> None:
    def behaviour(request: bytes, context: Any) -> bytes:
        raise error

    answer = Peer(Behaviour=behaviour).answer(b"", "Behaviour")
    assert answer.status == status
    assert answer.head["bazaar"] == "said"
    expected = str(error).replace("%", "%25").replace("ä", "%C3%A4")
    assert answer.details == expected


def test_an_unexpected_error_is_logged_and_named_and_says_nothing_else(
    logged_failures: list[Failure],
) -> None:
    def at_once(request: bytes, context: Any) -> bytes:
        raise ValueError("a secret")

    async def later(request: bytes, context: Any) -> bytes:
        raise ValueError("a secret")

    def wrong(request: bytes, context: Any) -> Any:
        return "no bytes"

    peer = Peer(AtOnce=at_once, Later=later, Wrong=wrong, OnAThread=blocking(at_once))
    names = set()
    for method in ("AtOnce", "Later", "Wrong", "OnAThread"):
        answer = peer.answer(b"", method)
        peer.threads.run()
        peer.pump()
        assert answer.status == INTERNAL
        assert answer.details.startswith("unexpected error: call ")
        names.add(answer.details)
    assert len(names) == len(logged_failures) == 4
    logged_failures.clear()
    assert peer.lives()


def test_a_handler_may_end_its_call_as_with_grpcio() -> None:
    def aborts(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata([("why", "so")])
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing")
        raise AssertionError("abort raises")

    def sets(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("set")
        return request

    peer = Peer(Aborts=aborts, Sets=sets)
    answer = peer.answer(b"", "Aborts")
    assert (answer.status, answer.details, answer.head["why"]) == (NOT_FOUND, "nothing", "so")
    answer = peer.answer(b"", "Sets")
    assert (answer.status, answer.details) == (NOT_FOUND, "set")


def test_details_are_cut_where_a_caller_would_refuse_them() -> None:
    def behaviour(request: bytes, context: Any) -> bytes:
        raise Unavailable("ü" * 100_000)

    answer = Peer(Behaviour=behaviour).answer(b"", "Behaviour")
    assert answer.status == UNAVAILABLE
    assert 4000 < len(answer.details) <= 4096


# Deadlines.


def test_the_deadline_reaches_the_handler() -> None:
    left: list[Any] = []

    def behaviour(request: bytes, context: Any) -> bytes:
        left.append(context.time_remaining())
        return b""

    peer = Peer(Behaviour=behaviour)
    for timeout in ("2H", "3M", "4S", "500m", "600u", "700n", "99999999H", None):
        peer.answer(b"", "Behaviour", grpc_timeout=timeout)
    seconds = [7200.0, 180.0, 4.0, 0.5, 6e-4, 7e-7, 99999999 * 3600.0]
    assert left[:-1] == pytest.approx(seconds)
    assert left[-1] is None


@pytest.mark.parametrize("timeout", ["", "5", "S", "-1S", "5s", "123456789S", "1 S", "1.5S"])
def test_a_timeout_that_is_none_ends_the_call(timeout: str) -> None:
    answer = Peer().answer(b"", grpc_timeout=timeout)
    assert (answer.status, answer.ended) == (INTERNAL, True)


def test_a_call_whose_time_is_over_ends_and_its_handler_is_told() -> None:
    ends: list[str] = []

    async def cancellable(request: bytes, context: Any) -> bytes:
        context.add_callback(lambda: ends.append("callback"))
        try:
            return await Deferred()
        except CancelledError:
            ends.append("cancelled")
            assert not context.is_active()
            raise

    peer = Peer(Cancellable=cancellable)
    answer = peer.answer(b"", "Cancellable", grpc_timeout="1S")
    peer.wait(0.9)
    assert not answer.ended
    peer.wait(0.2)
    assert (answer.status, answer.ended) == (DEADLINE_EXCEEDED, True)
    assert ends == ["callback", "cancelled"]
    assert peer.lives()


def stubborn(held: list[Deferred[bytes]]) -> Any:
    """A behaviour that goes on although it is cancelled."""

    async def behaviour(request: bytes, context: Any) -> bytes:
        with suppress(CancelledError):
            await Deferred()
        held.append(Deferred())
        return await held[-1]

    return behaviour


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Stubborn=stubborn(held), Later=hold(held))
    for method in ("Stubborn", "Stubborn", "Later"):
        answer = peer.answer(b"", method, grpc_timeout="1S")
        peer.wait(1.1)
        assert answer.status == DEADLINE_EXCEEDED
    assert peer.server.working == 2
    held[0].callback(b"late")
    held[1].errback(NotLeader())
    held[2].callback(b"late")
    assert peer.server.working == 0
    assert peer.lives()


def test_an_error_that_comes_too_late_is_still_logged(logged_failures: list[Failure]) -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Stubborn=stubborn(held))
    peer.answer(b"", "Stubborn", grpc_timeout="1S")
    peer.wait(1.1)
    held[0].errback(ValueError("a bug"))
    assert len(logged_failures) == 1
    logged_failures.clear()


def test_a_call_without_a_deadline_has_that_of_the_server() -> None:
    peer = Peer(Later=hold([]))
    answer = peer.answer(b"", "Later")
    peer.wait(LIMITS.answer - 0.2)
    assert not answer.ended
    peer.wait(0.4)
    assert answer.status == DEADLINE_EXCEEDED


def test_a_call_that_has_no_time_left_is_not_begun() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    assert peer.answer(b"", "Later", grpc_timeout="0m").status == DEADLINE_EXCEEDED
    stream = peer.open("Later", grpc_timeout="100m")
    peer.pump()
    peer.clock.advance(0.2)
    peer.h2.send_data(stream, framed(b""), end_stream=True)
    peer.pump()
    assert peer.answers[stream].status == DEADLINE_EXCEEDED
    assert held == []


# Cancellation.


def test_a_reset_cancels_the_handler() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    stream = peer.call(method="Later")
    peer.pump()
    peer.h2.reset_stream(stream, ErrorCodes.CANCEL)
    peer.pump()
    assert held[0].called
    assert peer.server.working == peer.server.calls == peer.state.kept == 0
    assert peer.lives()


def test_a_call_that_was_reset_before_it_was_read_is_not_begun() -> None:
    """A process that stood still for a while must not decide trades of long ago."""
    begun: list[bytes] = []
    peer = Peer(Begin=lambda request, _: begun.append(request) or b"")
    for _ in range(3):
        stream = peer.call(b"x", "Begin")
        peer.h2.reset_stream(stream)
    peer.pump()
    assert begun == []
    assert peer.lives()


def test_a_handler_on_a_thread_counts_until_it_is_done_and_is_not_begun_in_vain() -> None:
    begun: list[bytes] = []
    wait = blocking(lambda request, _: begun.append(request) or b"")
    peer = Peer(Wait=wait)
    for _ in range(LIMITS.streams):
        stream = peer.call(b"x", "Wait")
        peer.pump()
        peer.h2.reset_stream(stream)
        peer.pump()
    assert (peer.server.calls, peer.server.working) == (0, LIMITS.streams)
    assert peer.state.kept == LIMITS.streams * len(framed(b"x"))
    assert peer.answer(b"").reset == ErrorCodes.REFUSED_STREAM
    peer.threads.run()
    assert (begun, peer.server.working, peer.state.kept) == ([], 0, 0)
    assert peer.lives()


def test_an_unexpected_error_on_a_thread_after_the_call_is_logged(
    logged_failures: list[Failure],
) -> None:
    def breaks() -> None:
        raise ValueError("a bug")

    async def behaviour(request: bytes, context: Any) -> bytes:
        await context.defer(breaks)
        return b""

    peer = Peer(Behaviour=behaviour)
    stream = peer.call(b"", "Behaviour")
    peer.pump()
    [(answer, _)] = peer.threads.waiting
    peer.threads.waiting = [(answer, breaks)]  # it had begun before the call ended
    peer.h2.reset_stream(stream)
    peer.pump()
    assert peer.server.working == 1
    peer.threads.run()
    assert peer.server.working == 0
    assert len(logged_failures) == 1
    logged_failures.clear()


def test_a_handler_does_not_go_on_after_its_deadline() -> None:
    begun: list[bytes] = []

    async def behaviour(request: bytes, context: Any) -> bytes:
        begun.append(await context.defer(bytes.upper, request))
        return b""

    peer = Peer(Behaviour=behaviour, Blocks=blocking(lambda request, _: request))
    for method in ("Behaviour", "Blocks"):
        answer = peer.answer(b"trade", method, grpc_timeout="1S")
        peer.clock.advance(1.5)  # nothing is swept
        peer.threads.run()
        peer.pump()
        assert answer.status == DEADLINE_EXCEEDED
    assert begun == []
    assert peer.server.working == peer.state.kept == 0


def test_a_lost_connection_cancels_its_handlers() -> None:
    held: list[Deferred[bytes]] = []
    peer = Peer(Later=hold(held))
    peer.call(method="Later")
    peer.open()
    peer.pump()
    peer.server.connectionLost()
    assert held[0].called
    assert peer.lost
    assert peer.server.calls == peer.state.kept == 0
    held.clear()
