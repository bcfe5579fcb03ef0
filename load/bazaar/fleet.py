"""A bazaar whose processes can be ended, paused and asked how they are.

`Fleet` is what every such bazaar has; `Local` is `twistd bazaar`, which starts again what
dies, and `load.bazaar.namespaces` has one whose processes can be cut off from one another.
"""

import json
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from twisted.internet.task import deferLater

from load.client.http import NoAnswer, Session
from load.errors import CannotRun, NotInTime
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor

from .disks import Disks
from .processes import Process, said_last
from .redis import Redis

__all__ = ["Fleet", "Local", "ReplicaRow"]

START_SECONDS = 30.0
STOP_SECONDS = 15.0
ASK_SECONDS = 1.0
POLL_SECONDS = 0.03
RELAUNCH_SECONDS = 0.1
LOOKUPS = 3
"""The first of so many lookups, one after the other, may find nothing in a cache."""

T = TypeVar("T")


class ReplicaRow(msgspec.Struct, frozen=True):
    """An order replica, as `GET /replicas` describes it."""

    id: int
    role: str
    term: int
    last_number: int
    last_index: int
    digest: str
    reachable: bool


class _Rows(msgspec.Struct):
    data: list[ReplicaRow]


class _Stock(msgspec.Struct):
    name: str


class _Stocks(msgspec.Struct):
    data: list[_Stock]


class Fleet(ABC):
    """A running bazaar."""

    def __init__(self, reactor: Reactor, data: Path | None) -> None:
        self.reactor = reactor
        self.data = data
        """The folder of its files, if it may be looked into."""
        self.urls: list[str] = []
        """Of the front-ends."""
        self.caches: list[str] = []
        """Where each of them caches: `redis`, `memory` or `off`."""
        self._session = Session(reactor, 2)
        self._paused: dict[str, int] = {}

    # Its processes.

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Of all processes, front-ends included."""

    @abstractmethod
    def pid(self, name: str) -> int | None:
        """None: it does not run just now."""

    @abstractmethod
    def redis(self) -> Redis | None:
        """Its Redis, if there is one that may be spoilt."""

    def folders(self) -> Path | None:
        """Where its folders are, if they may be replaced."""
        return None

    def disks(self) -> Disks | None:
        """Its disks, if they can be made slow."""
        return None

    @abstractmethod
    async def stop(self) -> None:
        """End it in good order, if it is ours. Raises `NotInTime` or `CannotRun` if that fails."""

    @abstractmethod
    async def end(self) -> None:
        """Leave nothing running that is ours, whatever became of it."""

    def kill(self, name: str) -> None:
        """SIGKILL. It comes back by itself."""
        self._send(name, self.pid(name), signal.SIGKILL)

    def pause(self, name: str) -> None:
        """SIGSTOP, until `resume`."""
        pid = self.pid(name)
        if pid is not None:
            self._paused[name] = pid
            self._send(name, pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT, if the process that was paused is still there."""
        paused = self._paused.pop(name, None)
        if paused is not None and self.pid(name) == paused:
            self._send(name, paused, signal.SIGCONT)

    def heal(self) -> None:
        """End every fault that is still there."""
        for name in list(self._paused):
            self.resume(name)
        disks = self.disks()
        if disks is not None:
            disks.mend()

    def _send(self, name: str, pid: int | None, number: signal.Signals) -> None:
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                self._paused.pop(name, None)

    # What it says of itself.

    async def replicas(self) -> Sequence[ReplicaRow]:
        """Every order replica, as the first front-end that answers knows it; else nothing."""
        for url in self.urls:
            rows = await self._replicas(url)
            if rows:
                return rows
        return ()

    async def _replicas(self, url: str) -> Sequence[ReplicaRow]:
        try:
            reply = await self._session.get(f"{url}/replicas", ASK_SECONDS)
            return msgspec.json.decode(reply.body, type=_Rows).data
        except (NoAnswer, msgspec.DecodeError):
            return ()

    async def connected(self) -> bool:
        """Whether every front-end reaches every replica, and all agree on who leads."""
        leaders = set()
        for url in self.urls:
            rows = await self._replicas(url)
            if not rows or not all(row.reachable for row in rows):
                return False
            leaders |= {row.id for row in rows if row.role == "leader"}
        return len(leaders) == 1

    async def leader(self) -> str | None:
        """The process that leads, as far as is known."""
        rows = await self.replicas()
        leaders = [row for row in rows if row.role == "leader" and row.reachable]
        return f"order-{max(leaders, key=lambda row: row.term).id}" if leaders else None

    async def ready(self) -> bool:
        """Whether all front-ends say so."""
        try:
            for url in self.urls:
                if (await self._session.get(f"{url}/readyz", ASK_SECONDS)).status != 200:
                    return False
        except NoAnswer:
            return False
        return bool(self.urls)

    async def caching(self) -> bool:
        """Whether every front-end answers lookups from its cache, if it has one."""
        try:
            for url in self.urls:
                if not await self._caching(url):
                    return False
        except (NoAnswer, msgspec.DecodeError):
            return False
        return True

    async def _caching(self, url: str) -> bool:
        reply = await self._session.get(f"{url}/stocks", ASK_SECONDS)
        stocks = msgspec.json.decode(reply.body, type=_Stocks).data
        for _ in range(LOOKUPS if stocks else 0):
            path = f"{url}/stocks/{quote(stocks[0].name, safe='')}"
            reply = await self._session.get(path, ASK_SECONDS)
            if reply.header(b"X-Cache") in ("hit", "off"):
                return True
        return False

    async def converged(self) -> Sequence[ReplicaRow]:
        """All replicas, once they are reachable and have the same log; before, nothing."""
        rows = await self.replicas()
        said = {(row.last_number, row.last_index, row.digest) for row in rows}
        return rows if len(said) == 1 and all(row.reachable for row in rows) else ()

    async def until(self, happened: Callable[[], Awaitable[T]], what: str, within: float) -> T:
        """Poll until `happened` gives something true. Raises `NotInTime`."""
        give_up = self.reactor.seconds() + within
        while True:
            result = await happened()
            if result:
                return result
            self._check()
            if self.reactor.seconds() > give_up:
                raise NotInTime(f"{what}: not within {within:g} s")
            await deferLater(self.reactor, POLL_SECONDS)

    @abstractmethod
    def _check(self) -> None:
        """Raise `CannotRun` if waiting is of no use."""


