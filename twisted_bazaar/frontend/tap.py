"""`twistd bazaar-frontend`: its options. `assembly` puts the front-end together."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
from twisted.application.service import Service

from twisted_bazaar.engine.options import PARTITIONS_HELP, partitions
from twisted_bazaar.http.client_address import Network, read_network
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.endpoint import DEFAULT_LISTEN, Endpoint
from twisted_bazaar.runtime.redis_url import REDIS_HELP
from twisted_bazaar.runtime.services import Late, Process, prepare
from twisted_bazaar.security.options import InsideConfig, InsideOptions
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.options import TraceConfig

from .limits.options import LimitConfig, LimitOptions

__all__ = ["FrontendConfig", "Options", "makeService"]


@attrs.frozen
class FrontendConfig:
    """The options of one front-end, parsed."""

    listen: str
    internal: str
    advertise: Address | None
    catalogs: tuple[Address, ...]
    replicas: Mapping[int, Address]
    cache: str = attrs.field(repr=False)
    """`memory`, `off`, or the URL of a Redis, which may hold a password."""
    timing: Timing
    hosts: tuple[str, ...]
    """Further names by which clients reach it."""
    secret: bytes = attrs.field(repr=False)
    """The cluster's secret; empty: none."""
    is_debugging: bool = False
    """Whether events at debug are logged."""
    public_metrics: bool = attrs.field(default=False, kw_only=True)
    """Whether `listen` serves metrics, too."""
    trace: TraceConfig | None = attrs.field(default=None, kw_only=True)
    """Where traces go; None: nowhere."""
    access_log: bool = attrs.field(default=False, kw_only=True)
    hsts_seconds: int = attrs.field(default=0, kw_only=True)
    """For how long browsers are to use HTTPS only; 0: they are not told."""
    trusted_proxies: tuple[Network, ...] = attrs.field(default=(), kw_only=True)
    limits: LimitConfig = attrs.field(factory=LimitConfig, kw_only=True)
    clients: Path | None = attrs.field(default=None, kw_only=True)
    """The file of clients; None: all may call."""
    partitions: int = attrs.field(default=1, kw_only=True)
    """How many the bazaar was created with."""
    inside: InsideConfig = attrs.field(factory=InsideConfig, kw_only=True)


class Options(LimitOptions, InsideOptions):
    """Options of a front-end."""

    synopsis = "[options]"
    longdesc = f"REST for clients, in front of catalogs and replicas. {InsideOptions.longdesc}"
    optParameters: ClassVar = [
        ["listen", None, DEFAULT_LISTEN, "Endpoint for clients.", options.endpoint],
        [
            "internal",
            None,
            "tcp:0:interface=127.0.0.1",
            "Endpoint for the catalogs' invalidations, for market operations and metrics.",
            options.endpoint,
        ],
        ["advertise", None, None, "HOST:PORT at which catalogs reach it.", options.host_port],
        ["secret-file", None, None, "File of the cluster's secret.", options.secret_file],
        ["clients", None, None, options.CLIENTS_HELP, options.readable_file],
        ["cache", None, "memory", f"memory, off, or {REDIS_HELP}", options.cache],
        ["partitions", None, 1, PARTITIONS_HELP, partitions],
        ["hsts", None, 0, options.HSTS_HELP, options.positive_int],
    ]
    optFlags: ClassVar = [
        ["public-metrics", None, "Serve /metrics to clients, too, and not on --internal only."],
        ["access-log", None, options.ACCESS_LOG_HELP],
        ["open", None, options.OPEN_HELP],
    ]
    repeated: ClassVar = [
        ("catalog", "HOST:PORT of a catalog.", options.host_port),
        ("replica", "ID=HOST:PORT of an order replica.", options.id_address),
        ("host", options.HOST_HELP, options.host_name),
        ("trusted-proxy", options.PROXY_HELP, read_network),
    ]
    required = ("catalog", "replica")

    config: FrontendConfig

    def postOptions(self) -> None:
        super().postOptions()
        options.check_open(self["listen"], self["clients"], bool(self["open"]))
        replicas = self.by_id("replica")
        internal = Endpoint.parse(self["internal"])
        options.check_hsts(self["hsts"], self["listen"])
        self.config = FrontendConfig(
            self["listen"],
            self["internal"],
            self["advertise"],
            self["catalog"],
            replicas,
            self["cache"],
            self.timing,
            self["host"],
            self["secret-file"] or b"",
            self.log_settings.is_debugging,
            public_metrics=bool(self["public-metrics"]),
            trace=self.trace,
            access_log=bool(self["access-log"]),
            trusted_proxies=self["trusted-proxy"],
            limits=self.limits,
            clients=self["clients"],
            hsts_seconds=self["hsts"],
            partitions=self["partitions"],
            inside=self.inside([internal, *self["catalog"], *replicas.values()]),
        )


def makeService(given: Options) -> Service:
    """A front-end on the process's reactor."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed)

    def make() -> Service:
        # Klein and gRPC take a third of a second to import, which --help need not wait for.
        from .assembly import make_frontend

        return make_frontend(reactor, given.config, lambda: process.output.lost_lines)

    process = Process(reactor, given, "frontend", Late("bazaar-frontend", make))
    return process
