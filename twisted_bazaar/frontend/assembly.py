"""Puts a front-end together.

    partition    its parts that know one partition, of which there may be several
    front        what stands before these
    internal     where catalogs, operators and Prometheus reach it

Importing this module imports Klein, which installs the reactor, and gRPC.
"""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.http.access_log import AccessLog
from twisted_bazaar.http.client_address import TrustedProxies
from twisted_bazaar.http.hosts import Hosts
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.http.traced import trace_requests
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.resource import WithMetrics
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers, monotonic_seconds
from twisted_bazaar.security.inside import open_certificates, opened
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.tracing.export import make_tracing
from twisted_bazaar.tracing.spans import Tracer

from .access.reload import ClientFile
from .api.entrance import Entrance
from .api.old_system import public_site
from .api.reports import Reports
from .api.routes import Routes
from .election.pings import Pings
from .election.roster import Roster
from .election.search import Search
from .figures import FrontendFigures
from .front import Front, front_of
from .internal import InternalEndpoint
from .limits.admission import Admission
from .limits.connections import max_connections, sources
from .limits.limits import Limits
from .operations.challenges import Challenges
from .operations.members import MembersShown
from .operations.requests import Show
from .operations.resource import MarketOperations
from .operations.shown import PartitionsShown
from .overview.parts import OwnLease
from .overview.service import Overview
from .partition import (
    Partition,
    Shared,
    make_cache,
    make_partition,
    replica_clients,
    status_clients,
)
from .readiness import Readiness
from .tap import FrontendConfig
from .trading.following import TradeFollowing
from .trading.keys import FreshKeys
from .upstream.members import Members
from .wires import Wires

__all__ = ["make_frontend"]


