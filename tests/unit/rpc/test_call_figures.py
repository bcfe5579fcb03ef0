"""Calls between processes are counted once each, by method and status, at both ends."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import attrs
import grpc
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.fakes.frame_world import ECHO, FAIL, HOLD, SOON, error_of
from tests.fakes.frame_world import World as FrameWorld
from twisted_bazaar.errors import Overloaded, Unavailable
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import (
    CatalogServicer,
    add_CatalogServicer_to_server,
)
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.server import FrameServer, Method
from twisted_bazaar.rpc.serving.server import LIMITS, GrpcServer
from twisted_bazaar.runtime.address import Address

from .test_calls import free_port

Counts = dict[tuple[str, ...], float]


def counts(figures: CallFigures) -> Counts:
    """How many calls there were, by method and status; each was timed."""
    shown = {labels: each.value for labels, each in figures._calls.values.items()}
    timed = {labels[0]: each.count for labels, each in figures._seconds.values.items()}
    for method, count in timed.items():
        assert count == sum(value for labels, value in shown.items() if labels[0] == method)
    return shown


class Counted(FrameWorld):
    """A channel and a server of frames that are counted."""

    def new_server(self) -> FrameServer:
        self.asked = CallFigures.of_server(Metrics())
        self.asks = CallFigures.of_client(Metrics())
        answers: dict[int, Any] = {
            ECHO: lambda body: body,
            HOLD: self._hold,
            FAIL: lambda body: self.failing(),
        }
        names = {ECHO: "Echo", HOLD: "Hold", FAIL: "Fail"}
        methods = {
            kind: Method(names[kind], answer, self.asked.of(f"frames.{names[kind]}"))
            for kind, answer in answers.items()
        }
        self.names = names
        return FrameServer(self.reactor, methods, lambda each: self.answer(each), Random(1))


@pytest_twisted.async_yield_fixture
async def frames() -> AsyncIterator[Counted]:
    world = Counted()
    world.channel._figures = {
        kind: world.asks.of(f"frames.{name}") for kind, name in world.names.items()
    }
    await world.start()
    yield world
    await world.stop()


@pytest_twisted.ensureDeferred
async def test_requests_in_frames_are_counted_at_both_ends(frames: Counted) -> None:
    for _ in range(3):
        await frames.channel.call(ECHO, b"", SOON)
    frames.failing = lambda: fail(Overloaded("no"))
    await error_of(frames.channel.call(FAIL, b"", SOON))

    def raises() -> None:
        raise Overloaded("no")

    frames.failing = raises
    await error_of(frames.channel.call(FAIL, b"", SOON))
    expected: Counts = {("frames.Echo", "OK"): 3, ("frames.Fail", "RESOURCE_EXHAUSTED"): 2}
    assert counts(frames.asked) == expected
    assert counts(frames.asks) == expected


@pytest_twisted.ensureDeferred
async def test_a_request_without_an_answer_is_counted_by_its_caller(frames: Counted) -> None:
    await error_of(frames.channel.call(HOLD, b"", 0.05))
    assert counts(frames.asks) == {("frames.Hold", "DEADLINE_EXCEEDED"): 1}
    cut = frames.channel.call(HOLD, b"", SOON)
    await frames.until(lambda: len(frames.held) == 2)
    frames.server.connections.abort()
    await error_of(cut)
    assert counts(frames.asks)["frames.Hold", "UNAVAILABLE"] == 1
    frames.held.clear()


class GrpcWorld(CatalogServicer):
    """A catalog, and a client of it, that are counted."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.asked = CallFigures.of_server(Metrics())
        self.asks = CallFigures.of_client(Metrics())
        self.answer: Any = lambda: succeed(market_pb2.LookupReply())
        address = Address("127.0.0.1", free_port())

        def add(server: grpc.Server) -> None:
            add_CatalogServicer_to_server(self, server)

        self.address = address
        self.server = GrpcServer(
            *(self.reactor, address, 1, add, Random(1)),
            limits=attrs.evolve(LIMITS, answer=0.1),
            figures=self.asked,
        )
        self.server.startService()
        self.channels = Channels(self.reactor, 2, self.asks)
        self.channels.startService()
        self.client = CatalogClient(self.channels.to(address))

    def Lookup(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer()

    def Status(self, request: Any, context: Any) -> Any:  # noqa: N802
        return catalog_pb2.CatalogStatusReply()

    async def until_counted(self, number: int) -> Counts:
        """The counts of the server, once there are so many calls."""
        for _ in range(1000):
            if sum(counts(self.asked).values()) >= number:
                break
            await deferLater(self.reactor, 0.005)
        return counts(self.asked)


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[GrpcWorld]:
    world = GrpcWorld()
    yield world
    world.channels.stopService()
    await world.server.stopService()


@pytest_twisted.ensureDeferred
async def test_calls_by_grpc_are_counted_at_both_ends(world: GrpcWorld) -> None:
    await world.client.look_up(["GameStart"], SOON)
    for failure in (Unavailable("no lease"), Overloaded("no")):
        world.answer = lambda failure=failure: fail(failure)
        await error_of(world.client.look_up(["GameStart"], SOON))
    expected: Counts = {
        ("Catalog.Lookup", "OK"): 1,
        ("Catalog.Lookup", "UNAVAILABLE"): 1,
        ("Catalog.Lookup", "RESOURCE_EXHAUSTED"): 1,
    }
    assert counts(world.asked) == expected
    assert counts(world.asks) == expected


@pytest_twisted.ensureDeferred
async def test_the_question_how_a_catalog_is_is_counted_as_well(world: GrpcWorld) -> None:
    await world.client.status(SOON)
    assert counts(world.asks) == counts(world.asked) == {("Catalog.Status", "OK"): 1}


@pytest_twisted.ensureDeferred
async def test_a_call_by_grpc_that_takes_too_long_is_counted_as_that(world: GrpcWorld) -> None:
    world.answer = Deferred
    await error_of(world.client.look_up(["GameStart"], 0.1))
    assert counts(world.asks) == {("Catalog.Lookup", "DEADLINE_EXCEEDED"): 1}
    # Its caller gives the call up, or the server does: whatever comes first.
    ((_, code),) = await world.until_counted(1)
    assert code in ("DEADLINE_EXCEEDED", "CANCELLED")


@pytest_twisted.ensureDeferred
async def test_a_call_that_its_server_ends_is_counted_once(world: GrpcWorld) -> None:
    world.answer = Deferred

    def call() -> object:
        with grpc.insecure_channel(str(world.address)) as channel:
            try:
                return channel.unary_unary("/bazaar.v1.Catalog/Lookup")(b"")
            except grpc.RpcError as failure:
                return failure

    assert isinstance(await deferToThread(call), grpc.RpcError)
    assert counts(world.asked) == {("Catalog.Lookup", "DEADLINE_EXCEEDED"): 1}


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_given_up_is_counted_as_that(world: GrpcWorld) -> None:
    world.answer = Deferred
    call = world.client.look_up(["GameStart"], 0.3)
    call.addErrback(lambda failure: failure.trap(CancelledError) and None)
    call.cancel()
    await call
    assert counts(world.asks) == {("Catalog.Lookup", "CANCELLED"): 1}
    await world.until_counted(1)


def test_a_status_that_grpc_does_not_know_has_one_name() -> None:
    figures = CallFigures.of_server(Metrics())
    for code in (99, 100, 101):
        figures.of("frames.Echo").ended(code, 0.0)
    assert counts(figures) == {("frames.Echo", "UNKNOWN"): 3}
