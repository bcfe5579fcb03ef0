"""Real gRPC on loopback: calls, deadlines, failures and stops, seen from the reactor."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, cast

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.fakes.histories import history, ledger_of, sends
from twisted_bazaar.catalog.admission import Admission
from twisted_bazaar.catalog.market_file import Snapshot
from twisted_bazaar.catalog.node import CatalogNode
from twisted_bazaar.catalog.partitions import Partitions
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.catalog.servicer import Catalog
from twisted_bazaar.consensus.messages import ApplyReply
from twisted_bazaar.errors import (
    BazaarError,
    InvariantBroken,
    NotAuthorised,
    NotLeader,
    Overloaded,
    Unavailable,
    Unusable,
)
from twisted_bazaar.frontend.cache.quotes import LookupReply
from twisted_bazaar.frontend.clients import CatalogClient, ReplicaClient
from twisted_bazaar.http import answers
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import Listing, Placed, Side, Stock, Trade
from twisted_bazaar.order import neighbours
from twisted_bazaar.order.node import OrderNode
from twisted_bazaar.order.servicer import Orders
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import (
    CatalogServicer,
    CatalogStub,
    add_CatalogServicer_to_server,
)
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersServicer, add_OrdersServicer_to_server
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.frames.channel import NotFrames
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.rpc.serving.server import GrpcServer
from twisted_bazaar.rpc.stocks import stock_to_wire
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.services import monotonic_seconds
from twisted_bazaar.sending import UNGUARDED
from twisted_bazaar.timing import Timing

SECRET = b"the secret of the cluster"

SOON = 5.0
"""Seconds within which a call that works is answered, however busy the machine is."""

GAME_START = Stock("GameStart", 1599, 95, 5, 12)


def reply() -> Deferred[market_pb2.LookupReply]:
    return succeed(market_pb2.LookupReply(stocks=[stock_to_wire(GAME_START)]))


class Servicer(CatalogServicer):
    """A catalog that answers lookups as a test says, on the reactor."""

    def __init__(self) -> None:
        self.answer: Callable[[], Deferred[market_pb2.LookupReply]] = reply

    def Lookup(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.answer()


class World:
    """A server with one handler thread, and a channel to it with two threads."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.address = Address("127.0.0.1", free_port())
        self.servicer = Servicer()
        self.server = self.serve(threads=1)
        self.channels = Channels(self.reactor, 2)
        self.channels.startService()
        self.channel = self.channels.to(self.address)
        self.catalog = CatalogClient(self.channel)
        self.held: list[Deferred[market_pb2.LookupReply]] = []

    def serve(self, threads: int = 4) -> GrpcServer:
        def add(server: grpc.Server) -> None:
            add_CatalogServicer_to_server(self.servicer, server)

        server = GrpcServer(self.reactor, self.address, threads, add, Random(1))
        server.startService()
        return server

    def hold(self) -> Deferred[market_pb2.LookupReply]:
        """Leave a lookup unanswered for now."""
        answer: Deferred[market_pb2.LookupReply] = Deferred()
        self.held.append(answer)
        return answer

    def lookup(self, timeout: float = SOON) -> Deferred[Any]:
        asked = self.catalog.look_up(["GameStart"], timeout)
        return asked.addCallback(lambda reply: reply.stocks)

    async def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + SOON
        while not happened():
            assert time.monotonic() < deadline
            await deferLater(self.reactor, 0.005)

    async def stop(self) -> None:
        for answer in self.held:
            if not answer.called:
                answer.callback(market_pb2.LookupReply())
        self.channels.stopService()
        await self.server.stopService()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


async def error_of(call: Deferred[Any]) -> BazaarError:
    """What the call fails with, which must be one of ours."""
    with pytest.raises(BazaarError) as failed:
        await call
    return failed.value


# Being called.


@pytest_twisted.ensureDeferred
async def test_a_call_is_answered_by_the_reactor(world: World) -> None:
    on = []

    def answer() -> Deferred[market_pb2.LookupReply]:
        on.append(threading.current_thread())
        return reply()

    world.servicer.answer = answer
    assert await world.lookup() == [GAME_START]
    assert on == [threading.current_thread()]


@pytest_twisted.ensureDeferred
async def test_a_call_that_names_no_deadline_is_answered(world: World) -> None:
    stub = CatalogStub(world.channel.grpc)
    answer = await world.channel.call(lambda _: stub.Lookup(market_pb2.LookupRequest()), SOON)
    assert len(answer.stocks) == 1


