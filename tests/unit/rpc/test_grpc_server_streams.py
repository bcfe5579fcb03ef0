"""Calls that stream, of the gRPC server on a real reactor, called with grpcio's own client."""

import time
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from typing import Any

import grpc
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.fakes.grpc_world import SOON, World


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


def counting(world: World, number: int, size: int, timeout: float | None = SOON) -> Any:
    """A call for so many messages, and then none for as long as a test wants."""
    rpc = world.channel.unary_stream("/S/count")
    return rpc(b"%d %d" % (number, size), timeout=timeout, wait_for_ready=True)


class Said:
    """Requests that a test makes one by one, on a thread of grpcio's."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[bytes | None] = SimpleQueue()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.queue.get, None)


@pytest_twisted.ensureDeferred
async def test_a_stream_of_answers_comes_whole_and_in_order(world: World) -> None:
    world.service.open.set()
    call = counting(world, 200, 1000)
    assert await deferToThread(list, call) == [bytes(1000)] * 200
    assert call.code() is grpc.StatusCode.OK
    assert world.service.closed == 1


@pytest_twisted.ensureDeferred
async def test_a_cancellation_and_a_deadline_reach_the_handler(world: World) -> None:
    call = counting(world, 1, 5)
    assert await deferToThread(next, call) == bytes(5)
    assert await world.call("echo", b"words") == b"words", "a call beside it is served"
    call.cancel()
    await world.until(lambda: world.service.closed == 1)
    call = counting(world, 1, 5, timeout=0.3)
    failed = await world.fails(deferToThread(list, call))
    assert failed.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await world.until(lambda: world.service.closed == 2)
    assert not world.service.contexts[-1].is_active()


@pytest_twisted.ensureDeferred
async def test_each_request_is_answered_before_the_next_one_is_made(world: World) -> None:
    said = Said()
    call = world.channel.stream_stream("/S/chat")(iter(said), timeout=SOON, wait_for_ready=True)
    for message in (b"one", b"", b"three"):
        said.queue.put(message)
        assert await deferToThread(next, call) == message.upper()
    said.queue.put(None)
    assert await deferToThread(list, call) == [b"end"]
    assert call.code() is grpc.StatusCode.OK


@pytest_twisted.ensureDeferred
async def test_many_requests_in_a_row_are_all_answered(world: World) -> None:
    said = [b"%d" % number * 500 for number in range(500)]
    call = world.channel.stream_stream("/S/chat")(iter(said), timeout=SOON, wait_for_ready=True)
    assert await deferToThread(list, call) == [*said, b"end"]


@pytest_twisted.ensureDeferred
async def test_what_a_client_does_not_read_is_not_made_and_is_there_when_it_reads(
    world: World,
) -> None:
    world.service.open.set()
    call = counting(world, 100, 500_000, timeout=2 * SOON)
    await deferToThread(next, call)
    made = -1
    while made != world.service.counted:
        made = world.service.counted
        await deferToThread(time.sleep, 0.2)
    assert made < 50
    state = world.server._connections._state
    assert state.kept < 600_000, "one message, and the request"
    assert await world.call("echo", b"words") == b"words"
    rest = await deferToThread(list, call)
    assert rest == [bytes(500_000)] * 99
    await world.until(lambda: state.kept == state.streaming_calls == 0)


@pytest_twisted.ensureDeferred
async def test_a_server_that_stops_does_not_wait_for_streams(world: World) -> None:
    said = Said()
    chat = world.channel.stream_stream("/S/chat")(iter(said), timeout=SOON, wait_for_ready=True)
    said.queue.put(b"a")
    assert await deferToThread(next, chat) == b"A"
    call = counting(world, 1, 5)
    await deferToThread(next, call)
    reads = [deferToThread(list, each) for each in (call, chat)]
    before = time.monotonic()
    await world.server.stopService()
    assert time.monotonic() - before < 2
    for read in reads:
        failed = await world.fails(read)
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert failed.details() == "the server is stopping"
    said.queue.put(None)
    world.server = world.serve()


@pytest_twisted.ensureDeferred
async def test_streams_beyond_the_limit_are_refused_and_calls_are_not(world: World) -> None:
    await world.serve_again(all_streaming_calls=3)
    calls = [counting(world, 1, 5) for _ in range(3)]
    for call in calls:
        await deferToThread(next, call)
    failed = await world.fails(deferToThread(next, counting(world, 1, 5)))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await world.call("echo", b"words") == b"words"
    calls[0].cancel()
    await world.until(lambda: world.service.closed == 1)
    assert await deferToThread(next, counting(world, 1, 5)) == bytes(5)
