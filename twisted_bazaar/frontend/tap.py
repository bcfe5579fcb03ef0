"""`twistd bazaar-frontend`: options, and how a front-end is put together."""

import random
import resource
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs
from twisted.application.service import Service
from twisted.logger import Logger

from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.options import TimingOptions
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Late, Layers, Process, monotonic_seconds, prepare
from twisted_bazaar.timing import Timing

if TYPE_CHECKING:
    from twisted.web.resource import Resource

    from .cache.floors import Floors
    from .cache.stores import Cache
    from .upstream.catalogs import Catalogs

__all__ = ["FrontendConfig", "Options", "makeService"]

_PINGS_PER_REPLICA = 3
"""A ping, a campaign, and the word that another leads."""
_TRADES_PER_REPLICA = 2
"""A batch, and one that waits for a leader that has been replaced."""
_READS_PER_REPLICA = 4
_LOOKUPS_PER_CATALOG = 4
"""Further reads and lookups wait for a thread."""


@attrs.frozen
class FrontendConfig:
    """One front-end."""

    listen: str
    internal: str
    advertise: Address | None
    catalogs: tuple[Address, ...]
    replicas: Mapping[int, Address]
    cache: str
    timing: Timing
    hosts: tuple[str, ...]
    """More names by which clients reach it."""
    secret: bytes = attrs.field(repr=False)
    """The cluster's; empty if there is none."""


class Options(TimingOptions):
    """Options of a front-end."""

    synopsis = "[options]"
    longdesc = f"REST for clients, in front of catalogs and replicas. {TimingOptions.longdesc}"
    optParameters: ClassVar = [
        ["listen", None, "tcp:8081:interface=127.0.0.1", "Endpoint for clients.", options.endpoint],
        [
            "internal",
            None,
            "tcp:0:interface=127.0.0.1",
            "Endpoint for the catalogs' invalidations.",
            options.endpoint,
        ],
        ["advertise", None, None, "HOST:PORT at which catalogs reach it.", options.host_port],
        ["secret-file", None, None, "File of the cluster's secret.", options.secret_file],
        ["cache", None, "memory", "redis://HOST:PORT, memory or off.", options.cache],
    ]
    repeated: ClassVar = [
        ("catalog", "HOST:PORT of a catalog.", options.host_port),
        ("replica", "ID=HOST:PORT of an order replica.", options.id_address),
        ("host", options.HOST_HELP, options.host_name),
    ]
    required = ("catalog", "replica")

    config: FrontendConfig

    def postOptions(self) -> None:
        super().postOptions()
        self.config = FrontendConfig(
            self["listen"],
            self["internal"],
            self["advertise"],
            self["catalog"],
            self.by_id("replica"),
            self["cache"],
            self.timing,
            self["host"],
            self["secret-file"] or b"",
        )


