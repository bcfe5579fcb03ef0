"""The cost of a long log: for trades, memory, the start of a replica, and its resync."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process, environment, last_message
from load.errors import CannotRun
from load.report.outputs import Tell
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds
from twisted_bazaar.timing import Timing

from .figures import Judged
from .generator import Generator
from .long_log import REPLICAS
from .speed import STOCKS, WARM_UP_SECONDS, rest, wake

__all__ = ["Growth"]

LONG_SECONDS = 300.0
"""The time limit for rebuilding an index, or fetching a whole log."""
CONNECTIONS = 32
STOP_SECONDS = 5.0
POLL_SECONDS = 0.02


class Growth:
    """A bazaar with many orders, compared with one that has none."""

    def __init__(
        self,
        reactor: Reactor,
        folder: Path,
        generator: Generator,
        cache: str,
        orders: int,
        tell: Tell,
    ) -> None:
        self._reactor = reactor
        self._generator = generator
        self._options = [f"--cache={cache}"]
        self._orders = orders
        self._tell = tell
        self._folder = folder
        self._running: list[LocalFleet] = []

    async def measure(self, rounds: int, seconds: int) -> Sequence[Judged]:
        """Measure, and end what was started. Raises `CannotRun`, `NotInTime`."""
        try:
            long = self._folder / "long"
            self._tell(f"making logs of {self._orders} orders")
            await self._make_logs(long / "data")
            self._tell("the bazaar with that many orders makes its indexes and its catalog")
            full = await self._start(long)
            empty = await self._start(self._folder / "short")
            judged = [await self._trades(full, empty, rounds, seconds)]
            await empty.stop()
            await full.stop()
            judged += await self._starts(long / "data" / "order-1", rounds)
            judged.append(await self._resync(long))
        finally:
            for bazaar in self._running:
                bazaar.heal()
                await bazaar.end()
        return judged

    async def _make_logs(self, data: Path) -> None:
        data.mkdir(parents=True)
        command = ["-m", "load.bench.long_log", str(data), str(self._orders)]
        _, said, status = await getProcessOutputAndValue(sys.executable, command, env=environment())
        if status:
            why = said.decode("utf-8", "replace").strip().splitlines() or [f"status {status}"]
            raise CannotRun(f"no log was made: {why[-1]}")

    async def _start(self, folder: Path) -> LocalFleet:
        folder.mkdir(exist_ok=True)
        bazaar = LocalFleet(self._reactor, folder, (), self._options)
        self._running.append(bazaar)
        await bazaar.start(LONG_SECONDS)
        return bazaar

    async def _trades(
        self, full: LocalFleet, empty: LocalFleet, rounds: int, seconds: int
    ) -> Judged:
        """The ratio of their trades a second, measured in turns while the other is stopped."""
        load, ratios = self._generator, []
        for number in range(1, rounds + 1):
            self._tell(f"round {number} of {rounds}: trades with and without {self._orders} orders")
            rates = []
            for now, other in ((full, empty), (empty, full)):
                rest(other)
                await wake(now)
                await load.trades(now.urls[0], STOCKS, CONNECTIONS, WARM_UP_SECONDS)
                sample = await load.trades(now.urls[0], STOCKS, CONNECTIONS, seconds)
                rates.append(sample.rate)
            ratios.append(rates[0] / rates[1])
        await wake(full)
        await wake(empty)
        name = f"trades with {self._orders} orders / with few, {CONNECTIONS} connections"
        return Judged(name, median(ratios), 0.9)

    async def _starts(self, folder: Path, rounds: int) -> Sequence[Judged]:
        """The start and the memory of a single replica, with all orders and with none."""
        seconds: dict[bool, list[float]] = {True: [], False: []}
        memory: dict[bool, list[float]] = {True: [], False: []}
        for number in range(1, rounds + 1):
            self._tell(f"start {number} of {rounds} with {self._orders} orders, and without")
            for full in (True, False):
                took, used = await self._start_one(
                    folder if full else self._folder / f"empty-{number}"
                )
                seconds[full].append(took)
                memory[full].append(used)
        more = median(seconds[True]) - median(seconds[False])
        megabytes = (median(memory[True]) - median(memory[False])) / 1e6
        return [
            Judged(f"start of a replica with {self._orders} orders, more than without",
                   more, 2.0, at_most=True, unit=" s"),
            Judged(f"memory of a replica with {self._orders} orders, more than without",
                   megabytes, 48.0, at_most=True, unit=" MB"),
        ]  # fmt: skip

    async def _start_one(self, folder: Path) -> tuple[float, float]:
        """The seconds until it answers, and the bytes of memory that it then uses."""
        ports, channels = Ports(), Channels(self._reactor, 1)
        at, log = ports.reserve(0), self._folder / "start.log"
        # The log is that of a cluster of three; the other replicas do not run.
        peers = [f"--peer={peer}={ports.reserve(0)}" for peer in REPLICAS if peer != 1]
        options = ["--id=1", f"--listen={at}", f"--data={folder}", *peers]
        process = Process(self._reactor, twistd("bazaar-order", *options), log)
        replica = ReplicaClient(channels.to(at), Timing())
        channels.startService()
        began = monotonic_seconds()
        process.start()
        try:
            while not await _answers(replica):
                if process.status is not None or monotonic_seconds() > began + LONG_SECONDS:
                    raise CannotRun(f"a replica does not start: {last_message(log)}")
                await deferLater(self._reactor, POLL_SECONDS)
            return monotonic_seconds() - began, _memory(process.pid)
        finally:
            await process.stop(STOP_SECONDS)
            channels.stopService()
            ports.release()

    async def _resync(self, folder: Path) -> Judged:
        """The orders a second at which a replica with an empty folder fetches them all."""
        self._tell(f"a replica without its files fetches {self._orders} orders")
        shutil.rmtree(folder / "data" / "order-1")
        bazaar = await self._start(folder)
        began = 0.0

        async def caught_up() -> bool:
            nonlocal began
            rows = {row.id: row for row in await bazaar.replicas()}
            if not rows or not rows[1].reachable:
                return False
            began = began or monotonic_seconds()
            return rows[1].last_number >= self._orders

        await bazaar.until(caught_up, "the replica has all orders", LONG_SECONDS)
        rate = self._orders / (monotonic_seconds() - began)
        await bazaar.stop()
        return Judged("resync of an empty replica", rate, 20_000.0, unit=" orders/s")


async def _answers(replica: ReplicaClient) -> bool:
    try:
        await replica.status()
    except BazaarError:
        return False
    return True


def _memory(pid: int | None) -> float:
    """The resident memory of a process, in bytes. Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) * 1024
    raise CannotRun("this system does not report the memory of a process")
