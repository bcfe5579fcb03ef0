"""Reads the order log of a replica, for an operator: exports its orders, and verifies it.

Both may run while the replica does: they see the log as it was when they began. The last few
entries of a running replica may not be committed; they cannot be told apart here, and may still
be replaced.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger, first_prices
from twisted_bazaar.market import Listed, Traded
from twisted_bazaar.storage.logfile import LogReader

from .order_table import OrderTable

__all__ = ["Verified", "export", "verify"]

_CHUNK_ENTRIES = 4096


class Verified(msgspec.Struct, frozen=True):
    """A summary of a log that has been verified from end to end."""

    replica: int
    last_number: int
    last_index: int
    term: int
    digest: str
    """The digest of the last entry, which names the whole log."""


def export(folder: Path, out: TextIO, whole: bool = False, clients: bool = False) -> None:
    """Write the orders in a replica's `folder` to `out` as an `OrderTable`, by number.

    Raises `Unusable` if the folder holds no log or a suspect one, and `Damaged` at an entry that
    is not as it was written.
    """
    log = LogReader(folder)
    _check_archive(folder, log)
    _check_trust(folder, log)
    table = OrderTable(out, whole, clients)
    listed: Mapping[str, int] = {}
    for chunk in _chunks(log):
        for event in (entry.event for entry in chunk):
            if isinstance(event, Traded):
                price = listed.get(event.stock, 0) if event.price is None else event.price
                table.write(event.number, event, price)
            elif isinstance(event, Listed):
                listed = listed or first_prices([event])


def verify(folder: Path) -> Verified:
    """Verify the log in a replica's `folder`: the checksum of each line, the index, term and
    digest of each entry, and the ledger, by applying all entries.

    Raises `Unusable` if the folder holds no log or a suspect one, and `Damaged`, naming the
    first bad line or entry.
    """
    log = LogReader(folder, whole=True)
    _check_archive(folder, log)
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
    return Verified(log.replica, ledger.last_number, log.last_index, log.term, digest)


def _check_archive(folder: Path, log: LogReader) -> None:
    """Raises `Unusable` if entries have left the log in `folder`, and are not in its archive."""
    if log.archive is not None and (lacking := log.archive.missing[0]):
        where = log.archive.where
        raise Unusable(f"{folder}: the entries up to {lacking} are not in {where}")


def _check_trust(folder: Path, log: LogReader) -> None:
    """Raises `Unusable` if the log in `folder` is suspect."""
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
