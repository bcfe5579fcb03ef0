"""The tables of the index that find the orders of one stock or side; `blocks` is their form.

A block that is missing, changed or short is noticed when it is read, and all are read at the start.
So damage never hides an order, nor shows another's: what is found is checked in the log, too.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.market import Listed, Side, Traded

from .blocks import (
    BLOCK_ORDERS,
    MAX_STOCK_IDS,
    Block,
    Matched,
    extend,
    is_sound,
    place_of,
    positions,
)

__all__ = ["MAX_EXAMINED", "SCHEMA", "StockOrders", "Useless", "named", "read_blocks"]

SCHEMA = """
CREATE TABLE listed (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE blocks (number INTEGER PRIMARY KEY, orders BLOB NOT NULL, sum INTEGER NOT NULL);
"""
MAX_EXAMINED = 1000 * BLOCK_ORDERS
"""Orders that one search examines at most: about ten milliseconds."""

_BLOCKS = "SELECT number, orders, sum FROM {} WHERE number BETWEEN ? AND ? ORDER BY number"


class Useless(Exception):
    """The file cannot be used and must be rebuilt."""


class _State(NamedTuple):
    """What the tables hold."""

    ids: Mapping[str, int]
    """The number of each stock, in the order in which they were listed."""
    last: Block | None
    """The last block; None: there is no order."""

    @property
    def last_number(self) -> int:
        """The last order in the blocks."""
        return 0 if self.last is None else self.last.last_number


class StockOrders:
    """The stock and side of each order in an index. `matching` is called on any thread, the rest by
    one at a time."""

    def __init__(self) -> None:
        self._state = _State({}, None)
        """Replaced whole, once it is committed: a reader finds at least this much."""

    def load(
        self, connection: sqlite3.Connection, stocks: Collection[str], last_number: int
    ) -> None:
        """Check the tables of an index with these stocks and so many orders. Raises `Useless`."""
        rows = connection.execute("SELECT id, name, sum FROM listed ORDER BY id").fetchall()
        if rows != [named(at, name) for at, (_, name, _) in enumerate(rows)]:
            raise Useless("the stocks in it do not add up")
        ids = {name: at for at, name, _ in rows}
        if ids.keys() != set(stocks):
            raise Useless("the stocks in it are not those of its orders")
        state = _State(ids, None)
        for last in read_blocks(connection, "blocks", 0, last_number, False):
            state = _State(ids, last)
        if state.last_number != last_number:
            raise Useless(f"it has the stocks of {state.last_number} orders, not of {last_number}")
        self._state = state

    def write(self, connection: sqlite3.Connection, entries: Iterable[Entry]) -> Callable[[], None]:
        """Write the next `entries` in a transaction of the caller, and return what is to be called
        once it is committed."""
        known, last = self._state
        ids, orders = dict(known), list[tuple[int, Side]]()
        for entry in entries:
            event = entry.event
            if isinstance(event, Traded):
                orders.append((ids[event.stock], event.side))
            elif isinstance(event, Listed):
                ids |= {each.name: at for at, each in enumerate(event.stocks, len(ids))}
        if len(ids) > MAX_STOCK_IDS:
            raise InvariantBroken(f"{len(ids)} stocks are listed")
        added = [named(at, name) for name, at in ids.items() if at >= len(known)]
        blocks = extend(last, orders) if orders else []
        if added:
            connection.executemany("INSERT INTO listed VALUES (?, ?, ?)", added)
        for block in blocks:
            connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", block)
        state = _State(ids if added else known, blocks[-1] if blocks else last)

        def committed() -> None:
            self._state = state

        return committed

    def matching(
        self,
        connection: sqlite3.Connection,
        stock: str,
        side: Side | None,
        after: int,
        upto: int,
        limit: int,
        descending: bool,
    ) -> Matched:
        """The first `limit` orders of `stock` (empty: any) and `side`, but not of any of both, with
        `after` < number <= `upto`. It examines `MAX_EXAMINED` at most. Raises `Useless`."""
        state = self._state
        upto = min(upto, state.last_number)
        if descending:
            after = max(after, upto - MAX_EXAMINED)
        else:
            upto = min(upto, after + MAX_EXAMINED)
        numbers: list[int] = []
        if limit < 1:
            return Matched(numbers, upto + 1 if descending else after, state.last_number)
        if after < upto and (not stock or stock in state.ids):
            for block in read_blocks(connection, "blocks", after, upto, descending):
                first = block.number * BLOCK_ORDERS + 1
                begin, end = max(0, after + 1 - first), min(BLOCK_ORDERS, upto + 1 - first)
                found = positions(block, state.ids.get(stock), side, begin, end, descending)
                numbers += (first + at for at in islice(found, limit - len(numbers)))
                if len(numbers) == limit:
                    return Matched(numbers, numbers[-1], state.last_number)
        return Matched(numbers, after + 1 if descending else max(after, upto), state.last_number)

    @property
    def last_number(self) -> int:
        """The last order in the blocks."""
        return self._state.last_number

    def fitting(
        self,
        connection: sqlite3.Connection,
        stock: str,
        side: Side | None,
        number: int,
        begin: int,
        end: int,
    ) -> Collection[int] | None:
        """The positions `begin` <= … < `end` of the orders of `stock` and `side` in block `number`;
        None: any fits. Raises `Useless`."""
        state = self._state
        if not stock and side is None:
            return None
        if (stock and stock not in state.ids) or begin >= end:
            return ()
        before = number * BLOCK_ORDERS
        [block] = read_blocks(connection, "blocks", before + begin, before + end, False)
        return {*positions(block, state.ids.get(stock), side, begin, end, False)}


def read_blocks(
    connection: sqlite3.Connection, table: str, after: int, upto: int, descending: bool
) -> Iterator[Block]:
    """The blocks in `table` that hold the orders `after` < number <= `upto`, the last ones first if
    `descending`. Raises `Useless` if one of them is not as it was written."""
    if after >= upto:
        return
    first, last = place_of(after + 1)[0], place_of(upto)[0]
    numbers: Sequence[int] = range(first, last + 1)
    statement = _BLOCKS.format(table)
    if descending:
        statement, numbers = f"{statement} DESC", numbers[::-1]
    with closing(connection.execute(statement, (first, last))) as rows:
        for number in numbers:
            row = rows.fetchone()
            block = Block(*row) if row is not None else None
            if block is None or not is_sound(block, number, upto - number * BLOCK_ORDERS):
                raise Useless(f"block {number} of its orders is missing or damaged")
            yield block


def named(number: int, name: str) -> tuple[int, str, int]:
    """The row of stock or client `number`, with its checksum."""
    # In a damaged table the name may be of another type.
    return number, name, crc32(str(name).encode("utf-8", "surrogatepass"), number)
