"""Calls over a kept connection: their answers, deadlines and bounds, and the end."""

import time
from collections.abc import AsyncIterator
from socket import socket
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.fakes.frame_world import (
    ECHO,
    FAIL,
    GREETING_OF_1,
    HOLD,
    SOON,
    WELCOME_OF_2,
    World,
    error_of,
    outcomes_of,
)
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import (
    BazaarError,
    NotAuthorised,
    NotLeader,
    NotOurs,
    Overloaded,
    Unavailable,
)
from twisted_bazaar.rpc.frames.channel import MAX_BYTES_UNDER_WAY
from twisted_bazaar.rpc.frames.format import ANSWER, frame
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


# Calls.


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_000, MAX_MESSAGE_BYTES])
@pytest_twisted.ensureDeferred
async def test_a_call_is_answered(world: World, size: int) -> None:
    await world.start()
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await world.channel.call(ECHO, body, SOON) == body
    assert world.greetings == [GREETING_OF_1]


@pytest_twisted.ensureDeferred
async def test_a_call_waits_for_the_first_connection(world: World) -> None:
    world.listen()
    world.channel.startService()
    assert not world.channel.connected
    calls = [world.channel.call(ECHO, b"%d" % n, SOON) for n in range(3)]
    assert [await call for call in calls] == [b"0", b"1", b"2"]


class _Watched:
    """A socket that keeps how much was sent by each call."""

    def __init__(self, below: socket, sent: list[int]) -> None:
        self._below = below
        self._sent = sent

    def send(self, data: bytes) -> int:
        self._sent.append(len(data))
        return self._below.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)


@pytest_twisted.ensureDeferred
async def test_a_call_is_sent_when_it_is_made_and_not_at_the_end_of_the_turn(world: World) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    await world.until(lambda: world.scripted and world.scripted[0].frames)
    world.scripted[0].welcome()
    await world.connected()
    sent: list[int] = []
    out: Any = world.channel._connection.current._out  # type: ignore[union-attr]
    out.socket = _Watched(out.socket, sent)
    assert world.channel.leaves_at_once
    calls = []
    for made in range(50):
        assert sent == [109] * made
        calls.append(world.channel.call(ECHO, bytes(100), SOON))
    await world.until(lambda: len(world.scripted[0].requests()) == 50)
    world.scripted[0].say(*(frame(id_, ANSWER, b"") for id_, _, _ in world.scripted[0].requests()))
    assert [await call for call in calls] == [b""] * 50


@pytest_twisted.ensureDeferred
async def test_neither_end_waits_for_more_to_send(world: World) -> None:
    """As Nagle's algorithm would, for the acknowledgement of what was sent before."""
    await world.start()
    current: Any = world.channel._connection.current
    (served,) = world.server.connections._open
    assert current.transport.getTcpNoDelay()
    assert served._out.getTcpNoDelay()


@pytest_twisted.ensureDeferred
async def test_calls_are_answered_in_any_order(world: World) -> None:
    await world.start()
    first, second = (world.channel.call(HOLD, b"", SOON) for _ in range(2))
    third = world.channel.call(ECHO, b"third", SOON)
    assert await third == b"third"
    assert len(world.held) == 2
    world.held[1].callback(b"second")
    assert await second == b"second"
    assert not first.called
    world.held[0].callback(b"first")
    assert await first == b"first"


@pytest.mark.parametrize(
    "error",
    [NotLeader(), NotOurs("not meant"), Overloaded("full"), NotAuthorised("no"), Unavailable("?")],
    ids=lambda error: type(error).__name__,
)
@pytest_twisted.ensureDeferred
async def test_an_error_crosses_with_its_type(world: World, error: BazaarError) -> None:
    await world.start()

    def fail() -> None:
        raise error

    world.failing = fail
    crossed = await error_of(world.channel.call(FAIL, b"", SOON))
    assert type(crossed) is type(error)
    assert str(error) in str(crossed)
    assert world.channel.connected


@pytest_twisted.ensureDeferred
async def test_an_answer_to_nothing_is_ignored(world: World) -> None:
    far = await world.far_end()
    call = world.channel.call(ECHO, b"", SOON)
    await world.until(far.requests)
    (id_, _, _) = far.requests()[0]
    far.say(frame(id_ + 1, ANSWER, b"other"), frame(id_, ANSWER, b"it"), frame(id_, ANSWER, b"no"))
    assert await call == b"it"
    assert world.channel.connected


@pytest_twisted.ensureDeferred
async def test_no_call_ends_before_its_caller_goes_on(world: World) -> None:
    """A replica that calls carries out what it has decided: it must not be fed meanwhile."""
    await world.start()
    too_long = world.channel.call(ECHO, bytes(MAX_MESSAGE_BYTES + 1), SOON)
    assert not too_long.called
    await error_of(too_long)
    await world.close()
    await world.server.stopService()
    await world.until(lambda: world.channel._connection.down)
    down = world.channel.call(ECHO, b"", SOON)
    assert not down.called
    await error_of(down)
    cancelled = world.channel.call(ECHO, b"", SOON)
    cancelled.cancel()
    assert type(await error_of(cancelled)) is CancelledError
    await world.channel.stopService()
    stopped = world.channel.call(ECHO, b"", SOON)
    assert not stopped.called
    await error_of(stopped)


