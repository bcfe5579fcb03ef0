"""The end of a log that is in an engine, as its leader has it in memory. Pure."""

from collections.abc import Sequence

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import stretch_of
from twisted_bazaar.errors import InvariantBroken

__all__ = ["KEPT_ENTRIES", "Window"]

KEPT_ENTRIES = 16_384
"""Settled entries that stay in memory at least: some seconds of a busy market. A catalog that lacks
no more than these is sent entries, and any other the whole market, after which its front-ends are
without a lease for a while."""

_SHARE = 8
"""The part of the kept entries, one in so many, that go together."""


class Window:
    """The entries after `base`, proposed or committed. A `MemberLog`.

    What is before them is in the engine, and of no use to a leader. All that is not settled, and
    the newest `keep` entries that are, stay.
    """

    def __init__(
        self, base: int, digest: str, at_milliseconds: int, keep: int = KEPT_ENTRIES
    ) -> None:
        """Nothing after entry `base`, with `digest` and of that time."""
        self.base = base
        """The index of the entry before the first one here."""
        self._base_digest = digest
        self._at_milliseconds = at_milliseconds
        self._keep = keep
        self._entries: list[Entry] = []

    @property
    def last_index(self) -> int:
        """The index of the last entry, proposed or committed; 0: there is none."""
        return self.base + len(self._entries)

    @property
    def last_digest(self) -> str:
        """Names the whole history."""
        return self._entries[-1].digest if self._entries else self._base_digest

    @property
    def last_at_milliseconds(self) -> int:
        """The time of the last entry; 0: there is none."""
        return self._entries[-1].at_milliseconds if self._entries else self._at_milliseconds

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to `index`; empty: it is not known here."""
        if self.base < index <= self.last_index:
            return self._entries[index - self.base - 1].digest
        return self._base_digest if index == self.base else ""

    def term_at(self, index: int) -> int:
        """The term of entry `index`; 0: it is not here."""
        here = self.base < index <= self.last_index
        return self._entries[index - self.base - 1].term if here else 0

    def entries(self, after: int, upto: int) -> Sequence[Entry]:
        """The entries `after` < index <= `upto`, or only the first of them, one at least.

        Raises `InvariantBroken` if the first of them is here no more.
        """
        if after < self.base:
            raise InvariantBroken(f"entry {after + 1} is no longer in memory")
        return stretch_of(tuple(self._entries[after - self.base : upto - self.base]))

    def append(self, entries: Sequence[Entry]) -> None:
        """Add `entries` at the end. Raises `InvariantBroken` if they do not follow."""
        index, digest = self.last_index, self.last_digest
        for entry in entries:
            index += 1
            if entry.index != index or not entry.follows(digest):
                raise InvariantBroken(f"entry {entry.index} does not follow entry {index - 1}")
            digest = entry.digest
        self._entries.extend(entries)

    def settled(self, index: int) -> None:
        """The entries up to `index` are released, and with the owner: the older ones may go."""
        count = index - self.base - self._keep
        if count <= self._keep // _SHARE:
            return  # What stays is not moved for each entry.
        self._base_digest = self._entries[count - 1].digest
        del self._entries[:count]
        self.base += count
