"""What the leader of a partition knows of stocks that move: from its own log, and from what the
engine shows, which may be old. Pure.

A front-end asks for a stock where it was last known to be. A leader that has not got it says where
it went; one whose catalog does not show it yet, that it is here. What a leader does not know yet it
says is on its way: so no stock is taken for one that is nowhere.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.engine.shared_log import Placement, Tail
from twisted_bazaar.market import Adopted, Moved

__all__ = ["Moves", "shown_with"]


class Moves:
    """The moves of one leadership of `partition`. Before it began, the stocks `away` had left, and
    the stocks `here` had come."""

    def __init__(self, partition: int, away: Collection[str], here: Collection[str] = ()) -> None:
        self._partition = partition
        self._here = dict.fromkeys(sorted(here))
        """The stocks that came, and have not left again. A catalog may not show them yet."""
        self._gone = dict.fromkeys(sorted(away), (0, partition))
        """The stocks that have left and are not back: by which entry of this leadership, and where
        to. Entry 0: in an earlier one, and where to is for a placement to say."""
        self._placed: set[str] = set()
        """Those of both that the placements seen last show where they are."""

    def committed(self, entry: Entry) -> None:
        """An entry of this partition's log is committed."""
        event = entry.event
        if isinstance(event, Moved):
            self._gone[event.stock] = entry.index, event.to
            self._here.pop(event.stock, None)
            self._placed.discard(event.stock)
        elif isinstance(event, Adopted):
            self._gone.pop(event.stock, None)
            self._here[event.stock] = None
            self._placed.discard(event.stock)

    def saw(self, placements: Iterable[Placement]) -> None:
        """The engine shows where the stocks are that were moved. It may show what was before: what
        an earlier answer said is not kept, as that may have been lost."""
        if self._gone or self._here:
            self._placed = {each.stock for each in placements if self._is_as_here(each)}

    def _is_as_here(self, placement: Placement) -> bool:
        """Whether it shows where a stock is that has left or come, and not where it was before."""
        arrived_here = placement.partition == self._partition and placement.arrived
        if placement.stock in self._here:
            return arrived_here
        if placement.stock not in self._gone or arrived_here:
            return False
        # The index is of the log that the stock left.
        index, _ = self._gone[placement.stock]
        return placement.before != self._partition or placement.moved >= index

    def knows(self, stocks: Collection[str]) -> bool:
        """Whether it is known where those of `stocks` are that have left."""
        unplaced = (stock for stock in stocks if stock in self._gone and stock not in self._placed)
        return all(self._gone[stock][0] for stock in unplaced)

    def unseen(self) -> Sequence[StockPlacement]:
        """Where stocks are that left or came, as far as the engine does not show it. Those of which
        it is not known are on their way here: a front-end asks again."""
        left = [
            StockPlacement(stock=stock, partition=to, arrived=False)
            for stock, (_, to) in self._gone.items()
            if stock not in self._placed
        ]
        came = [
            StockPlacement(stock=stock, partition=self._partition, arrived=True)
            for stock in self._here
            if stock not in self._placed
        ]
        return left + came

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
