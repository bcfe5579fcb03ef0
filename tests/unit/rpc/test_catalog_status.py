"""The call that asks a catalog how it is, over real gRPC on loopback."""

import socket
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import grpc
import pytest
import pytest_twisted

from twisted_bazaar.errors import NotOurs, Unavailable
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import (
    CatalogServicer,
    add_CatalogServicer_to_server,
)
from twisted_bazaar.rpc.catalog_status import CatalogStatus
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.serving.server import GrpcServer
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.runtime.address import Address

SOON = 5.0


class Servicer(CatalogServicer):
    def Status(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.cluster != "ours":
            abort_with(context, NotOurs("another one"))
        return catalog_pb2.CatalogStatusReply(applied=830, serving=True)


def add_catalog(server: grpc.Server) -> None:
    add_CatalogServicer_to_server(Servicer(), server)


def add_nothing(server: grpc.Server) -> None:
    pass


class World:
    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.channels = Channels(self.reactor, 1)
        self.channels.startService()
        self.servers: list[GrpcServer] = []

    def catalog(self, add: Any = add_catalog, cluster: str = "ours") -> CatalogClient:
        """A client of a server that offers what `add` adds; None: of a port without one."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            address = Address(*found.getsockname())
        if add is not None:
            self.servers.append(GrpcServer(self.reactor, address, 1, add, Random(1)))
            self.servers[-1].startService()
        return CatalogClient(self.channels.to(address), lambda: cluster)

    async def stop(self) -> None:
        self.channels.stopService()
        for server in self.servers:
            await server.stopService()


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


@pytest_twisted.ensureDeferred
async def test_a_catalog_says_how_it_is(world: World) -> None:
    said = await world.catalog().status(SOON)
    assert said == CatalogStatus(
        applied=830, released=0, lease_seconds=0.0, serving=True, subscribers=[]
    )


@pytest_twisted.ensureDeferred
async def test_one_of_an_earlier_release_does_not_say(world: World) -> None:
    assert await world.catalog(add_nothing).status(SOON) is None


@pytest_twisted.ensureDeferred
async def test_one_of_another_cluster_or_one_that_is_not_there_is_unavailable(
    world: World,
) -> None:
    for silent in world.catalog(cluster="theirs"), world.catalog(None):
        with pytest.raises(Unavailable):
            await silent.status(SOON)
