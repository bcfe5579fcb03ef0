"""Makes a long order log, the same for each replica.

python -m load.bench.long_log FOLDER ORDERS
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from twisted_bazaar.consensus.entries import GENESIS, Entry, Event, Opened, encode_entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.market import DEFAULT_LISTING, Listed, Side, Traded
from twisted_bazaar.storage.logfile import LogFile

__all__ = ["REPLICAS", "main"]

REPLICAS = (1, 2, 3)
BATCH = 10_000
FIRST_AT_MS = 1_790_000_000_000
"""The time of the first entry, in milliseconds since the epoch; then one a millisecond."""


def _events(orders: int) -> Iterator[Event]:
    """A share of each stock in turn, bought and sold again, with keys like a front-end's."""
    yield Opened(leader=1)
    yield Listed(DEFAULT_LISTING)
    guards = Random(1)
    for number in range(1, orders + 1):
        key = f"bench-{number:08x}-{guards.getrandbits(48):012x}"
        stock = DEFAULT_LISTING[number // 2 % len(DEFAULT_LISTING)].name
        yield Traded(number, key, stock, Side.SELL if number % 2 else Side.BUY, 1)


def _entries(orders: int) -> Iterator[Entry]:
    digest = GENESIS
    for index, event in enumerate(_events(orders), 1):
        entry = encode_entry(digest, index, 1, FIRST_AT_MS + index, event)
        digest = entry.digest
        yield entry


def main() -> None:
    folder, orders = Path(sys.argv[1]), int(sys.argv[2])
    logs = [LogFile(folder / f"order-{each}", each, Random(each)) for each in REPLICAS]
    entries = _entries(orders)
    while batch := tuple(islice(entries, BATCH)):
        for log in logs:
            log.write(Write(1, 0, None, batch))
    for log in logs:
        log.write(Write(1, 0, None, (), trusted=True))
        log.close()


if __name__ == "__main__":
    main()
