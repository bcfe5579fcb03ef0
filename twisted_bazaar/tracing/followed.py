"""Trades that are followed through the processes, and a bounded memory of them. Pure.

A replica or catalog knows a trade by the index and term of its entry, which together name one
entry: what is remembered of an entry that was truncated is never taken for the one in its place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.market import Traded

from .context import TraceContext
from .spans import Span, Value

__all__ = ["MAX_REMEMBERED", "NONE", "Followed", "FollowedEntries", "FollowedEntry"]

MAX_REMEMBERED = 4096
"""Entries of which one process remembers whose they are: some seconds of the most that a leader
takes."""


class Followed(msgspec.Struct, frozen=True):
    """Whose a trade is."""

    request_id: str
    """Of the client's request; empty: not known."""
    context: TraceContext | None = None
    """Where in a trace it is decided; None: in none."""

    @property
    def trace_id(self) -> str | None:
        """For log lines."""
        return self.context.trace_id if self.context is not None else None


NONE: Mapping[int, Followed] = MappingProxyType({})
"""Where nothing is followed."""


class FollowedEntry(msgspec.Struct, eq=False):
    """The entry that such a trade became."""

    followed: Followed
    index: int
    term: int
    number: int
    """Of the order."""
    span: Span | None = None
    """What this process does with the entry."""

    @property
    def attributes(self) -> Mapping[str, Value]:
        """Of that span."""
        return {
            "bazaar.order.number": self.number,
            "bazaar.entry.index": self.index,
            "bazaar.entry.term": self.term,
        }


class FollowedEntries:
    """The last `MAX_REMEMBERED` entries that are followed, and which of them are done in each of
    some respects."""

    def __init__(self, *respects: str, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._by_index: dict[int, FollowedEntry] = {}
        self._open: dict[str, dict[int, FollowedEntry]] = {respect: {} for respect in respects}
        """By respect, those that are not done."""

    def __len__(self) -> int:
        return len(self._by_index)

    def remember(self, entry: Entry, followed: Followed) -> FollowedEntry | None:
        """Remember whose `entry` is. None: that is known, or it is no order."""
        known = self._by_index.get(entry.index)
        if not isinstance(entry.event, Traded) or (known and known.term == entry.term):
            return None
        self._forget(entry.index)
        while len(self._by_index) >= self._most:
            self._forget(next(iter(self._by_index)))
        new = FollowedEntry(followed, entry.index, entry.term, entry.event.number)
        self._by_index[entry.index] = new
        for each in self._open.values():
            each[entry.index] = new
        return new

    def supersede(self, entries: Iterable[Entry]) -> None:
        """These entries are in the log: forget others at their indexes."""
        if self._by_index:
            for entry in entries:
                known = self._by_index.get(entry.index)
                if known is not None and known.term != entry.term:
                    self._forget(entry.index)

    def among(self, entries: Iterable[Entry]) -> Iterator[FollowedEntry]:
        """What is known of these entries."""
        if self._by_index:
            for entry in entries:
                known = self._by_index.get(entry.index)
                if known is not None and known.term == entry.term:
                    yield known

    def take_open(self, respect: str, upto: int) -> Sequence[FollowedEntry]:
        """The entries up to index `upto` that were not done in this respect, ascending; they are
        now."""
        waiting = self._open[respect]
        return [waiting.pop(index) for index in sorted(waiting) if index <= upto]

    def forget(self, entries: Iterable[FollowedEntry]) -> None:
        """Forget these."""
        for each in entries:
            if self._by_index.get(each.index) is each:
                self._forget(each.index)

    def _forget(self, index: int) -> None:
        lost = self._by_index.pop(index, None)
        for each in self._open.values():
            each.pop(index, None)
        if lost is not None and lost.span is not None:
            lost.span.end("it was superseded, or forgotten")
