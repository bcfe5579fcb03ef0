"""Puts a member of a bazaar with an engine together: threads, clocks, randomness and neighbours."""

import random
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial

import grpc
from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool

from twisted_bazaar.consensus.messages import Apply, MarketSnapshot
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Bazaar, Engine
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.errors import Unusable
from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.probes import make_probes
from twisted_bazaar.metrics.process import ProcessFigures
from twisted_bazaar.order.following import Following
from twisted_bazaar.order.neighbours import Catalog
from twisted_bazaar.order.tap import OrderConfig
from twisted_bazaar.order.transport import OrderTransport
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import add_OrdersServicer_to_server
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.exchanges import encode
from twisted_bazaar.rpc.frames.server import FrameServer
from twisted_bazaar.rpc.health import Health
from twisted_bazaar.rpc.server import serve
from twisted_bazaar.runtime.exits import stop_with
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers, monotonic_seconds
from twisted_bazaar.security.inside import open_certificates, opened
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.storage.owner import Owner, check_is_no_replica, take_folder
from twisted_bazaar.tracing.export import make_tracing
from twisted_bazaar.tracing.spans import Tracer

from .figures import MemberFigures, PartitionFigures
from .member import Member, Part
from .node import PartitionNode
from .pages import EnginePages
from .servicer import Orders, PartitionService
from .shown import show_member
from .tails import Tails
from .threads import EngineThreads
from .watch_end import WatchEnd
from .writing import Writing

__all__ = ["make_member"]

_HANDLER_THREADS = 8
"""For answers that take long to encode."""
_CALLS_PER_CATALOG = 3
"""By gRPC."""
_TAILS_IN_TENURE = 4
"""How often the tails are asked for in a tenure: a leader that is silent for one is found so much
later than that at most."""

_CHANCE = random.SystemRandom()


def make_member(reactor: Reactor, config: OrderConfig, lost_lines: Callable[[], int]) -> Service:
    """A member. `lost_lines` returns how many lines its log has lost. Raises `Unusable` if its
    folder or the engine's URL cannot be used."""
    # The lock is held until the process ends.
    claim(config.data)
    check_is_no_replica(config.data)
    metrics, timing = Metrics(), config.timing
    role = Role.order(config.replica)
    certificates = open_certificates(reactor, config.inside, role, metrics)
    process_figures = ProcessFigures(reactor, metrics, "order", str(config.replica), lost_lines)
    asked, asks = CallFigures.of_server(metrics), CallFigures.of_client(metrics)
    open_engine = partial(_open, config)
    threads = EngineThreads(reactor, open_engine, timing.tenure, timing.deadline)
    stop = partial(_stop, reactor)
    channels = Channels(
        reactor, max(1, _CALLS_PER_CATALOG * len(config.catalogs)), asks, certificates
    )
    transport = OrderTransport(
        *(reactor, config.replica, lambda: member.cluster, config.catalogs, _CHANCE),
        *(asks, certificates),
    )
    figures = MemberFigures(metrics)
    tracing = make_tracing(reactor, config.trace, f"order-{config.replica}", _CHANCE)
    parts = _Parts(reactor, config, threads, transport, channels, figures, tracing.tracer, stop)
    member: Member = Member(
        config.replica, timing.tenure, monotonic_seconds, lambda: threads.bazaar, parts.make
    )
    show_member(metrics, member, monotonic_seconds)
    tails = Tails(
        *(reactor, monotonic_seconds, threads),
        *(timing.tenure / _TAILS_IN_TENURE, member.took, stop),
    )

    def add_servicers(server: grpc.Server) -> None:
        add_OrdersServicer_to_server(
            Orders(lambda: member.partition_services, member.status), server
        )

    frames = FrameServer(reactor, {}, transport.welcome, _CHANCE)
    request_ids = RequestIds(secrets.token_hex(5))
    server = serve(
        *(reactor, config.listen, _HANDLER_THREADS, add_servicers, frames, _CHANCE),
        make_probes(reactor, metrics, member.why_not_ready, time.time, request_ids),
        asked,
        Health(reactor, {"bazaar.v1.Orders": member.can_answer}),
        certificates,
    )
    below = tracing.service, process_figures, *opened(certificates), channels, transport
    return Layers(*below, threads, tails, member, server, WatchEnd(member))


def _stop(reactor: Reactor, line: str) -> None:
    stop_with(reactor, f"bazaar-order: {line}")


def _open(config: OrderConfig) -> Engine:
    """On a thread. Raises `Unusable` and `EngineError`."""
    name = f"{_CHANCE.getrandbits(64):016x}"
    engine = PostgresEngine.open(config.engine, partitions=config.partitions, name=name)
    bazaar = engine.bazaar
    try:
        take_folder(config.data, Owner(config.replica, bazaar.name, bazaar.partitions))
    except Unusable:
        engine.close()
        raise
    return engine


class _Parts:
    """Makes the partitions of a member."""

    def __init__(
        self,
        reactor: Reactor,
        config: OrderConfig,
        threads: EngineThreads,
        transport: OrderTransport,
        channels: Channels,
        figures: MemberFigures,
        tracer: Tracer | None,
        stop: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._threads = threads
        self._transport = transport
        self._channels = channels
        self._figures = figures
        self._tracer = tracer
        self._stop = stop

    def make(self, bazaar: Bazaar, partition: int) -> Part:
        """Partition `partition` of `bazaar`."""
        config, timing, threads = self._config, self._config.timing, self._threads
        cluster = f"{bazaar.name}/{partition}" if partition else bazaar.name

        def make_tenure(market: Callable[[], MarketSnapshot]) -> Tenure:
            return Tenure(
                member=config.replica,
                members=(config.replica, *config.peers),
                cluster=cluster,
                catalogs=tuple(map(str, config.catalogs)),
                timing=timing,
                milliseconds=lambda: time.time_ns() // 1_000_000,
                names=lambda: f"{_CHANCE.getrandbits(64):016x}",
                snapshot=market,
                now=monotonic_seconds(),
            )

        writing = Writing(
            threads.log("write", partition),
            timing.deadline,
            monotonic_seconds,
            self._figures.wrote,
        )
        node = PartitionNode(
            reactor=self._reactor,
            seconds=monotonic_seconds,
            partition=partition,
            partitions=bazaar.partitions,
            make_tenure=make_tenure,
            writing=writing,
            finding=threads.log("find", partition),
            prefer=lambda member: threads.engine.call(
                lambda engine: engine.prefer(partition, member)
            ),
            catalogs=self._catalogs(cluster, lambda: node.following),
            timing=timing,
            stop=self._stop,
            figures=PartitionFigures(self._figures),
            make_following=lambda tenure: Following.of(tenure, self._tracer, config.is_debugging),
        )
        pages = EnginePages(threads.log("read", partition), node.readable(node.ask_last_number))
        service = PartitionService(self._reactor, monotonic_seconds, node, pages, timing.tenure)
        return Part(node, service)

    def _catalogs(
        self, cluster: str, following: Callable[[], Following | None]
    ) -> Mapping[str, Catalog]:
        """The catalogs, by name."""

        def encode_followed(message: Apply) -> bytes:
            known = following()
            return encode(message) if known is None else known.encode(message)

        blocking = partial(deferToThreadPool, self._reactor, self._reactor.getThreadPool())
        return {
            str(at): Catalog(
                self._transport.catalogs[at],
                self._channels.to(at, Role(Kind.CATALOG)),
                blocking,
                self._config.timing,
                lambda: cluster,
                encode_followed,
            )
            for at in self._config.catalogs
        }
