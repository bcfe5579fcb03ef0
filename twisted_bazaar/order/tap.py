"""`twistd bazaar-order`: options, and how an order replica is put together."""

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import grpc
from twisted.application.service import Service
from twisted.logger import Logger
from twisted.python import usage

from twisted_bazaar.consensus.identity import members_fit
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import Unusable
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import add_OrdersServicer_to_server
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import add_ReplicationServicer_to_server
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.server import RpcServer
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.exits import stop_with
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.runtime.options import TimingOptions
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Late, Layers, Process, monotonic_seconds, prepare
from twisted_bazaar.storage.index import Index, witness_in
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.timing import Timing

from .desk import TradingDesk
from .neighbours import Catalog, Peer
from .node import OrderNode
from .servicer import Orders, Replication

__all__ = ["Options", "OrderConfig", "makeService"]

_HANDLER_THREADS = 64
_CALLS_PER_NEIGHBOUR = 3
"""An append, and a poll or fetch, and one that waits for its timeout."""


@attrs.frozen
class OrderConfig:
    """One order replica."""

    replica: int
    listen: Address
    data: Path
    peers: Mapping[int, Address]
    catalogs: tuple[Address, ...]
    timing: Timing


class Options(TimingOptions):
    """Options of one order replica."""

    synopsis = "[options]"
    longdesc = f"One replica of the order service. {TimingOptions.longdesc}"
    optParameters: ClassVar = [
        ["id", None, None, "This replica's id, from 1.", options.positive_int],
        ["listen", None, None, "HOST:PORT to serve gRPC on.", options.host_port],
        ["data", None, None, "Folder of the order log and its index.", options.folder],
    ]
    repeated: ClassVar = [
        ("peer", "ID=HOST:PORT of another replica.", options.id_address),
        ("catalog", "HOST:PORT of a catalog, which learns from the leader.", options.host_port),
    ]
    required = ("id", "listen", "data")

    config: OrderConfig

    def postOptions(self) -> None:
        super().postOptions()
        peers = self.by_id("peer")
        if self["id"] in peers:
            raise usage.UsageError(f"--peer must not name this replica's own id, {self['id']}")
        self.config = OrderConfig(
            self["id"], self["listen"], self["data"], peers, self["catalog"], self.timing
        )


def makeService(given: Options) -> Service:
    """An order replica on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)
    late = Late("bazaar-order", lambda: make_order_service(reactor, given.config))
    return Process(reactor, given, late)


def make_order_service(reactor: Reactor, config: OrderConfig) -> Service:
    """An order replica. Raises `Unusable` if its folder cannot be used or read."""
    # Held until the process ends.
    claim(config.data)
    index_path = config.data / "index.sqlite"
    logfile = LogFile(
        config.data, config.replica, random.SystemRandom(), witness=witness_in(index_path)
    )
    recorded = logfile.openings[-1][1].members if logfile.openings else ()
    if misfit := members_fit(recorded, (config.replica, *config.peers)):
        raise Unusable(f"--peer: {config.data}: {misfit}")
    index = Index(index_path, logfile)
    suspicion = logfile.suspect and (
        f"{config.data}: suspect, until all other replicas have been asked: {logfile.suspect}"
    )
    for remark in filter(None, (suspicion, logfile.recovered, index.rebuilt)):
        Logger().warn("{remark}", remark=remark)
    replica = Replica(
        config.replica,
        tuple(config.peers),
        tuple(map(str, config.catalogs)),
        logfile,
        index.index,
        config.timing,
        lambda: time.time_ns() // 1_000_000,
        monotonic_seconds(),
        nonce=random.SystemRandom().getrandbits(52),
        names=lambda: f"{random.SystemRandom().getrandbits(64):016x}",
    )
    neighbours = len(config.peers) + len(config.catalogs)
    channels = Channels(reactor, max(1, _CALLS_PER_NEIGHBOUR * neighbours))
    node = OrderNode(
        reactor,
        monotonic_seconds,
        replica,
        TradingDesk(replica, index.ledger(), index.index),
        logfile,
        index,
        {peer: Peer(channels.to(at), config.timing) for peer, at in config.peers.items()},
        {
            str(at): Catalog(channels.to(at), config.timing, lambda: replica.cluster)
            for at in config.catalogs
        },
        config.timing,
        lambda line: stop_with(reactor, f"bazaar-order: {line}"),
        config.data,
    )

    def add_servicers(server: grpc.Server) -> None:
        add_OrdersServicer_to_server(Orders(reactor, node, logfile, index), server)
        add_ReplicationServicer_to_server(Replication(reactor, node), server)

    server = RpcServer(
        reactor, config.listen, _HANDLER_THREADS, add_servicers, random.SystemRandom()
    )
    return Layers(channels, node, server)
