"""`twistd bazaar-catalog`: options, and how a catalog is put together."""

import random
from pathlib import Path
from typing import ClassVar

import attrs
import grpc
from twisted.application.service import Service
from twisted.logger import Logger

from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import add_CatalogServicer_to_server
from twisted_bazaar.rpc.server import RpcServer
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.runtime.options import TimingOptions
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Late, Layers, Process, monotonic_seconds, prepare
from twisted_bazaar.timing import Timing

from .admission import Admission
from .market_file import save
from .node import CatalogNode
from .opening import open_market
from .push_client import Pusher
from .servicer import Catalog

__all__ = ["CatalogConfig", "Options", "makeService"]

_HANDLER_THREADS = 32
_PUSHES_PER_LEASE = 4
"""A front-end that lets so many go unanswered has lost its lease."""


@attrs.frozen
class CatalogConfig:
    """One catalog."""

    listen: Address
    data: Path
    listing: Path | None
    secret: bytes = attrs.field(repr=False)
    """The cluster's; empty if there is none."""
    timing: Timing


class Options(TimingOptions):
    """Options of a catalog."""

    synopsis = "[options]"
    longdesc = f"Market data, projected from the order log. {TimingOptions.longdesc}"
    optParameters: ClassVar = [
        ["listen", None, None, "HOST:PORT to serve gRPC on.", options.host_port],
        ["data", None, None, "Folder of the catalog's file.", options.folder],
        ["listing", None, None, "CSV file of the stocks to open with.", options.readable_file],
        ["secret-file", None, None, "File of the cluster's secret.", options.secret_file],
    ]
    required = ("listen", "data")

    config: CatalogConfig

    def postOptions(self) -> None:
        super().postOptions()
        self.config = CatalogConfig(
            self["listen"], self["data"], self["listing"], self["secret-file"] or b"", self.timing
        )


def makeService(given: Options) -> Service:
    """A catalog on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)
    late = Late("bazaar-catalog", lambda: make_catalog_service(reactor, given.config))
    return Process(reactor, given, late)


def make_catalog_service(reactor: Reactor, config: CatalogConfig) -> Service:
    """A catalog. Raises `Unusable` if its folder or the listing cannot be used or read."""
    # Held until the process ends.
    claim(config.data)
    path = config.data / "catalog.csv"
    opening = open_market(path, config.listing)
    if not opening.snapshot.position.index:
        save(path, opening.snapshot)
    if not config.secret:
        Logger().warn(
            "no --secret-file: whoever reaches this catalog can have its pushes sent to themselves"
        )
    pusher = Pusher(reactor, config.secret, config.timing.lease / _PUSHES_PER_LEASE)
    chance = random.SystemRandom()
    node = CatalogNode(
        reactor,
        monotonic_seconds,
        opening.snapshot,
        path,
        pusher,
        lambda: chance.randrange(1, 2**53),
        config.timing,
        opening.opened,
    )

    admission = Admission(config.secret)

    def add_servicers(server: grpc.Server) -> None:
        add_CatalogServicer_to_server(Catalog(reactor, node, admission), server)

    server = RpcServer(reactor, config.listen, _HANDLER_THREADS, add_servicers, chance)
    return Layers(pusher, node, server)
