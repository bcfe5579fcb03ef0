"""A bazaar each of whose services has its own network namespace, so that packets from one to
another can be dropped, one way or both, without an error at either.

This process is the router: a link joins it to each service. A cut is a rule that drops what
comes from one link for one address. A diversion is a rule that delivers what comes from one link
for one address here, where a `Forwarder` passes it on to another service. Both act in the
namespaces that this process was started in (`load.bazaar.isolation`), never on the machine's own
network.
"""

import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.utils import getProcessOutputAndValue

from load.errors import CannotRun, NotInTime
from twisted_bazaar.local import plan
from twisted_bazaar.local.certificates import certificates_path, keep_certificates
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.local.secret import keep_secret
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .fleet import RELAUNCH_SECONDS, START_SECONDS, STOP_SECONDS, Fleet
from .forwarder import Forwarder
from .processes import Process, environment, last_message
from .redis import Redis

__all__ = ["NamespacedFleet"]

PORT = 7000
PUBLIC_PORT = 8081
REPLICAS = 3
FIRST_TABLE = 1000
"""Routing tables from this number on are for diversions."""


class NamespacedFleet(Fleet):
    """Front-ends, a catalog, three order replicas and, where a server is installed, Redis, with
    their files in `folder`. A process that ends is started again."""

    def __init__(self, reactor: Reactor, folder: Path, further: Sequence[str]) -> None:
        """`further` is where each further front-end caches: `shared`, with the first one, or
        `own`, in its memory."""
        self._data = data = folder / "data"
        super().__init__(reactor, data)
        data.mkdir(exist_ok=True)
        self._secret = data / "secret"
        keep_secret(self._secret, os.urandom)
        keep_certificates(data, REPLICAS, time.time(), os.urandom)
        self._inside = f"--certificates={certificates_path(data)}"
        self.frontends = ["frontend", *(f"frontend-{n}" for n in range(2, len(further) + 2))]
        self.orders = [f"order-{n}" for n in range(1, REPLICAS + 1)]
        self._log = folder / "log"
        self._server = _redis_server(data)
        redis = ["redis"] if self._server else []
        names = [*self.orders, "catalog", *self.frontends, *redis]
        self._places = {name: place for place, name in enumerate(names, 1)}
        first = "redis" if redis else "memory"
        self.caches = [first, *("memory" if cache == "own" else first for cache in further)]
        self._processes = {
            name: Process(reactor, ["ip", "netns", "exec", name, *self._command(name)], self._log)
            for name in self._places
        }
        self._cuts: set[tuple[str, str]] = set()
        self._diversions: dict[str, tuple[IListeningPort, Forwarder]] = {}
        """By the service whose address is diverted."""
        self._diverting: list[Sequence[str]] = []
        """What undoes the rules and routes of the diversions, the last one first."""
        self._down: set[str] = set()
        self._stopping = False
        self.urls = [f"http://{self._host(name)}:{PUBLIC_PORT}" for name in self.frontends]

    def _host(self, name: str) -> str:
        return f"10.77.{self._places[name]}.2"

    def _command(self, name: str) -> Sequence[str]:
        host = self._host(name)
        if name == "redis":
            # Later options win. In the namespaces nothing else can reach it.
            at = ["--bind", host, "--port", str(PORT), "--protected-mode", "no"]
            return [*self._server, *at]
        secret = f"--secret-file={self._secret}"
        catalog = f"--catalog={self._host('catalog')}:{PORT}"
        replicas = [(n, f"{n}={self._host(f'order-{n}')}:{PORT}") for n in range(1, REPLICAS + 1)]
        own = [f"--listen={host}:{PORT}", f"--data={self._data / name}"]
        if name == "catalog":
            return twistd("bazaar-catalog", *own, secret, self._inside)
        if name in self.orders:
            number = int(name.removeprefix("order-"))
            peers = [f"--peer={address}" for n, address in replicas if n != number]
            return twistd("bazaar-order", f"--id={number}", *own, *peers, catalog, self._inside)
        cache = self.caches[self.frontends.index(name)]
        return twistd(
            "bazaar-frontend",
            f"--listen=tcp:{PUBLIC_PORT}:interface={host}",
            f"--internal=tcp:{PORT}:interface={host}",
            f"--advertise={host}:{PORT}",
            f"--cache=redis://{self._redis_address()}" if cache == "redis" else "--cache=memory",
            *(catalog, secret, self._inside, "--open"),
            *(f"--replica={address}" for _, address in replicas),
        )

    async def start(self) -> None:
        for name, place in self._places.items():
            inside, link = ["-n", name], f"link{place}"
            await self._ip("netns", "add", name)
            await self._ip("link", "add", link, "type", "veth", "peer", "eth0", "netns", name)
            await self._ip("addr", "add", f"10.77.{place}.1/24", "dev", link)
            await self._ip("link", "set", link, "up")
            await self._ip(*inside, "addr", "add", f"10.77.{place}.2/24", "dev", "eth0")
            await self._ip(*inside, "link", "set", "eth0", "up")
            await self._ip(*inside, "link", "set", "lo", "up")
            await self._ip(*inside, "route", "add", "default", "via", f"10.77.{place}.1")
        for name, process in self._processes.items():
            process.on_end = lambda name=name: self._ended(name)
            process.start()
        await self.until(self.ready, "the bazaar is ready", START_SECONDS)
        await self.until(self.caching, "every front-end caches", START_SECONDS)

    async def stop(self) -> None:
        self._stopping = True
        for name in reversed(self._places):
            if name not in self._down:
                status = await self._processes[name].stop(STOP_SECONDS)
                if status != 0:
                    raise NotInTime(f"{name} ended with status {status} after SIGTERM")

    async def end(self) -> None:
        self._stopping = True
        for process in self._processes.values():
            await process.end()

    def names(self) -> Sequence[str]:
        return list(self._places)

    def pid(self, name: str) -> int | None:
        return self._processes[name].pid

    def folders(self) -> Path:
        return self._data

    def redis(self) -> Redis | None:
        return Redis(self._redis_address()) if self._server else None

    def _redis_address(self) -> Address:
        return Address(self._host("redis"), PORT)

    async def cut(self, cuts: Iterable[tuple[str, str]]) -> None:
        """Drop what the first of each pair sends to the second, until `mend`."""
        for source, target in cuts:
            if (source, target) not in self._cuts:
                self._cuts.add((source, target))
                await self._ip("rule", "add", *self._dropping(source, target))

    async def divert(self, source: str, name: str, elsewhere: str) -> None:
        """Deliver what `source` sends to the address of `name` to `elsewhere`, until `mend`. For
        one `name`, `elsewhere` must be the same for all sources."""
        host, table = self._host(name), str(FIRST_TABLE + self._places[name])
        if name not in self._diversions:
            forwarder = Forwarder(self._host(elsewhere), PORT)
            self._diversions[name] = forwarder.listen_as(self.reactor, host, PORT), forwarder
            await self._add_route("route", "local", host, "dev", "lo", "table", table)
        link = f"link{self._places[source]}"
        await self._add_route("rule", "iif", link, "to", host, "priority", "90", "lookup", table)

    async def _add_route(self, kind: str, *words: str) -> None:
        await self._ip(kind, "add", *words)
        self._diverting.append([kind, "del", *words])

    async def mend(self) -> None:
        """End all cuts and diversions."""
        while self._cuts:
            await self._ip("rule", "del", *self._dropping(*self._cuts.pop()))
        while self._diverting:
            await self._ip(*self._diverting.pop())
        while self._diversions:
            _, (port, forwarder) = self._diversions.popitem()
            await maybeDeferred(port.stopListening)
            forwarder.abort()

    def _dropping(self, source: str, target: str) -> Sequence[str]:
        link, host = f"link{self._places[source]}", self._host(target)
        return ["iif", link, "to", host, "priority", "100", "blackhole"]

    def take_down(self, name: str) -> None:
        """SIGKILL; it is not started again before `heal`."""
        self._down.add(name)
        self._processes[name].send(signal.SIGKILL)

    def heal(self) -> None:
        """End every fault but for cuts and diversions, which `mend` ends."""
        super().heal()
        for name in list(self._down):
            self._down.discard(name)
            self._relaunch(name)

    def _ended(self, name: str) -> None:
        if not self._stopping and name not in self._down:
            self.reactor.callLater(RELAUNCH_SECONDS, self._relaunch, name)

    def _relaunch(self, name: str) -> None:
        if not self._stopping and name not in self._down and self.pid(name) is None:
            self._processes[name].start()

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.status is not None and process.status > 0:
                raise CannotRun(f"{name} ended: {last_message(self._log)}")

    async def _ip(self, *words: str) -> None:
        _, said, status = await getProcessOutputAndValue("ip", words, environment())
        if status != 0:
            why = said.decode("utf-8", "replace").strip() or f"status {status}"
            raise CannotRun(f"ip {' '.join(words)}: {why.splitlines()[-1]}")


def _redis_server(data: Path) -> Sequence[str]:
    """The command line by which `twistd bazaar` starts Redis; empty: no server is installed."""
    ports = Ports()
    listen = f"tcp:0:interface={ports.reserve(0).host}"
    config = plan.Config(
        listen=listen, data=data, cache="auto", replicas=1, listing=None, timing=Timing()
    )
    commands = [child.command for child in plan.plan(config, ports) if child.name == "redis"]
    ports.release()
    return commands[0] if commands else ()
