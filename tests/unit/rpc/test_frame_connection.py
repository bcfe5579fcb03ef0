"""The connection to a peer: lost, silent, misled, of an earlier release, and found again."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.fakes.frame_world import (
    ECHO,
    SOON,
    WELCOME_OF_2,
    World,
    error_of,
    outcomes_of,
)
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import (
    NotOurs,
    Unavailable,
)
from twisted_bazaar.rpc.frames.channel import NotFrames
from twisted_bazaar.rpc.frames.format import ANSWER, MAGIC, PING, PONG, frame

NOTICED_SECONDS = 3.0
"""Within two seconds a silent connection is given up, and a little later on a busy machine."""


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


# A connection that is lost.


@pytest_twisted.ensureDeferred
async def test_each_call_under_way_fails_once_when_the_connection_is_lost(world: World) -> None:
    far = await world.far_end()
    calls = [world.channel.call(ECHO, b"%d" % n, SOON) for n in range(20)]
    outcomes = outcomes_of(calls)
    await world.until(lambda: len(far.requests()) == 20)
    calls[3].cancel()
    far.say(frame(far.requests()[0][0], ANSWER, b"answered"))
    await world.until(lambda: outcomes[1:])
    far.out.abortConnection()
    await world.until(lambda: len(outcomes) == 20)
    kinds = [type(each) for each in outcomes]
    assert (kinds.count(CancelledError), kinds.count(Unavailable)) == (1, 18)
    assert outcomes[1] == b"answered"
    assert "the connection was lost" in str(outcomes[-1])
    await world.sleep(0.05)
    assert len(outcomes) == 20
    assert world.channel._under_way == 0


@pytest_twisted.ensureDeferred
async def test_what_is_called_because_a_call_failed_goes_to_the_next_connection(
    world: World,
) -> None:
    far = await world.far_end()
    answers: list[object] = []

    def again(failure: Failure) -> None:
        failure.trap(Unavailable)
        world.channel.call(ECHO, b"again", SOON).addBoth(answers.append)

    await world.sleep(1.1)  # A connection that was lost earlier is not replaced at once.
    world.channel.call(ECHO, b"", SOON).addErrback(again)
    await world.until(far.requests)
    far.out.abortConnection()
    await world.until(lambda: len(world.scripted) == 2 and world.scripted[1].frames)
    world.scripted[1].welcome()
    await world.until(world.scripted[1].requests)
    ((id_, _, body),) = world.scripted[1].requests()
    assert body == b"again"
    world.scripted[1].say(frame(id_, ANSWER, b"now"))
    await world.until(lambda: answers == [b"now"])


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_not_there_is_unavailable_at_once(world: World) -> None:
    world.listen()
    await world.close()
    world.channel.startService()
    started = time.monotonic()
    first = await error_of(world.channel.call(ECHO, b"", SOON))
    second = await error_of(world.channel.call(ECHO, b"", SOON))
    assert (type(first), type(second)) == (Unavailable, Unavailable)
    assert "peer: no connection: Connection was refused" in str(second)
    assert time.monotonic() - started < 0.5


@pytest_twisted.ensureDeferred
async def test_a_peer_that_restarts_is_reached_again_within_a_second(world: World) -> None:
    await world.start()
    await world.close()
    await world.server.stopService()
    down_since = time.monotonic()
    while time.monotonic() - down_since < 1.2:  # for which pauses would grow
        assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is Unavailable
        await world.sleep(0.02)
    world.server = world.new_server()
    world.factory = world.server.connections
    world.listen()
    started = time.monotonic()
    await world.connected()
    assert time.monotonic() - started < 0.8
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_known_to_live_is_tried_at_once(world: World) -> None:
    world.listen()
    await world.close()
    world.channel.startService()
    await world.sleep(1.2)  # until pauses are half a second
    world.script()
    world.listen()
    await world.until(lambda: world.scripted and world.scripted[0].frames)
    world.scripted[0].welcome(replace(WELCOME_OF_2, version=0))
    await world.sleep(0.1)  # From now on there would be a pause of seconds.
    world.channel.retry()
    await world.until(lambda: len(world.scripted) == 2, 0.5)


@pytest_twisted.ensureDeferred
async def test_retry_leaves_a_good_connection_alone(world: World) -> None:
    await world.start()
    world.channel.retry()
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"
    assert len(world.greetings) == 1


@pytest_twisted.ensureDeferred
async def test_a_peer_that_greets_and_closes_is_not_tried_again_and_again(world: World) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        for far in world.scripted:
            if far.frames and not far.out.disconnecting:
                far.welcome()
                far.out.loseConnection()
        await world.sleep(0.002)
    assert 2 <= len(world.scripted) < 9


@pytest_twisted.ensureDeferred
async def test_a_call_that_failed_before_there_was_a_connection_is_never_sent(
    world: World,
) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    call = world.channel.call(ECHO, b"stale", SOON)
    await world.until(lambda: world.scripted)
    world.scripted[0].out.abortConnection()
    assert type(await error_of(call)) is Unavailable
    await world.until(lambda: len(world.scripted) == 2 and world.scripted[1].frames)
    late = world.channel.call(ECHO, b"late", 0.05)
    cancelled = world.channel.call(ECHO, b"cancelled", SOON)
    cancelled.cancel()
    assert type(await error_of(late)) is Unavailable
    assert type(await error_of(cancelled)) is CancelledError
    world.scripted[1].welcome()
    await world.connected()
    world.channel.call(ECHO, b"sent", SOON).addErrback(lambda _: None)
    await world.until(world.scripted[1].requests)
    assert [body for _, _, body in world.scripted[1].requests()] == [b"sent"]


# Peers that go silent.


@pytest_twisted.ensureDeferred
async def test_a_peer_that_stops_reading_is_given_up_and_its_calls_fail(world: World) -> None:
    far = await world.far_end()
    far.out.pauseProducing()
    outcomes = outcomes_of([world.channel.call(ECHO, bytes(8_000_000), SOON) for _ in range(2)])
    assert "too much" not in str(outcomes)
    await world.until(lambda: len(outcomes) == 2, NOTICED_SECONDS)
    assert [type(each) for each in outcomes] == [Unavailable, Unavailable]
    assert "it went silent" in str(outcomes[0])
    await world.until(lambda: len(world.scripted) == 2)
    far.out.resumeProducing()


@pytest_twisted.ensureDeferred
async def test_a_connection_that_nobody_uses_is_watched_and_kept(world: World) -> None:
    await world.start()
    await world.sleep(NOTICED_SECONDS)
    assert world.channel.connected
    assert len(world.greetings) == 1


@pytest_twisted.ensureDeferred
async def test_a_peer_that_answers_pings_is_kept_and_one_that_stops_is_given_up(
    world: World,
) -> None:
    far = await world.far_end()
    answered = 0
    ends = time.monotonic() + NOTICED_SECONDS
    while time.monotonic() < ends:
        for _ in [each for each in far.frames if each[1] == PING][answered:]:
            far.say(frame(0, PONG, b""))
            answered += 1
        await world.sleep(0.01)
    assert answered >= 2
    assert world.channel.connected
    await world.until(lambda: far.lost, NOTICED_SECONDS)


@pytest_twisted.ensureDeferred
async def test_a_process_that_stood_still_reads_what_came_before_it_gives_up(world: World) -> None:
    far = await world.far_end()
    await world.until(lambda: any(kind == PING for _, kind, _ in far.frames), NOTICED_SECONDS)
    far.say(frame(0, PONG, b""))
    time.sleep(NOTICED_SECONDS)  # It is this process that stands still, and the answer is there.
    await world.sleep(0.3)
    assert world.channel.connected
    assert far.lost is None


@pytest_twisted.ensureDeferred
async def test_pings_of_a_peer_that_does_not_read_pile_nothing_up(world: World) -> None:
    far = await world.far_end()
    far.say(*(frame(0, PING, b"") for _ in range(1000)))
    await world.until(lambda: any(kind == PONG for _, kind, _ in far.frames))
    await world.sleep(0.05)
    assert sum(kind == PONG for _, kind, _ in far.frames) <= 2


# Who is not who was meant.


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sender": 3}, "what answers at the address of replica 2 is replica 3"),
        ({"cluster": "theirs"}, "it is of cluster theirs"),
        ({"refusal": "this is a catalog"}, "this is a catalog"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_peer_at_a_wrong_address_is_not_ours_and_is_tried_again(
    world: World, wrong: dict[str, Any], says: str
) -> None:
    world.answer = lambda greeting: replace(WELCOME_OF_2, **wrong)
    world.listen()
    world.channel.startService()
    started = time.monotonic()
    for _ in range(3):
        error = await error_of(world.channel.call(ECHO, b"", SOON))
        assert type(error) is NotOurs
        assert time.monotonic() - started < 1.5, "it is known as soon as it has said who it is"
        assert str(error) == f"peer: {says}", "the same each time: it is told the operator once"
        await world.sleep(0.1)
    world.answer = lambda greeting: WELCOME_OF_2
    await world.connected()
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown command\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        MAGIC + frame(0, ANSWER, b"{}"),
        MAGIC + frame(0, 0x84, b"{}"),
        MAGIC + b"\xff" * 9,
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_answers_with_garbage_is_not_ours_and_is_tried_again(
    world: World, said: bytes
) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    call = world.channel.call(ECHO, b"", SOON)
    await world.until(lambda: world.scripted)
    world.scripted[0].say(said)
    assert type(await error_of(call)) is NotOurs
    await world.until(lambda: len(world.scripted) == 2)
    assert world.scripted[0].lost is not None
    assert world.scripted[0].requests() == []


@pytest.mark.parametrize(
    "said", [b"\xff" * 9, frame(1, 1, b"a request"), frame(1, 0x99, b""), frame(0, 0x84, b"{}")]
)
@pytest_twisted.ensureDeferred
async def test_garbage_later_on_ends_the_connection_and_the_calls_on_it(
    world: World, said: bytes
) -> None:
    far = await world.far_end()
    call = world.channel.call(ECHO, b"", SOON)
    far.say(said)
    assert type(await error_of(call)) is Unavailable
    await world.until(lambda: len(world.scripted) == 2, 1.0)
    assert far.lost is not None


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_greets_is_given_up(world: World) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    error = await error_of(world.channel.call(ECHO, b"", SOON))
    assert type(error) is Unavailable
    assert "no greeting in time" in str(error)
    await world.until(lambda: len(world.scripted) == 2)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_does_not_come_about_is_given_up(world: World) -> None:
    tried: list[Deferred[Any]] = []

    def connect(factory: Any) -> Deferred[Any]:
        tried.append(Deferred())
        return tried[-1]

    world.connect = connect  # type: ignore[method-assign]
    world.channel.startService()
    error = await error_of(world.channel.call(ECHO, b"", SOON))
    assert type(error) is Unavailable
    assert str(error) == "peer: no connection in time"
    await world.until(lambda: len(tried) == 2)


# A peer of an earlier release.


@pytest_twisted.ensureDeferred
async def test_a_peer_that_has_grpc_only_is_seldom_tried(world: World) -> None:
    tried: list[Any] = []

    def answer(greeting: Any) -> Any:
        tried.append(greeting)
        return replace(WELCOME_OF_2, version=0)

    world.answer = answer
    world.listen()
    world.channel.startService()
    await world.sleep(1.0)
    assert len(tried) == 1


@pytest_twisted.ensureDeferred
async def test_a_peer_that_only_speaks_grpc_is_to_be_called_by_grpc(world: World) -> None:
    """Against grpcio's own server, as release 0.1 has it; and then that release is replaced."""
    old = grpc.server(ThreadPoolExecutor(1))
    world.port = old.add_insecure_port("127.0.0.1:0")
    old.start()
    world.channel.startService()
    for _ in range(2):
        error = await error_of(world.channel.call(ECHO, b"", SOON))
        assert type(error) is NotFrames
        assert str(error) == "peer: it has gRPC only"
    assert world.said_of_peer() == ["info: peer is called by gRPC: it has gRPC only"]
    await deferToThread(old.stop(0).wait)
    world.listen()
    assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is NotFrames
    world.channel.retry()
    await world.connected()
    assert await world.channel.call(ECHO, b"frames", SOON) == b"frames"
    assert world.said_of_peer()[1:] == ["info: peer speaks frames now"]


