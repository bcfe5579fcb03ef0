"""How long calls to a log in PostgreSQL take, by how many orders it has: run it for several logs.

    python -m load.bench.engine_reads URL [URL ...] [--turns 7] [--batch 512]

Each URL is of a log that `load.bench.engine_log URL --orders N` has filled, or of an empty
database. They are measured in turns; the figures are medians, in milliseconds.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import SystemRandom
from statistics import median
from typing import ParamSpec, TypeVar

from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import SharedLog
from twisted_bazaar.selection import Selection

from .engine_log import Leader

__all__ = ["main"]

P = ParamSpec("P")
T = TypeVar("T")

PAGE = 500
APPENDS = 20
"""Batches that are appended one after another in a turn."""


class _Log:
    """A log under measurement."""

    def __init__(self, url: str) -> None:
        self._engine = PostgresEngine.open(url, partitions=1, name="bench")
        self.taken: dict[str, list[float]] = defaultdict(list)

    def measure(self, batch: int) -> None:
        """One turn of everything."""
        log = self._engine.log(0)
        leader = self._timed("load and claim", Leader, log, SystemRandom())
        for _ in range(APPENDS):
            keys = leader.trades(batch)
            self._timed(f"find {batch} new keys", leader.find, keys)
            self._timed(f"append a batch of {batch}", leader.append, leader.orders(keys))
        leader.beat()
        self._timed("tails of all partitions", self._engine.tails)
        self._read(log)
        log.close()

    def _read(self, log: SharedLog) -> None:
        tail = log.tail()
        last = tail.released.number
        order = log.order(last // 2)
        if order is None:
            return
        self._timed("order by number", log.order, last // 2 + 1)
        pages = {
            f"page of {PAGE}": Selection(after=last // 2, limit=PAGE),
            "page of a stock": Selection(after=last // 2, stock=order.stock, limit=PAGE),
            "page since a time": Selection(since=order.at_milliseconds, limit=PAGE),
            "order of a key": Selection(key=order.key, limit=PAGE),
        }
        for name, selection in pages.items():
            self._timed(name, log.orders, selection, last)
        upto = tail.index // 2
        self._timed("4,096 entries, checked", log.read, max(0, upto - 4096), upto)

    def _timed(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        began = time.perf_counter()
        answer = call(*args, **kwargs)
        self.taken[name].append((time.perf_counter() - began) * 1000)
        return answer


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m load.bench.engine_reads")
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--batch", type=int, default=512)
    asked = parser.parse_args(arguments)
    logs = [_Log(url) for url in asked.urls]
    for _ in range(asked.turns):
        for log in logs:
            log.measure(asked.batch)
    for name in logs[-1].taken:
        shown = "".join(f"{median(log.taken.get(name) or [0]):>12.2f}" for log in logs)
        print(f"{name:<28}{shown}")


if __name__ == "__main__":
    main()
