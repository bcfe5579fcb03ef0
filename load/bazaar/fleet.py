"""The processes of a bazaar under test: they can be killed, paused and asked for their state."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
from twisted.internet.task import deferLater

from load.client.http import NoAnswer, get
from load.errors import NotInTime
from twisted_bazaar.client.session import Session
from twisted_bazaar.runtime.reactor import Reactor

from .disks import Disks
from .redis import Redis

__all__ = [
    "RELAUNCH_SECONDS",
    "START_SECONDS",
    "STOP_SECONDS",
    "Fleet",
    "PartitionRow",
    "ReplicaRow",
]

START_SECONDS = 30.0
STOP_SECONDS = 15.0
ASK_SECONDS = 1.0
POLL_SECONDS = 0.03
RELAUNCH_SECONDS = 0.1
LOOKUPS = 3
"""How many lookups of a stock may be needed until one is answered by a cache."""

T = TypeVar("T")


class PartitionRow(msgspec.Struct, frozen=True):
    """What an order process knows of a partition."""

    role: str
    last_index: int
    digest: str


class ReplicaRow(msgspec.Struct, frozen=True):
    """An order replica, or a member with an engine, as `GET /replicas` shows it."""

    id: int
    role: str
    term: int
    last_number: int
    last_index: int
    digest: str
    reachable: bool
    partitions: tuple[PartitionRow, ...] = ()
    """By number; empty: there is one."""

    @property
    def leads(self) -> int:
        """How many partitions it leads."""
        return sum(each.role == "leader" for each in self.partitions or (self,))

    @property
    def ends(self) -> Sequence[tuple[int, str]]:
        """The index and digest of the last entry of each partition."""
        return tuple((each.last_index, each.digest) for each in self.partitions or (self,))


class _Rows(msgspec.Struct):
    data: list[ReplicaRow]


class _Stock(msgspec.Struct):
    name: str


class _Stocks(msgspec.Struct):
    data: list[_Stock]


class Fleet(ABC):
    """A running bazaar. `LocalFleet` and `NamespacedFleet` are the two kinds."""

    def __init__(self, reactor: Reactor, data: Path | None, api_key: str | None = None) -> None:
        """`api_key` is for what this asks the front-ends; None: they ask for none."""
        self.reactor = reactor
        self.data = data
        """The folder of its files; None: it may not be read."""
        self.urls: list[str] = []
        """Of the front-ends."""
        self.caches: list[str] = []
        """Where each front-end caches: `redis`, `memory` or `off`."""
        self._session = Session(reactor, 2, api_key)
        self._paused: dict[str, int] = {}

    # Processes, and what faults are injected into.

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The names of all processes, front-ends included."""

    @abstractmethod
    def pid(self, name: str) -> int | None:
        """The process id; None: it does not run now."""

    @abstractmethod
    def redis(self) -> Redis | None:
        """Its Redis; None: it has none, or none whose content may be changed."""

    def folders(self) -> Path | None:
        """The folder that has those of the replicas; None: these may not be replaced."""
        return None

    def disks(self) -> Disks | None:
        """Its disks; None: they cannot be made slow."""
        return None

    @abstractmethod
    async def start(self) -> None:
        """Return when it is ready. Raises `CannotRun` or `NotInTime`."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop what was started here cleanly. Raises `NotInTime` if that fails."""

    @abstractmethod
    async def end(self) -> None:
        """Kill what was started here and still runs."""

    def kill(self, name: str) -> None:
        """SIGKILL. The process is started again."""
        self._send(name, self.pid(name), signal.SIGKILL)

    def pause(self, name: str) -> None:
        """SIGSTOP, until `resume`."""
        pid = self.pid(name)
        if pid is not None:
            self._paused[name] = pid
            self._send(name, pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT, if the process that was paused still runs."""
        paused = self._paused.pop(name, None)
        if paused is not None and self.pid(name) == paused:
            self._send(name, paused, signal.SIGCONT)

    def heal(self) -> None:
        """End every fault that is still active."""
        for name in list(self._paused):
            self.resume(name)
        disks = self.disks()
        if disks is not None:
            disks.restore()

    def _send(self, name: str, pid: int | None, number: signal.Signals) -> None:
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                self._paused.pop(name, None)

    # State, as the front-ends show it.

    async def replicas(self) -> Sequence[ReplicaRow]:
        """Every order replica, as the first front-end that answers shows it; empty: none does."""
        for url in self.urls:
            rows = await self._replicas(url)
            if rows:
                return rows
        return ()

    async def _replicas(self, url: str) -> Sequence[ReplicaRow]:
        try:
            reply = await get(self._session, url, "/replicas", ASK_SECONDS)
            return msgspec.json.decode(reply.body, type=_Rows).data
        except (NoAnswer, msgspec.DecodeError):
            return ()

    async def connected(self) -> bool:
        """Whether every front-end reaches every replica, and all show the same leader."""
        leaders = set()
        for url in self.urls:
            rows = await self._replicas(url)
            if not rows or not all(row.reachable for row in rows):
                return False
            leaders |= {row.id for row in rows if row.role == "leader"}
        return len(leaders) == 1

    async def leader(self) -> str | None:
        """The name of the process that leads, of those the one that leads the most partitions;
        None: no leader is known."""
        rows = await self.replicas()
        leaders = [row for row in rows if row.leads and row.reachable]
        most = max(leaders, key=lambda row: (row.leads, row.term), default=None)
        return f"order-{most.id}" if most else None

    async def ready(self) -> bool:
        """Whether all front-ends are ready."""
        try:
            for url in self.urls:
                if (await get(self._session, url, "/readyz", ASK_SECONDS)).status != 200:
                    return False
        except NoAnswer:
            return False
        return bool(self.urls)

    async def caching(self) -> bool:
        """Whether every front-end that has a cache answers lookups from it."""
        try:
            for url in self.urls:
                if not await self._caching(url):
                    return False
        except (NoAnswer, msgspec.DecodeError):
            return False
        return True

    async def _caching(self, url: str) -> bool:
        reply = await get(self._session, url, "/stocks", ASK_SECONDS)
        stocks = msgspec.json.decode(reply.body, type=_Stocks).data
        for _ in range(LOOKUPS if stocks else 0):
            path = f"/stocks/{quote(stocks[0].name, safe='')}"
            reply = await get(self._session, url, path, ASK_SECONDS)
            if reply.header("X-Cache") in ("hit", "off"):
                return True
        return False

    async def converged(self) -> Sequence[ReplicaRow]:
        """All replicas, if they are reachable and have the same logs; else empty."""
        rows = await self.replicas()
        said = {(row.last_number, row.ends) for row in rows}
        return rows if len(said) == 1 and all(row.reachable for row in rows) else ()

    async def until(self, happened: Callable[[], Awaitable[T]], what: str, within: float) -> T:
        """Poll until `happened` returns something true, and return that. Raises `NotInTime`
        after `within` seconds, and what `_check` raises."""
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
        """Raise `CannotRun` if a process has failed, so that waiting is of no use."""
