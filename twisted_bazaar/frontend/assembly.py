"""Puts a front-end together: channels, threads, clocks and randomness for each part.

Importing this module imports Klein, which installs the reactor, and gRPC.
"""

import random
import resource
import secrets
import time
from collections.abc import Callable, Sequence

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.http.access_log import AccessLog
from twisted_bazaar.http.client_address import TrustedProxies
from twisted_bazaar.http.connections import connections_for
from twisted_bazaar.http.hosts import Hosts
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.http.traced import trace_requests
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.resource import MetricsResource, WithMetrics
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers, monotonic_seconds
from twisted_bazaar.tracing.export import make_tracing
from twisted_bazaar.tracing.spans import Tracer

from .api.old_system import public_site
from .api.order_lists import OneList
from .api.reports import Reports
from .api.routes import Routes
from .cache.floors import Floors
from .cache.invalidation import InvalidationResource, internal_site
from .cache.memory import MemoryCache
from .cache.push_frames import push_frames
from .cache.recent import Recent
from .cache.redis import RedisCache
from .cache.signed_pushes import NoSubscription, SignedPushes
from .cache.store import QuoteCache
from .cache.subscription import Subscriber
from .clients import CatalogClient, ReplicaClient
from .election.leadership import Leadership
from .election.pings import Pings
from .election.search import Search
from .events.feed import EventFeed
from .events.following import FollowedPartition
from .events.source import NewsSource
from .figures import FrontendFigures
from .lookups.queue import LookupQueue
from .lookups.service import LookupService
from .lookups.whole_market import WholeMarketQueue
from .operations.challenges import Challenges
from .operations.resource import MarketOperations
from .operations.service import OperationService
from .overview.catalogs import CatalogStatuses
from .overview.parts import OwnLease, leader_index
from .overview.service import Overview
from .readiness import Readiness
from .tap import FrontendConfig
from .trading.following import TradeFollowing
from .trading.keys import FreshKeys
from .trading.service import TradeService
from .upstream.catalogs import Catalogs
from .upstream.replicas import Replicas

__all__ = ["make_frontend"]

_CALLS_PER_REPLICA = (3, 2, 4, 2, 2)
"""Of pings: a ping, a campaign, and a message that another replica leads. Of trades: a batch, and
one that still waits for a leader that has been replaced. Of reads. For events: one that waits for
news, and one that was given up and still waits; and pages of older orders."""
_CALLS_PER_CATALOG = (4, 1)
"""Of lookups, and of questions how it is. Further reads and lookups wait for a thread."""


def make_frontend(
    reactor: Reactor, config: FrontendConfig, lost_lines: Callable[[], int]
) -> Service:
    """A front-end. `lost_lines` returns how many lines its log has lost. Starting it raises
    `Unusable` if an endpoint cannot be listened on."""
    timing, seconds = config.timing, monotonic_seconds
    figures = FrontendFigures(Metrics(), reactor, lost_lines)
    leadership = Leadership(config.replicas, timing)
    to_replicas, (lookups, statuses) = _channels(reactor, config, figures)
    pings, trades, reads, watches, replays = to_replicas

    def clients(channels: Channels) -> dict[int, ReplicaClient]:
        return {
            replica: ReplicaClient(channels.to(at), timing, replica, lambda: leadership.cluster)
            for replica, at in config.replicas.items()
        }

    tracing = make_tracing(reactor, config.trace, "frontend", random.SystemRandom())
    following = TradeFollowing.of(tracing.tracer, config.is_debugging)
    trade_service = TradeService(
        *(reactor, seconds, leadership, clients(trades), timing, _life()),
        *(following, figures.trades),
    )
    replicas = Replicas(reactor, seconds, leadership, clients(reads), timing)
    source = NewsSource(reactor, seconds, leadership, clients(watches), clients(replays), timing)
    followed = [FollowedPartition(leadership, source, replicas)]
    event_feed = EventFeed(reactor, seconds, followed, timing, _max_readers())

    def led_by(leader: int) -> None:
        trade_service.led_by(leader)
        event_feed.led()

    search = Search(reactor, seconds, leadership, clients(pings), led_by)
    ping_service = Pings(reactor, clients(pings), [search], timing)
    figures.show(trade_service, event_feed, leadership, search)
    catalogs = _catalogs(config, leadership, lookups)
    reports, recent = Reports(leadership, catalogs), Recent()
    operations = _operations(
        config.secret,
        OperationService(reactor, seconds, leadership, clients(reads), timing, _life()),
        lambda: lookup_service.look_up_all().addCallback(lambda market: market.body),
    )
    exposed = figures.resource(reports.readiness)
    caching = _caching(
        *(reactor, config, catalogs, lambda: leadership.cluster, recent),
        *(exposed, operations, figures),
    )
    lookup_service = _lookup_service(reactor, caching, catalogs, replicas, recent, figures)
    overview = _overview(config, leadership, statuses, caching, figures)
    routes = Routes(
        trades=trade_service,
        lookups=lookup_service,
        replicas=replicas,
        lists=OneList(replicas),
        reports=reports,
        overview=overview,
        events=event_feed,
        fresh_key=_fresh_keys(),
        hosts=Hosts(config.hosts),
        notice=caching.notice,
    )
    public = _public(reactor, config, routes, reports, figures, tracing.tracer)
    return Layers(
        tracing.service,
        *(figures.process, pings, trades, reads, watches, replays, lookups, statuses),
        *(trade_service, event_feed, ping_service, *caching.services, public),
        Readiness(reactor, reports, lambda: public.url),
    )


