"""The market data that follows from a prefix of the order log. Pure.

A catalog is a learner: the leader sends it committed entries, and it applies those that follow its
position. Others it ignores; its answer tells the leader from where to go on.
"""

from collections.abc import Iterator

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Stock

__all__ = ["Position", "Projection"]


class Position(msgspec.Struct, frozen=True):
    """A point in the order log: after the entry `index`, whose digest is `digest`."""

    index: int = 0
    digest: str = GENESIS
    term: int = 0
    """The highest term of the leaders heard."""


class Projection:
    """The ledger at a position of the log."""

    def __init__(self, ledger: Ledger, position: Position) -> None:
        self.ledger = ledger
        self.position = position
        self.history = ""
        """The digest of the last `opened` entry applied; empty: unknown, as files do not hold it.
        With an index it names one entry, however logs are cut, restored or copied."""
        self.beginnings = 0
        """How often it was discarded and rebuilt from the beginning of the log."""

    def apply(self, message: Apply) -> list[Stock]:
        """Apply a leader's entries. Returns the stocks they changed, as each entry left them."""
        if message.term < self.position.term:
            return []
        if message.rebuild:
            self._begin_again()
        self.position = msgspec.structs.replace(self.position, term=message.term)
        return [stock for entry in message.entries for stock in self._take(entry)]

    def _begin_again(self) -> None:
        self.ledger, self.position = Ledger(), Position(term=self.position.term)
        self.history = ""
        self.beginnings += 1

    def _take(self, entry: Entry) -> Iterator[Stock]:
        index, digest, term = self.position.index, self.position.digest, self.position.term
        if entry.index == index + 1 and entry.follows(digest):
            try:
                touched = self.ledger.apply(entry.index, entry.event)
            except InvariantBroken:
                # The file was edited by hand.
                self._begin_again()
                return
            self.position = Position(entry.index, entry.digest, term)
            if isinstance(entry.event, Opened):
                self.history = entry.digest
            for name in touched:
                yield self.ledger.stocks[name]