@pytest_twisted.ensureDeferred
async def test_a_handler_gives_up_when_its_caller_does_and_its_thread_is_free(
    world: World,
) -> None:
    world.servicer.answer = world.hold
    started = time.monotonic()
    assert type(await error_of(world.lookup(timeout=0.1))) is Unavailable
    world.servicer.answer = reply
    assert await world.lookup() == [GAME_START], "on the server's only thread"
    assert time.monotonic() - started < 2


@pytest_twisted.ensureDeferred
async def test_a_late_answer_is_dropped(world: World) -> None:
    world.servicer.answer = world.hold
    await error_of(world.lookup(timeout=0.05))
    await error_of(world.lookup(timeout=0.05))
    first, second = world.held
    first.callback(market_pb2.LookupReply())
    second.errback(NotLeader())
    world.servicer.answer = reply
    assert await world.lookup() == [GAME_START]


@pytest_twisted.ensureDeferred
async def test_a_call_that_its_caller_has_given_up_is_not_begun(world: World) -> None:
    """A process that was stopped for a while must not decide trades of long ago."""
    await world.lookup()
    begun: list[bool] = []

    def begin() -> Deferred[market_pb2.LookupReply]:
        begun.append(True)
        return reply()

    world.servicer.answer = begin
    given_up = world.lookup(timeout=0.1)
    time.sleep(0.3)  # blocks the reactor
    assert type(await error_of(given_up)) is Unavailable
    await deferLater(world.reactor, 0.05)
    assert begun == []


@pytest.mark.parametrize("error", [NotLeader(), Overloaded("full"), Unavailable("later")])
@pytest_twisted.ensureDeferred
async def test_an_error_crosses_with_its_type(world: World, error: BazaarError) -> None:
    world.servicer.answer = lambda: fail(error)
    crossed = await error_of(world.lookup())
    assert type(crossed) is type(error)
    if not isinstance(error, NotLeader):
        assert str(error) in str(crossed)


@pytest_twisted.ensureDeferred
async def test_an_unexpected_error_in_a_handler_is_unavailable_and_the_server_goes_on(
    world: World, logged_failures: list[Failure]
) -> None:
    world.servicer.answer = lambda: fail(InvariantBroken("a bug"))
    error = await error_of(world.lookup())
    assert type(error) is Unavailable
    assert "internal: unexpected error: call " in str(error)
    assert "a bug" not in str(error)
    assert len(logged_failures) == 1
    logged_failures.clear()
    world.servicer.answer = reply
    assert await world.lookup() == [GAME_START]


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_refused_with_its_name(world: World) -> None:
    second = GrpcServer(world.reactor, world.address, 1, lambda _: None, Random(1))
    with pytest.raises(Unusable, match=rf"^cannot listen on {world.address}: is the port taken"):
        second.startService()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        third = GrpcServer(
            world.reactor, Address(*other.getsockname()), 1, lambda _: None, Random(1)
        )
        with pytest.raises(Unusable):
            third.startService()


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_the_calls_under_way_finish(world: World) -> None:
    world.servicer.answer = world.hold
    under_way = world.lookup()
    await world.until(lambda: world.held)
    stopped: list[object] = []
    stopping = world.server.stopService()
    assert stopping is not None
    stopping.addCallback(stopped.append)
    await deferLater(world.reactor, 0.05)
    assert stopped == []
    world.held[0].callback(market_pb2.LookupReply(stocks=[stock_to_wire(GAME_START)]))
    assert await under_way == [GAME_START]
    await world.until(lambda: stopped)


def test_a_server_that_never_started_stops(world: World) -> None:
    never = GrpcServer(world.reactor, Address("127.0.0.1", 1), 1, lambda _: None, Random(1))
    assert never.stopService() is None


# Calling.


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_not_there_is_unavailable_at_once(world: World) -> None:
    nobody = CatalogClient(world.channels.to(Address("127.0.0.1", free_port())))
    started = time.monotonic()
    error = await error_of(nobody.look_up(["A"], SOON))
    assert type(error) is Unavailable
    assert time.monotonic() - started < 1


@pytest_twisted.ensureDeferred
async def test_there_is_one_channel_to_an_address(world: World) -> None:
    assert world.channels.to(Address("127.0.0.1", world.address.port)) is world.channel
    assert world.channels.to(Address("127.0.0.1", 1)) is not world.channel


