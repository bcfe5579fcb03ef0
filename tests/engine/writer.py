"""Makes what a leader hands to a `SharedLog`: entries, and the stocks after them."""

from collections.abc import Sequence

from twisted_bazaar.consensus.entries import Event, Opened, encode_entry
from twisted_bazaar.engine.shared_log import Batch, Released, SharedLog, Snapshot, Tail
from twisted_bazaar.ledger import Ledger, stocks_of
from twisted_bazaar.market import Listed, Listing, Moved, Side, Trade, Traded

__all__ = ["LISTED", "TENURE", "Writer", "tail_of"]

TENURE = 0.75
"""Seconds that a writer says to rely on a write."""

LISTED = Listed((Listing("FishCo", 2050, 10**9), Listing('"Men\\hir", {Co} Ünited', 4999, 10**9)))


def tail_of(log: SharedLog) -> Tail:
    return log.snapshot().tail


class Writer:
    """A leader without a mind: it follows the end of the log that it has seen."""

    def __init__(self, log: SharedLog, leader: int = 1) -> None:
        self.log = log
        self.leader = leader
        self.beat = 0
        self.follow(log.snapshot())

    def follow(self, seen: Snapshot) -> None:
        self.tail = seen.tail
        self.term = seen.tail.term
        self.index, self.digest = seen.tail.index, seen.tail.digest
        self.ledger = Ledger(seen.stocks, seen.tail.last_number)

    def batch(self, *events: Event, at: int | None = None) -> Batch:
        """The next batch. The writer goes on after it, as if it were in the log."""
        previous, entries, gone = self.digest, [], []
        touched: dict[str, None] = {}
        for event in events:
            if isinstance(event, Moved):
                gone.append(self.ledger.stocks[event.stock])
            self.index += 1
            moment = 1_790_000_000_000 + self.index if at is None else at
            entry = encode_entry(self.digest, self.index, self.term, moment, event)
            self.digest = entry.digest
            self.ledger.apply(self.index, event)
            touched |= dict.fromkeys(stocks_of(event))
            entries.append(entry)
        stocks = [self.ledger.stocks[name] for name in touched if name in self.ledger.stocks]
        return Batch(
            previous=previous,
            entries=entries,
            stocks=stocks,
            gone=gone,
            last_number=self.ledger.last_number,
        )

    def orders(
        self,
        keys: Sequence[str],
        stock: str = "FishCo",
        side: Side = Side.BUY,
        at: int | None = None,
        limit: int | None = None,
    ) -> Batch:
        """A batch of one order a key."""
        return self.batch(*self.traded(keys, stock, side, limit), at=at)

    def traded(
        self,
        keys: Sequence[str],
        stock: str = "FishCo",
        side: Side = Side.BUY,
        limit: int | None = None,
    ) -> Sequence[Traded]:
        ledger, events = self.ledger.copy(), []
        for key in keys:
            made = key.startswith("made")
            event = ledger.decide(Trade(key, stock, side, 2, made, limit))
            assert isinstance(event, Traded)
            ledger.apply(0, event)
            events.append(event)
        return events

    def claim(
        self, catalogs: Sequence[str] = ("c1",), lease: float = 1.0, at: int | None = None
    ) -> Batch:
        """Claim after what was seen. Raises what the log raises."""
        seen = self.tail
        self.term, self.beat = seen.term + 1, 0
        opened = self.batch(Opened(leader=self.leader, name=f"{self.leader} {id(self)}"), at=at)
        self.claim_with(seen, opened, catalogs, lease)
        return opened

    def claim_with(
        self,
        seen: Tail,
        opened: Batch,
        catalogs: Sequence[str] = ("c1",),
        lease: float = 1.0,
    ) -> None:
        self.log.claim(
            seen,
            opened,
            term=seen.term + 1,
            leader=self.leader,
            tenure=TENURE,
            longest_lease=lease,
            catalogs=catalogs,
        )

    def append(self, batch: Batch, released: Released | None = None) -> Batch:
        """Append `batch`, and again the same if it is given again."""
        self.beat += 1
        self.again(batch, released)
        return batch

    def again(self, batch: Batch, released: Released | None = None) -> None:
        self.log.append(batch, term=self.term, beat=self.beat, released=released or Released())

    def beats(self, beat: int | None = None, released: Released | None = None) -> None:
        if beat is None:
            self.beat += 1
            beat = self.beat
        self.log.beat(term=self.term, beat=beat, released=released or Released())
