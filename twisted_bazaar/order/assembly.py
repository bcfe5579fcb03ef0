"""Puts an order replica together: its folder, clocks, randomness and neighbours."""

import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import grpc
from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from twisted_bazaar.consensus.identity import members_fit, never_members
from twisted_bazaar.consensus.messages import MarketSnapshot
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.probes import make_probes
from twisted_bazaar.metrics.process import ProcessFigures
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import add_OrdersServicer_to_server
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import add_ReplicationServicer_to_server
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.exchanges import (
    FAR_BEHIND,
    REPLICATION,
    Blocking,
    decode_followed,
    encode,
    methods,
)
from twisted_bazaar.rpc.frames.server import FrameServer, Method
from twisted_bazaar.rpc.health import Health
from twisted_bazaar.rpc.server import serve
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.exits import stop_with
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers, monotonic_seconds
from twisted_bazaar.security.inside import open_certificates, opened
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.beginning import archive_of, read_beginning
from twisted_bazaar.storage.index import Index, index_path, witness_in
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.owner import check_is_no_member
from twisted_bazaar.storage.snapshot import install_snapshot
from twisted_bazaar.storage.stores import store_of
from twisted_bazaar.storage.timely import TimelyStore
from twisted_bazaar.storage.trust import Witness, log_path
from twisted_bazaar.tracing.export import make_tracing

from .anew import Again, Anew
from .archiver import Archiver
from .desk import TradingDesk
from .disk import Disk
from .earlier import Fetcher
from .figures import OrderFigures, show_replica
from .following import Following, FollowingDesk
from .log_figures import SnapshotFigures, show_log
from .neighbours import Catalog, Peer
from .node import OrderNode
from .pages import OrderPages
from .peers import Peers
from .servicer import Orders, Replication
from .snapshots import Outgoing, Taker
from .status import why_not_ready
from .tap import OrderConfig
from .transport import OrderTransport
from .watches import WatchEnd
from .whole_market import whole_market

__all__ = ["archive_in", "check_members", "make_order_replica"]

_HANDLER_THREADS = 8
"""For what reads files."""
_CALLS_PER_NEIGHBOUR = 3
"""By gRPC: those of an earlier release. An append, and a poll or fetch, and one that waits for its
timeout."""

_LAG_SECONDS = 0.01
"""A follower without which there is a majority is told so much later, of more at once: a follower
takes as much CPU for one entry as for ten."""

_CHANCE = random.SystemRandom()


def make_order_replica(
    reactor: Reactor, config: OrderConfig, lost_lines: Callable[[], int]
) -> Service:
    """An order replica. `lost_lines` returns how many lines its log has lost. Raises `Unusable` if
    its folder cannot be used or read."""
    claim(config.data)
    return Anew(
        partial(_make, reactor, config, lost_lines, SnapshotFigures()),
        lambda why: stop_with(reactor, f"bazaar-order: {why}"),
    )


