"""The options of `twistd bazaar`, and the service made of them."""

import os
import time
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.python import usage

from twisted_bazaar.engine.options import (
    ENGINE_HELP,
    PARTITIONS_HELP,
    engine_url,
    partitions,
)
from twisted_bazaar.frontend.limits.options import LimitOptions
from twisted_bazaar.http.client_address import read_network
from twisted_bazaar.order.keeping import KEEP_HELP, archive_place, parse_keep
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.endpoint import DEFAULT_LISTEN
from twisted_bazaar.runtime.redis_url import REDIS_HELP
from twisted_bazaar.runtime.services import Process, prepare
from twisted_bazaar.tracing.options import TracingOptions

from .bazaar import LocalBazaar, stop_seconds
from .console import Console
from .engine import EMBEDDED
from .plan import Config

__all__ = ["Options", "makeService"]

MAX_REPLICAS = 9
"""Nine replicas survive four failures at once."""


def odd(text: str) -> int:
    """A number of order replicas: odd, as one more survives no further failure."""
    number = options.positive_int(text)
    if number % 2 == 0 or number > MAX_REPLICAS:
        raise ValueError(f"must be an odd number from 1 to {MAX_REPLICAS}, not {text!r}")
    return number


def cache_or_auto(text: str) -> str:
    """`auto`, or what a front-end takes."""
    try:
        return text if text == "auto" else options.cache(text)
    except ValueError as why:
        raise ValueError(str(why).replace("must be ", "must be auto, ", 1)) from None


def engine(text: str) -> str:
    """The URL of an engine, or `embedded-postgres`."""
    return text if text == EMBEDDED else engine_url(text)


class Options(LimitOptions, TracingOptions):
    """The options of a bazaar on one machine."""

    synopsis = "[options]"
    optParameters: ClassVar[list[list[Any]]] = [
        ["listen", None, DEFAULT_LISTEN, "Endpoint for clients.", options.endpoint],
        ["data", None, Path("var"), "Folder of all files.", options.folder],
        [
            "cache",
            None,
            "auto",
            "Where lookups are cached: memory, off, auto, which is an embedded Redis-compatible "
            "server, redis-server or memory, whichever there is first, or "
            f"{REDIS_HELP}",
            cache_or_auto,
        ],
        ["replicas", None, 3, "Number of order replicas, odd.", odd],
        [
            "engine",
            None,
            None,
            f"{ENGINE_HELP} Or {EMBEDDED}: a server of this bazaar's own, for a look.",
            engine,
        ],
        ["partitions", None, 1, PARTITIONS_HELP, partitions],
        ["keep", None, None, KEEP_HELP, parse_keep],
        [
            "archive",
            None,
            "",
            "Folder, or s3://BUCKET/PREFIX, of what has left the logs of all replicas; else each "
            "has a folder of its own.",
            archive_place,
        ],
        ["clients", None, None, options.CLIENTS_HELP, options.readable_file],
        ["hsts", None, 0, options.HSTS_HELP, options.positive_int],
        ["listing", None, None, "CSV file of the stocks to open with.", options.readable_file],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        ["public-metrics", None, "Serve the front-end's /metrics to clients, too."],
        ["access-log", None, options.ACCESS_LOG_HELP],
        ["open", None, options.OPEN_HELP],
        [
            "plain-inside",
            None,
            "Make no certificates: the processes call each other without TLS, on this machine.",
        ],
    ]
    repeated: ClassVar = [
        ("host", options.HOST_HELP, options.host_name),
        ("trusted-proxy", options.PROXY_HELP, read_network),
    ]

    def postOptions(self) -> None:
        super().postOptions()
        options.check_open(self["listen"], self["clients"], bool(self["open"]))
        options.check_hsts(self["hsts"], self["listen"])
        if self["engine"]:
            self.check_engine_timing()
            if self["keep"]:
                raise usage.UsageError("--keep is for replicas: an engine keeps all of its log")
        elif self["partitions"] > 1:
            raise usage.UsageError("--partitions must be 1 without --engine")


def makeService(config: Options) -> Service:
    """The whole bazaar on this machine."""
    from twisted.internet import reactor as installed

    reactor = prepare(installed, stop_seconds(config["engine"]))
    process = Process(reactor, config, "bazaar", has_name=True)
    # A child gets its options on its command line; those of this service must not reach it.
    ours = config.variables()
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    chosen = Config(
        listen=config["listen"],
        data=config["data"],
        cache=config["cache"],
        replicas=config["replicas"],
        engine=config["engine"],
        partitions=config["partitions"],
        keep=config["keep"],
        archive=config["archive"],
        listing=config["listing"],
        hosts=config["host"],
        public_metrics=bool(config["public-metrics"]),
        access_log=bool(config["access-log"]),
        clients=config["clients"],
        is_open=bool(config["open"]),
        hsts_seconds=config["hsts"],
        plain_inside=bool(config["plain-inside"]),
        trusted_proxies=config["trusted-proxy"],
        limits=config.limits,
        timing=config.timing,
        trace=config.trace,
        log=config.log_settings,
    )
    bazaar = LocalBazaar(
        reactor,
        chosen,
        environment,
        Console(process.output, config.log_settings.format, time.time),
        time.time,
        os.urandom,
    )
    bazaar.setServiceParent(process)
    return process