@pytest_twisted.ensureDeferred
async def test_a_peer_that_speaks_no_version_of_ours_is_to_be_called_by_grpc(world: World) -> None:
    world.answer = lambda greeting: replace(WELCOME_OF_2, version=0)
    world.listen()
    world.channel.startService()
    assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is NotFrames
    world.answer = lambda greeting: replace(WELCOME_OF_2, version=7)
    world.channel.retry()
    await world.sleep(0.1)
    assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is NotFrames


@pytest_twisted.ensureDeferred
async def test_calls_do_not_wait_while_a_peer_that_speaks_grpc_is_tried_again(world: World) -> None:
    world.answer = lambda greeting: replace(WELCOME_OF_2, version=0)
    world.listen()
    world.channel.startService()
    await error_of(world.channel.call(ECHO, b"", SOON))
    await world.close()
    world.script()
    world.listen()
    world.channel.retry()
    await world.until(lambda: world.scripted)
    started = time.monotonic()
    assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is NotFrames
    assert time.monotonic() - started < 0.5
    assert world.scripted[0].lost is None


@pytest_twisted.ensureDeferred
async def test_what_this_end_gets_wrong_is_logged_and_does_not_end_the_channel(
    world: World, logged_failures: list[Failure]
) -> None:
    def broken(welcome: Any) -> str | None:
        raise ZeroDivisionError

    world.mistake, whole = broken, world.mistake
    world.listen()
    world.channel.startService()
    error = await error_of(world.channel.call(ECHO, b"", SOON))
    assert (type(error), "unexpected error" in str(error)) == (Unavailable, True)
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()
    world.mistake = whole
    await world.connected()
    await world.until(lambda: len(world.server.connections._open) == 1, 1.0)