def _channels(
    reactor: Reactor, config: FrontendConfig, figures: FrontendFigures
) -> tuple[Sequence[Channels], Sequence[Channels]]:
    """To replicas and to catalogs. Each kind of call has connections and threads of its own: reads
    that wait must not hold up trades, and neither may hold up pings."""

    def channels(calls: int, processes: int) -> Channels:
        return Channels(reactor, calls * processes, figures.asks)

    return (
        [channels(calls, len(config.replicas)) for calls in _CALLS_PER_REPLICA],
        [channels(calls, len(config.catalogs)) for calls in _CALLS_PER_CATALOG],
    )


def _catalogs(config: FrontendConfig, leadership: Leadership, channels: Channels) -> Catalogs:
    clients = [
        CatalogClient(channels.to(at), lambda: leadership.cluster, config.secret)
        for at in config.catalogs
    ]
    return Catalogs(monotonic_seconds, clients, config.timing)


def _public(
    reactor: Reactor,
    config: FrontendConfig,
    routes: Routes,
    reports: Reports,
    figures: FrontendFigures,
    tracer: Tracer | None,
) -> Listener:
    """What clients reach: metrics only if they were asked for."""
    served = routes.resource()
    if config.public_metrics:
        # Clients may be many, and their calls must not take the time of trades.
        metrics = figures.resource(reports.readiness, reactor.seconds)
        served = WithMetrics(metrics, served)
    site = public_site(served, reactor, time.time, _request_ids(), _max_connections(), figures.http)
    figures.show_site(site)
    trace_requests(site, tracer)
    site.proxies = TrustedProxies(config.trusted_proxies)
    if config.access_log:
        site.access_log = AccessLog()
    return Listener(reactor, config.listen, site)


def _lookup_service(
    reactor: Reactor,
    caching: "_Caching",
    catalogs: Catalogs,
    leader: Replicas,
    recent: Recent,
    figures: FrontendFigures,
) -> LookupService:
    return LookupService(
        reactor,
        monotonic_seconds,
        LookupQueue(caching.floors),
        WholeMarketQueue(caching.floors),
        caching.cache,
        catalogs,
        leader,
        recent,
        figures.cache,
    )


def _operations(
    secret: bytes, service: OperationService, market: Callable[[], Deferred[bytes]]
) -> MarketOperations:
    """Market operations. `market` shows all stocks."""
    challenges = Challenges(secret, secrets.token_bytes(32), lambda: secrets.token_hex(16))
    return MarketOperations(challenges, service, market, monotonic_seconds)