def make_frontend(
    reactor: Reactor, config: FrontendConfig, lost_lines: Callable[[], int]
) -> Service:
    """A front-end. `lost_lines` returns how many lines its log has lost. Raises `Unusable` if its
    file of clients cannot be used; starting it does if an endpoint cannot be listened on."""
    metrics = Metrics()
    figures = FrontendFigures(metrics, reactor, lost_lines)
    tracing = make_tracing(reactor, config.trace, "frontend", random.SystemRandom())
    certificates = open_certificates(reactor, config.inside, Role(Kind.FRONTEND), metrics)
    internal = InternalEndpoint(reactor, config, certificates)
    shared = Shared(
        reactor=reactor,
        config=config,
        wires=Wires.of(reactor, config, figures.asks, certificates),
        figures=figures,
        following=TradeFollowing.of(tracing.tracer, config.is_debugging),
        address=internal.address,
        cache=make_cache(reactor, config),
        members=Members(config.replicas),
    )
    partitions = [make_partition(shared, number) for number in range(config.partitions)]
    leaderships = [each.leadership for each in partitions]
    # Readers of events take half of the connections at most: there are some for those who trade.
    front = front_of(shared, partitions, max_connections(config.limits) // 2)
    reports = Reports(leaderships, [each.catalogs for each in partitions])
    searches = [_search(shared, each, front) for each in partitions]
    figures.show(front.feed, [each.trades for each in partitions], leaderships, searches)
    listening = internal.serve(
        *(front.taker, lambda: leaderships[0].cluster, _operations(shared, partitions, front)),
        *(figures.resource(reports.readiness), figures),
    )
    own_lease = _own_lease(shared, partitions, internal)
    clients = _clients(reactor, config, front)
    entrance = Entrance(clients.gate if clients else None, _admission(shared))
    routes = _routes(shared, partitions, front, reports, own_lease, entrance)
    public = _public(reactor, config, routes, reports, figures, tracing.tracer, entrance)
    return Layers(
        *(tracing.service, figures.process, *opened(certificates), *shared.wires.services),
        *(each.trades for each in partitions),
        *(front.feed, _pings(shared, partitions, searches, front)),
        *([shared.cache] if isinstance(shared.cache, Service) else []),
        *listening,
        *(each.caching.subscriber for each in partitions if each.caching),
        *([clients] if clients else []),
        *(public, Readiness(reactor, reports, lambda: public.url)),
    )


def _search(shared: Shared, partition: Partition, front: Front) -> Search:
    """What finds the leader of `partition`, and tells those who send to it."""

    def led_by(leader: int) -> None:
        partition.trades.led_by(leader)
        front.led(partition.number)

    leadership, number = partition.leadership, partition.number
    return Search(
        *(shared.reactor, monotonic_seconds, leadership),
        *(replica_clients(shared, shared.wires.pings, leadership, number), led_by),
        *(number, shared.config.partitions),
    )


def _pings(
    shared: Shared, partitions: Sequence[Partition], searches: Sequence[Search], front: Front
) -> Pings:
    def changed() -> None:
        shared.wires.follow_members(shared.config, shared.members)
        pings.follow_members()

    roster = Roster(shared.members, [each.leadership for each in partitions], changed)

    def heard(status: Status) -> None:
        roster.heard(status)
        if front.heard is not None:
            front.heard(status)

    clients = status_clients(shared, shared.wires.pings)
    timing = shared.config.timing
    pings = Pings(shared.reactor, clients, searches, timing, heard, roster.unanswered)
    return pings


def _operations(shared: Shared, partitions: Sequence[Partition], front: Front) -> MarketOperations:
    secret = shared.config.secret
    challenges = Challenges(secret, secrets.token_bytes(32), lambda: secrets.token_hex(16))
    shown = PartitionsShown(
        [each.leadership for each in partitions], [each.lookups for each in partitions], front.moved
    )
    return MarketOperations(
        challenges,
        front.operations,
        {
            Show.MARKET: lambda: front.lookups.look_up_all().addCallback(lambda all: all.body),
            Show.PARTITIONS: shown.body,
            Show.MEMBERS: MembersShown(shared.members, partitions[0].leadership).body,
        },
        monotonic_seconds,
    )


def _clients(reactor: Reactor, config: FrontendConfig, front: Front) -> ClientFile | None:
    """Reads the file of clients, if there is one."""
    if config.clients is None:
        return None
    blocking = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    return ClientFile(
        reactor, config.clients, blocking, lambda gate: front.feed.end_those(gate.has_lost)
    )


def _own_lease(
    shared: Shared, partitions: Sequence[Partition], internal: InternalEndpoint
) -> Callable[[], OwnLease]:
    """Returns what this front-end knows of its own leases. They hold as long as each does."""
    floors = [each.caching.floors for each in partitions if each.caching]
    if shared.cache is not None:
        shared.figures.show_cache(shared.cache, floors, monotonic_seconds)

    def own_lease() -> OwnLease:
        if not floors:
            return OwnLease(internal.shown(), None, 0.0)
        now = monotonic_seconds()
        kept_out = max(each.kept_out_until - now for each in floors)
        return OwnLease(
            internal.address(), min(each.left(now) for each in floors), max(0.0, kept_out)
        )

    return own_lease


def _routes(
    shared: Shared,
    partitions: Sequence[Partition],
    front: Front,
    reports: Reports,
    own_lease: Callable[[], OwnLease],
    entrance: Entrance,
) -> Routes:
    config = shared.config
    overview = Overview(
        time.time,
        [each.leadership for each in partitions],
        shared.members,
        [each.statuses for each in partitions],
        own_lease,
        front.notice,
        shared.figures.snapshot,
        front.moved,
    )
    return Routes(
        trades=front.trades,
        lookups=front.lookups,
        replicas=front.orders,
        lists=front.lists,
        reports=reports,
        overview=overview,
        events=front.feed,
        fresh_key=FreshKeys(random.SystemRandom()),
        hosts=Hosts(config.hosts, Endpoint.parse(config.listen).is_tls),
        notice=front.notice,
        partitions=config.partitions,
        entrance=entrance,
    )


def _admission(shared: Shared) -> Admission | None:
    """Limits how many requests each client makes; None: none is limited. A file of clients may
    name rates at any time."""
    config = shared.config
    each_address = config.limits.each_address
    if each_address is None and config.clients is None:
        return None
    return Admission(Limits(each_address), time.monotonic_ns, shared.figures.limits)


def _public(
    reactor: Reactor,
    config: FrontendConfig,
    routes: Routes,
    reports: Reports,
    figures: FrontendFigures,
    tracer: Tracer | None,
    entrance: Entrance,
) -> Listener:
    """What clients reach: metrics only if they were asked for."""
    served = routes.resource()
    if config.public_metrics:
        # Clients may be many, and their calls must not take the time of trades.
        metrics = figures.resource(reports.readiness, reactor.seconds)
        served = WithMetrics(metrics, served, entrance.admit_operator)
    request_ids = RequestIds(secrets.token_hex(5))
    limits = config.limits
    site = public_site(
        *(served, reactor, time.time, request_ids, max_connections(limits), figures.http),
        limits.request_seconds,
    )
    figures.show_site(site)
    trace_requests(site, tracer)
    site.proxies = TrustedProxies(config.trusted_proxies)
    site.sources = sources(limits, site.proxies)
    if config.access_log:
        site.access_log = AccessLog()
    if config.hsts_seconds:
        site.hsts = b"max-age=%d" % config.hsts_seconds
    listener = Listener(reactor, config.listen, site)
    figures.show_edge(lambda: listener.edge, time.time)
    return listener