class Local(Fleet):
    """`twistd bazaar` in `folder`, and perhaps more front-ends over the same replicas."""

    def __init__(
        self, reactor: Reactor, folder: Path, further: Sequence[str], options: Sequence[str]
    ) -> None:
        """`further` says where each further front-end caches: `shared`, with the first one, or
        `own`, in its memory."""
        super().__init__(reactor, folder / "data")
        self._log = folder / "log"
        listen = "--listen=tcp:0:interface=127.0.0.1"
        command = twistd("bazaar", listen, f"--data={self.data}", *options)
        self._disks = Disks(folder / "slow-disks")
        self._bazaar: Process | None = Process(reactor, command, self._log, self._disks.environment)
        self._further = further
        self._more: dict[str, Process] = {}
        self._ports = Ports()
        self._stopping = False

    @classmethod
    def attached(
        cls, reactor: Reactor, folder: Path, url: str, data: Path, further: Sequence[str]
    ) -> "Local":
        """The one that runs at `url` already, with its files in `data`. It is left running."""
        running = cls(reactor, folder, further, ())
        running._bazaar = None
        running.data = data
        running.urls = [url.rstrip("/")]
        return running

    async def start(self, within: float = START_SECONDS) -> None:
        """Return when it is ready. Raises `CannotRun` with what it said, or `NotInTime`."""
        if self._bazaar is not None:
            self._bazaar.start()
            await self.until(self._listed, "the processes are listed", START_SECONDS)
            self.urls = [f"http://{self._table()['frontend']['address']}"]
        elif not self._table():
            raise CannotRun(f"there is no bazaar with its files in {self.data}")
        elif not await self.replicas():
            raise CannotRun(f"{self.urls[0]} does not answer as a bazaar's front-end")
        self.caches = [_cache(self._table()["frontend"]["command"])]
        for number, cache in enumerate(self._further, 2):
            self._add_frontend(f"frontend-{number}", cache)
        await self.until(self.ready, "the bazaar is ready", within)
        await self.until(self.caching, "every front-end caches", START_SECONDS)

    def redis(self) -> Redis | None:
        row = self._table().get("redis")
        return Redis(Address.parse(row["address"])) if row is not None else None

    def folders(self) -> Path | None:
        # Another's bazaar keeps what it has.
        return self.data if self._bazaar is not None else None

    def disks(self) -> Disks | None:
        return self._disks if self._bazaar is not None else None

    async def stop(self) -> None:
        self._stopping = True
        for process in self._more.values():
            await process.stop(STOP_SECONDS)
        self._ports.release()
        if self._bazaar is not None and self._bazaar.pid is not None:
            status = await self._bazaar.stop(STOP_SECONDS)
            if status != 0:
                raise NotInTime(f"the bazaar ended with status {status} when it was told to stop")

    async def end(self) -> None:
        self._stopping = True
        for process in [*self._more.values(), *([self._bazaar] if self._bazaar else [])]:
            await process.end()
        self._ports.release()

    def names(self) -> Sequence[str]:
        return [*self._table(), *self._more]

    def pid(self, name: str) -> int | None:
        if name in self._more:
            return self._more[name].pid
        pid: int | None = self._table().get(name, {}).get("pid")
        return pid

    def _table(self) -> dict[str, dict[str, Any]]:
        assert self.data is not None
        try:
            rows = json.loads((self.data / "processes.json").read_text())
        except OSError:
            return {}
        return {row["name"]: row for row in rows}

    async def _listed(self) -> bool:
        table = self._table()
        return bool(table) and all(row["pid"] for row in table.values())

    def _check(self) -> None:
        if self._bazaar is not None and self._bazaar.status is not None:
            raise CannotRun(said_last(self._log))

    def _add_frontend(self, name: str, cache: str) -> None:
        """Another one, run as the first is but for its own addresses, and perhaps cache."""
        public, internal = self._ports.reserve(0), self._ports.reserve(0)
        own = {
            "--listen": f"tcp:{public.port}:interface={public.host}",
            "--internal": f"tcp:{internal.port}:interface={internal.host}",
            "--advertise": str(internal),
            **({"--cache": "memory"} if cache == "own" else {}),
        }
        command = [
            f"{option}={own[option]}" if (option := word.partition("=")[0]) in own else word
            for word in self._table()["frontend"]["command"]
        ]
        process = self._more[name] = Process(self.reactor, command, self._log)
        process.on_end = lambda: self._ended(process)
        process.start()
        self.urls.append(f"http://{public}")
        self.caches.append(_cache(command))

    def _ended(self, process: Process) -> None:
        if not self._stopping:
            self.reactor.callLater(RELAUNCH_SECONDS, self._relaunch, process)

    def _relaunch(self, process: Process) -> None:
        if not self._stopping:
            process.start()


def _cache(command: Sequence[str]) -> str:
    """Where a front-end that is started so caches: `redis`, `memory` or `off`."""
    (cache,) = (word for word in command if word.startswith("--cache="))
    return cache.removeprefix("--cache=").partition(":")[0]
