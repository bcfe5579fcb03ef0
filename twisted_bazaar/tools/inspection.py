"""Reads the order log of a replica, for an operator: exports its orders, and verifies it.

Both may run while the replica does: they see the log as it was when they began. The last few
entries of a running replica may not be committed; they cannot be told apart here, and may still
be replaced.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger, first_prices
from twisted_bazaar.market import Listed, Traded
from twisted_bazaar.storage.logfile import LogReader

__all__ = ["Verified", "export", "verify"]

_CHUNK_ENTRIES = 4096

_COLUMNS = ("transaction_number", "name", "type", "quantity")
_MORE_COLUMNS = ("price", "client_order_id")

_FORMULA = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - spreadsheets run the wide ones, too
"""A spreadsheet may run a cell that begins with one of these as a formula."""
_AS_TEXT = "'"
"""Before such a cell, it makes the spreadsheet show the text."""


class Verified(msgspec.Struct, frozen=True):
    """A summary of a log that has been verified from end to end."""

    replica: int
    last_number: int
    last_index: int
    term: int
    digest: str
    """The digest of the last entry, which names the whole log."""


def export(folder: Path, out: TextIO, whole: bool = False) -> None:
    """Write the orders in a replica's `folder` to `out` as CSV, a header first, by number.

    `whole`: also the price of each, and its `client_order_id`, empty if the client chose no key.
    They are no columns otherwise, since programs read the others by their place.

    A name or key that a spreadsheet would take for a formula gets an apostrophe before it, and so
    does one that begins with an apostrophe: so the first apostrophe can always be removed.

    Raises `Unusable` if the folder holds no log or a suspect one, and `Damaged` at an entry that
    is not as it was written.
    """
    table = csv.writer(out, lineterminator="\n")
    # `table` would not quote a carriage return.
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    log = LogReader(folder)
    _check_trust(folder, log)
    columns = _COLUMNS + _MORE_COLUMNS if whole else _COLUMNS
    table.writerow(columns)
    listed: Mapping[str, int] = {}
    for chunk in _chunks(log):
        for event in (entry.event for entry in chunk):
            if isinstance(event, Traded):
                row = _row(event, listed)[: len(columns)]
                to = quoted if "\r" in event.stock else table
                to.writerow(row)
            elif isinstance(event, Listed):
                listed = listed or first_prices([event])


def verify(folder: Path) -> Verified:
    """Verify the log in a replica's `folder`: the checksum of each line, the index, term and
    digest of each entry, and the ledger, by applying all entries.

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
    return Verified(log.replica, ledger.last_number, log.last_index, log.term, digest)


def _row(order: Traded, listed: Mapping[str, int]) -> tuple[object, ...]:
    """The cells of an order; `listed` are the prices of the first listing."""
    price = listed.get(order.stock, 0) if order.price is None else order.price
    key = "" if order.has_made_key else _as_text(order.key)
    amount = f"{price // 100}.{price % 100:02}"
    return order.number, _as_text(order.stock), order.side.value, order.quantity, amount, key


def _as_text(name: str) -> str:
    begins = name.lstrip(" ")[:1]
    return _AS_TEXT + name if begins and begins in _FORMULA + _AS_TEXT else name


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