@pytest_twisted.ensureDeferred
async def test_a_call_that_waits_for_a_thread_waits_no_longer_than_its_timeout(
    world: World,
) -> None:
    """Else each call to a peer that hangs would add to the wait of the next."""
    world.servicer.answer = world.hold
    started = time.monotonic()
    calls = [world.lookup(timeout=0.2) for _ in range(8)]
    for call in calls:
        assert type(await error_of(call)) is Unavailable
    assert time.monotonic() - started < 0.6, "not four times as long"


@pytest_twisted.ensureDeferred
async def test_a_stop_with_a_call_under_way_does_not_hang(world: World) -> None:
    world.servicer.answer = world.hold
    calls = [world.lookup(timeout=30), world.lookup(timeout=30), world.lookup(timeout=30)]
    await world.until(lambda: world.held)
    started = time.monotonic()
    world.channels.stopService()
    for call in calls:
        assert type(await error_of(call)) is Unavailable
    assert time.monotonic() - started < 2
    world.channels = Channels(world.reactor, 1)
    world.channels.startService()


@pytest_twisted.ensureDeferred
async def test_a_peer_that_restarts_is_reached_again_within_a_second(world: World) -> None:
    assert await world.lookup() == [GAME_START]
    await world.server.stopService()
    down_since = time.monotonic()
    while time.monotonic() - down_since < 1.2:  # for which gRPC would wait longer each time
        assert type(await error_of(world.lookup())) is Unavailable
        await deferLater(world.reactor, 0.03)
    world.server = world.serve()
    started = time.monotonic()
    found = None
    while found is None:
        assert time.monotonic() - started < 1
        try:
            found = await world.lookup()
        except Unavailable:
            await deferLater(world.reactor, 0.01)
    assert found == [GAME_START]


class Replica(OrdersServicer):
    """An order replica that answers with so many outcomes to any batch."""

    def __init__(self, outcomes: int) -> None:
        self._outcomes = outcomes

    def Trade(self, request: Any, context: Any) -> Any:  # noqa: N802
        outcomes = (order_pb2.Outcome(number=n + 1) for n in range(self._outcomes))
        return order_pb2.TradeReply(outcomes=outcomes)


@pytest.mark.parametrize("outcomes", [0, 1, 2, 3])
@pytest_twisted.ensureDeferred
async def test_a_batch_has_an_outcome_for_each_trade_or_none_at_all(
    world: World, outcomes: int
) -> None:
    def add(server: grpc.Server) -> None:
        add_OrdersServicer_to_server(Replica(outcomes), server)

    address = Address("127.0.0.1", free_port())
    server = GrpcServer(world.reactor, address, 1, add, Random(1))
    server.startService()
    replica = ReplicaClient(world.channels.to(address), Timing())
    trades = [Trade(f"key-{n}", "GameStart", Side.BUY, 1) for n in range(2)]
    if outcomes == len(trades):
        assert await replica.trade(trades, UNGUARDED, SOON) == [Placed(1, False), Placed(2, False)]
    else:
        assert type(await error_of(replica.trade(trades, UNGUARDED, SOON))) is Unavailable
    await server.stopService()


# A catalog, as the leader and a front-end know it.