def _overview(
    config: FrontendConfig,
    leadership: Leadership,
    statuses: Channels,
    caching: "_Caching",
    figures: FrontendFigures,
) -> Overview:
    """What operators are shown. Catalogs are asked over `statuses`."""
    # Without the secret: it proves a subscription only.
    clients = [CatalogClient(statuses.to(at), lambda: leadership.cluster) for at in config.catalogs]
    asked = CatalogStatuses(
        monotonic_seconds, clients, lambda: leader_index(leadership.statuses, leadership.leader)
    )
    return Overview(
        time.time,
        leadership,
        config.replicas,
        asked,
        caching.own_lease,
        caching.notice,
        figures.snapshot,
    )


def _max_connections() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_for(descriptors)


def _max_readers() -> int:
    """Readers of events never take the last connections from those who trade."""
    return _max_connections() // 2


@attrs.frozen
class _Caching:
    services: Sequence[Service]
    own_lease: Callable[[], OwnLease]
    # What a front-end with `--cache off` lacks.
    cache: QuoteCache | None = None
    floors: Floors | None = None
    notice: Callable[[], str | None] = lambda: None


def _caching(
    reactor: Reactor,
    config: FrontendConfig,
    catalogs: Catalogs,
    cluster: Callable[[], str],
    recent: Recent,
    metrics: MetricsResource,
    operations: MarketOperations,
    figures: FrontendFigures,
) -> _Caching:
    """The cache, and what keeps this front-end subscribed to invalidations of it; and the internal
    endpoint, which serves `metrics` and `operations` as well."""
    refused = figures.cache.refused
    cache = _cache(reactor, config)
    if cache is None:
        nothing = InvalidationResource(
            config.secret, NoSubscription(), monotonic_seconds, operations, metrics, refused
        )
        site = internal_site(nothing, reactor, time.time, _request_ids())
        internal = Listener(reactor, config.internal, site, "--internal")
        return _Caching((internal,), lambda: OwnLease(_shown(config, internal), None, 0.0))
    if not config.secret:
        Logger().warn(
            "no --secret-file: any process that can read this bazaar's traffic can forge pushes to "
            "this front-end; what it keeps in a Redis is of no use to other front-ends"
        )

    def address() -> str:
        return str(config.advertise or internal.address)

    floors = Floors(config.timing, _life)
    token = secrets.token_hex(16)
    subscriber = Subscriber(
        *(reactor, monotonic_seconds, floors, catalogs, cache, address, token, config.timing),
        *(recent, figures.cache),
    )
    pushes = SignedPushes(config.secret, subscriber)
    frames = push_frames(
        *(pushes, reactor, cluster, random.SystemRandom(), refused), figures=figures.asked
    )
    invalidations = InvalidationResource(
        config.secret, subscriber, monotonic_seconds, operations, metrics, refused
    )
    site = internal_site(invalidations, reactor, time.time, _request_ids(), frames.connections)
    internal = Listener(reactor, config.internal, site, "--internal")
    figures.show_cache(cache, floors, monotonic_seconds)
    store = (cache,) if isinstance(cache, Service) else ()

    def own_lease() -> OwnLease:
        now = monotonic_seconds()
        return OwnLease(address(), floors.left(now), max(0.0, floors.kept_out_until - now))

    services = (*store, frames, internal, subscriber)
    return _Caching(services, own_lease, cache, floors, subscriber.notice)


def _shown(config: FrontendConfig, internal: Listener) -> str:
    """The address of the internal endpoint, as operators are shown it."""
    try:
        return str(config.advertise or internal.address)
    except Unusable:
        return config.internal


def _cache(reactor: Reactor, config: FrontendConfig) -> QuoteCache | None:
    if config.cache == "off":
        return None
    if config.cache == "memory":
        return MemoryCache()
    address = Address.parse(config.cache.removeprefix("redis://"))
    # Without a secret of the cluster's, a random one: then Redis serves this process alone.
    secret = config.secret or secrets.token_bytes(32)
    return RedisCache(reactor, monotonic_seconds, address, secret=secret)


def _life() -> int:
    """A random number from 1 to 2**53 - 1: unlike any that was given before."""
    return random.SystemRandom().randrange(1, 2**53)


def _fresh_keys() -> FreshKeys:
    return FreshKeys(random.SystemRandom())


def _request_ids() -> RequestIds:
    return RequestIds(secrets.token_hex(5))
