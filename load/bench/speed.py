"""Requests a second and latencies of a bazaar and of its bare frameworks, measured in turns.

All of them are started first. While one is measured the others are stopped (SIGSTOP), as an idle
bazaar uses a seventh of a core for its heartbeats and pings.
"""

import importlib.util
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process, last_message
from load.errors import CannotRun
from load.report.outputs import Tell
from twisted_bazaar.market import DEFAULT_LISTING
from twisted_bazaar.runtime.reactor import Reactor

from .figures import Sample, Samples, Subject
from .generator import Generator, ask
from .postgres import Postgres, postgres_binaries

__all__ = ["STOCKS", "WARM_UP_SECONDS", "Speed", "cpu_seconds", "rest", "wake"]

START_SECONDS = 30.0
WARM_UP_SECONDS = 1
STOCKS = [listing.name for listing in DEFAULT_LISTING]
TICKS = os.sysconf("SC_CLK_TCK")
"""The clock ticks a second in /proc."""

Load = Callable[[str, Sequence[str], int, float], Awaitable[Sample]]
"""Puts load on a URL: stocks, connections, and for how many seconds."""


class Speed:
    """A bazaar with a cache, one without, servers with bare routes, and the ordinary alternative
    where PostgreSQL is installed."""

    def __init__(
        self,
        reactor: Reactor,
        folder: Path,
        generator: Generator,
        cache: str,
        tell: Tell,
    ) -> None:
        self._reactor = reactor
        self._generator = generator
        self._tell = tell
        self._folder = folder
        self._log = folder / "bare.log"
        self._bazaars = {name: self._bazaar(name, option)
                         for name, option in (("on", cache), ("off", "off"))}  # fmt: skip
        self._bare: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._postgres = _postgres(reactor)
        self._taken: dict[tuple[Subject, int], list[Sample]] = defaultdict(list)

    def _bazaar(self, name: str, cache: str) -> LocalFleet:
        folder = self._folder / name
        folder.mkdir()
        return LocalFleet(self._reactor, folder, (), [f"--cache={cache}"])

    async def measure(self, rounds: int, connections: Sequence[int], seconds: int) -> Samples:
        """Start everything, measure, and end what was started. Raises `CannotRun`, `NotInTime`."""
        try:
            for kind in ("http", "grpc"):
                await self._serve(kind, "load.bench.bare", kind)
            if self._postgres is not None:
                await self._serve_ordinary(self._postgres)
            for bazaar in self._bazaars.values():
                await bazaar.start()
                rest(bazaar)
            for number in range(1, rounds + 1):
                for each in connections:
                    self._tell(f"round {number} of {rounds}: {each} connections")
                    await self._round(each, seconds)
        finally:
            for process in self._bare.values():
                await process.end()
            if self._postgres is not None:
                await self._postgres.end()
            for bazaar in self._bazaars.values():
                bazaar.heal()
                await bazaar.end()
        return self._taken

    @property
    def cache(self) -> str:
        """Where the bazaar with a cache caches: `redis` or `memory`."""
        return self._bazaars["on"].caches[0]

    async def _round(self, connections: int, seconds: int) -> None:
        http = f"http://127.0.0.1:{self._ports['http']}"
        klein = {"bare": self._bare["http"].pid}
        load = self._generator
        routes: Sequence[tuple[Subject, Load]]
        routes = [(Subject.KLEIN_GET, load.lookups), (Subject.KLEIN_POST, load.trades)]
        for subject, request in routes:
            await request(http, STOCKS, connections, WARM_UP_SECONDS)
            await self._take(subject, connections, klein, seconds, request, http)
        at = f"127.0.0.1:{self._ports['grpc']}"
        grpc = {"bare": self._bare["grpc"].pid}
        await self._take(Subject.GRPC, connections, grpc, seconds, self._call, at)
        if "ordinary" in self._ports:
            url = f"http://127.0.0.1:{self._ports['ordinary']}"
            uvicorn = {"uvicorn": self._bare["ordinary"].pid}
            await load.trades(url, STOCKS, connections, WARM_UP_SECONDS)
            await self._take(Subject.ORDINARY, connections, uvicorn, seconds, load.trades, url)
        for name, bazaar in self._bazaars.items():
            await wake(bazaar)
            url = bazaar.urls[0]
            pids = {each: bazaar.pid(each) for each in bazaar.names()}
            await load.lookups(url, STOCKS, connections, WARM_UP_SECONDS)
            subject = Subject.CACHED if name == "on" else Subject.UNCACHED
            await self._take(subject, connections, pids, seconds, load.lookups, url)
            if name == "on":
                await load.trades(url, STOCKS, connections, WARM_UP_SECONDS)
                await self._take(Subject.TRADES, connections, pids, seconds, load.trades, url)
            rest(bazaar)

    async def _call(self, at: str, _: Sequence[str], callers: int, seconds: float) -> Sample:
        return await ask(
            [sys.executable, "-m", "load.bench.bare", "call", at, str(callers), str(seconds)]
        )

    async def _take(
        self,
        subject: Subject,
        connections: int,
        pids: Mapping[str, int | None],
        seconds: int,
        load: Load,
        url: str,
    ) -> None:
        """Put `load` on `url` for `seconds`, and keep the sample with the CPU time of `pids`."""
        before = cpu_seconds(pids)
        sample = await load(url, STOCKS, connections, seconds)
        after = cpu_seconds(pids)
        answers = max(1.0, sample.rate * seconds)
        used = {name: (after[name] - before[name]) / answers * 1e6
                for name in after if name in before}  # fmt: skip
        self._taken[subject, connections].append(
            Sample(sample.rate, sample.p50_ms, sample.p99_ms, sample.errors, used)
        )

    async def _serve_ordinary(self, postgres: Postgres) -> None:
        await postgres.start()
        await self._bazaars["on"].until(postgres.answers, "PostgreSQL", START_SECONDS)
        await self._serve("ordinary", "load.bench.ordinary", str(postgres.folder))

    async def _serve(self, kind: str, module: str, argument: str) -> None:
        """Start `module`, which writes its port to a file, and return when it has."""
        file = self._folder / f"{kind}.port"
        command = [sys.executable, "-m", module, argument, str(file)]
        process = self._bare[kind] = Process(self._reactor, command, self._log)
        process.start()

        async def listens() -> bool:
            if process.status is not None:
                raise CannotRun(last_message(self._log))
            return file.exists()

        await self._bazaars["on"].until(listens, f"the {kind} server", START_SECONDS)
        self._ports[kind] = int(file.read_text())


def _postgres(reactor: Reactor) -> Postgres | None:
    """A server for the ordinary alternative; None: what that needs is not installed."""
    binaries = postgres_binaries()
    needed = ("asyncpg", "fastapi", "uvicorn")
    if binaries is None or not all(importlib.util.find_spec(each) for each in needed):
        return None
    return Postgres(reactor, binaries)


def rest(bazaar: LocalFleet) -> None:
    """Stop all processes of a bazaar (SIGSTOP)."""
    for name in bazaar.names():
        bazaar.pause(name)


async def wake(bazaar: LocalFleet) -> None:
    """Resume all processes of a bazaar, and return when it is ready and caches again."""
    bazaar.heal()
    await bazaar.until(bazaar.ready, "the bazaar is ready again", START_SECONDS)
    await bazaar.until(bazaar.caching, "the bazaar caches again", START_SECONDS)


def cpu_seconds(pids: Mapping[str, int | None]) -> Mapping[str, float]:
    """The CPU time that each process has used; without those for which it cannot be read."""
    used = {}
    for name, pid in pids.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[name] = (int(fields[11]) + int(fields[12])) / TICKS
    return used
