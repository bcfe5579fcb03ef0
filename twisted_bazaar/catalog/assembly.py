"""Puts a catalog together: its folder, file, clock and randomness."""

import random
import secrets
import time
from collections.abc import Callable
from functools import partial

import grpc
from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.probes import make_probes
from twisted_bazaar.metrics.process import ProcessFigures
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import add_CatalogServicer_to_server
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.exchanges import APPLYING, decode_followed, methods
from twisted_bazaar.rpc.frames.greeter import CATALOG, Greeter
from twisted_bazaar.rpc.frames.server import FrameServer
from twisted_bazaar.rpc.health import Health
from twisted_bazaar.rpc.server import serve
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers, monotonic_seconds
from twisted_bazaar.tracing.export import make_tracing

from .admission import Admission
from .figures import CatalogFigures, show_catalog
from .following import Following
from .market_file import save
from .node import CatalogNode
from .opening import open_market
from .push_client import PushClient
from .push_frames import PushFrames
from .servicer import Catalog
from .subscribers import PUSHES_PER_LEASE
from .tap import CatalogConfig

__all__ = ["make_catalog"]

_HANDLER_THREADS = 8
"""For the whole market, which takes long to encode."""


def make_catalog(reactor: Reactor, config: CatalogConfig, lost_lines: Callable[[], int]) -> Service:
    """A catalog. `lost_lines` returns how many lines its log has lost. Raises `Unusable` if its
    folder or the listing cannot be used."""
    # The lock is held until the process ends.
    claim(config.data)
    path = config.data / "catalog.csv"
    opening = open_market(path, config.listing)
    if not opening.snapshot.position.index:
        save(path, opening.snapshot)
    if not config.secret:
        Logger().warn(
            "no --secret-file: any process that reaches this catalog can subscribe to its pushes"
        )
    chance, metrics = random.SystemRandom(), Metrics()
    tracing = make_tracing(reactor, config.trace, "catalog", chance)
    process_figures = ProcessFigures(reactor, metrics, "catalog", "", lost_lines)
    asked, asks = CallFigures.of_server(metrics), CallFigures.of_client(metrics)
    greeter = Greeter(CATALOG, 0, lambda: node.cluster)
    push_frames = PushFrames(reactor, config.secret, greeter, chance, asks)
    pusher = PushClient(reactor, config.secret, config.timing.lease / PUSHES_PER_LEASE, push_frames)
    node = CatalogNode(
        reactor,
        monotonic_seconds,
        opening.snapshot,
        path,
        pusher,
        lambda: chance.randrange(1, 2**53),
        config.timing,
        opening.opened,
        CatalogFigures(metrics),
    )
    show_catalog(metrics, node.status, lambda: node.stocks, lambda: node.held_lookups)

    admission = Admission(config.secret)

    def add_servicers(server: grpc.Server) -> None:
        add_CatalogServicer_to_server(Catalog(reactor, node, admission), server)

    blocking = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    following = Following.of(tracing.tracer, config.is_debugging)
    applying = (
        methods(APPLYING, node.apply, blocking, figures=asked)
        if following is None
        else methods(
            APPLYING, following.around(node.apply), blocking, read=decode_followed, figures=asked
        )
    )
    frames = FrameServer(reactor, applying, greeter.welcome, chance)
    request_ids = RequestIds(secrets.token_hex(5))
    server = serve(
        *(reactor, config.listen, _HANDLER_THREADS, add_servicers, frames, chance),
        make_probes(reactor, metrics, node.why_not_ready, time.time, request_ids),
        asked,
        Health(reactor, {"bazaar.v1.Catalog": lambda: node.why_not_ready() is None}),
    )
    return Layers(tracing.service, process_figures, pusher, node, server)