def makeService(given: Options) -> Service:
    """A front-end on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)
    late = Late("bazaar-frontend", lambda: make_frontend_service(reactor, given.config))
    return Process(reactor, given, late)


def make_frontend_service(reactor: Reactor, config: FrontendConfig) -> Service:
    """A front-end. Ends the process if an endpoint cannot be listened on."""
    # Klein and gRPC take a third of a second to import; who asks for --help need not wait.
    from .api.reports import Reports
    from .api.routes import Api
    from .cache.floors import Floors
    from .clients import CatalogClient, ReplicaClient
    from .election.leadership import Leadership
    from .election.pings import Heartbeat
    from .http.hosts import Hosts
    from .lookups.queue import Lookups
    from .lookups.service import MarketData
    from .lookups.whole_market import WholeMarket
    from .trading.keys import FreshKeys
    from .trading.service import Trading
    from .upstream.catalogs import Catalogs
    from .upstream.replicas import OrderReader

    timing, seconds = config.timing, monotonic_seconds
    # Connections and threads of their own for each kind of call: reads that wait must not
    # hold up trades, and neither may hold up the pings by which the leader is known.
    pings, trades, reads = (
        Channels(reactor, calls * len(config.replicas))
        for calls in (_PINGS_PER_REPLICA, _TRADES_PER_REPLICA, _READS_PER_REPLICA)
    )
    lookups = Channels(reactor, _LOOKUPS_PER_CATALOG * len(config.catalogs))

    def replicas(channels: Channels) -> dict[int, ReplicaClient]:
        return {
            replica: ReplicaClient(channels.to(at), timing, replica, lambda: leadership.cluster)
            for replica, at in config.replicas.items()
        }

    leadership = Leadership(config.replicas, config.timing)
    trading = Trading(reactor, seconds, leadership, replicas(trades), timing, _life())
    heartbeat = Heartbeat(reactor, seconds, leadership, replicas(pings), timing, trading.led_by)
    orders = OrderReader(reactor, seconds, leadership, replicas(reads), timing)
    clients = [
        CatalogClient(lookups.to(at), lambda: leadership.cluster, config.secret)
        for at in config.catalogs
    ]
    catalogs = Catalogs(seconds, clients, timing)
    # Without one, what this process keeps in a Redis is at least its own.
    cache = _make_cache(reactor, config.cache, config.secret or secrets.token_bytes(32))
    if not config.secret and cache is not None:
        Logger().warn(
            "no --secret-file: whoever can read this bazaar's own traffic can tell this front-end "
            "what has changed; what it keeps in a Redis is for itself alone"
        )
    floors = None if cache is None else Floors(timing, _life)
    market_data = MarketData(
        reactor, seconds, Lookups(floors), WholeMarket(floors), cache, catalogs, orders
    )
    reports = Reports(leadership, catalogs)
    informed, notice = _informed(reactor, config, floors, catalogs, cache)
    api = Api(
        trading=trading,
        market_data=market_data,
        orders=orders,
        reports=reports,
        fresh_key=FreshKeys(random.SystemRandom()),
        hosts=Hosts(config.hosts),
        notice=notice,
    )
    listener = _listener(reactor, config.listen, api.resource())
    return Layers(pings, trades, reads, lookups, trading, heartbeat, *informed, listener)


def _listener(reactor: Reactor, endpoint: str, routes: "Resource") -> Service:
    """Serves `routes` to clients, to as many at a time as there can be."""
    from .api.old_system import public_site
    from .http.connections import connections_for
    from .http.listener import Listener
    from .trading.keys import FreshKeys

    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    request_ids = FreshKeys(random.SystemRandom())
    site = public_site(routes, reactor, request_ids, connections_for(descriptors))
    return Listener(reactor, endpoint, site)


def _life() -> int:
    """A number that was never given before, from 1 to 2**53 - 1."""
    return random.SystemRandom().randrange(1, 2**53)


def _make_cache(reactor: Reactor, cache: str, secret: bytes) -> "Cache | None":
    from .cache.stores import MemoryCache, RedisCache

    if cache == "off":
        return None
    if cache == "memory":
        return MemoryCache()
    address = Address.parse(cache.removeprefix("redis://"))
    return RedisCache(reactor, monotonic_seconds, address, secret=secret)


def _informed(
    reactor: Reactor,
    config: FrontendConfig,
    floors: "Floors | None",
    catalogs: "Catalogs",
    cache: "Cache | None",
) -> tuple[Sequence[Service], Callable[[], str | None]]:
    """The services by which `floors` are known, and what operators should know of that."""
    if floors is None or cache is None:
        return (), lambda: None
    from .cache.invalidation import Invalidations, internal_site
    from .cache.subscription import Subscriber
    from .http.listener import Listener
    from .trading.keys import FreshKeys

    def address() -> str:
        return str(config.advertise or internal.address)

    token = secrets.token_hex(16)
    subscriber = Subscriber(
        reactor, monotonic_seconds, floors, catalogs, cache, address, token, config.timing
    )
    invalidations = Invalidations(config.secret, subscriber, monotonic_seconds)
    site = internal_site(invalidations, reactor, FreshKeys(random.SystemRandom()))
    internal = Listener(reactor, config.internal, site, "--internal")
    store = (cache,) if isinstance(cache, Service) else ()
    return (*store, internal, subscriber), subscriber.notice
