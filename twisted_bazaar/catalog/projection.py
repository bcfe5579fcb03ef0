"""The market data that follows from a prefix of the order log. Pure.

A catalog is a learner: the leader sends it committed entries, and it applies those that follow its
position. Others it ignores; its answer tells the leader from where to go on. Entries that the
leader has proposed it keeps beyond its position, for the leader's term, and applies once it hears
that they are committed.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import takewhile

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened
from twisted_bazaar.consensus.messages import Apply, MarketSnapshot
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.ledger import Ledger, stocks_of
from twisted_bazaar.market import Listed, Stock, Traded

__all__ = ["MAX_PROPOSED", "Gone", "Position", "Projection"]

MAX_PROPOSED = 4096
"""Proposed entries that a catalog keeps. A leader has fewer, unless its followers are slow; what is
beyond is sent once it is committed."""


class Position(msgspec.Struct, frozen=True):
    """A point in the order log: after the entry `index`, whose digest is `digest`."""

    index: int = 0
    digest: str = GENESIS
    term: int = 0
    """The highest term of the leaders heard."""


class Gone(msgspec.Struct, frozen=True):
    """What an entry left of a stock that went to another partition."""

    name: str
    version: int
    """The index of that entry."""


class Projection:
    """The ledger at a position of the log, and what is proposed beyond."""

    def __init__(self, ledger: Ledger, position: Position) -> None:
        self.ledger = ledger
        self.position = position
        self.history = ""
        """The digest of the last `opened` entry applied; empty: unknown, as files do not hold it.
        With an index it names one entry, however logs are cut, restored or copied."""
        self.opened = self.openings = 0
        """The index of the last `opened` entry that it has applied in this life, and how many."""
        self.beginnings = 0
        """How often it was discarded, and begun again with a snapshot, or with nothing."""
        self.listed = position.index if ledger.stocks else 0
        """The market is open since this entry, or longer; 0: it is not. It may have no stocks."""
        self.proposed: deque[Entry] = deque()
        """Entries of the leader of `position.term` that follow `position` and may yet be
        truncated."""
        self.truncations = 0
        """How often what was proposed was dropped."""
        self._gone: dict[str, int] = {}
        """The stocks that this life saw go to another partition, and when. Front-ends that
        subscribed to an earlier life begin without floors, and show no stock that has none."""

    @property
    def tip(self) -> int:
        """The index of the last entry, applied or proposed."""
        return self.proposed[-1].index if self.proposed else self.position.index

    def apply(self, message: Apply) -> list[Stock | Gone]:
        """Apply a leader's entries. Returns the stocks they changed, as each entry left them."""
        if message.term < self.position.term:
            return []
        if message.term > self.position.term or not self._continues(message):
            # The log of the next leader may go on in another way.
            self._truncate()
        if message.rebuild:
            self._begin_again(message.snapshot)
        self.position = msgspec.structs.replace(self.position, term=message.term)
        entries = [*self._now_committed(message.commit), *message.entries]
        touched = [stock for entry in entries for stock in self._take(entry)]
        while self.proposed and self.proposed[0].index <= self.position.index:
            self.proposed.popleft()
        self._propose(message.proposed)
        return touched

    def floors(self, after: int) -> dict[str, int]:
        """The stocks that entries after `after` change, applied or proposed: by name, the index of
        the last such entry."""
        floors = {
            stock.name: stock.version
            for stock in self.ledger.stocks.values()
            if stock.version > after
        }
        floors.update((name, index) for name, index in self._gone.items() if index > after)
        for entry in self.proposed:
            if entry.index > after:
                floors.update(dict.fromkeys(stocks_of(entry.event), entry.index))
        return floors

    def _continues(self, message: Apply) -> bool:
        """Whether what is proposed here is in the log of `message`, of the same term. It is: one
        leader a term has one log, which only grows. The digest says so as well, where both know
        the entry."""
        at = message.previous_index - self.position.index - 1
        return not 0 <= at < len(self.proposed) or (
            self.proposed[at].digest == message.previous_digest
        )

    def _now_committed(self, commit: int) -> list[Entry]:
        return list(takewhile(lambda entry: entry.index <= commit, self.proposed))

    def _propose(self, entries: Sequence[Entry]) -> None:
        """Keep those of `entries` that follow the last."""
        last = self.proposed[-1] if self.proposed else None
        index, digest = (
            (last.index, last.digest) if last else (self.position.index, self.position.digest)
        )
        for entry in entries:
            if len(self.proposed) == MAX_PROPOSED:
                break
            if entry.index == index + 1 and entry.follows(digest):
                self.proposed.append(entry)
                index, digest = entry.index, entry.digest

    def _truncate(self) -> None:
        if self.proposed:
            self.proposed.clear()
            self.truncations += 1

    def _begin_again(self, snapshot: MarketSnapshot | None = None) -> None:
        self.ledger, self.position = Ledger(), Position(term=self.position.term)
        if snapshot is not None:
            self.ledger = Ledger(snapshot.stocks, snapshot.last_number)
            self.position = Position(snapshot.index, snapshot.digest, self.position.term)
        self.listed = snapshot.index if snapshot is not None and snapshot.listed else 0
        self._truncate()
        self._gone.clear()
        self.history = ""
        self.beginnings += 1

    def _take(self, entry: Entry) -> Iterator[Stock | Gone]:
        index, digest, term = self.position.index, self.position.digest, self.position.term
        if entry.index == index + 1 and entry.follows(digest):
            try:
                touched = self.ledger.apply(entry.index, entry.event)
            except InvariantBroken:
                # The file was edited by hand.
                self._begin_again()
                return
            self.position = Position(entry.index, entry.digest, term)
            if not isinstance(entry.event, Traded):
                self._note(entry)
            for name in touched:
                stock = self.ledger.stocks.get(name)
                if stock is None:
                    self._gone[name] = entry.index
                elif self._gone:
                    self._gone.pop(name, None)
                yield stock or Gone(name, entry.index)

    def _note(self, entry: Entry) -> None:
        """`entry`, which is no order, is applied."""
        if isinstance(entry.event, Opened):
            self.history = entry.digest
            self.opened, self.openings = entry.index, self.openings + 1
        elif isinstance(entry.event, Listed):
            self.listed = self.listed or entry.index
