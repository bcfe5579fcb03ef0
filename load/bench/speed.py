"""Requests a second and latencies: the bazaar beside its bare framework, in turns.

Everything is there from the beginning, and all but what is just being measured stands still
(SIGSTOP): an idle bazaar takes a seventh of a core for its heartbeats.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process, said_last
from load.errors import CannotRun
from load.report.outputs import Tell
from twisted_bazaar.market import DEFAULT_LISTING
from twisted_bazaar.runtime.reactor import Reactor

from .figures import Sample, Samples, Subject
from .generator import Generator, ask

__all__ = ["STOCKS", "WARM_SECONDS", "Speed", "rest", "wake"]

START_SECONDS = 30.0
WARM_SECONDS = 1
STOCKS = [listing.name for listing in DEFAULT_LISTING]
TICKS = os.sysconf("SC_CLK_TCK")


class Speed:
    """One run: a bazaar with a cache, one without, and the bare routes."""

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
        self._taken: dict[tuple[Subject, int], list[Sample]] = defaultdict(list)

    def _bazaar(self, name: str, cache: str) -> LocalFleet:
        folder = self._folder / name
        folder.mkdir()
        return LocalFleet(self._reactor, folder, (), [f"--cache={cache}"])

    async def measure(self, rounds: int, connections: Sequence[int], seconds: int) -> Samples:
        """Raises `CannotRun` or `NotInTime`. Nothing is left running, whatever happens."""
        try:
            for kind in ("http", "grpc"):
                await self._serve(kind)
            for bazaar in self._bazaars.values():
                await bazaar.start()
                rest(bazaar)
            for number in range(1, rounds + 1):
                for each in connections:
                    self._tell(f"round {number} of {rounds}: {each} connections")
                    await self._turn(each, seconds)
        finally:
            for process in self._bare.values():
                await process.end()
            for bazaar in self._bazaars.values():
                bazaar.heal()
                await bazaar.end()
        return self._taken

    @property
    def cache(self) -> str:
        """Where the bazaar with a cache has it."""
        return self._bazaars["on"].caches[0]

    async def _turn(self, connections: int, seconds: int) -> None:
        http = f"http://127.0.0.1:{self._ports['http']}"
        klein = {"bare": self._bare["http"].pid}
        load = self._generator
        asked: Sequence[tuple[Subject, str, Mapping[str, int | None], Any]]
        asked = [
            (Subject.KLEIN_GET, http, klein, load.lookups),
            (Subject.KLEIN_POST, http, klein, load.trades),
        ]
        for subject, url, pids, request in asked:
            await request(url, STOCKS, connections, WARM_SECONDS)
            await self._take(subject, connections, pids, seconds, request, url, STOCKS)
        at = f"127.0.0.1:{self._ports['grpc']}"
        pids = {"bare": self._bare["grpc"].pid}
        await self._take(Subject.GRPC, connections, pids, seconds, self._call, at, ())
        for name, bazaar in self._bazaars.items():
            await wake(bazaar)
            url = bazaar.urls[0]
            pids = {each: bazaar.pid(each) for each in bazaar.names()}
            await load.lookups(url, STOCKS, connections, WARM_SECONDS)
            subject = Subject.CACHED if name == "on" else Subject.UNCACHED
            await self._take(subject, connections, pids, seconds, load.lookups, url, STOCKS)
            if name == "on":
                await load.trades(url, STOCKS, connections, WARM_SECONDS)
                await self._take(
                    Subject.TRADES, connections, pids, seconds, load.trades, url, STOCKS
                )
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
        request: Callable[..., Any],
        *where: Any,
    ) -> None:
        before = _cpu_seconds(pids)
        sample = await request(*where, connections, seconds)
        after = _cpu_seconds(pids)
        answers = max(1.0, sample.rate * seconds)
        used = {name: (after[name] - before[name]) / answers * 1e6
                for name in after if name in before}  # fmt: skip
        self._taken[subject, connections].append(
            Sample(sample.rate, sample.p50_ms, sample.p99_ms, sample.errors, used)
        )

    async def _serve(self, kind: str) -> None:
        file = self._folder / f"{kind}.port"
        command = [sys.executable, "-m", "load.bench.bare", kind, str(file)]
        process = self._bare[kind] = Process(self._reactor, command, self._log)
        process.start()

        async def listens() -> bool:
            if process.status is not None:
                raise CannotRun(said_last(self._log))
            return file.exists()

        await self._bazaars["on"].until(listens, f"the bare {kind} server", START_SECONDS)
        self._ports[kind] = int(file.read_text())


def rest(bazaar: LocalFleet) -> None:
    """Let all processes of a bazaar stand still."""
    for name in bazaar.names():
        bazaar.pause(name)


async def wake(bazaar: LocalFleet) -> None:
    """Return when it is as if it had never stood still."""
    bazaar.heal()
    await bazaar.until(bazaar.ready, "the bazaar is ready again", START_SECONDS)
    await bazaar.until(bazaar.caching, "the bazaar caches again", START_SECONDS)


def _cpu_seconds(pids: Mapping[str, int | None]) -> Mapping[str, float]:
    """What each process has used until now; nothing where that cannot be read."""
    used = {}
    for name, pid in pids.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[name] = (int(fields[11]) + int(fields[12])) / TICKS
    return used
