"""Stock and side of every order, in blocks, to find the orders of one stock or side. Pure.

A block holds two bytes for each of `BLOCK_ORDERS` consecutive orders, and a checksum. Orders are
only added: the last block grows until it is full. So a block that a reader finds is either whole,
or the file is damaged, and no order is missed: the number of the last order says how many blocks
there must be, and how many orders are in each.

To take in an order costs less than a microsecond, where a row in an index by stock costs three to
seven. To find an order, all blocks between are searched, a million orders in about five
milliseconds.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from twisted_bazaar.market import MAX_STOCKS, Side

__all__ = [
    "BLOCK_ORDERS",
    "MAX_STOCK_IDS",
    "Block",
    "Matched",
    "extend",
    "is_sound",
    "place_of",
    "positions",
]

BLOCK_ORDERS = 2000
"""Orders in a full block: with two bytes each, it fills a page of SQLite's."""
MAX_STOCK_IDS = 1 << 15
"""Stocks are known by smaller numbers."""

_SELL = 1
_SIDES = bytes(high & _SELL for high in range(256))
"""Translates high bytes to sides."""


class Block(NamedTuple):
    """Stock and side of the orders `number * BLOCK_ORDERS + 1` and following."""

    number: int
    """0, 1, 2 …"""
    orders: bytes
    """The low byte of each order's stock; then, for each, its high bits and the side."""
    sum: int
    """The CRC-32 of the other fields."""

    @property
    def last_number(self) -> int:
        """The last order in it."""
        return self.number * BLOCK_ORDERS + len(self.orders) // 2


class Matched(NamedTuple):
    """The orders that a search of blocks finds."""

    numbers: Sequence[int]
    """In the direction of the search."""
    examined: int
    """Up to this number (if descending: down to it) there are no others."""
    last_number: int
    """The last order that the blocks hold."""


def _sealed(number: int, orders: bytes) -> Block:
    # With the length: the sum of some orders is that of more that are zeros.
    return Block(number, orders, crc32(orders, crc32(b"%d:%d" % (number, len(orders)))))


def place_of(order: int) -> tuple[int, int]:
    """The block of order 1, 2, 3 … and its position in that block."""
    return divmod(order - 1, BLOCK_ORDERS)


def is_sound(block: Block, number: int, least: int) -> bool:
    """Whether `block` is as it was written, as block `number`, and has at least `least` orders, or
    is full."""
    return (
        block.number == number
        and isinstance(block.orders, bytes)
        and min(least, BLOCK_ORDERS) <= len(block.orders) // 2 <= BLOCK_ORDERS
        and block == _sealed(number, block.orders)
    )


def extend(last: Block | None, orders: Sequence[tuple[int, Side]]) -> list[Block]:
    """The blocks that change, or are new, when `orders` come after those in the block `last`; None:
    they are the first ones. Of each order, the number of its stock and its side."""
    lows = bytes(stock & 255 for stock, _ in orders)
    highs = bytes(stock >> 8 << 1 | (side is Side.SELL) for stock, side in orders)
    number = 0
    if last is not None:
        number, half = last.number, len(last.orders) // 2
        lows, highs = last.orders[:half] + lows, last.orders[half:] + highs
    parts = [slice(at, at + BLOCK_ORDERS) for at in range(0, len(lows), BLOCK_ORDERS)]
    blocks = [_sealed(at, lows[part] + highs[part]) for at, part in enumerate(parts, number)]
    return blocks[1:] if blocks[:1] == [last] else blocks


def positions(
    block: Block, stock: int | None, side: Side | None, begin: int, end: int, descending: bool
) -> Iterator[int]:
    """The positions `begin` <= … < `end` of the orders of `stock` and `side` in `block`. None
    stands for any, but not for both."""
    half = len(block.orders) // 2
    highs = block.orders[half:]
    sell = _SELL if side is Side.SELL else 0
    if stock is None:
        places, sought = highs.translate(_SIDES), sell
        mask, high = 0, 0
    else:
        places, sought = block.orders[:half], stock & 255
        mask = 0xFF if side is not None else 0xFF ^ _SELL
        high = stock >> 8 << 1 | sell
    step = places.rfind if descending else places.find
    at = step(sought, begin, end)
    while at >= 0:
        if highs[at] & mask == high:
            yield at
        at = step(sought, begin, at) if descending else step(sought, at + 1, end)


assert MAX_STOCKS <= MAX_STOCK_IDS
