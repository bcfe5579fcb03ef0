"""What a member of a bazaar of several partitions knows of stocks that move between them."""

from collections.abc import Collection, Mapping, Sequence

from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.engine.shared_log import Placement

__all__ = ["may_come", "shown_placements"]


def may_come(placed: Placement, released: Mapping[int, int]) -> bool:
    """Whether the partition that a stock is to go to may take it, if those entries are `released`,
    by partition."""
    return not placed.arrived and released.get(placed.before, 0) >= placed.moved


def shown_placements(
    partition: int,
    placements: Sequence[Placement],
    left: Mapping[str, tuple[int, int]],
    away: Collection[str],
) -> Sequence[StockPlacement]:
    """What a member tells front-ends of `placements`, which the engine showed. `left` are the
    stocks that left `partition` in its leadership: at which entry, and where to; `away` those that
    had left before. Of what is not known yet a front-end asks again."""
    known = {each.stock: each for each in placements}
    shown = {
        stock: StockPlacement(stock=stock, partition=partition, arrived=False) for stock in away
    }
    for stock, each in known.items():
        shown[stock] = StockPlacement(stock=stock, partition=each.partition, arrived=each.arrived)
    for stock, (index, to) in left.items():
        seen = known.get(stock)
        if seen is None or (seen.before == partition and seen.moved < index):
            shown[stock] = StockPlacement(stock=stock, partition=to, arrived=False)
    return list(shown.values())
