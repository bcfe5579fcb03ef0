"""What a front-end has for each partition of the market: all of it, where there is one.

Importing this module imports gRPC.
"""

import random
import secrets
from collections.abc import Callable, Mapping

import attrs

from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.redis_url import RedisUrl
from twisted_bazaar.runtime.services import monotonic_seconds
from twisted_bazaar.security.roles import Kind, Role

from .cache.floors import Floors
from .cache.memory import MemoryCache
from .cache.recent import Recent
from .cache.redis import RedisCache
from .cache.store import QuoteCache
from .cache.subscription import Subscriber
from .clients import CatalogClient, ReplicaClient
from .election.leadership import Leadership
from .events.source import NewsSource
from .figures import FrontendFigures
from .lookups.queue import LookupQueue
from .lookups.service import LookupService
from .lookups.whole_market import WholeMarketQueue
from .operations.service import OperationService
from .overview.catalogs import CatalogStatuses
from .overview.parts import leader_index
from .tap import FrontendConfig
from .trading.following import TradeFollowing
from .trading.service import TradeService
from .upstream.catalogs import Catalogs
from .upstream.live_clients import LiveClients
from .upstream.members import Members
from .upstream.replicas import Replicas
from .wires import Wires

__all__ = [
    "Partition",
    "Shared",
    "make_cache",
    "make_partition",
    "replica_clients",
    "status_clients",
]


_CATALOG = Role(Kind.CATALOG)


@attrs.frozen
class Shared:
    """What the partitions share."""

    reactor: Reactor
    config: FrontendConfig
    wires: Wires
    figures: FrontendFigures
    following: TradeFollowing | None
    address: Callable[[], str]
    """Of the internal endpoint, once it listens."""
    cache: QuoteCache | None
    members: Members
    """The order replicas."""
    token: str = attrs.field(factory=lambda: secrets.token_hex(16))
    """Signs pushes, of whichever partition."""
    recent: Recent = attrs.field(factory=Recent)


@attrs.frozen
class Caching:
    """What keeps the cached quotes of one partition true."""

    floors: Floors
    subscriber: Subscriber


@attrs.frozen
class Partition:
    """The parts of a front-end that know one partition."""

    number: int
    leadership: Leadership
    trades: TradeService
    replicas: Replicas
    news: NewsSource
    catalogs: Catalogs
    lookups: LookupService
    operations: OperationService
    statuses: CatalogStatuses
    caching: Caching | None
    """None: `--cache off`."""


def make_partition(shared: Shared, number: int) -> Partition:
    """The parts for partition `number`."""
    reactor, config, timing = shared.reactor, shared.config, shared.config.timing
    wires, figures, seconds = shared.wires, shared.figures, monotonic_seconds
    leadership = Leadership(config.replicas, timing, number)

    def clients(channels: Channels) -> Mapping[int, ReplicaClient]:
        return replica_clients(shared, channels, leadership, number)

    def catalog(channels: Channels, at: Address, secret: bytes = b"") -> CatalogClient:
        return CatalogClient(channels.to(at, _CATALOG), lambda: leadership.cluster, secret, number)

    replicas = Replicas(reactor, seconds, leadership, clients(wires.reads), timing)
    catalogs = Catalogs(
        seconds, [catalog(wires.lookups, at, config.secret) for at in config.catalogs], timing
    )
    caching = _caching(shared, catalogs, number)
    floors = caching.floors if caching else None
    return Partition(
        number=number,
        leadership=leadership,
        trades=TradeService(
            *(reactor, seconds, leadership, clients(wires.trades), timing, life()),
            *(shared.following, figures.trades),
        ),
        replicas=replicas,
        news=NewsSource(
            *(reactor, seconds, leadership, clients(wires.watches), clients(wires.replays), timing)
        ),
        catalogs=catalogs,
        lookups=LookupService(
            *(reactor, seconds, LookupQueue(floors), WholeMarketQueue(floors), shared.cache),
            *(catalogs, replicas, shared.recent, figures.cache),
        ),
        operations=OperationService(
            reactor, seconds, leadership, clients(wires.reads), timing, life(), number
        ),
        statuses=CatalogStatuses(
            seconds,
            # Without the secret: it proves a subscription only.
            [catalog(wires.statuses, at) for at in config.catalogs],
            lambda: leader_index(leadership.statuses, leadership.leader),
        ),
        caching=caching,
    )


def replica_clients(
    shared: Shared, channels: Channels, leadership: Leadership, partition: int
) -> Mapping[int, ReplicaClient]:
    """Clients of all replicas for one partition, by id."""
    config = shared.config

    def make(replica: int, at: Address) -> ReplicaClient:
        return ReplicaClient(
            channels.to(at, Role.order(replica)),
            *(config.timing, replica, lambda: leadership.cluster),
            *(partition, config.partitions, config.clients is not None),
        )

    return LiveClients(shared.members, make)


def status_clients(shared: Shared, channels: Channels) -> Mapping[int, ReplicaClient]:
    """Clients that ask all replicas for their status only, by id: that names no partition."""
    timing = shared.config.timing
    return LiveClients(
        shared.members,
        lambda replica, at: ReplicaClient(channels.to(at, Role.order(replica)), timing, replica),
    )


def _caching(shared: Shared, catalogs: Catalogs, number: int) -> Caching | None:
    if shared.cache is None:
        return None
    timing = shared.config.timing
    floors = Floors(timing, life)
    subscriber = Subscriber(
        *(shared.reactor, monotonic_seconds, floors, catalogs, shared.cache),
        *(shared.address, shared.token, timing, shared.recent, shared.figures.cache),
        f"of partition {number}" if shared.config.partitions > 1 else "",
    )
    return Caching(floors, subscriber)


def make_cache(reactor: Reactor, config: FrontendConfig) -> QuoteCache | None:
    """Where quotes are cached; None: nowhere."""
    if config.cache == "off":
        return None
    if config.cache == "memory":
        return MemoryCache()
    url = RedisUrl.parse(config.cache)
    # Without a secret of the cluster's, a random one: then Redis serves this process alone.
    secret = config.secret or secrets.token_bytes(32)
    return RedisCache(reactor, monotonic_seconds, url, secret=secret)


def life() -> int:
    """A random number from 1 to 2**53 - 1: unlike any that was given before."""
    return random.SystemRandom().randrange(1, 2**53)
