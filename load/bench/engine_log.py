"""What a log in PostgreSQL costs: orders a second and milliseconds a batch, by the size of batches.

    python -m load.bench.engine_log URL [--batches 1,32,512] [--partitions 1] [--seconds 3]
    python -m load.bench.engine_log URL --orders 10000000

A leader without a desk: it makes entries, and appends them, one batch after another. With `--find`
it looks for the keys of each batch first, as a desk does.
"""

import argparse
import os
import resource
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom

from twisted_bazaar.consensus.entries import Opened, encode_entry
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Batch, Released, SharedLog
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import DEFAULT_LISTING, Listed, Listing, Side, Trade, Traded

__all__ = ["Leader", "main"]

LEASE = 1.0


class Leader:
    """Leads one partition, and knows nothing but the end of its log."""

    def __init__(self, log: SharedLog, random: Random) -> None:
        self._log = log
        self._random = random
        seen = log.snapshot()
        self._term, self._beat = seen.tail.term + 1, 0
        self._index, self._digest = seen.tail.index, seen.tail.digest
        self._ledger = Ledger(seen.stocks, seen.tail.last_number)
        self._keys = 0
        self._life = f"{random.getrandbits(50):010x}"
        opened = self._batch([Opened(leader=1, name=self._life)])
        log.claim(
            seen.tail,
            opened,
            term=self._term,
            leader=1,
            tenure=LEASE,
            longest_lease=LEASE,
            catalogs=["bench"],
        )
        if not seen.stocks:
            shares = 2**50
            listing = [Listing(each.name, each.price, shares) for each in DEFAULT_LISTING]
            self.append(self._batch([Listed(tuple(listing))]))

    def append(self, batch: Batch) -> None:
        self._beat += 1
        released = Released(index=self._index, number=self._ledger.last_number)
        self._log.append(batch, term=self._term, beat=self._beat, released=released)

    def beat(self) -> None:
        self._beat += 1
        self._log.beat(term=self._term, beat=self._beat, released=Released())

    def trades(self, count: int) -> Sequence[str]:
        """The keys of the next trades, half of them as front-ends make them."""
        self._keys += count
        first = self._keys - count
        return [
            f"{self._life}-{number:08x}-{self._random.getrandbits(48):012x}"
            if number % 2
            else f"{self._random.getrandbits(128):032x}"
            for number in range(first, first + count)
        ]

    def find(self, keys: Sequence[str]) -> None:
        self._log.find(keys)

    def orders(self, keys: Sequence[str]) -> Batch:
        events, ledger = [], self._ledger
        names = list(ledger.stocks)
        moment = time.time_ns() // 10**6
        entries = []
        for key in keys:
            event = ledger.decide(
                Trade(key, self._random.choice(names), Side.BUY, 1, len(key) < 32)
            )
            assert isinstance(event, Traded)
            self._index += 1
            ledger.apply(self._index, event)
            events.append(event)
            entry = encode_entry(self._digest, self._index, self._term, moment, event)
            entries.append(entry)
            self._digest, previous = entry.digest, self._digest
            if len(entries) == 1:
                before = previous
        stocks = [ledger.stocks[name] for name in {event.stock for event in events}]
        return Batch(
            previous=before, entries=entries, stocks=stocks, last_number=ledger.last_number
        )

    def _batch(self, events: Sequence[Opened | Listed]) -> Batch:
        before, entries = self._digest, []
        for event in events:
            self._index += 1
            self._ledger.apply(self._index, event)
            entry = encode_entry(
                self._digest, self._index, self._term, time.time_ns() // 10**6, event
            )
            entries.append(entry)
            self._digest = entry.digest
        return Batch(
            previous=before,
            entries=entries,
            stocks=list(self._ledger.stocks.values()),
            last_number=self._ledger.last_number,
        )


def _seconds_of(servers: Sequence[int]) -> float:
    """The CPU seconds of the processes that have one of these as their parent. Linux only."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            columns = path.read_text().rpartition(")")[2].split()
            if int(columns[1]) in servers:
                ticks += int(columns[11]) + int(columns[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    leaders: Sequence[Leader], size: int, seconds: float, find: bool, servers: Sequence[int]
) -> str:
    """Append batches of `size` for so many seconds, by all leaders side by side."""
    took: list[float] = []

    def lead(leader: Leader) -> None:
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            keys = leader.trades(size)
            if find:
                leader.find(keys)
            leader.append(leader.orders(keys))
            took.append(time.monotonic() - began)

    threads = [threading.Thread(target=lead, args=[leader]) for leader in leaders]
    there = _seconds_of(servers)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    there = _seconds_of(servers) - there
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    took.sort()
    orders = size * len(took)
    half, most = took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000
    return (
        f"{len(leaders)} partitions, batches of {size:4}{', find' if find else ''}:"
        f" {orders / lasted:8.0f} orders/s, a batch {half:6.2f} ms, 99 %: {most:6.2f} ms,"
        f" CPU an order {cpu / orders * 1e6:6.1f} us here, {there / orders * 1e6:6.1f} us there"
    )


def grow(leader: Leader, orders: int, size: int, find: bool) -> None:
    """Append so many orders, and say from time to time how fast."""
    step = orders // 10
    for done in range(step, orders + 1, step):
        began = time.monotonic()
        took = []
        for _ in range(step // size):
            keys = leader.trades(size)
            at = time.monotonic()
            if find:
                leader.find(keys)
            leader.append(leader.orders(keys))
            took.append(time.monotonic() - at)
        lasted = time.monotonic() - began
        took.sort()
        half, most = took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000
        print(
            f"{done:9} orders: {step / lasted:8.0f} orders/s, a batch of {size} {half:6.2f} ms,"
            f" 99 %: {most:6.2f} ms",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m load.bench.engine_log", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--batches", default="1,32,512")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--find", action="store_true")
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--server", type=int, action="append", default=[], metavar="PID")
    asked = parser.parse_args(arguments)
    engine = PostgresEngine.open(asked.url, partitions=asked.partitions, name="bench")
    logs = [engine.log(partition) for partition in range(asked.partitions)]
    leaders = [Leader(log, SystemRandom()) for log in logs]
    sizes = [int(size) for size in asked.batches.split(",")]
    if asked.orders:
        grow(leaders[0], asked.orders, sizes[-1], asked.find)
    for size in sizes:
        print(measure(leaders, size, asked.seconds, asked.find, asked.server), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