class Frontends:
    """The way to the front-ends: what was pushed, and to whom."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str, Push]] = []

    def push(self, address: str, token: str, push: Push, _: bool) -> Deferred[PushReply]:
        self.pushed.append((address, token, push))
        return Deferred()


@pytest_twisted.ensureDeferred
async def test_a_catalog_learns_from_the_leader_and_answers_lookups(
    world: World, tmp_path: Path
) -> None:
    log = history(4)
    stocks = ledger_of(log).stocks
    listed = Snapshot((Stock("Listed", 100, 7, 0, 0),), Position(), 0)
    frontends, timing = Frontends(), Timing(lease=20, deadline=30)
    node = CatalogNode(
        world.reactor, monotonic_seconds, listed, tmp_path / "c.csv", frontends, lambda: 5, timing
    )
    await world.server.stopService()
    world.servicer = Catalog(world.reactor, Partitions([node]), Admission(SECRET))  # type: ignore
    world.server = world.serve()
    await deferLater(world.reactor, 0.2)
    leaders = neighbours.Catalog(cast(Any, GrpcOnly()), world.channel, execute, timing)
    subscription = Subscription(address="127.0.0.1:7001", life=71, token="token")
    world.catalog = CatalogClient(world.channel, secret=SECRET)
    another = CatalogClient(world.channel, secret=b"another secret")

    assert await leaders.listing() == [Listing("Listed", 100, 7)]
    before = monotonic_seconds()
    first = await leaders.ask(sends(log, 0, 1))
    assert before < first.stamp.at_seconds < monotonic_seconds()
    assert first == ApplyReply(
        term=1,
        applied=1,
        digest=log[0].digest,
        released=1,
        stamp=Stamp(5, first.stamp.at_seconds),
        holds=False,
        sent=7.5,
        taken=1,
        cleared=1,
    )
    reply = await leaders.ask(sends(log, 1, 6, stamp=Stamp(4, first.stamp.at_seconds), lease=20))
    assert (reply.applied, reply.released, reply.holds) == (6, 6, False)
    assert type(await error_of(world.lookup())) is Unavailable, "there is no lease"
    assert type(await error_of(world.catalog.subscribe(subscription, SOON))) is Unavailable

    assert (await leaders.ask(sends(log, 6, 6, stamp=reply.stamp, lease=20))).holds
    assert await world.lookup() == [stocks["GameStart"]]
    asked = ["nope", "Fish, Co", "GameStart"]
    found = await world.catalog.look_up(asked, SOON)
    assert found.stocks == [stocks["Fish, Co"], stocks["GameStart"]]
    market = await world.catalog.market(None, SOON)
    everything = [stocks["Fish, Co"], stocks["GameStart"]]
    assert (market.history, market.upto, market.fresh) == (log[0].digest, 6, 2)
    assert market.body == answers.stocks(everything)
    again = await world.catalog.market(market, SOON)
    assert (again.body, again.fresh) == (market.body, 0), "only what has changed comes again"
    assert type(await error_of(another.subscribe(subscription, SOON))) is NotAuthorised
    assert frontends.pushed == []
    await world.catalog.subscribe(subscription, SOON)
    [(address, token, push)] = frontends.pushed
    assert (address, token, push.life, push.upto) == ("127.0.0.1:7001", "token", 71, 6)
    await world.catalog.subscribe(subscription, SOON)
    assert len(frontends.pushed) == 1, "a recording of it is worth nothing"

    with pytest.raises(grpc.RpcError) as refused:
        await deferToThread(call_apply, world.address, term=2**63 - 1)
    call: Any = refused.value
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "term must be from 0 to" in call.details()
    assert (await leaders.ask(sends(log, 6, 6))).applied == 6, "it serves on"


class GrpcOnly:
    """A channel of frames to a catalog that has none."""

    def call(self, kind: int, body: bytes, timeout: float) -> Deferred[bytes]:
        return fail(NotFrames("it has gRPC only"))


def call_apply(address: Address, **fields: Any) -> None:
    """An `Apply` of another cluster's leader."""
    with grpc.insecure_channel(str(address)) as channel:
        CatalogStub(channel).Apply(catalog_pb2.ApplyRequest(**fields), timeout=SOON)


# An order replica that is asked for market data, as no catalog answers.


class Leader:
    """As much of an order node as a lookup needs."""

    def __init__(self, answer: Callable[[], Deferred[tuple[Mapping[str, Stock], str]]]) -> None:
        self.lookup = answer
        self.not_meant = lambda to, cluster: None


@pytest_twisted.ensureDeferred
async def test_a_replica_answers_lookups_as_a_catalog_does(world: World) -> None:
    stocks = ledger_of(history(4)).stocks
    leader = Leader(lambda: succeed((stocks, "log-1")))

    def add(server: grpc.Server) -> None:
        nothing: Any = None
        orders = Orders(cast(OrderNode, leader), nothing, nothing, monotonic_seconds)
        add_OrdersServicer_to_server(orders, server)

    address = Address("127.0.0.1", free_port())
    server = GrpcServer(world.reactor, address, 1, add, Random(1))
    server.startService()
    replica = ReplicaClient(world.channels.to(address), Timing())
    found = await replica.look_up(["nope", "GameStart"], SOON)
    assert found == LookupReply([stocks["GameStart"]], "log-1")
    everything = await replica.market(None, SOON)
    assert everything.history == "log-1"
    assert list(everything.shown) == ["Fish, Co", "GameStart"]
    leader.lookup = lambda: fail(NotLeader())
    assert type(await error_of(replica.look_up(["GameStart"], SOON))) is NotLeader
    await server.stopService()
