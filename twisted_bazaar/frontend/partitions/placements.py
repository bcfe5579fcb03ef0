"""Which partition a stock is in, as far as one front-end knows. Pure.

A stock is at home unless it was moved. Members say which were, each as of a moment: what is known
here is a guess. One that is wrong costs a call: a partition that has not got the stock refuses, and
its leader knows where its own log sent it (`next_place`).
"""

from collections.abc import Iterable, Sequence

import msgspec

from twisted_bazaar.consensus.messages import Status, StockPlacement
from twisted_bazaar.partitions import home

__all__ = ["NextPlace", "Placements", "leader_says", "next_place"]


class Placements:
    """The placements that were heard last."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._moved: dict[str, StockPlacement] = {}
        self._said: dict[int, Sequence[StockPlacement]] = {}
        """By member: what it said last."""

    def of(self, stock: str) -> int:
        """The partition to ask for `stock`."""
        moved = self._moved.get(stock)
        return home(stock, self._partitions) if moved is None else moved.partition

    def heard(self, member: int, placements: Sequence[StockPlacement]) -> bool:
        """`member` says that these stocks were moved. Returns whether that is news. A placement is
        never taken back: a stock that returns has one at its home."""
        if self._said.get(member) == placements:
            return False
        self._said[member] = placements
        return self._learn(placements)

    def _learn(self, placements: Iterable[StockPlacement]) -> bool:
        news = [each for each in placements if self._is_news(each)]
        self._moved.update((each.stock, each) for each in news)
        return bool(news)

    def _is_news(self, placement: StockPlacement) -> bool:
        known = self._moved.get(placement.stock)
        if known is None or known.partition != placement.partition:
            return True
        # One that has arrived is not on its way there again: a member has not heard it yet.
        return placement.arrived and not known.arrived

    @property
    def moved(self) -> Sequence[StockPlacement]:
        """The stocks that were moved, by name."""
        return [self._moved[stock] for stock in sorted(self._moved)]


class NextPlace(msgspec.Struct, frozen=True):
    """Where to ask for a stock next."""

    partition: int
    wait: bool
    """Whether it may take a moment until the stock is there."""


def next_place(
    stock: str, asked: int, said: Sequence[StockPlacement], partitions: int
) -> NextPlace | None:
    """Where `stock` is, if partition `asked`, of so many, has not got it, and its leader `said`
    afterwards which were moved; None: it is nowhere."""
    for each in said:
        if each.stock == stock:
            # With a stock that has arrived where it was asked for, the two have crossed.
            return NextPlace(each.partition, not each.arrived or each.partition == asked)
    at_home = home(stock, partitions)
    return None if at_home == asked else NextPlace(at_home, wait=False)


def leader_says(status: Status, partition: int) -> bool:
    """Whether the member that said `status` leads `partition`: what its log has moved away, it
    knows."""
    said = status.partitions
    return partition < len(said) and said[partition].role == "leader"
