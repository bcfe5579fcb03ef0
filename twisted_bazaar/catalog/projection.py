"""What a catalog knows: the market data that follows from a prefix of the order log. Pure.

A catalog is a learner. The leader sends it committed entries, it applies them in order and
answers how far it is; whatever does not fit, it does not apply, and the answer tells the
leader from where to go on.
"""

import msgspec

from ..errors import InvariantBroken
from ..ledger import Ledger
from ..replication.entries import GENESIS, Entry
from ..replication.messages import Apply, ApplyReply

__all__ = ["Position", "Projection"]


class Position(msgspec.Struct, frozen=True):
    """A point in the history of the order log."""

    index: int = 0
    digest: str = GENESIS
    term: int = 0
    """The highest term of a leader that was heard of."""


class Projection:
    """The ledger at a position of the log."""

    def __init__(self, ledger: Ledger, position: Position) -> None:
        self.ledger = ledger
        self.position = position
        self.current = False
        """Whether this life has applied all that a leader said was committed. Before that,
        another may have shown clients what comes after."""

    def apply(self, message: Apply) -> ApplyReply:
        """Take in a leader's entries, and answer up to where everything is applied."""
        if message.term >= self.position.term:
            if message.rebuild:
                self.ledger, self.position = Ledger(), Position()
                self.current = False
            self.position = msgspec.structs.replace(self.position, term=message.term)
            for entry in message.entries:
                self._take(entry)
            if self._caught_up(message):
                self.current = True
        position = self.position
        return ApplyReply("", position.term, position.index, position.digest, message.sent)

    def _take(self, entry: Entry) -> None:
        index, digest, term = self.position.index, self.position.digest, self.position.term
        if entry.index == index + 1 and entry.follows(digest):
            try:
                self.ledger.apply(entry.index, entry.event)
            except InvariantBroken:
                # What is here was not made of the log, but edited by hand: begin again.
                self.ledger, self.position = Ledger(), Position(term=term)
                self.current = False
            else:
                self.position = Position(entry.index, entry.digest, term)

    def _caught_up(self, message: Apply) -> bool:
        last = message.previous_index + len(message.entries)
        digest = message.entries[-1].digest if message.entries else message.previous_digest
        return last == message.commit and (last, digest) == (
            self.position.index,
            self.position.digest,
        )
