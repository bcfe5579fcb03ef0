"""Being called by peers: greetings, errors, bounds, callers that misbehave, and an orderly stop."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from tests.fakes.frame_world import (
    ECHO,
    FAIL,
    GREETING_OF_1,
    HOLD,
    SOON,
    Scripted,
    World,
    error_of,
)
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import InvariantBroken, Malformed, NotAuthorised, Unavailable
from twisted_bazaar.rpc.frames import server
from twisted_bazaar.rpc.frames.format import (
    ANSWER,
    GREETING,
    MAGIC,
    PING,
    PONG,
    REFUSAL,
    Greeting,
    decode_refusal,
    decode_welcome,
    encode_greeting,
    frame,
)
from twisted_bazaar.rpc.frames.server import GRACE_SECONDS, MAX_CALLS, MAX_CONNECTIONS, Bounds
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES

NOTICED_SECONDS = 3.0
GREETED = MAGIC + frame(0, GREETING, encode_greeting(GREETING_OF_1))
UNAVAILABLE, EXHAUSTED, INTERNAL, INVALID = 14, 8, 13, 3


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.listen()
    yield world
    await world.stop()


async def caller(world: World, *said: bytes) -> Scripted:
    """A caller that says what the test has it say."""
    at = TCP4ClientEndpoint(world.reactor, "127.0.0.1", world.port)
    calling: Any = await at.connect(Factory.forProtocol(lambda: Scripted(world)))
    calling.say(*said)
    assert isinstance(calling, Scripted)
    return calling


async def frames_of(world: World, calling: Scripted, count: int) -> list[tuple[int, int, bytes]]:
    """What the server has said, after its greeting, once it is so many frames."""
    await world.until(lambda: len(calling.frames) >= count + 1)
    return calling.frames[1:]


# Greetings.


@pytest_twisted.ensureDeferred
async def test_requests_may_come_with_the_greeting(world: World) -> None:
    calling = await caller(world, GREETED, frame(1, ECHO, b"a"), frame(2, ECHO, b"b"))
    assert await frames_of(world, calling, 2) == [(1, ANSWER, b"a"), (2, ANSWER, b"b")]
    assert decode_welcome(calling.frames[0][2]).version == 1


@pytest.mark.parametrize(
    "greeting",
    [
        Greeting(service="order", sender=1, to=3, cluster="ours"),
        Greeting(service="order", sender=1, to=2, cluster="ours", least=7, most=9),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_caller_that_means_another_is_told_so_and_not_served(
    world: World, greeting: Greeting
) -> None:
    said = frame(0, GREETING, encode_greeting(greeting))
    calling = await caller(world, MAGIC, said, frame(1, HOLD, b""))
    await world.until(lambda: calling.lost)
    assert len(calling.frames) == 1
    welcome = decode_welcome(calling.frames[0][2])
    if greeting.to == 3:
        assert (welcome.sender, welcome.refusal) == (2, "this is replica 2, not replica 3")
    else:
        assert welcome.version == 0
    assert world.held == []


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        MAGIC + frame(0, GREETING, b"{}"),
        MAGIC + frame(1, HOLD, b""),
        MAGIC + frame(0, GREETING, bytes(4097)),
        MAGIC + frame(0, GREETING, bytes(100_000))[:9],
        GREETED + frame(0, GREETING, encode_greeting(GREETING_OF_1)),
        GREETED + frame(1, ANSWER, b""),
        GREETED + frame(1, HOLD, b"") + frame(1, HOLD, b""),
        GREETED + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big") + bytes(5),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_caller_that_says_garbage_is_closed(world: World, said: bytes) -> None:
    good = await caller(world, GREETED)
    calling = await caller(world, said)
    await world.until(lambda: calling.lost, 1.0)
    good.say(frame(1, ECHO, b"on"))
    assert await frames_of(world, good, 1) == [(1, ANSWER, b"on")]


@pytest_twisted.ensureDeferred
async def test_a_caller_that_never_greets_is_closed_however_often_it_says_something(
    world: World,
) -> None:
    calling = await caller(world, MAGIC)
    ends = time.monotonic() + NOTICED_SECONDS
    while calling.lost is None:
        assert time.monotonic() < ends
        calling.say(frame(0, PING, b""))
        await world.sleep(0.1)


# Answers.


@pytest_twisted.ensureDeferred
async def test_a_bug_behind_a_call_promises_nothing_and_the_server_serves_on(
    world: World, logged_failures: list[Failure]
) -> None:
    world.channel.startService()

    def broken() -> None:
        raise InvariantBroken("a bug")

    failing: list[Callable[[], Any]] = [broken, lambda: fail(InvariantBroken("a bug"))]
    failing += [lambda: succeed("not bytes"), lambda: None]
    for world.failing in failing:
        error = await error_of(world.channel.call(FAIL, b"", SOON))
        assert type(error) is Unavailable
        assert "internal: unexpected error: call " in str(error)
        assert "bug" not in str(error)
        assert len(logged_failures) == 1
        logged_failures.clear()
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest_twisted.ensureDeferred
async def test_what_is_refused_is_told_the_operator_and_does_not_fill_the_log(
    world: World,
) -> None:
    world.channel.startService()
    for error in (Malformed("term must be from 0 to 7"), NotAuthorised("no"), Malformed("again")):
        world.failing = lambda error=error: fail(error)  # type: ignore[misc]
        assert isinstance(await error_of(world.channel.call(FAIL, b"", SOON)), Exception)
    (line,) = [line for line in world.said if "was refused" in line]
    assert line.startswith("warn: Fail from IPv4Address(")
    assert line.endswith("term must be from 0 to 7 (0 more since the last line like this)")


@pytest_twisted.ensureDeferred
async def test_what_is_not_served_here_is_refused(world: World) -> None:
    calling = await caller(world, GREETED, frame(5, 77, b""))
    ((id_, kind, body),) = await frames_of(world, calling, 1)
    assert (id_, kind) == (5, REFUSAL)
    assert decode_refusal(body) == (UNAVAILABLE, "a request of kind 77 is not served here")


@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_too_long_is_none(world: World) -> None:
    world.channel.startService()
    world.failing = lambda: succeed(bytes(MAX_MESSAGE_BYTES + 1))
    error = await error_of(world.channel.call(FAIL, b"", SOON))
    assert "the answer is too long" in str(error)
    assert world.channel.connected


@pytest_twisted.ensureDeferred
async def test_an_answer_for_a_caller_that_is_gone_is_dropped(world: World) -> None:
    calling = await caller(world, GREETED, frame(1, HOLD, b""))
    await world.until(lambda: world.held)
    calling.out.abortConnection()
    await world.until(lambda: not world.server.connections._open)
    world.held[0].callback(b"late")


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_never_answered_is_refused_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LONGEST_WAIT_TICKS", 1)
    calling = await caller(world, GREETED, frame(1, HOLD, b""), frame(2, HOLD, b""))
    got = await frames_of(world, calling, 2)
    assert [(id_, kind) for id_, kind, _ in got] == [(1, REFUSAL), (2, REFUSAL)]
    assert decode_refusal(got[0][2]) == (UNAVAILABLE, "the answer took too long")
    world.held[0].callback(b"late")
    calling.say(frame(3, ECHO, b"on"))
    assert (await frames_of(world, calling, 3))[2:] == [(3, ANSWER, b"on")]


# Bounds.


@pytest_twisted.ensureDeferred
async def test_the_calls_of_one_caller_are_bounded(world: World) -> None:
    said = b"".join(frame(id_, HOLD, b"") for id_ in range(1, MAX_CALLS + 2))
    calling = await caller(world, GREETED, said)
    ((id_, kind, body),) = await frames_of(world, calling, 1)
    assert (id_, kind, body[0]) == (MAX_CALLS + 1, REFUSAL, EXHAUSTED)
    assert len(world.held) == MAX_CALLS
    world.held[0].callback(b"one")
    calling.say(frame(MAX_CALLS + 1, ECHO, b"another"))
    assert (await frames_of(world, calling, 3))[1:] == [
        (1, ANSWER, b"one"),
        (MAX_CALLS + 1, ANSWER, b"another"),
    ]


@pytest_twisted.ensureDeferred
async def test_connections_are_bounded_and_none_keeps_out_another(world: World) -> None:
    first = await caller(world, GREETED, frame(1, ECHO, b"a"))
    await frames_of(world, first, 1)
    others = [await caller(world, GREETED) for _ in range(MAX_CONNECTIONS - 1)]
    await world.until(lambda: all(each.frames for each in others))
    further = await caller(world, GREETED, frame(1, ECHO, b"on"))
    assert await frames_of(world, further, 1) == [(1, ANSWER, b"on")]
    await world.until(lambda: others[0].lost)
    assert len(world.server.connections) == MAX_CONNECTIONS
    assert [each.lost for each in (first, *others[1:])] == [None] * (MAX_CONNECTIONS - 1)


@pytest_twisted.ensureDeferred
async def test_connections_with_calls_under_way_are_not_closed_for_another(world: World) -> None:
    world.server.connections._serving.bounds = Bounds(connections=2)
    busy = [await caller(world, GREETED, frame(1, HOLD, b"")) for _ in range(2)]
    await world.until(lambda: len(world.held) == 2)
    further = await caller(world, GREETED)
    await world.until(lambda: further.lost)
    assert [each.lost for each in busy] == [None, None]


@pytest_twisted.ensureDeferred
async def test_incomplete_frames_of_many_connections_are_bounded_together(world: World) -> None:
    """What is announced takes no memory; what has arrived does."""
    world.server.connections._serving.bounds = Bounds(held=1_000_000)
    announced = frame(1, ECHO, bytes(MAX_MESSAGE_BYTES))
    callers = [await caller(world, GREETED, announced[:1000]) for _ in range(10)]
    callers += [await caller(world, GREETED, announced[:size]) for size in (400_000, 500_000)]
    await world.until(lambda: world.server.connections._serving.held == 10 * 1000 + 900_000)
    assert not any(each.lost for each in callers)
    honest = await caller(world, GREETED, frame(7, ECHO, bytes(300_000)))
    assert [id_ for id_, _, _ in await frames_of(world, honest, 1)] == [7]
    await world.until(lambda: callers[-1].lost)
    assert not any(each.lost for each in callers[:-1])
    await world.until(lambda: world.server.connections._serving.held == 10 * 1000 + 400_000)
    for each in callers:
        each.out.abortConnection()
    await world.until(lambda: world.server.connections._serving.held == 0)


@pytest_twisted.ensureDeferred
async def test_requests_that_are_not_answered_yet_are_bounded_together(world: World) -> None:
    world.server.connections._serving.bounds = Bounds(held=1000)
    first = await caller(world, GREETED, frame(1, HOLD, bytes(600)))
    await world.until(lambda: world.held)
    second = await caller(world, GREETED, frame(2, HOLD, bytes(600)))
    ((id_, kind, body),) = await frames_of(world, second, 1)
    assert (id_, kind) == (2, REFUSAL)
    assert decode_refusal(body) == (EXHAUSTED, "too many bytes are under way")
    world.held[0].callback(b"done")
    assert await frames_of(world, first, 1) == [(1, ANSWER, b"done")]
    second.say(frame(3, HOLD, bytes(600)))
    await world.until(lambda: len(world.held) == 2)
    second.out.abortConnection()
    await world.until(lambda: world.server.connections._serving.held == 0)


@pytest_twisted.ensureDeferred
async def test_a_caller_that_does_not_read_is_read_no_more_and_then_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STUCK_TICKS", 3)
    calling = await caller(world, GREETED)
    await world.until(lambda: calling.frames)
    calling.out.pauseProducing()
    asked = 0

    def kept() -> int:
        (end,) = world.server.connections._open
        return int(len(end._out.dataBuffer) + end._out._tempDataLen)

    while asked < 40:
        asked += 1
        calling.say(frame(asked, ECHO, bytes(2_000_000)))
        await world.sleep(0.005)
    assert 0 < kept() < 10_000_000, "of 80 MB that were asked for"
    await world.until(lambda: not world.server.connections._open, NOTICED_SECONDS)
    calling.out.resumeProducing()


@pytest_twisted.ensureDeferred
async def test_a_caller_that_reads_late_gets_all_it_asked_for(world: World) -> None:
    """It is not taken for silent while the server reads nothing from it."""
    calling = await caller(world, GREETED)
    await world.until(lambda: calling.frames)
    calling.out.pauseProducing()
    for id_ in range(1, 11):
        calling.say(frame(id_, ECHO, bytes(2_000_000)))
    await world.sleep(NOTICED_SECONDS)
    calling.out.resumeProducing()
    got = await frames_of(world, calling, 10)
    assert [(id_, len(body)) for id_, _, body in got] == [(n, 2_000_000) for n in range(1, 11)]


@pytest_twisted.ensureDeferred
async def test_a_caller_that_goes_silent_is_asked_and_then_closed(world: World) -> None:
    calling = await caller(world, GREETED)
    await world.until(lambda: calling.lost, NOTICED_SECONDS)
    assert [kind for _, kind, _ in calling.frames[1:]] == [PING]


@pytest_twisted.ensureDeferred
async def test_pings_are_answered(world: World) -> None:
    calling = await caller(world, GREETED, frame(0, PING, b""))
    assert await frames_of(world, calling, 1) == [(0, PONG, b"")]


# The end.


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_the_calls_under_way_finish_and_begins_no_more(world: World) -> None:
    calling = await caller(world, GREETED, frame(1, HOLD, b""))
    idle = await caller(world, GREETED)
    early = await caller(world, MAGIC)
    await world.until(lambda: world.held and idle.frames and early.heard)
    stopped: list[object] = []
    world.server.stopService().addCallback(stopped.append)
    await world.until(lambda: idle.lost and early.lost)
    calling.say(frame(2, HOLD, b""))
    ((id_, kind, body),) = await frames_of(world, calling, 1)
    assert (id_, kind) == (2, REFUSAL)
    assert decode_refusal(body) == (UNAVAILABLE, "this process is stopping")
    late = await caller(world, GREETED)
    await world.until(lambda: late.lost)
    assert stopped == []
    world.held[0].callback(b"done")
    await world.until(lambda: stopped and calling.lost)
    assert (await frames_of(world, calling, 2))[1:] == [(1, ANSWER, b"done")]
    assert len(world.held) == 1


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert GRACE_SECONDS == 5.0
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.2)
    calling = await caller(world, GREETED, frame(1, HOLD, b""))
    await world.until(lambda: world.held)
    started = time.monotonic()
    await world.server.stopService()
    assert 0.2 <= time.monotonic() - started < 1.0
    await world.until(lambda: calling.lost)


@pytest_twisted.ensureDeferred
async def test_a_stop_with_no_connection_is_over_at_once(world: World) -> None:
    stopped: Deferred[None] = world.server.stopService()
    assert stopped.called