def _make(
    reactor: Reactor,
    config: OrderConfig,
    lost_lines: Callable[[], int],
    snapshots: SnapshotFigures,
    again: Again,
) -> Service:
    config, logfile, index = _open(config)
    metrics, role = Metrics(), Role.order(config.replica)
    certificates = open_certificates(reactor, config.inside, role, metrics)
    process_figures = ProcessFigures(reactor, metrics, "order", str(config.replica), lost_lines)
    asked, asks = CallFigures.of_server(metrics), CallFigures.of_client(metrics)
    replica = _replica(config, logfile, index, lambda: whole_market(desk, replica.log))
    neighbours = len(config.peers) + len(config.catalogs)
    channels = Channels(reactor, max(1, _CALLS_PER_NEIGHBOUR * neighbours), asks, certificates)
    transport = OrderTransport(
        *(reactor, replica.id, lambda: replica.cluster, config.catalogs, _CHANCE),
        *(asks, certificates),
    )
    blocking = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    tracing = make_tracing(reactor, config.trace, f"order-{config.replica}", _CHANCE)
    following = Following.of(replica, tracing.tracer, config.is_debugging)
    peers, catalogs = _neighbours(config, replica, transport, channels, blocking, following)
    figures = OrderFigures(metrics, replica)
    desk = _desk(replica, logfile, index, following)
    disk = Disk(reactor, monotonic_seconds, logfile, index, figures.wrote)
    node = OrderNode(
        reactor=reactor,
        seconds=monotonic_seconds,
        replica=replica,
        desk=desk,
        disk=disk,
        peers=peers,
        catalogs=catalogs,
        timing=config.timing,
        stop=lambda line: stop_with(reactor, f"bazaar-order: {line}"),
        figures=figures,
        folder=config.data,
    )
    show_replica(metrics, replica, desk, node.watches, monotonic_seconds)

    outgoing = Outgoing(
        *(replica, logfile, index, config.data, blocking, _CHANCE, monotonic_seconds, snapshots)
    )
    taker = Taker(
        *(reactor, monotonic_seconds, replica, peers, config.data, config.archive, blocking, again),
        snapshots,
    )
    archiver = _archiver(reactor, config, logfile, index, disk, node.cannot_read)
    show_log(metrics, logfile, snapshots, lambda: sum(each.failing_seconds for each in archiver))
    pages = OrderPages(desk, node.last_number, logfile, index)

    def add_servicers(server: grpc.Server) -> None:
        orders = Orders(node, pages, index, monotonic_seconds, following, config.inside.may_call)
        add_OrdersServicer_to_server(orders, server)
        add_ReplicationServicer_to_server(Replication(node, outgoing), server)

    far = methods(FAR_BEHIND, outgoing.ask, blocking, node.cannot_read, figures=asked)
    answered = {**_answered(node, blocking, following, asked), **far}
    frames = FrameServer(reactor, answered, transport.welcome, _CHANCE)
    probes = make_probes(
        *(reactor, metrics, lambda: why_not_ready(replica, monotonic_seconds()), time.time),
        RequestIds(secrets.token_hex(5)),
    )
    listens = reactor, config.listen, _HANDLER_THREADS
    health = _health(reactor, replica, node)
    server = serve(*listens, add_servicers, frames, _CHANCE, probes, asked, health, certificates)
    below = tracing.service, process_figures, *opened(certificates), channels, transport
    fetcher = _fetcher(reactor, replica, peers, logfile, blocking)
    return Layers(*below, node, *archiver, taker, *fetcher, server, WatchEnd(node.watches))


def _fetcher(
    reactor: Reactor, replica: Replica, peers: Peers, logfile: LogFile, blocking: Blocking
) -> Sequence[Service]:
    """What fetches entries that are before the log, and in no archive of this replica."""
    archive = logfile.archive
    if archive is None:
        return ()
    return [Fetcher(reactor, replica, peers, logfile, archive, blocking)]


def _archiver(
    reactor: Reactor,
    config: OrderConfig,
    logfile: LogFile,
    index: Index,
    disk: Disk,
    cannot_read: Callable[[Exception], None],
) -> Sequence[Archiver]:
    """What moves segments to the archive; none does, if all of the log is to be kept."""
    archive = logfile.archive
    if config.keep is None or archive is None:
        return ()
    # What is in the index is released.
    return [
        Archiver(
            *(reactor, logfile, archive, config.keep, config.archive),
            *(lambda: index.index, disk.sync_index, cannot_read),
        )
    ]


def _replica(
    config: OrderConfig, logfile: LogFile, index: Index, market: Callable[[], MarketSnapshot]
) -> Replica:
    here = {config.replica: config.advertised, **config.peers}
    return Replica(
        replica=config.replica,
        peers=tuple(config.peers),
        learners=tuple(map(str, config.catalogs)),
        storage=logfile,
        applied=index.index,
        timing=config.timing,
        milliseconds=lambda: time.time_ns() // 1_000_000,
        now=monotonic_seconds(),
        nonce=_CHANCE.getrandbits(52),
        names=lambda: f"{_CHANCE.getrandbits(64):016x}",
        lag=_LAG_SECONDS,
        addresses={peer: str(at) for peer, at in here.items() if at is not None},
        join=config.join,
        market=market,
    )


def _neighbours(
    config: OrderConfig,
    replica: Replica,
    transport: OrderTransport,
    channels: Channels,
    blocking: Blocking,
    following: Following | None,
) -> tuple[Peers, Mapping[str, Catalog]]:
    """The other replicas, and the catalogs, by name."""
    encoder = encode if following is None else following.encode

    def dial(peer: int, at: Address) -> Peer:
        return Peer(
            transport.dial(peer, at),
            channels.to(at, Role.order(peer)),
            blocking,
            config.timing,
            encoder,
        )

    catalogs = {
        str(at): Catalog(
            *(transport.catalogs[at], channels.to(at, Role(Kind.CATALOG)), blocking, config.timing),
            *(lambda: replica.cluster, encoder),
        )
        for at in config.catalogs
    }
    return Peers(lambda: replica.neighbours, config.peers, dial, transport.drop), catalogs


