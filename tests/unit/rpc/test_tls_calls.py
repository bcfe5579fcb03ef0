"""Calls of gRPC by TLS: to the role that is meant, and by new certificates once there are some."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.fakes.certificates import CATALOG, FRONTEND, MONITOR, issuing, make_folder
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.rpc.bazaar.v1 import market_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import (
    CatalogServicer,
    add_CatalogServicer_to_server,
)
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.frames.server import FrameServer
from twisted_bazaar.rpc.server import serve
from twisted_bazaar.security.contexts import Certificates
from twisted_bazaar.security.roles import Role

SOON = 5.0


class Servicer(CatalogServicer):
    def __init__(self) -> None:
        self.peers: list[str] = []
        self.answer: Deferred[Any] | None = None

    def Lookup(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self.peers.append(context.peer())
        return market_pb2.LookupReply() if self.answer is None else self.answer


class World:
    """A catalog that serves by TLS, and a front-end's channels."""

    def __init__(self, path: Path) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = make_folder(path, [CATALOG, FRONTEND, MONITOR])
        self.ports = Ports()
        self.address = self.ports.reserve(0)
        self.servicer = Servicer()
        self.server_certificates = self.certificates(CATALOG)
        welcome: Any = None
        self.server = serve(
            *(self.reactor, self.address, 1, self._add),
            FrameServer(self.reactor, {}, welcome, Random(1)),
            Random(1),
            certificates=self.server_certificates,
        )
        self.server.startService()
        self.own = self.certificates(FRONTEND)
        self.channels = self.by(self.own)

    def certificates(self, role: Role) -> Certificates:
        certificates = Certificates(self.reactor, self.folder.path, role, time.time)
        certificates.startService()
        return certificates

    def _add(self, server: grpc.Server) -> None:
        add_CatalogServicer_to_server(self.servicer, server)

    def by(self, certificates: Certificates) -> Channels:
        channels = Channels(self.reactor, 2, certificates=certificates)
        channels.startService()
        return channels

    def look_up(self, channels: Channels | None = None, role: Role = CATALOG) -> Deferred[Any]:
        channel = (channels or self.channels).to(self.address, role)
        return CatalogClient(channel).look_up(["GameStart"], SOON)

    async def until(self, happened: Any) -> None:
        deadline = time.monotonic() + SOON
        while not happened():
            assert time.monotonic() < deadline
            await deferLater(self.reactor, 0.005)

    async def stop(self) -> None:
        self.channels.stopService()
        self.own.stopService()
        await self.server.stopService()
        self.server_certificates.stopService()
        self.ports.release()


@pytest_twisted.async_yield_fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "certificates")
    yield world
    await world.stop()


@pytest_twisted.ensureDeferred
async def test_a_server_with_another_role_than_is_meant_is_not_called(world: World) -> None:
    with pytest.raises(Unavailable):
        await world.look_up(role=Role.order(1))
    assert world.servicer.peers == []
    await world.look_up()
    assert len(world.servicer.peers) == 1


@pytest_twisted.ensureDeferred
async def test_a_role_that_may_not_call_is_refused_before_its_request_is_handled(
    world: World,
) -> None:
    monitor = world.certificates(MONITOR)
    channels = world.by(monitor)
    with pytest.raises(Unavailable, match="monitor may not call /bazaar.v1.Catalog/Lookup"):
        await world.look_up(channels)
    assert world.servicer.peers == []
    channels.stopService()
    monitor.stopService()


@pytest_twisted.ensureDeferred
async def test_new_certificates_are_called_by_and_calls_under_way_end_as_they_would(
    world: World,
) -> None:
    answer: Deferred[Any] = Deferred()
    world.servicer.answer = answer
    under_way = world.look_up()
    await world.until(lambda: world.servicer.peers)
    before = world.own.pem
    world.folder.issue([FRONTEND, CATALOG], issuing())
    await world.until(lambda: world.own.pem != before)
    world.servicer.answer = None
    await world.look_up()
    first, second = world.servicer.peers
    assert first != second, "it has a connection of its own"
    answer.callback(market_pb2.LookupReply())
    assert not (await under_way).stocks
