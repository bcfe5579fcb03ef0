"""Trades of a bazaar whose log is in an engine, by partitions and clients, beside the embedded log
and beside a transaction a trade.

    python -m load.bench.partitions [--partitions 1,4,8] [--connections 1,32,128,512]
                                    [--rounds 2] [--seconds 3] [--second-front-end 4]
                                    [--engine-only] [--json FILE]

All are started first, on three PostgreSQL servers with a quorum, and measured in turns; those that
are not measured are stopped (SIGSTOP) meanwhile. Trades are of sixteen stocks, of which each of
eight partitions has two; those of the transaction a trade are of the ten stocks that it has.
"""

import argparse
import os
import sys
import tempfile
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
from twisted.internet import task
from twisted.internet.defer import Deferred

from load.arguments import at_least
from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process, last_message
from load.errors import CannotRun, NotInTime
from twisted_bazaar.runtime.reactor import Reactor

from .generator import Generator
from .partition_figures import TWO, Row, Sizes, Taken, median_of, page_of
from .quorum import Quorum
from .speed import WARM_UP_SECONDS, rest
from .turns import START_SECONDS, BazaarTurn, OrdinaryTurn, spread_stocks

__all__ = ["main"]

SHARES = 10**9


class _Bench:
    def __init__(self, reactor: Reactor, folder: Path, asked: Namespace) -> None:
        self._reactor = reactor
        self._folder = folder
        self._asked = asked
        self._generator = Generator(folder)
        self._quorum = Quorum(asked.servers)
        self._fleets: list[LocalFleet] = []
        self._processes: list[Process] = []
        self._taken: dict[tuple[str, int], list[Taken]] = defaultdict(list)
        listing = [f"{stock},100,{SHARES}" for stock in spread_stocks()]
        self._listing = folder / "stocks.csv"
        self._listing.write_text("\n".join(["name,price,quantity", *listing, ""]))

    async def run(self) -> tuple[Sizes, Sequence[Row]]:
        """Start all, measure, end all. Raises `CannotRun`, `NotInTime`."""
        asked = self._asked
        try:
            self._quorum.start()
            subjects, twice = await self._start()
            for number in range(1, asked.rounds + 1):
                idle = (0,) if number == 1 else ()
                for connections in (*idle, *asked.connections):
                    _say(f"round {number} of {asked.rounds}: {connections} connections")
                    for subject in subjects:
                        # The second front-end has to show only what each batch costs it.
                        if subject is not twice or connections in (0, max(asked.connections)):
                            await self._measure(subject, connections)
        finally:
            for process in self._processes:
                await process.end()
            for bazaar in self._fleets:
                bazaar.heal()
                await bazaar.end()
            self._quorum.stop()
        rows = [Row(subject=subject, connections=connections, taken=median_of(taken))
                for (subject, connections), taken in self._taken.items()]  # fmt: skip
        sizes = Sizes(
            cores=len(os.sched_getaffinity(0)),
            generator=self._generator.name,
            rounds=asked.rounds,
            seconds=asked.seconds,
            servers=asked.servers,
        )
        return sizes, rows

    async def _start(self) -> tuple[Sequence[BazaarTurn | OrdinaryTurn], BazaarTurn | None]:
        """What is measured, and which of these has two front-ends."""
        subjects: list[BazaarTurn | OrdinaryTurn] = []
        twice = None
        if not self._asked.engine_only:
            subjects.append(await self._bazaar("embedded log"))
        for partitions in self._asked.partitions:
            subjects.append(await self._bazaar(_named(partitions), partitions))
        if self._asked.second_front_end:
            partitions = self._asked.second_front_end
            name = _named(partitions) + TWO
            twice = await self._bazaar(name, partitions, ["own"])
            subjects.append(twice)
        if not self._asked.engine_only:
            subjects.append(await self._ordinary())
        return subjects, twice

    async def _bazaar(
        self, name: str, partitions: int = 0, further: Sequence[str] = ()
    ) -> BazaarTurn:
        number = len(self._fleets) + 1
        database = f"bench-{number}" if partitions else ""
        folder = self._folder / f"bazaar-{number}"
        folder.mkdir()
        options = [f"--cache={self._asked.cache}", f"--listing={self._listing}"]
        if partitions:
            url = self._quorum.database(database)
            options += [f"--engine={url}", f"--partitions={partitions}"]
        bazaar = LocalFleet(self._reactor, folder, further, options)
        self._fleets.append(bazaar)
        _say(f"starting: {name}")
        await bazaar.start(START_SECONDS)
        rest(bazaar)
        return BazaarTurn(name, bazaar, partitions, database, self._quorum)

    async def _ordinary(self) -> OrdinaryTurn:
        """Start it; it writes its port to a file."""
        self._quorum.database("ordinary")
        first = self._quorum.addresses[1]
        file, log = self._folder / "ordinary.port", self._folder / "ordinary.log"
        command = [sys.executable, "-m", "load.bench.ordinary", first.host, str(file),
                   str(first.port), "ordinary"]  # fmt: skip
        process = Process(self._reactor, command, log)
        self._processes.append(process)
        process.start()
        give_up = self._reactor.seconds() + START_SECONDS
        while not file.exists():
            if process.status is not None:
                raise CannotRun(last_message(log))
            if self._reactor.seconds() > give_up:
                raise NotInTime(f"the ordinary server: not within {START_SECONDS:g} s")
            await task.deferLater(self._reactor, 0.1)
        return OrdinaryTurn(process, int(file.read_text()), self._quorum)

    async def _measure(self, subject: BazaarTurn | OrdinaryTurn, connections: int) -> None:
        """Trade with so many connections; with 0, only count what it uses by itself."""
        seconds, load = self._asked.seconds, self._generator.trades
        await subject.wake()
        if connections:
            await load(subject.url, subject.stocks, connections, WARM_UP_SECONDS)
        else:
            await task.deferLater(self._reactor, 1.0)
        batches_before, orders_before = subject.written()
        before = subject.cpu_seconds()
        if connections:
            sample = await load(subject.url, subject.stocks, connections, seconds)
            answers = max(1.0, sample.rate * seconds)
            speed = sample.rate, sample.p50_ms, sample.p99_ms, sample.errors
        else:
            await task.deferLater(self._reactor, seconds)
            answers = seconds
            speed = 0.0, 0.0, 0.0, 0
        after = subject.cpu_seconds()
        batches, orders = subject.written()
        subject.rest()
        rate, p50_ms, p99_ms, errors = speed
        taken = Taken(
            rate=rate,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            errors=errors,
            batch=(orders - orders_before) / max(1, batches - batches_before),
            cpu_us={name: (after[name] - before[name]) / answers * 1e6
                    for name in after if name in before},
        )  # fmt: skip
        if connections and orders and orders - orders_before < 0.95 * (answers - errors):
            raise CannotRun(f"{subject.name}: {answers:.0f} answers, but fewer orders in its log")
        self._taken[subject.name, connections].append(taken)


