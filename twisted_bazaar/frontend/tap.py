"""`twistd bazaar-frontend`: options, and how a front-end is put together."""

import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import attrs
from twisted.application.service import Service

from .. import options
from ..address import Address
from ..exits import stop_on_signals
from ..options import TimingOptions
from ..rpc.channel import Channels
from ..services import Late, Layers
from ..timing import Timing

__all__ = ["FrontendConfig", "Options", "makeService"]

_CALLS_PER_REPLICA = 8
"""Two batches of trades, a ping, and reads; more of these wait for a thread."""
_CALLS_PER_CATALOG = 4


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

    stop_on_signals(reactor)
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

    timing = config.timing
    seconds = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    channels = Channels(
        reactor,
        _CALLS_PER_REPLICA * len(config.replicas) + _CALLS_PER_CATALOG * len(config.catalogs),
    )
    replicas = {
        replica: ReplicaClient(channels.to(at), timing) for replica, at in config.replicas.items()
    }
    leadership = Leadership(replicas)
    trading = Trading(reactor, seconds, leadership, replicas, timing)
    heartbeat = Heartbeat(reactor, seconds, leadership, replicas, timing, trading.led_by)
    market_data = MarketData(
        reactor, [CatalogClient(channels.to(at)) for at in config.catalogs], timing
    )
    reports = Reports(leadership, market_data)
    api = Api(
        trading=trading,
        market_data=market_data,
        orders=OrderReader(reactor, seconds, leadership, replicas, timing),
        replicas=reports,
        readiness=reports.readiness,
        fresh_key=FreshKeys(random.SystemRandom()),
    )
    site = BazaarSite(api.resource(), reactor, FreshKeys(random.SystemRandom()))
    return Layers(channels, trading, heartbeat, Listener(reactor, config.listen, site))