# Deadlines.


@pytest_twisted.ensureDeferred
async def test_a_call_ends_at_its_deadline_and_not_before(world: World) -> None:
    await world.start()
    started = time.monotonic()
    ended: dict[float, float] = {}
    for timeout in (0.3, 0.1, 0.2):
        call = world.channel.call(HOLD, b"", timeout)

        def failed(failure: Failure, timeout: float = timeout) -> None:
            assert failure.check(Unavailable)
            assert "no answer in time" in str(failure.value)
            ended[timeout] = time.monotonic() - started

        call.addErrback(failed)
    await world.until(lambda: len(ended) == 3)
    for timeout, seconds in ended.items():
        assert timeout <= seconds < timeout + 0.1
    assert world.channel.connected
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest_twisted.ensureDeferred
async def test_one_timer_serves_all_calls(world: World) -> None:
    await world.start()
    before = len(world.reactor.getDelayedCalls())
    calls = [world.channel.call(HOLD, b"", SOON + n) for n in range(100)]
    assert len(world.reactor.getDelayedCalls()) <= before + 1
    world.channel.stopService()
    for call in calls:
        await error_of(call)


@pytest_twisted.ensureDeferred
async def test_an_answer_that_comes_too_late_is_ignored(world: World) -> None:
    await world.start()
    assert type(await error_of(world.channel.call(HOLD, b"", 0.05))) is Unavailable
    world.held[0].callback(b"late")
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest_twisted.ensureDeferred
async def test_nobody_waits_for_a_call_that_is_cancelled(world: World) -> None:
    await world.start()
    call = world.channel.call(HOLD, b"", SOON)
    call.cancel()
    assert type(await error_of(call)) is CancelledError
    await world.until(lambda: world.held)
    world.held[0].callback(b"late")
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


# Bounds.


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_is_bounded_also_when_nobody_waits_for_it(world: World) -> None:
    await world.start()
    body = bytes(MAX_MESSAGE_BYTES - 9)
    count = MAX_BYTES_UNDER_WAY // MAX_MESSAGE_BYTES
    outcomes = outcomes_of([world.channel.call(HOLD, body, 0.05) for _ in range(count)])
    for further in (b"", body):
        error = await error_of(world.channel.call(HOLD, further, SOON))
        assert type(error) is Unavailable
        assert "too much is under way" in str(error)
    await world.until(lambda: len(outcomes) == count)
    assert "too much" in str(await error_of(world.channel.call(HOLD, body, SOON)))
    await world.until(lambda: len(world.held) == count)
    for held in world.held:
        held.callback(b"")
    await world.until(lambda: not world.channel._under_way)
    assert await world.channel.call(ECHO, b"on", SOON) == b"on"


@pytest_twisted.ensureDeferred
async def test_a_message_that_is_too_long_is_not_sent(world: World) -> None:
    await world.start()
    error = await error_of(world.channel.call(ECHO, bytes(MAX_MESSAGE_BYTES + 1), SOON))
    assert type(error) is Unavailable
    assert world.channel.connected


# The end.


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_calls_at_once_and_takes_no_more(world: World) -> None:
    await world.start()
    call = world.channel.call(HOLD, b"", SOON)
    stopped: Any = world.channel.stopService()
    assert "this process is stopping" in str(await error_of(call))
    assert "this process is stopping" in str(await error_of(world.channel.call(ECHO, b"", SOON)))
    await stopped
    assert not world.channel.connected
    await world.sleep(0.1)
    assert len(world.greetings) == 1, "it does not connect again"


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.2])
@pytest_twisted.ensureDeferred
async def test_a_stop_leaves_nothing_for_the_reactor_to_do(world: World, seconds: float) -> None:
    before = set(world.reactor.getDelayedCalls())
    world.listen()
    await world.close()
    world.channel.startService()
    await world.sleep(seconds)
    await world.channel.stopService()
    assert set(world.reactor.getDelayedCalls()) <= before


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_the_end_of_a_pause(world: World) -> None:
    world.answer = lambda greeting: replace(WELCOME_OF_2, version=0)
    world.listen()
    world.channel.startService()
    await error_of(world.channel.call(ECHO, b"", SOON))
    started = time.monotonic()
    await world.channel.stopService()
    assert time.monotonic() - started < 1.0


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_wait_for_the_end_of_an_attempt(world: World) -> None:
    world.connect = lambda factory: Deferred()  # type: ignore[method-assign]
    world.channel.startService()
    call = world.channel.call(ECHO, b"", SOON)
    started = time.monotonic()
    await world.channel.stopService()
    assert time.monotonic() - started < 0.5
    assert "this process is stopping" in str(await error_of(call))


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_a_connection_that_is_not_greeted(world: World) -> None:
    world.script()
    world.listen()
    world.channel.startService()
    call = world.channel.call(ECHO, b"", SOON)
    await world.until(lambda: world.scripted)
    stopped: Any = world.channel.stopService()
    await stopped
    assert "this process is stopping" in str(await error_of(call))
    await world.until(lambda: world.scripted[0].lost)


@pytest_twisted.ensureDeferred
async def test_a_channel_that_never_started_stops(world: World) -> None:
    await world.channel.stopService()
    assert type(await error_of(world.channel.call(ECHO, b"", SOON))) is Unavailable