def _named(partitions: int) -> str:
    return f"engine, {partitions} partition{'s' if partitions > 1 else ''}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _counts(text: str) -> tuple[int, ...]:
    read_count = at_least(1, int)
    return tuple(dict.fromkeys(read_count(each) for each in text.split(",")))


async def _run(reactor: Reactor, asked: Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bazaar-partitions-") as name:
        sizes, rows = await _Bench(reactor, Path(name), asked).run()
    print("\n".join(page_of(sizes, rows)))
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode((sizes, rows))))


def main() -> None:
    count_of = at_least(1, int)
    parser = argparse.ArgumentParser(prog="python -m load.bench.partitions")
    parser.add_argument("--partitions", type=_counts, default=(1, 4, 8), metavar="N,N")
    parser.add_argument("--connections", type=_counts, default=(1, 32, 128, 512), metavar="N,N")
    parser.add_argument("--rounds", type=count_of, default=2)
    parser.add_argument("--seconds", type=count_of, default=3, help="each measured stretch")
    parser.add_argument("--servers", type=count_of, default=3, help="1: no quorum")
    parser.add_argument("--cache", default="auto", help="of all bazaars")
    beside = "also N partitions with a second front-end that has a cache and no clients"
    parser.add_argument("--second-front-end", type=int, default=0, metavar="N", help=beside)
    parser.add_argument("--engine-only", action="store_true", help="nothing beside it")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(_run(reactor, asked)))


if __name__ == "__main__":
    main()
