"""The catalog's file: a CSV that is replaced atomically.

    # index 830, term 4, digest 5f0c…, orders 812
    name,price,quantity,volume,version,halted
    GameStart,15.99,95,5,12,0

An earlier release wrote no column `halted`. An operator's listing has the same format, without the
position and, if wanted, without the columns after `quantity`; lines that begin with # are comments.
All of a file at index 1 or more can be rebuilt from the order log; its names are in the log, so
they are not checked again.
"""

import csv
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import msgspec

from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import MAX_SHARES, MAX_STOCKS, MAX_VOLUME, Listing, Stock
from twisted_bazaar.rpc.bounds import MAX_INTEGER
from twisted_bazaar.stock_names import StockNames, shown
from twisted_bazaar.storage.files import replace_file, sync_folder

from .projection import Position, Projection

__all__ = ["Snapshot", "load", "read_listing", "save"]

_POSITION_START = "# index"
_POSITION = re.compile(
    rf"{_POSITION_START} (\d{{1,19}}), term (\d{{1,19}}), digest ([0-9a-f]{{32}}), "
    r"orders (\d{1,19})\r?\n",
    re.ASCII,
)
_PRICE = re.compile(r"(\d{1,12})(?:\.(\d{1,2}))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_COLUMNS = ("name", "price", "quantity", "volume", "version", "halted")
_HEADERS = (_COLUMNS, _COLUMNS[:5])
_MOST = {"quantity": MAX_SHARES, "volume": MAX_VOLUME, "version": MAX_SHARES, "halted": 1}


class Snapshot(msgspec.Struct, frozen=True):
    """What a file holds: the stocks at `position` of the order log."""

    stocks: Sequence[Stock]
    position: Position
    last_number: int

    @classmethod
    def of(cls, projection: Projection) -> "Snapshot":
        """The present state of `projection`."""
        ledger = projection.ledger
        return cls(tuple(ledger.stocks.values()), projection.position, ledger.last_number)

    def projection(self) -> Projection:
        """A projection that goes on from here. Stocks at index 0 are not in the log yet."""
        stocks = self.stocks if self.position.index else ()
        return Projection(Ledger(stocks, self.last_number), self.position)


def read_listing(path: Path) -> Sequence[Listing]:
    """An operator's listing. Raises `Unusable`, naming the line at fault."""
    stocks = _load(path, listing=True).stocks
    if not stocks:
        raise Unusable(f"{path} lists no stocks")
    return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]


def _check_count(path: Path, stocks: Sequence[Stock]) -> None:
    if len(stocks) > MAX_STOCKS:
        raise Unusable(f"{path} lists {len(stocks)} stocks; there may be at most {MAX_STOCKS}")


def load(path: Path) -> Snapshot:
    """Read a catalog's file. Raises `Unusable` if it cannot be read, `Damaged` if it is not one."""
    return _load(path, listing=False)


def _load(path: Path, listing: bool) -> Snapshot:
    try:
        content = path.read_bytes()
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}") from None
    try:
        # Some spreadsheets begin UTF-8 files with a byte order mark.
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as why:
        line = content.count(b"\n", 0, why.start) + 1
        raise Damaged(f"{path} line {line}: not UTF-8") from None
    position, last_number = Position(), 0
    if found := _POSITION.match(text):
        index, term, digest, last_number_text = found.groups()
        # A term that no leader can have reached would make every leader's term too low.
        known = int(term) if int(term) <= MAX_INTEGER else 0
        position, last_number = Position(int(index), digest, known), int(last_number_text)
    elif text.startswith(_POSITION_START):
        raise Damaged(f"{path} line 1: not a position in the order log")
    headers = _HEADERS if position.index else (_COLUMNS[:3], *_HEADERS)
    to_list = listing or not position.index
    stocks = _stocks(path, text, headers, to_list)
    if to_list:
        # The listing is still to become an entry of the log.
        _check_count(path, stocks)
    return Snapshot(stocks, position, last_number)


def _stocks(
    path: Path, text: str, headers: Sequence[Sequence[str]], to_list: bool
) -> Sequence[Stock]:
    """The rows of a file. `to_list`: their names are not in the log yet."""
    # A comment becomes an empty line, so that the lines after it keep their numbers.
    lines = (line if line[0] != "#" else "\n" for line in StringIO(text, newline=None))
    rows = csv.reader(lines, strict=True)
    header: list[str] = []
    stocks: dict[str, Stock] = {}
    names = StockNames()
    try:
        for row in rows:
            if not header:
                header = [name.strip() for name in row]
                if header and tuple(header) not in headers:
                    raise ValueError(f"{_must_be(headers)}, not {shown(','.join(row))}")
            elif row:
                stock = _stock(row, header)
                if stock.name in stocks:
                    raise ValueError(f"{shown(stock.name)} is listed twice")
                if to_list:
                    names.add(stock.name)
                stocks[stock.name] = stock
        if not header:
            raise ValueError(f"{_must_be(headers)}, not missing")
    except (csv.Error, ValueError) as why:
        raise Damaged(f"{path} line {rows.line_num}: {why}") from None
    return tuple(stocks.values())


def _must_be(headers: Sequence[Sequence[str]]) -> str:
    return f"the columns must be {','.join(headers[0])}"


def _stock(row: Sequence[str], header: Sequence[str]) -> Stock:
    if len(row) != len(header):
        raise ValueError(f"there must be {len(header)} values, not {len(row)}")
    name, price_text, *numbers = row[0], *map(str.strip, row[1:])
    price = _PRICE.fullmatch(price_text)
    if price is None:
        raise ValueError(f"price must be an amount such as 15.99, not {shown(price_text)}")
    cents = int(price[1]) * 100 + int((price[2] or "").ljust(2, "0"))
    for column, number in zip(header[2:], numbers, strict=True):
        if not _NUMBER.fullmatch(number) or int(number) > _MOST[column]:
            raise ValueError(
                f"{column} must be a whole number up to {_MOST[column]}, not {shown(number)}"
            )
    quantity, volume, version, halted = (*map(int, numbers), 0, 0, 0)[:4]
    return Stock(name, cents, quantity, volume, version, halted == 1)


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file atomically: after a crash it is the old one or the new one."""
    position = snapshot.position
    text = StringIO(newline="")
    text.write(
        f"# index {position.index}, term {position.term}, digest {position.digest}, "
        f"orders {snapshot.last_number}\n"
    )
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for stock in sorted(snapshot.stocks, key=lambda stock: stock.name):
        price = f"{stock.price // 100}.{stock.price % 100:02}"
        # Without quotes, the line would be a comment.
        to = quoted if stock.name.startswith("#") else table
        row = (stock.name, price, stock.quantity, stock.volume, stock.version, int(stock.halted))
        to.writerow(row)
    replace_file(path, text.getvalue().encode())
    sync_folder(path.parent)