def _desk(
    replica: Replica, logfile: LogFile, index: Index, following: Following | None
) -> TradingDesk:
    ledger = index.ledger(logfile.first_prices())
    if following is None:
        return TradingDesk(replica, ledger, index.index)
    return FollowingDesk(replica, ledger, index.index, following=following)


def _answered(
    node: OrderNode, blocking: Blocking, following: Following | None, figures: CallFigures
) -> Mapping[int, Method]:
    """How requests of peers are answered."""
    if following is None:
        return methods(REPLICATION, node.request, blocking, node.cannot_read, figures=figures)
    ask = following.around(node.request)
    return methods(REPLICATION, ask, blocking, node.cannot_read, decode_followed, figures)


def _health(reactor: Reactor, replica: Replica, node: OrderNode) -> Health:
    services: Mapping[str, Callable[[], bool]] = {
        "bazaar.v1.Orders": lambda: replica.can_answer(monotonic_seconds()),
        "bazaar.v1.Replication": lambda: bool(node.running),
    }
    return Health(reactor, services)


def check_members(
    folder: Path, peers: Collection[int], replica: int, join: bool, logfile: LogFile
) -> None:
    """Raises `Unusable` if the options name others than the log has as members, or ever had.

    Options that are older than a change of the members are no mistake: the log knows better.
    """
    if join and logfile.suspect:
        # It may lack the entries that added those.
        misfit = None
    elif logfile.memberships:
        misfit = never_members(peers, logfile.openings, logfile.memberships)
    elif join:
        misfit = None
    else:
        recorded = logfile.openings[-1][1].members if logfile.openings else ()
        misfit = members_fit(recorded, (replica, *peers))
        misfit = misfit and f"{misfit} (python -m twisted_bazaar members changes them)"
    if misfit:
        raise Unusable(f"--peer: {folder}: {misfit}")


def _begun(config: OrderConfig) -> str:
    """Put a snapshot in place that has come, and return where the archive is: as the options say,
    or else as the beginning of the log says. Raises `Unusable`."""
    folder: Path = config.data
    check_is_no_member(folder)
    try:
        if entry := install_snapshot(folder, config.replica):
            Logger().info("the log begins after entry {entry}, with a snapshot", entry=entry)
        return archive_of(log_path(folder), config.archive)
    except OSError as why:
        raise Unusable(f"{folder}: {why}") from why


def archive_in(config: OrderConfig, witness: Witness | None) -> Archive:
    """The archive, which is not waited for long: nothing that it holds is needed to trade, unless
    the index, which `witness` says goes so far, is to be made of it."""
    try:
        begins = read_beginning(log_path(config.data))
    except Damaged:
        begins = None  # The log is set aside.
    if begins is not None and (witness.index if witness else 0) < begins.before.index:
        return Archive(store_of(config.archive, config.data))
    return Archive(TimelyStore(store_of(config.archive, config.data, hurried=True)))


def _open(config: OrderConfig) -> tuple[OrderConfig, LogFile, Index]:
    """The log and the index in the folder, which is locked until the process ends, and the options,
    which say where the archive is.

    Says in the log what was found to be wrong with them. Raises `Unusable`.
    """
    config = attrs.evolve(config, archive=_begun(config))
    folder: Path = config.data
    place = index_path(folder)
    witness = witness_in(place)
    archive = archive_in(config, witness)
    logfile = LogFile(*(folder, config.replica, _CHANCE, config.segment_bytes, witness, archive))
    check_members(folder, config.peers, config.replica, config.join, logfile)
    index = Index(place, logfile)
    lacking, _ = archive.missing
    if index.index < lacking:
        raise Unusable(
            f"{folder}: the index is gone, and the entries up to {lacking} are not in "
            f"{archive.where}: empty the folder, and this replica takes a snapshot of another"
        )
    log = Logger()
    if logfile.fresh:
        log.info("{folder}: new; it votes once all other replicas have been asked", folder=folder)
    elif logfile.suspect:
        log.warn(
            "{folder}: suspect, until all other replicas have been asked: {why}",
            folder=folder,
            why=logfile.suspect,
        )
    for remark in filter(None, (logfile.recovered, index.rebuilt)):
        log.warn("{remark}", remark=remark)
    return config, logfile, index
