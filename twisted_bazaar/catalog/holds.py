"""The stocks whose lookups wait: a trade of theirs may have been answered, and this catalog does
not know whether it is committed. Pure.

A catalog that has told the leader that an entry is *cleared* must show nothing older from then on:
the leader answers the trade as soon as the entry is committed, too, without asking again. It cannot
show what the entry says either, as the entry may be truncated. So lookups of its stocks wait until
the catalog has released an entry at that index, which is this one if it was ever committed
(invariant 2), or a later leader's first entry, which has before it all that earlier leaders
committed (Raft §5.4.3).
"""

from collections.abc import Iterable

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.ledger import stocks_of

from .projection import Projection

__all__ = ["Holds", "Wait"]


class Wait(msgspec.Struct, frozen=True):
    """What a lookup waits for."""

    index: int
    """Until this entry is released."""
    openings: int
    """How many `opened` entries were applied before. If there are more, releasing the last of them
    is enough."""
    beginnings: int
    """Or until the catalog has begun again, without a lease."""


class Holds:
    """Which stocks have cleared entries that may be committed or not. Bounded by the stocks."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._openings = projection.openings
        self._last: dict[str, int] = {}
        """By stock, its last cleared entry."""
        self._highest = 0
        """The last cleared entry."""

    def cleared(self, entries: Iterable[Entry]) -> None:
        """The leader is told that these proposed entries are cleared. Ascending."""
        for entry in entries:
            if entry.index > self._highest:
                self._last.update(dict.fromkeys(stocks_of(entry.event), entry.index))
                self._highest = entry.index

    def applied(self) -> None:
        """The projection has taken in a message."""
        known = self._projection
        if known.openings != self._openings:
            self._openings, opened = known.openings, known.opened
            self._highest = min(self._highest, opened)
            self._last = {name: min(index, opened) for name, index in self._last.items()}

    def wait_for(self, name: str | None, released: int) -> Wait | None:
        """What a lookup of this stock, or of the whole market (None), has to wait for; None:
        nothing. Entries up to `released` are released."""
        index = self._highest if name is None else self._last.get(name, 0)
        known = self._projection
        if index <= released:
            return None
        return Wait(index, known.openings, known.beginnings)

    def is_over(self, wait: Wait, released: int) -> bool:
        """Whether that has come."""
        known = self._projection
        index = wait.index
        if known.openings != wait.openings:
            index = min(index, known.opened)
        return released >= index or known.beginnings != wait.beginnings
