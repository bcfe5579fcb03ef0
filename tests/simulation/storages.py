"""What a simulated replica keeps: the log, and the index as of where the log begins."""

from typing import NamedTuple

from twisted_bazaar.consensus.beginning import Beginning, after
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.ledger import Ledger, first_prices
from twisted_bazaar.market import Traded

__all__ = ["KeptStorage", "SnapshotTaken"]


class SnapshotTaken(NamedTuple):
    """A copy of an index."""

    beginning: Beginning
    """The entry that it is as of."""
    ledger: Ledger
    orders: dict[str, Traded]
    """By key."""


class KeptStorage(MemoryStorage):
    """A log on disk whose first entries may have left it."""

    def __init__(
        self, suspect: str | None = None, fresh: bool = False, copied: bool = False
    ) -> None:
        super().__init__(suspect, fresh, copied)
        self.ledger = Ledger()
        """The market where the log begins."""
        self.orders: dict[str, Traded] = {}
        """The orders up to there, by key."""

    @property
    def has_archive(self) -> bool:
        """Whether all entries before the beginning are in the archive."""
        return len(self.archived) == self.beginning.index

    def snapshot(self, upto: int) -> SnapshotTaken:
        """The index as of entry `upto`, which is released, where it is not before the beginning."""
        ledger, orders = self.ledger.copy(), dict(self.orders)
        for entry in self.read(self.beginning.index, upto):
            ledger.apply(entry.index, entry.event)
            if isinstance(entry.event, Traded):
                orders[entry.event.key] = entry.event
        if upto == self.beginning.index:
            return SnapshotTaken(self.beginning, ledger, orders)
        beginning = after(
            self.read(upto - 1, upto)[0],
            number=ledger.last_number,
            cluster=self.cluster,
            openings=self.openings,
            memberships=self.memberships,
            prices=self.beginning.prices or first_prices(each.event for each in self.entries),
        )
        return SnapshotTaken(beginning, ledger, orders)

    def leave(self, upto: int) -> None:
        """Entries up to `upto`, which are released and in the index, go to the archive."""
        begins = self.beginning.index
        if upto <= begins:
            return
        snapshot = self.snapshot(upto)
        if self.has_archive:
            self.archived = [*self.archived, *self.entries[: upto - begins]]
        del self.entries[: upto - begins]
        self.beginning, self.ledger, self.orders = snapshot

    def begin(self, snapshot: SnapshotTaken) -> None:
        """Begin the log anew at `snapshot`. Term, vote and suspicion stay."""
        self.entries, self.archived = [], []
        self.beginning, self.ledger, self.orders = snapshot
        self.fresh = False

    def copy(self) -> "KeptStorage":
        """A copy of what is there now."""
        copied = KeptStorage(self.suspect, self.fresh, self.copied)
        copied.term, copied.vote, copied._named = self.term, self.vote, self._named
        copied.beginning, copied.entries = self.beginning, list(self.entries)
        copied.archived = list(self.archived)
        copied.ledger, copied.orders = self.ledger, self.orders
        return copied
