"""The gRPC server on a real reactor and socket, called with grpcio's own client."""

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.fakes.grpc_world import SOON, World
from twisted_bazaar.errors import NotLeader, Unavailable
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.rpc.status import error_of


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """The lines that are logged as warnings."""
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"].name == "warn":
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


# Calls.


@pytest_twisted.ensureDeferred
async def test_a_call_is_answered_on_the_reactor_or_on_a_thread(world: World) -> None:
    assert await world.call("echo", b"words") == b"words"
    [context] = world.service.contexts
    assert context.peer().startswith("ipv4:127.0.0.1:")
    assert 0 < context.time_remaining() <= SOON
    world.service.open.set()
    assert await world.call("wait", b"words") == b"words"
    [name] = world.service.threads
    assert name.startswith("grpc-")


@pytest_twisted.ensureDeferred
async def test_a_call_that_names_no_deadline_is_answered(world: World) -> None:
    assert await world.call("echo", b"words", timeout=None) == b"words"
    assert world.service.contexts[0].time_remaining() is None


@pytest_twisted.ensureDeferred
async def test_metadata_goes_both_ways(world: World) -> None:
    said = (("some", "words"), ("raw-bin", b"\0\xff"))
    rpc = world.channel.unary_unary("/S/metadata")
    _, call = await deferToThread(rpc.with_call, b"", SOON, said, wait_for_ready=True)
    assert set(call.initial_metadata()) >= {("first-some", "words"), ("first-raw-bin", b"\0\xff")}
    assert set(call.trailing_metadata()) == {("last-some", "words"), ("last-raw-bin", b"\0\xff")}


@pytest_twisted.ensureDeferred
async def test_errors_cross_as_they_do_with_grpcio(
    world: World, logged_failures: list[Failure]
) -> None:
    failed = await world.fails(world.call("fail"))
    assert type(error_of(failed, world.address)) is NotLeader
    world.service.error = Unavailable("später, 100 % sicher\n")
    failed = await world.fails(world.call("fail"))
    assert failed.details() == "später, 100 % sicher\n"
    world.service.error = ValueError("a bug")
    failed = await world.fails(world.call("fail"))
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert failed.details().startswith("unexpected error: call ")
    assert len(logged_failures) == 1
    logged_failures.clear()
    for method in ("/S/nope", "/T/echo"):
        call = deferToThread(world.channel.unary_unary(method), b"", timeout=SOON)
        failed = await world.fails(call)
        assert failed.code() is grpc.StatusCode.UNIMPLEMENTED
        assert failed.details() == "Method not found!"


@pytest_twisted.ensureDeferred
async def test_a_deadline_and_a_cancellation_reach_the_handler(world: World) -> None:
    failed = await world.fails(world.call("hold", timeout=0.2))
    assert failed.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await world.until(lambda: world.service.held[0].called)
    future = world.channel.unary_unary("/S/hold").future(b"", timeout=SOON)
    await world.until(lambda: len(world.service.held) == 2)
    assert world.service.contexts[1].is_active()
    future.cancel()
    await world.until(lambda: world.service.held[1].called)
    assert not world.service.contexts[1].is_active()
    assert await world.call("echo", b"words") == b"words"


@pytest_twisted.ensureDeferred
async def test_what_its_caller_gave_up_while_the_reactor_stood_still_is_not_begun(
    world: World,
) -> None:
    await world.call("echo")
    given_up = world.call("hold", timeout=0.1)
    time.sleep(0.4)  # the reactor stands still
    await world.fails(given_up)
    await world.call("echo")
    assert world.service.held == []


# Sizes.


