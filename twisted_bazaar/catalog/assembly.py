"""Puts a catalog together: its folder, file, clock and randomness."""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

import grpc
from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.probes import make_probes
from twisted_bazaar.metrics.process import ProcessFigures
from twisted_bazaar.partitions import MAX_PARTITIONS
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
from twisted_bazaar.security.inside import open_certificates, opened
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.tracing.export import make_tracing

from .admission import Admission
from .figures import CatalogFigures, show_catalog
from .following import Following
from .market_file import save
from .node import CatalogNode
from .opening import Opening, check_partitions, open_market
from .partitions import Partitions, file_of
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
    openings = _open(config)
    if not config.secret:
        Logger().warn(
            "no --secret-file: any process that reaches this catalog can subscribe to its pushes"
        )
    chance, metrics = random.SystemRandom(), Metrics()
    certificates = open_certificates(reactor, config.inside, Role(Kind.CATALOG), metrics)
    tracing = make_tracing(reactor, config.trace, "catalog", chance)
    process_figures = ProcessFigures(reactor, metrics, "catalog", "", lost_lines)
    asked, asks = CallFigures.of_server(metrics), CallFigures.of_client(metrics)
    greeter = Greeter(CATALOG, 0, lambda: partitions.nodes[0].cluster)
    push_frames = PushFrames(reactor, config.secret, greeter, chance, asks, certificates)
    pusher = PushClient(
        *(reactor, config.secret, config.timing.lease / PUSHES_PER_LEASE),
        *(push_frames, certificates),
    )
    lives, figures = partial(chance.randrange, 1, 2**53), CatalogFigures(metrics)
    partitions = Partitions(
        [
            CatalogNode(
                reactor,
                monotonic_seconds,
                opening.snapshot,
                file_of(config.data, number),
                pusher,
                lives,
                config.timing,
                opening.opened,
                figures.another(),
                (number, len(openings)),
            )
            for number, opening in enumerate(openings)
        ]
    )
    show_catalog(metrics, partitions.nodes)

    admission = Admission(config.secret, len(openings))

    def add_servicers(server: grpc.Server) -> None:
        add_CatalogServicer_to_server(Catalog(reactor, partitions, admission), server)

    blocking = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    follows = config.is_debugging or tracing.tracer is not None
    following = partial(Following, tracing.tracer, config.is_debugging)
    applying = (
        methods(
            *(APPLYING, partitions.apply_followed(following), blocking),
            read=decode_followed,
            figures=asked,
        )
        if follows
        else methods(APPLYING, partitions.apply, blocking, figures=asked)
    )
    frames = FrameServer(reactor, applying, greeter.welcome, chance)
    request_ids = RequestIds(secrets.token_hex(5))
    server = serve(
        *(reactor, config.listen, _HANDLER_THREADS, add_servicers, frames, chance),
        make_probes(reactor, metrics, partitions.why_not_ready, time.time, request_ids),
        asked,
        Health(reactor, {"bazaar.v1.Catalog": lambda: partitions.why_not_ready() is None}),
        certificates,
    )
    below = tracing.service, process_figures, *opened(certificates)
    return Layers(*below, pusher, *partitions.nodes, server)


def _open(config: CatalogConfig) -> Sequence[Opening]:
    """What the catalog starts with, by partition. What is not in a file yet is written to one, so
    that the operator's listing is needed once."""
    check_partitions([file_of(config.data, n) for n in range(MAX_PARTITIONS)], config.partitions)
    openings = []
    for number in range(config.partitions):
        path = file_of(config.data, number)
        opening = open_market(path, config.listing, (number, config.partitions))
        if not opening.snapshot.position.index:
            save(path, opening.snapshot)
        openings.append(opening)
    return openings
