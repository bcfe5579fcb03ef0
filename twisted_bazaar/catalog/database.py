"""The catalog's file: a small CSV, written whole and atomically, that a person can read.

    # index 830, term 4, digest 5f0c…, orders 812
    name,price,quantity,volume,version
    GameStart,15.99,95,5,12

An operator hands in the first listing in the same format; the columns after `quantity` and
the comment may be left out there. Everything that a file of index 1 or more says can be
rebuilt from the order log.
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ..errors import Damaged, Unusable
from ..ledger import Ledger
from ..market import MAX_SHARES, Listing, Stock
from .projection import Position, Projection

__all__ = ["Snapshot", "load", "read_listing", "save"]

_POSITION = re.compile(r"# index (\d+), term (\d+), digest ([0-9a-f]{32}), orders (\d+)")
_PRICE = re.compile(r"(\d{1,12})(?:\.(\d{1,2}))?")
_COLUMNS = ("name", "price", "quantity", "volume", "version")


class Snapshot(msgspec.Struct, frozen=True):
    """What a file holds: stocks after the log entry that `position` names."""

    stocks: Sequence[Stock]
    position: Position
    last_number: int

    @classmethod
    def of(cls, projection: Projection) -> "Snapshot":
        """What `projection` knows now."""
        ledger = projection.ledger
        return cls(tuple(ledger.stocks.values()), projection.position, ledger.last_number)

    def projection(self) -> Projection:
        """Go on from here. Stocks of a file at index 0 are not in the log yet."""
        stocks = self.stocks if self.position.index else ()
        return Projection(Ledger(stocks, self.last_number), self.position)


def read_listing(path: Path) -> Sequence[Listing]:
    """An operator's listing. Raises `Unusable`, with the line, if it cannot be understood."""
    stocks = load(path).stocks
    if not stocks:
        raise Unusable(f"{path} lists no stocks")
    return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]


def load(path: Path) -> Snapshot:
    """Read a file. Raises `Unusable` if it cannot be read, `Damaged` if it makes no sense."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}") from None
    except UnicodeDecodeError as why:
        raise Damaged(f"{path} is not UTF-8: {why}") from None
    position, last_number = Position(), 0
    if found := _POSITION.match(text):
        index, term, digest, last_number_text = found.groups()
        position, last_number = Position(int(index), digest, int(term)), int(last_number_text)
    elif text.startswith("#"):
        raise Damaged(f"{path} line 1: not a position in the order log")
    return Snapshot(tuple(_stocks(path, text)), position, last_number)


def _stocks(path: Path, text: str) -> Iterator[Stock]:
    lines = text.splitlines(keepends=True)
    header: tuple[str, ...] = ()
    seen: set[str] = set()
    for row in csv.reader(line if not line.startswith("#") else "\n" for line in lines):
        line = f"{path}: {','.join(row)[:80]!r}"
        if not row:
            continue
        if not header:
            header = tuple(row)
            if header not in (_COLUMNS, _COLUMNS[:3]):
                raise Damaged(f"{line}: the columns must be name,price,quantity")
            continue
        stock = _stock(row, header)
        if stock is None or stock.name in seen:
            raise Damaged(f"{line}: not a stock's {','.join(header)}, or listed twice")
        seen.add(stock.name)
        yield stock


def _stock(row: Sequence[str], header: Sequence[str]) -> Stock | None:
    if len(row) != len(header) or not 1 <= len(row[0]) <= 64 or not row[0].isprintable():
        return None
    price = _PRICE.fullmatch(row[1])
    if price is None or not all(re.fullmatch(r"\d{1,16}", number) for number in row[2:]):
        return None
    cents = int(price[1]) * 100 + int((price[2] or "").ljust(2, "0"))
    quantity, volume, version = (*map(int, row[2:]), 0, 0)[:3]
    if quantity > MAX_SHARES or volume > MAX_SHARES:
        return None
    return Stock(row[0], cents, quantity, volume, version)


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file by `snapshot`: after a crash there is the old one or the new one."""
    position = snapshot.position
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"# index {position.index}, term {position.term}, digest {position.digest}, "
            f"orders {snapshot.last_number}\n"
        )
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for stock in sorted(snapshot.stocks, key=lambda stock: stock.name):
            price = f"{stock.price // 100}.{stock.price % 100:02}"
            table.writerow((stock.name, price, stock.quantity, stock.volume, stock.version))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
