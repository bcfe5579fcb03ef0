"""One leadership of a partition: its desk, who waits for news, and what is to come into its market.

Made when the claim has succeeded, from the market data that was loaded for it, and dropped when the
leader steps down.
"""

from collections.abc import Mapping, Sequence

from twisted_bazaar.consensus.member import Member, Observed
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.engine.shared_log import Placement, Snapshot, Tail
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed, Moved
from twisted_bazaar.order.desk import TradingDesk
from twisted_bazaar.order.watches import Watches
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Lead"]


class Lead:
    """What a member keeps of a partition while it leads it. `snapshot` is what it claimed on."""

    def __init__(
        self, reactor: Reactor, member: Member, snapshot: Snapshot, partition: int, partitions: int
    ) -> None:
        tail = snapshot.tail
        self.desk = TradingDesk(
            member,
            Ledger(snapshot.stocks, tail.last_number, away=snapshot.away),
            applied=tail.index,
            released_number=tail.released.number,
            opens_empty=tail.listed,
            former=snapshot.former,
            place=(partition, partitions),
        )
        self.watches = Watches(reactor, member, self.desk)
        self.listed = tail.listed
        """Whether stocks were listed: the market is open, though it may have none."""
        self._partition = partition
        self._left: dict[str, Moved] = {}
        """The stocks that left in this leadership, as far as no placement has shown it."""

    def observe(self, observed: Observed) -> None:
        """Take in what the member has come to."""
        self.desk.observe(observed)
        for entry in observed.committed:
            event = entry.event
            if isinstance(event, Moved):
                self._left[event.stock] = event
            elif isinstance(event, Listed):
                self.listed = True

    def adopt(self, placements: Sequence[Placement], tails: Sequence[Tail]) -> None:
        """Propose to take the stocks that are on their way here, once all that clients may have
        been told of them is released where they were."""
        for placement in placements:
            if (
                placement.partition == self._partition
                and not placement.arrived
                and tails[placement.before].released.index >= placement.moved
            ):
                self.desk.adopt(placement.adopted(), placement.former)

    def placements(self, seen: Sequence[Placement]) -> Sequence[StockPlacement]:
        """Where stocks are that left this partition, as far as `seen` does not say so."""
        shown: Mapping[str, Placement] = {each.stock: each for each in seen}
        for stock, moved in [*self._left.items()]:
            placement = shown.get(stock)
            if placement is not None and (
                placement.before == self._partition or placement.partition == moved.to
            ):
                del self._left[stock]
        return [
            StockPlacement(stock=stock, partition=moved.to, arrived=False)
            for stock, moved in self._left.items()
        ]
