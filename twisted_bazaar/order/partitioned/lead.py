"""One leadership of a partition: its desk, who waits for news, and what is to come into its market.

Made when the claim has succeeded, from the market data that was loaded for it, and dropped when the
leader steps down.
"""

from collections.abc import Sequence
from functools import partial
from itertools import takewhile

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.member import Member, Observed
from twisted_bazaar.engine.shared_log import Placement, Snapshot, Tail
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed
from twisted_bazaar.order.desk import TradingDesk
from twisted_bazaar.order.following import Following, FollowingDesk
from twisted_bazaar.order.watches import Watches
from twisted_bazaar.runtime.reactor import Reactor

from .moves import Moves

__all__ = ["Lead"]


class Lead:
    """What a member keeps of a partition while it leads it. `snapshot` is what it claimed on."""

    def __init__(
        self,
        reactor: Reactor,
        member: Member,
        snapshot: Snapshot,
        partition: int,
        partitions: int,
        following: Following | None = None,
    ) -> None:
        """`following` is told what becomes of trades that are followed; None: none are."""
        tail = snapshot.tail
        make_desk = (
            TradingDesk if following is None else partial(FollowingDesk, following=following)
        )
        self.desk: TradingDesk = make_desk(
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
        self.moves = Moves(partition, snapshot.away, snapshot.former)
        """What is known of stocks that leave and come."""

    def observe(self, observed: Observed) -> None:
        """Take in what the member has come to."""
        self.desk.observe(observed)
        for entry in observed.committed:
            self.moves.committed(entry)
            if isinstance(entry.event, Listed):
                self.listed = True

    def adopt(self, placements: Sequence[Placement], tails: Sequence[Tail]) -> None:
        """Propose to take the stocks that are on their way here, once all that clients may have
        been told of them is released where they were."""
        for placement in self.moves.coming(placements, tails):
            self.desk.adopt(placement.adopted(), placement.former)

    def recent(self) -> Sequence[Entry]:
        """The last released orders: those at least that were not forgotten."""
        desk = self.desk
        remembered = range(desk.released_number, 0, -1)
        entries = takewhile(lambda entry: entry is not None, map(desk.remembers, remembered))
        return [entry for entry in entries if entry is not None][::-1]

    def forget(self, index: int) -> None:
        """The engine says that entries up to `index` are released: their orders are read there."""
        if index >= self.desk.applied - self.desk.index_lag:
            self.desk.indexed(index)
