"""The tables of the index that find the orders of one client; `blocks` is their form.

There is a block for each of `stock_orders`, from the first order on that a client placed: without
clients there is none. It holds a number for each order, that of its client, or 0. The index says
how many orders have a client, so that blocks that are lost are noticed.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.market import Side, Traded
from twisted_bazaar.order_keys import SEPARATOR, client_of

from .blocks import BLOCK_ORDERS, MAX_STOCK_IDS, Block, Matched, extend, place_of, positions
from .stock_orders import MAX_EXAMINED, Useless, named, read_blocks

__all__ = ["CLIENT_SCHEMA", "MAX_CLIENT_IDS", "ClientOrders"]

CLIENT_SCHEMA = """
CREATE TABLE client_ids (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE client_blocks (
    number INTEGER PRIMARY KEY, orders BLOB NOT NULL, sum INTEGER NOT NULL
);
"""
MAX_CLIENT_IDS = MAX_STOCK_IDS - 1
"""Clients that have a number of their own, from 1. Later ones share those: what is found is an
order of one of several clients then, which the log tells apart."""

Others = Callable[[int, int, int], Collection[int] | None]


class _State(NamedTuple):
    """What the tables hold."""

    ids: Mapping[str, int]
    first: int
    """The first block."""
    last: Block | None
    """None: no order has a client."""

    @property
    def last_number(self) -> int:
        """The last order in the blocks."""
        return 0 if self.last is None else self.last.last_number


class ClientOrders:
    """The client of each order in an index. `matching` is called on any thread, the rest by one at
    a time."""

    def __init__(self, max_ids: int = MAX_CLIENT_IDS) -> None:
        self._state = _State({}, 0, None)
        """Replaced whole, once it is committed: a reader finds at least this much."""
        self._max_ids = max_ids

    def load(self, connection: sqlite3.Connection, known: int, last_number: int) -> None:
        """Check the tables of an index with so many orders, of which `known` have a client. Raises
        `Useless`."""
        rows = connection.execute("SELECT id, name, sum FROM client_ids ORDER BY id").fetchall()
        if rows != [named(at, name) for at, (_, name, _) in enumerate(rows, 1)]:
            raise Useless("the clients in it do not add up")
        ids = {name: at for at, name, _ in rows}
        [[first]] = connection.execute("SELECT min(number) FROM client_blocks").fetchall()
        state, found, highest = _State(ids, first or 0, None), 0, 0
        if first is not None:
            after = first * BLOCK_ORDERS
            for block in read_blocks(connection, "client_blocks", after, last_number, False):
                state = _State(ids, first, block)
                found += _with_client(block)
                highest = max(highest, _highest(block))
        if (
            found != known
            or highest != len(ids)
            or (state.last and state.last_number != last_number)
        ):
            raise Useless(f"it has the clients of {found} orders, not of {known}")
        self._state = state

    def write(
        self, connection: sqlite3.Connection, entries: Iterable[Entry]
    ) -> tuple[int, Callable[[], None]]:
        """Write the next `entries` in a transaction of the caller. Returns how many of them are
        orders of clients, and what is to be called once it is committed."""
        state = self._state
        orders = [entry.event for entry in entries if isinstance(entry.event, Traded)]
        if not orders or (
            state.last is None and not any(SEPARATOR in order.key for order in orders)
        ):
            return 0, lambda: None
        ids = dict(state.ids)
        numbers = [self._id_of(client_of(order.key), ids) for order in orders]
        last, first = state.last, state.first
        if last is None:
            # The orders before these in their block have no client.
            first, before = place_of(orders[0].number)
            last, numbers = Block(first, b"", 0), [0] * before + numbers
        blocks = extend(last, [(number, Side.BUY) for number in numbers])
        added = [named(at, name) for name, at in ids.items() if name not in state.ids]
        own = [row for row in added if row[0] > len(state.ids)]
        connection.executemany("INSERT INTO client_ids VALUES (?, ?, ?)", own)
        connection.executemany("INSERT OR REPLACE INTO client_blocks VALUES (?, ?, ?)", blocks)
        new = _State(ids, first, blocks[-1] if blocks else last)

        def committed() -> None:
            self._state = new

        return sum(map(bool, numbers)), committed

    def _id_of(self, client: str, ids: dict[str, int]) -> int:
        """The number of `client`, which is put into `ids` if it gets one of its own; empty: 0."""
        if not client:
            return 0
        found = ids.get(client)
        if found is None:
            if len(ids) >= self._max_ids:
                return self._shared(client)
            found = ids[client] = len(ids) + 1
        return found

    def _shared(self, client: str) -> int:
        return crc32(client.encode("utf-8", "surrogatepass")) % self._max_ids + 1

    def matching(
        self,
        connection: sqlite3.Connection,
        client: str,
        after: int,
        upto: int,
        limit: int,
        descending: bool,
        others: Others,
        last_number: int,
    ) -> Matched:
        """The first `limit` orders of `client` with `after` < number <= `upto` <= `last_number`,
        that of the index. `others` returns the positions, in a block between two positions, that
        meet all other conditions; None: there are none. It examines `MAX_EXAMINED` at most. Raises
        `Useless`."""
        state = self._state
        if descending:
            after = max(after, upto - MAX_EXAMINED)
        else:
            upto = min(upto, after + MAX_EXAMINED)
        numbers: list[int] = []
        if limit < 1:
            return Matched(numbers, upto + 1 if descending else after, last_number)
        wanted = state.ids.get(client)
        if wanted is None and len(state.ids) >= self._max_ids:
            wanted = self._shared(client)
        begin = max(after, state.first * BLOCK_ORDERS)
        if state.last is not None and wanted is not None and begin < upto:
            for block in read_blocks(connection, "client_blocks", begin, upto, descending):
                first = block.number * BLOCK_ORDERS + 1
                low, high = max(0, after + 1 - first), min(BLOCK_ORDERS, upto + 1 - first)
                found = positions(block, wanted, None, low, high, descending)
                fitting = others(block.number, low, high)
                if fitting is not None:
                    found = (at for at in found if at in fitting)
                numbers += (first + at for at in islice(found, limit - len(numbers)))
                if len(numbers) == limit:
                    return Matched(numbers, numbers[-1], last_number)
        return Matched(numbers, after + 1 if descending else max(after, upto), last_number)


def _highs_and_lows(block: Block) -> tuple[bytes, bytes]:
    half = len(block.orders) // 2
    return block.orders[half:], block.orders[:half]


def _with_client(block: Block) -> int:
    """How many of its orders have a client."""
    highs, lows = _highs_and_lows(block)
    both = int.from_bytes(highs) | int.from_bytes(lows)
    return len(lows) - both.to_bytes(len(lows)).count(0)


def _highest(block: Block) -> int:
    """The highest number of a client in it."""
    highs, lows = _highs_and_lows(block)
    high = max(highs)
    return (high >> 1 << 8) + max(
        low for low, each in zip(lows, highs, strict=True) if each == high
    )
