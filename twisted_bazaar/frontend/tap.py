"""`twistd bazaar-frontend`: options, and how a front-end is put together."""

import random
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
from twisted.application.service import Service

from .. import options
from ..address import Address
from ..options import TimingOptions
from ..rpc.channel import Channels
from ..services import Late, Layers, monotonic_seconds, prepare
from ..timing import Timing

__all__ = ["FrontendConfig", "Options", "makeService"]

_PINGS_PER_REPLICA = 3
"""A ping, a campaign, and the word that another leads."""
_TRADES_PER_REPLICA = 3
"""Two batches, and one that waits for a leader that has been replaced."""
_READS_PER_REPLICA = 4
_LOOKUPS_PER_CATALOG = 4
"""Further reads and lookups wait for a thread."""


@attrs.frozen
class FrontendConfig:
    """One front-end."""

    listen: str
    catalogs: tuple[Address, ...]
    replicas: Mapping[int, Address]
    cache: str
    timing: Timing


class Options(TimingOptions):
    """Options of a front-end."""

    synopsis = "[options]"
    longdesc = f"REST for clients, in front of catalogs and replicas. {TimingOptions.longdesc}"
    optParameters: ClassVar = [
        ["listen", None, "tcp:8081:interface=127.0.0.1", "Endpoint for clients.", options.endpoint],
        ["internal", None, None, "Endpoint for the catalogs' invalidations.", options.endpoint],
        ["advertise", None, None, "HOST:PORT at which catalogs reach it.", options.host_port],
        ["cache", None, "memory", "redis://HOST:PORT, memory or off.", options.cache],
    ]
    repeated: ClassVar = [
        ("catalog", "HOST:PORT of a catalog.", options.host_port),
        ("replica", "ID=HOST:PORT of an order replica.", options.id_address),
    ]
    required = ("catalog", "replica")

    config: FrontendConfig

    def postOptions(self) -> None:
        super().postOptions()
        self.config = FrontendConfig(
            self["listen"], self["catalog"], self.by_id("replica"), self["cache"], self.timing
        )


def makeService(given: Options) -> Service:
    """A front-end on the process's reactor."""
    from twisted.internet import reactor

    prepare(reactor)
    return Late("bazaar-frontend", lambda: make_frontend_service(reactor, given.config))


def make_frontend_service(reactor: Any, config: FrontendConfig) -> Service:
    """A front-end. Ends the process if the endpoint cannot be listened on."""
    # Klein and gRPC take a third of a second to import; who asks for --help need not wait.
    from .api import Api
    from .clients import CatalogClient, ReplicaClient
    from .heartbeat import Heartbeat
    from .keys import FreshKeys
    from .leadership import Leadership
    from .listener import Listener
    from .market_data import MarketData
    from .order_reader import OrderReader
    from .reports import Reports
    from .site import BazaarSite
    from .trading import Trading

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
            replica: ReplicaClient(channels.to(at), timing)
            for replica, at in config.replicas.items()
        }

    leadership = Leadership(config.replicas)
    trading = Trading(reactor, seconds, leadership, replicas(trades), timing)
    heartbeat = Heartbeat(reactor, seconds, leadership, replicas(pings), timing, trading.led_by)
    orders = OrderReader(reactor, seconds, leadership, replicas(reads), timing)
    catalogs = [CatalogClient(lookups.to(at)) for at in config.catalogs]
    market_data = MarketData(reactor, catalogs, timing)
    reports = Reports(leadership, market_data)
    api = Api(
        trading=trading,
        market_data=market_data,
        orders=orders,
        replicas=reports,
        readiness=reports.readiness,
        fresh_key=FreshKeys(random.SystemRandom()),
    )
    site = BazaarSite(api.resource(), reactor, FreshKeys(random.SystemRandom()))
    listener = Listener(reactor, config.listen, site)
    return Layers(pings, trades, reads, lookups, trading, heartbeat, listener)