@pytest_twisted.ensureDeferred
async def test_messages_cross_up_to_the_limit_and_not_beyond(world: World) -> None:
    most = MAX_MESSAGE_BYTES
    assert len(await world.call("echo", bytes(most))) == most
    both = await gatherResults([world.call("fill", b"%d" % most) for _ in range(3)])
    assert [len(each) for each in both] == [most] * 3
    failed = await world.fails(world.call("echo", bytes(most + 1)))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.details() == f"SERVER: Received message larger than max ({most + 1} vs. {most})"
    failed = await world.fails(world.call("fill", b"%d" % (most + 1)))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.details() == f"SERVER: Sent message larger than max ({most + 1} vs. {most})"


@pytest_twisted.ensureDeferred
async def test_a_caller_that_compresses_is_told_not_to(world: World) -> None:
    call = world.call("echo", bytes(10_000), compression=grpc.Compression.Gzip)
    failed = await world.fails(call)
    assert failed.code() is grpc.StatusCode.UNIMPLEMENTED
    assert await world.call("echo", b"words", compression=grpc.Compression.NoCompression)


@pytest_twisted.ensureDeferred
async def test_metadata_that_is_too_large_ends_one_connection(
    world: World, logged: list[LogEvent]
) -> None:
    failed = await world.fails(world.call("echo", metadata=[("some", "x" * 40_000)]))
    assert failed.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert await world.call("echo", metadata=[("some", "x" * 14_000)]) == b""
    assert len(logged) <= 1


# Many.


@pytest_twisted.ensureDeferred
async def test_a_caller_waits_for_its_turn_beyond_the_limit_of_calls(world: World) -> None:
    await world.serve_again(streams=10)
    rpc = world.channel.unary_unary("/S/hold")
    futures = [rpc.future(b"", timeout=SOON, wait_for_ready=True) for _ in range(100)]
    answered = 0
    while answered < 100:
        await deferLater(world.reactor, 0.01)
        waiting = [answer for answer in world.service.held if not answer.called]
        assert len(waiting) <= 10
        answered += len(waiting)
        for answer in waiting:
            answer.callback(b"")
    assert [await deferToThread(future.result) for future in futures] == [b""] * 100


@pytest_twisted.ensureDeferred
async def test_what_blocks_takes_no_more_threads_than_there_are(world: World) -> None:
    calls = [world.call("wait") for _ in range(4)]
    await world.until(lambda: len(world.service.threads) == 2)
    assert await world.call("echo", b"words") == b"words", "the reactor goes on"
    world.service.open.set()
    assert await gatherResults(calls) == [b""] * 4
    assert len(world.service.threads) == 2


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_idle_makes_way_for_a_new_one(world: World) -> None:
    await world.serve_again(connections=3)
    under_way = world.call("hold", channel=world.connect())
    await world.until(lambda: world.service.held)
    for _ in range(10):
        assert await world.call("echo", b"words", channel=world.connect()) == b"words"
        assert len(world.server._connections._connections) <= 3 + 1
    world.service.held[0].callback(b"still there")
    assert await under_way == b"still there"


@pytest_twisted.ensureDeferred
async def test_where_all_connections_are_at_work_a_new_one_is_refused(world: World) -> None:
    await world.serve_again(connections=2)
    calls = [world.call("hold", channel=world.connect()) for _ in range(2)]
    await world.until(lambda: len(world.service.held) == 2)
    await world.fails(world.call("echo", timeout=0.5, channel=world.connect()))
    for answer in world.service.held:
        answer.callback(b"words")
    assert await gatherResults(calls) == [b"words"] * 2


@pytest_twisted.ensureDeferred
async def test_garbage_closes_its_connection_with_little_log(
    world: World, logged: list[LogEvent]
) -> None:
    assert await world.call("echo", b"words") == b"words"

    def say(said: bytes) -> bytes:
        with socket.create_connection((world.address.host, world.address.port), SOON) as other:
            other.sendall(said)
            heard = b""
            with suppress(ConnectionError):
                while more := other.recv(65536):
                    heard += more
            return heard

    for said in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(100_000), b"\x16\x03\x01" * 100):
        for _ in range(5):
            await deferToThread(say, said)
    assert len(logged) == 1
    assert await world.call("echo", b"words") == b"words"
