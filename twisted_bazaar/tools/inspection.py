"""What an operator asks of an order log: its orders as a table, and whether it is sound.

Both only read, and may be asked while the replica runs: they see the log as it was when they
began. A replica that runs may hold a last few entries that are not committed yet; they cannot
be told apart here, and may yet be replaced.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Traded
from twisted_bazaar.storage.logfile import LogReader

__all__ = ["Soundness", "export", "verify"]

_CHUNK_ENTRIES = 4096

_FORMULA = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - spreadsheets run the wide ones, too
"""A cell that begins with one of these is run as a formula by some spreadsheet."""
_AS_TEXT = "'"
"""Put before such a cell, it is what people type to keep a spreadsheet from that."""


class Soundness(msgspec.Struct, frozen=True):
    """What a log that has been checked from end to end amounts to."""

    replica: int
    last_number: int
    last_index: int
    term: int
    digest: str
    """Of the whole log."""


def export(folder: Path, out: TextIO) -> None:
    """Write the orders in a replica's `folder` to `out` as CSV, a header first, by number.

    A name that a spreadsheet would take for a formula has an apostrophe before it, and so has
    one that begins with an apostrophe: without the first one, each is what it was.

    Raises `Unusable` if the folder holds no log or a suspect one, and `Damaged` rather than
    going on past an entry that is not what was written.
    """
    table = csv.writer(out, lineterminator="\n")
    # The module quotes no carriage return by itself.
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    log = LogReader(folder)
    _check_trust(folder, log)
    table.writerow(("transaction_number", "name", "type", "quantity"))
    for chunk in _chunks(log):
        for order in (entry.event for entry in chunk):
            if isinstance(order, Traded):
                name = _as_text(order.stock)
                to = quoted if "\r" in name else table
                to.writerow((order.number, name, order.side.value, order.quantity))


def verify(folder: Path) -> Soundness:
    """Check the log in a replica's `folder`: each line's checksum, each entry's index, term
    and digest, and by going through all trades again, the ledger.

    Raises `Unusable` if the folder holds no log or a suspect one, and `Damaged`, naming the
    first bad line or entry.
    """
    log = LogReader(folder)
    ledger = Ledger()
    digest, term = GENESIS, 0
    for chunk in _chunks(log):
        for entry in chunk:
            try:
                _check(entry, digest, term, log.term)
                ledger.apply(entry.index, entry.event)
            except InvariantBroken as error:
                raise Damaged(f"{folder}: {error}") from None
            digest, term = entry.digest, entry.term
    _check_trust(folder, log)
    return Soundness(log.replica, ledger.last_number, log.last_index, log.term, digest)


def _as_text(name: str) -> str:
    begins = name.lstrip(" ")[:1]
    return _AS_TEXT + name if begins and begins in _FORMULA + _AS_TEXT else name


def _check_trust(folder: Path, log: LogReader) -> None:
    """See that what is missing in `folder` was never there."""
    if log.suspect is not None:
        raise Unusable(f"{folder}: suspect, may lack orders: {log.suspect}")


def _check(entry: Entry, digest: str, term: int, last_term: int) -> None:
    if not entry.follows(digest):
        raise InvariantBroken(f"entry {entry.index}: its digest does not fit what comes before it")
    if not term <= entry.term <= last_term:
        raise InvariantBroken(
            f"entry {entry.index}: of term {entry.term}, after one of term {term},"
            f" and the replica is in term {last_term}"
        )


def _chunks(log: LogReader) -> Iterator[Sequence[Entry]]:
    last = log.last_index
    for after in range(0, last, _CHUNK_ENTRIES):
        yield log.read(after, min(after + _CHUNK_ENTRIES, last))
