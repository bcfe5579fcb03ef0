"""Blocks find the orders of a stock or side among all orders, or show that they are damaged."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_bazaar.market import MAX_STOCKS, Side
from twisted_bazaar.storage.blocks import BLOCK_ORDERS, Block, extend, is_sound, place_of, positions

STOCKS = (0, 1, 255, 256, 257, 511, MAX_STOCKS - 1)
"""Some share their low byte, some their high bits."""

orders = st.lists(st.tuples(st.sampled_from(STOCKS), st.sampled_from(Side)), min_size=1)


@settings(deadline=None)
@given(orders, st.none() | st.sampled_from(STOCKS), st.none() | st.sampled_from(Side), st.data())
def test_the_orders_of_a_stock_and_side_are_found_in_both_directions(
    held: list[tuple[int, Side]], stock: int | None, side: Side | None, data: st.DataObject
) -> None:
    if stock is None and side is None:
        side = Side.SELL
    [block] = extend(None, held)
    begin = data.draw(st.integers(0, len(held)))
    end = data.draw(st.integers(begin, len(held)))
    expected = [
        at
        for at in range(begin, end)
        if stock in (None, held[at][0]) and side in (None, held[at][1])
    ]
    assert list(positions(block, stock, side, begin, end, descending=False)) == expected
    assert list(positions(block, stock, side, begin, end, descending=True)) == expected[::-1]


@pytest.mark.parametrize("sizes", [(1, 1), (1999, 1, 1), (2000, 2000), (4500,), (1999, 2, 3999)])
def test_blocks_are_the_same_however_many_orders_come_at_once(sizes: Sequence[int]) -> None:
    held = [(at % 300, Side.SELL if at % 3 else Side.BUY) for at in range(sum(sizes))]
    blocks: dict[int, Block] = {}
    last: Block | None = None
    at = 0
    for size in sizes:
        changed = extend(last, held[at : at + size])
        blocks |= {block.number: block for block in changed}
        last = changed[-1]
        at += size
    assert list(blocks.values()) == extend(None, held)
    assert [len(block.orders) // 2 for block in blocks.values()] == [
        min(BLOCK_ORDERS, len(held) - start) for start in range(0, len(held), BLOCK_ORDERS)
    ]


def test_a_full_block_is_not_written_again() -> None:
    [full] = extend(None, [(1, Side.BUY)] * BLOCK_ORDERS)
    assert [block.number for block in extend(full, [(2, Side.BUY)])] == [1]


def test_an_order_is_in_the_block_and_at_the_place_of_its_number() -> None:
    assert place_of(1) == (0, 0)
    assert place_of(BLOCK_ORDERS) == (0, BLOCK_ORDERS - 1)
    assert place_of(BLOCK_ORDERS + 1) == (1, 0)


@given(orders, st.data())
def test_a_changed_or_short_block_is_noticed(
    held: list[tuple[int, Side]], data: st.DataObject
) -> None:
    [block] = extend(None, held)
    assert is_sound(block, 0, len(held))
    assert not is_sound(block, 1, len(held))
    assert not is_sound(block, 0, len(held) + 1)
    changed = bytearray(block.orders)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not is_sound(block._replace(orders=bytes(changed)), 0, len(held))
    assert not is_sound(block._replace(sum=block.sum ^ 1), 0, len(held))
    assert not is_sound(block._replace(orders="text"), 0, len(held))  # type: ignore[arg-type]
    assert not is_sound(block._replace(orders=block.orders[:-2]), 0, len(held) - 1)


def test_a_block_that_lacks_zeros_at_its_end_is_noticed() -> None:
    """CRC-32 alone does not notice it after four bytes of ones."""
    held = [(255, Side.BUY)] * 4
    [block] = extend(None, held)
    for count in range(1, len(held)):
        assert not is_sound(block._replace(orders=block.orders[: 2 * count]), 0, count)
