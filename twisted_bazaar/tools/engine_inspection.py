"""Reads the order log in an engine, for an operator: exports its orders, and verifies it.

Both may run while the bazaar does: they see each partition's log as it was when they began.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from typing import TextIO

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Engine, EngineError, SharedLog, Snapshot
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Traded
from twisted_bazaar.partitions import order_number

from .order_table import OrderTable

__all__ = ["VerifiedPartition", "export_engine", "verify_engine"]

_CHUNK_ENTRIES = 4096


class VerifiedPartition(msgspec.Struct, frozen=True):
    """A summary of a partition's log that has been verified from end to end."""

    partition: int
    last_number: int
    last_index: int
    term: int
    digest: str
    """The digest of the last entry, which names the whole log."""


def export_engine(url: str, out: TextIO, whole: bool = False, clients: bool = False) -> None:
    """Write the orders of the bazaar in the engine at `url` to `out` as an `OrderTable`, under the
    numbers that clients know: those of one partition by number, those of several by their time.

    Raises `Unusable` if there is no bazaar, and `Damaged` at entries that are not as they were
    written.
    """
    with _opened(url) as engine:
        partitions = engine.bazaar.partitions
        tails, _ = engine.tails()
        logs = [_orders(engine.log(tail.partition), tail.partition, tail.index) for tail in tails]
        table = OrderTable(out, whole, clients)
        for _, partition, order in merge(*logs, key=lambda each: each[:2]):
            number = order_number(order.number, partition, partitions)
            table.write(number, order, order.price or 0)


def verify_engine(url: str) -> Iterator[VerifiedPartition]:
    """Verify the log of each partition in the engine at `url`: the digests of all batches, made
    from rows, the index and term of each entry, the ledger, by applying all entries, and the
    stocks, which are to be what the ledger says.

    Raises `Unusable` if there is no bazaar, and `Damaged`, naming the first bad entries.
    """
    with _opened(url) as engine:
        for partition in range(engine.bazaar.partitions):
            log = engine.log(partition)
            yield _verify(log, log.snapshot())
            log.close()


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    try:
        engine = PostgresEngine.existing(url)
        try:
            yield engine
        finally:
            engine.close()
    except EngineError as error:
        raise Unusable(f"the engine: {error}") from error


def _orders(log: SharedLog, partition: int, upto: int) -> Iterator[tuple[int, int, Traded]]:
    """The orders of a partition, each with its time and the partition."""
    for chunk in _chunks(log, upto):
        for entry in chunk:
            if isinstance(entry.event, Traded):
                yield entry.at_milliseconds, partition, entry.event


def _chunks(log: SharedLog, upto: int) -> Iterator[Sequence[Entry]]:
    for after in range(0, upto, _CHUNK_ENTRIES):
        yield log.read(after, min(after + _CHUNK_ENTRIES, upto))


def _verify(log: SharedLog, seen: Snapshot) -> VerifiedPartition:
    tail, ledger = seen.tail, Ledger()
    index, digest, term, at = 0, GENESIS, 0, 0
    where = f"partition {tail.partition}"
    for chunk in _chunks(log, tail.index):
        for entry in chunk:
            try:
                if entry.index != index + 1 or not entry.follows(digest):
                    raise InvariantBroken(f"entry {index + 1} does not follow entry {index}")
                if not term <= entry.term <= tail.term or entry.at_milliseconds < at:
                    raise InvariantBroken(f"entry {entry.index}: its term or time goes back")
                ledger.apply(entry.index, entry.event)
            except InvariantBroken as error:
                raise Damaged(f"{where}: {error}") from None
            index, digest = entry.index, entry.digest
            term, at = entry.term, entry.at_milliseconds
    if (index, digest, ledger.last_number) != (tail.index, tail.digest, tail.last_number):
        raise Damaged(f"{where}: it ends with entry {index}, not with entry {tail.index}")
    stocks = {stock.name: stock for stock in seen.stocks}
    for name in sorted(stocks.keys() | ledger.stocks.keys()):
        stored, due = stocks.get(name), ledger.stocks.get(name)
        if stored != due:
            raise Damaged(f"{where}: {name} is {stored}, and by the entries {due}")
    return VerifiedPartition(tail.partition, tail.last_number, tail.index, tail.term, tail.digest)
