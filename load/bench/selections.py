"""What it costs a replica to find orders by stock, side, time or key in a long log.

python -m load.bench.selections FOLDER ORDERS

Makes the log and the index of one replica in the folder, unless they are there, and times searches
without gRPC and HTTP. One order in 100,000 is of a stock that is hardly traded.
"""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median

from twisted_bazaar.consensus.entries import GENESIS, Entry, Event, Opened, encode_entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import DEFAULT_LISTING, Listed, Side, Traded
from twisted_bazaar.order.search import FoundOrders, Search, Source
from twisted_bazaar.selection import Selection
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile

from .long_log import FIRST_AT_MS

__all__ = ["main"]

BATCH = 1000
LIMIT = 100
ROUNDS = 7
RARE, COMMON = DEFAULT_LISTING[-1].name, DEFAULT_LISTING[0].name
RARE_EVERY = 100_000


def _events(orders: int) -> Iterator[Event]:
    yield Opened(leader=1)
    yield Listed(DEFAULT_LISTING)
    guards = Random(1)
    for number in range(1, orders + 1):
        rare = number % RARE_EVERY // 2 == 0
        stock = RARE if rare else DEFAULT_LISTING[number // 2 % 9].name
        key = f"bench-{number:08x}-{guards.getrandbits(48):012x}"
        yield Traded(number, key, stock, Side.SELL if number % 2 else Side.BUY, 1)


def _entries(orders: int) -> Iterator[Entry]:
    digest = GENESIS
    for index, event in enumerate(_events(orders), 1):
        entry = encode_entry(digest, index, 1, FIRST_AT_MS + index, event)
        digest = entry.digest
        yield entry


def _make(log: LogFile, index: Index, orders: int) -> None:
    """Write the log, and say how long the index takes for each order."""
    ledger, seconds = Ledger(), 0.0
    entries = _entries(orders)
    while batch := tuple(islice(entries, BATCH)):
        log.write(Write(1, 0, None, batch))
        changed = {name for each in batch for name in ledger.apply(each.index, each.event)}
        stocks = [ledger.stocks[name] for name in changed]
        began = time.process_time()
        index.write(batch, stocks, ledger.last_number)
        seconds += time.process_time() - began
    log.write(Write(1, 0, None, (), trusted=True))
    print(f"index, {BATCH} orders at once: {seconds / orders * 1e6:.1f} us an order")


class _Replica:
    def __init__(self, log: LogFile, index: Index) -> None:
        self._log = log
        self._index = index

    def _read(self, after: int, upto: int) -> list[Entry]:
        first, last = self._log.index_of(after + 1), self._log.index_of(upto)
        return [*self._log.read(first - 1, last)]

    def page(self, selection: Selection) -> FoundOrders:
        source = Source(self._index, self._read, ())
        found = Search(selection).go_on(source, self._log.last_number, True)
        assert found is not None
        return found

    def key(self, key: str) -> str:
        number = self._index.find([key]).numbers[key]
        return f"entry {self._read(number - 1, number)[0].index}"


def _time(what: str, call: Callable[[], str]) -> None:
    taken, said = [], ""
    for _ in range(ROUNDS):
        began = time.perf_counter()
        said = call()
        taken.append(time.perf_counter() - began)
    print(f"{what:52} {median(taken) * 1e3:8.2f} ms   {said}")


def main() -> None:
    folder, orders = Path(sys.argv[1]), int(sys.argv[2])
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    log = LogFile(folder, 1, Random(1))
    began = time.perf_counter()
    index = Index(folder / "index.sqlite", log)
    if is_new:
        _make(log, index, orders)
    else:
        print(f"the index is opened and checked in {time.perf_counter() - began:.2f} s")
    replica = _Replica(log, index)

    def page(selection: Selection) -> Callable[[], str]:
        def call() -> str:
            found = replica.page(selection)
            end = "" if found.ended else f", goes on at {found.examined}"
            return f"{len(found.entries)} orders{end}"

        return call

    middle = FIRST_AT_MS + orders // 2
    for what, selection in (
        ("after a number", Selection(orders // 2, LIMIT)),
        ("the last ones", Selection(0, LIMIT, descending=True)),
        ("a side", Selection(0, LIMIT, side=Side.SELL)),
        ("a stock that is traded often", Selection(0, LIMIT, stock=COMMON)),
        ("its last sales", Selection(0, LIMIT, True, COMMON, Side.SELL)),
        ("all, since a time", Selection(0, LIMIT, since=middle)),
        ("a stock, since a time, until another", Selection(0, LIMIT, False, COMMON, None, middle,
                                                          middle + 2000)),
        ("a stock that is hardly traded", Selection(0, LIMIT, stock=RARE)),
        ("its last ones", Selection(0, LIMIT, True, RARE)),
    ):  # fmt: skip
        _time(f"{LIMIT} orders: {what}", page(selection))
    [first] = replica.page(Selection(orders // 2, 1)).entries
    assert isinstance(first.event, Traded)
    key = first.event.key
    _time("the order of a key", lambda: replica.key(key))
    index.close()
    log.close()


if __name__ == "__main__":
    main()
