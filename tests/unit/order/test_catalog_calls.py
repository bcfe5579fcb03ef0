"""A leader that tells catalogs of entries in frames, and by gRPC those of an earlier release."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, cast

import grpc
import pytest
import pytest_twisted
from twisted.application.service import Service
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.fakes.histories import history, sends
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.catalog.admission import Admission
from twisted_bazaar.catalog.node import CatalogNode
from twisted_bazaar.catalog.partitions import Partitions
from twisted_bazaar.catalog.servicer import Catalog as Servicer
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import BazaarError, NotOurs, Unavailable
from twisted_bazaar.leases import Stamp
from twisted_bazaar.order.neighbours import Catalog
from twisted_bazaar.order.transport import OrderTransport
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import (
    CatalogServicer,
    CatalogStub,
    add_CatalogServicer_to_server,
)
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.frames.exchanges import APPLYING, methods
from twisted_bazaar.rpc.frames.greeter import CATALOG, ORDER, Greeter
from twisted_bazaar.rpc.frames.server import FrameServer
from twisted_bazaar.rpc.server import serve
from twisted_bazaar.rpc.wire import from_wire, to_wire
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.timing import Timing

SOON = 5.0
TIMING = Timing(election_timeout=SOON, lease=20, deadline=30)
LOG = history(4)
APPLY = sends(LOG, 1, 4, stamp=Stamp(4, 2.5))
APPLIED = ApplyReply(
    term=1,
    applied=4,
    digest=LOG[3].digest,
    released=4,
    stamp=Stamp(5, 3.5),
    holds=True,
    sent=7.5,
)


class Node:
    """As much of a catalog as the leader needs."""

    cluster = "ours"

    def __init__(self) -> None:
        self.told: list[tuple[Apply, bool]] = []
        """What it was told, and whether on the reactor's thread."""
        self.error: BazaarError | None = None
        self._thread = threading.current_thread()

    def apply(self, message: Apply) -> Deferred[ApplyReply]:
        self.told.append((message, threading.current_thread() is self._thread))
        return succeed(APPLIED) if self.error is None else fail(self.error)


class OfAnEarlierRelease(CatalogServicer):
    """On grpcio's server."""

    def __init__(self) -> None:
        self.told: list[Apply] = []

    def Apply(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.told.append(from_wire(request, Apply))
        return to_wire(APPLIED)


class World:
    """The leader's side, and an address for a catalog."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = Address(*found.getsockname())
        self.node = Node()
        self.channels = Channels(reactor, 2)  # type: ignore[arg-type]
        self.transport = OrderTransport(self.reactor, 3, lambda: "ours", [self.address], Random(1))
        self.frames = self.transport.catalogs[self.address]
        self.catalog = Catalog(self.frames, self.channels.to(self.address), execute, TIMING)
        self._server: Service | None = None

    def start(self) -> None:
        self.channels.startService()
        self.transport.startService()

    def serve(self, service: str = CATALOG) -> None:
        """A catalog of this release at the address."""

        def add(server: grpc.Server) -> None:
            nodes = Partitions([cast(CatalogNode, self.node)])
            servicer = Servicer(self.reactor, nodes, Admission(b""))
            add_CatalogServicer_to_server(servicer, server)

        greeter = Greeter(service, 0, lambda: self.node.cluster)
        frames = FrameServer(
            self.reactor, methods(APPLYING, self.node.apply, execute), greeter.welcome, Random(1)
        )
        self._server = serve(self.reactor, self.address, 1, add, frames, Random(1))
        self._server.startService()

    async def until_connected(self) -> None:
        while not self.frames.connected:
            await deferLater(self.reactor, 0.005)

    async def stop(self) -> None:
        self.channels.stopService()
        await cast(Any, self.transport.stopService())
        if self._server is not None:
            await cast(Any, self._server.stopService())


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


async def error_of(call: Deferred[Any]) -> BazaarError:
    with pytest.raises(BazaarError) as failed:
        await call
    return failed.value


@pytest_twisted.ensureDeferred
async def test_a_catalog_is_told_in_frames_and_no_thread_takes_part(world: World) -> None:
    world.serve()
    world.start()
    assert await world.catalog.ask(APPLY) == APPLIED
    assert world.node.told == [(APPLY, True)]
    assert world.frames.connected


@pytest.mark.parametrize("error", [NotOurs("this is a catalog of cluster theirs"), Unavailable("")])
@pytest_twisted.ensureDeferred
async def test_what_a_catalog_refuses_is_refused_as_by_grpc(
    world: World, error: BazaarError
) -> None:
    world.serve()
    world.start()
    world.node.error = error
    told = await error_of(world.catalog.ask(APPLY))
    assert type(told) is type(error)
    assert str(error) in str(told)
    with pytest.raises(grpc.RpcError) as failed:
        await deferToThread(ask_by_grpc, world.address)
    call: Any = failed.value
    assert call.details() == str(error)


@pytest_twisted.ensureDeferred
async def test_a_message_that_makes_no_sense_is_refused(world: World) -> None:
    world.serve()
    world.start()
    for body in (b"\xff", to_wire(APPLY).SerializeToString() + b"\x08\xff"):
        assert "invalid_argument" in str(await error_of(world.frames.call(5, body, SOON)))
    assert world.node.told == []
    assert await world.catalog.ask(APPLY) == APPLIED, "it serves on"


@pytest_twisted.ensureDeferred
async def test_a_catalog_of_an_earlier_release_is_told_by_grpc_until_it_is_upgraded(
    world: World,
) -> None:
    old, servicer = grpc.server(ThreadPoolExecutor(1)), OfAnEarlierRelease()
    add_CatalogServicer_to_server(servicer, old)
    assert old.add_insecure_port(str(world.address))
    old.start()
    world.start()
    for _ in range(2):
        assert await world.catalog.ask(APPLY) == APPLIED
    assert servicer.told == [APPLY, APPLY]
    await deferToThread(old.stop(0).wait)
    assert type(await error_of(world.catalog.ask(APPLY))) is Unavailable
    world.serve()
    # While it was down, frames were tried again, as it might be upgraded.
    await Deferred.fromCoroutine(world.until_connected()).addTimeout(SOON, world.reactor)
    assert await world.catalog.ask(APPLY) == APPLIED
    assert world.node.told == [(APPLY, True)]


@pytest_twisted.ensureDeferred
async def test_a_leader_of_an_earlier_release_is_answered_by_grpc(world: World) -> None:
    world.serve()
    assert await deferToThread(ask_by_grpc, world.address) == APPLIED
    assert world.node.told == [(APPLY, True)]


def ask_by_grpc(address: Address) -> ApplyReply:
    """As an earlier release does."""
    with grpc.insecure_channel(str(address)) as channel:
        reply = CatalogStub(channel).Apply(to_wire(APPLY), timeout=SOON, wait_for_ready=True)
        return from_wire(reply, ApplyReply)


@pytest_twisted.ensureDeferred
async def test_a_process_of_another_service_is_no_catalog(world: World) -> None:
    world.serve(ORDER)
    world.start()
    told = await error_of(world.catalog.ask(APPLY))
    assert type(told) is NotOurs
    assert "this is a process of service order, not catalog" in str(told)
    assert world.node.told == []
