"""What the leader of a partition knows of stocks that move: from its own log, and from what the
engine shows, which may be old. Pure.

A front-end asks for a stock where it was last known to be. A leader that has not got it says where
it went. What it does not know yet it says is on its way: so no stock is taken for one that is
nowhere.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.engine.shared_log import Placement, Tail
from twisted_bazaar.market import Adopted, Moved

__all__ = ["Moves", "shown_with"]


class Moves:
    """The moves of one leadership of `partition`. The stocks `away` had left before it began."""

    def __init__(self, partition: int, away: Collection[str]) -> None:
        self._partition = partition
        self._left: dict[str, tuple[int, int]] = {}
        """The stocks that left in this leadership, as far as no placement has shown it: by which
        entry, and where to."""
        self._unplaced = set(away)
        """The stocks that left before, as far as no placement has shown where they are."""

    def committed(self, entry: Entry) -> None:
        """An entry of this partition's log is committed."""
        event = entry.event
        if isinstance(event, Moved):
            self._left[event.stock] = entry.index, event.to
        elif isinstance(event, Adopted):
            # It is back, and no placement may have shown it elsewhere.
            self._left.pop(event.stock, None)
            self._unplaced.discard(event.stock)

    def saw(self, placements: Iterable[Placement]) -> None:
        """The engine shows where the stocks are that were moved."""
        if not self._left and not self._unplaced:
            return
        for placement in placements:
            if placement.partition == self._partition and placement.arrived:
                continue  # From before the stock left.
            self._unplaced.discard(placement.stock)
            moved = self._left.get(placement.stock)
            # The index is of the log that the stock left.
            if moved is not None and not (
                placement.before == self._partition and placement.moved < moved[0]
            ):
                del self._left[placement.stock]

    def knows(self, stocks: Collection[str]) -> bool:
        """Whether it is known where those of `stocks` are that have left."""
        return self._unplaced.isdisjoint(stocks)

    def unseen(self) -> Sequence[StockPlacement]:
        """Where stocks are that left, as far as the engine did not show it. Those of which it is
        not known are on their way here: a front-end asks again."""
        left = {stock: to for stock, (_, to) in self._left.items()}
        places = dict.fromkeys(sorted(self._unplaced), self._partition) | left
        return [
            StockPlacement(stock=stock, partition=partition, arrived=False)
            for stock, partition in places.items()
        ]

    def coming(self, placements: Iterable[Placement], tails: Sequence[Tail]) -> Iterator[Placement]:
        """Those of `placements` that this partition may take: all that clients may have been told
        of the stock is released where it was. `tails` are those of all partitions, by number."""
        for placement in placements:
            if (
                placement.partition == self._partition
                and not placement.arrived
                and tails[placement.before].released.index >= placement.moved
            ):
                yield placement


def shown_with(
    unseen: Sequence[StockPlacement], placements: Iterable[Placement]
) -> Sequence[StockPlacement]:
    """Where stocks are: `placements`, as the engine shows them, but for what is known better."""
    better = {each.stock for each in unseen}
    seen = (
        StockPlacement(stock=each.stock, partition=each.partition, arrived=each.arrived)
        for each in placements
        if each.stock not in better
    )
    return [*unseen, *seen]
