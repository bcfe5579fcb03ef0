"""The order log of a replica, and the storage below it. Pure.

`Storage` keeps the log over a crash: a file (`storage.logfile`), or memory in tests. `Log` is the
replica's view of it: the newest entries in memory, durable or not yet, and the older ones read
from storage for peers and learners that are far behind.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from twisted_bazaar.errors import InvariantBroken, Malformed, Unavailable

from .beginning import WHOLE, Beginning
from .entries import Entry, Members, Opened

__all__ = [
    "MAX_STRETCH_BYTES",
    "Log",
    "MemoryStorage",
    "Storage",
    "Write",
    "cluster_of",
    "stretch_of",
]

MAX_STRETCH_BYTES = 1024 * 1024
"""Bytes of the records that one message carries at most, unless its first entry alone has more."""


class Write(msgspec.Struct, frozen=True):
    """What must be durable before a message that rests on it is sent.

    It is done in this order: term, vote and cluster; truncation; entries; trust.
    """

    term: int
    vote: int
    """The replica voted for in `term`; 0: none."""
    truncate: int | None
    """Drop the entries after this index; None: drop none."""
    entries: tuple[Entry, ...]
    trusted: bool = False
    """The storage is suspect no longer."""
    cluster: str = ""
    """The cluster that this replica is of; empty: none is known."""


def cluster_of(first: Entry) -> str:
    """The name of the cluster whose log begins with `first`.

    Logs of release 0.1 do not record one: the digest of their first entry stands for it.
    """
    return (isinstance(first.event, Opened) and first.event.cluster) or first.digest


class Storage(Protocol):
    """Keeps term, vote and entries over a crash. Its constructor opens and recovers it.

    `write` is called on one thread at a time, `read` on any thread, also during a write.
    """

    @property
    def term(self) -> int:
        """The highest term that the replica has seen; 0: none."""

    @property
    def vote(self) -> int:
        """The replica voted for in `term`; 0: none."""

    @property
    def beginning(self) -> Beginning:
        """Where the log begins. It moves on as entries are archived, while others are read."""

    @property
    def last_index(self) -> int:
        """The index of the last durable entry; 0: there is none."""

    @property
    def cluster(self) -> str:
        """The cluster that this log is of; empty: none is known."""

    @property
    def openings(self) -> Sequence[tuple[int, Opened]]:
        """The durable `opened` entries with their indexes, ascending. Of those before the
        beginning there are as many as `condensed` leaves."""

    @property
    def memberships(self) -> Sequence[tuple[int, Members]]:
        """The durable `members` entries with their indexes, ascending. Of those before the
        beginning there are as many as `Beginning.memberships` has."""

    @property
    def suspect(self) -> str | None:
        """Why votes or acknowledged entries may be missing, for the operator; None: none are.
        Stays over restarts, until a `Write` that says `trusted`."""

    @property
    def fresh(self) -> bool:
        """Whether it is suspect only because nothing was ever kept in it."""

    @property
    def copied(self) -> bool:
        """Whether it is suspect only because it is a copy."""

    def write(self, write: Write) -> None:
        """Make `write` durable: when this returns, it survives any crash.

        Raises OSError when the disk fails. Nothing may be written or acknowledged after that.
        """

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        """The durable entries `after` < index <= `upto`.

        Returns at once: the disk may be read only when the sequence is used, which can be on
        another thread. A later truncation does not change the sequence. Entries up to the beginning
        may be far away, or missing: then its use raises `Unavailable`.
        """


class MemoryStorage:
    """A `Storage` for tests and simulations, durable as long as this object lives."""

    def __init__(
        self, suspect: str | None = None, fresh: bool = False, copied: bool = False
    ) -> None:
        self.term = 0
        self.vote = 0
        self.beginning = WHOLE
        self.entries: list[Entry] = []
        """Those after the beginning."""
        self.archived: list[Entry] = []
        """Those up to the beginning, if all of them are here."""
        self.suspect = suspect
        self.fresh = fresh
        self.copied = copied
        self._named = ""

    @property
    def last_index(self) -> int:
        return self.beginning.index + len(self.entries)

    @property
    def cluster(self) -> str:
        if self.beginning.index:
            return self.beginning.cluster
        return cluster_of(self.entries[0]) if self.entries else self._named

    @property
    def openings(self) -> Sequence[tuple[int, Opened]]:
        later = [
            (entry.index, entry.event) for entry in self.entries if isinstance(entry.event, Opened)
        ]
        return [*self.beginning.openings, *later]

    @property
    def memberships(self) -> Sequence[tuple[int, Members]]:
        later = [
            (entry.index, entry.event) for entry in self.entries if isinstance(entry.event, Members)
        ]
        return [*self.beginning.memberships, *later]

    def write(self, write: Write) -> None:
        self.term, self.vote, self._named = write.term, write.vote, write.cluster
        if write.truncate is not None:
            del self.entries[write.truncate - self.beginning.index :]
        self.entries.extend(write.entries)
        if write.trusted:
            self.suspect, self.fresh, self.copied = None, False, False

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        begins = self.beginning.index
        if after >= begins:
            return self.entries[after - begins : upto - begins]
        if len(self.archived) < begins:
            raise Unavailable(f"entry {after + 1} is not here")
        return [*self.archived, *self.entries][after:upto]


@runtime_checkable
class _Stretch(Protocol):
    def within(self, size: int, /) -> Sequence[Entry]:
        """The first of these entries, which have at most `size` bytes; one at least."""


def stretch_of(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The first of `entries`, as far as `MAX_STRETCH_BYTES` go."""
    left = MAX_STRETCH_BYTES
    for count, entry in enumerate(entries):
        left -= len(entry.record)
        if left < 0 and count:
            return entries[:count]
    return entries


class Log:
    """All entries, and which of them are durable or still to be written.

    The newest `keep` entries at least stay in memory, so that sending entries to followers and
    learners that keep up reads nothing.
    """

    def __init__(self, storage: Storage, keep: int = 4096) -> None:
        self._storage = storage
        self._keep = keep
        last = storage.last_index
        self._tail: list[Entry] = list(storage.read(max(self.begins, last - keep), last))
        self._base = last - len(self._tail)
        """Index of the entry before the tail. Invariant: _base <= durable."""
        self.last_index = last
        """The index of the last entry, durable or not; 0: there is none."""
        self.durable = last
        """Entries up to here are on disk. Invariant: durable <= _handed <= last_index."""
        self._handed = last
        """Entries up to here are on disk, or in the write that is under way."""
        self._truncate: int | None = None
        self._saved = (storage.term, storage.vote)
        self._saved_cluster = storage.cluster
        self._openings = list(storage.openings)
        self._memberships = list(storage.memberships)

    @property
    def begins(self) -> int:
        """The index of the entry after which this log begins; 0: it begins with entry 1. All up to
        there is committed, and can be read from `entries` at most."""
        return self._storage.beginning.index

    @property
    def _last(self) -> Entry | Beginning:
        return self._tail[-1] if self._tail else self._storage.beginning

    @property
    def last_term(self) -> int:
        """The term of the last entry; 0: there is none."""
        return self._last.term

    @property
    def last_at_milliseconds(self) -> int:
        """The time of the last entry; 0: there is none."""
        return self._last.at_milliseconds

    @property
    def last_digest(self) -> str:
        """Names the whole log."""
        return self._last.digest

    @property
    def cluster(self) -> str:
        """The cluster whose log this is; empty: there is no entry."""
        beginning = self._storage.beginning
        if beginning.index:
            return beginning.cluster
        return cluster_of(self.entry_at(1)) if self.last_index else ""

    @property
    def openings(self) -> Sequence[Opened]:
        """The configuration of each leader, in order: all `opened` entries."""
        return [opened for _, opened in self._openings]

    @property
    def memberships(self) -> Sequence[tuple[int, Members]]:
        """All `members` entries and their indexes, ascending."""
        return self._memberships

    @property
    def newest_members(self) -> tuple[int, Members] | None:
        """The last `members` entry and its index; None: there is none. The same object as long as
        it is the last."""
        return self._memberships[-1] if self._memberships else None

    def has_named(self, replica: int) -> bool:
        """Whether an entry has named `replica` as a member."""
        return any(
            member.id == replica for _, event in self._memberships for member in event.members
        )

    def contradicts(self, index: int, term: int, digest: str) -> bool:
        """Whether another log, whose entry `index` is of `term` and has `digest`, cannot be of
        the same cluster: both have an entry of one leader there, and not the same (invariant 3).
        An empty `digest` contradicts nothing, nor does an entry before this log's beginning.
        """
        return (
            bool(digest)
            and max(0, self.begins - 1) < index <= self.last_index
            and self.term_at(index) == term
            and self.digest_at(index) != digest
        )

    def entry_at(self, index: int) -> Entry:
        """The entry at `begins` < `index` <= `last_index`."""
        if index > self._base:
            return self._tail[index - self._base - 1]
        return self._storage.read(index - 1, index)[0]

    def _at(self, index: int) -> Entry | Beginning | None:
        """Entry `index`, or what is known of it if the log begins after it; None: nothing is."""
        beginning = self._storage.beginning
        if index > self._base or index > beginning.index:
            return self.entry_at(index)
        return beginning if index == beginning.index else None

    def term_at(self, index: int) -> int:
        """The term of entry `index`; 0 for index 0, before the first, and before the beginning."""
        found = self._at(index)
        return found.term if found is not None else 0

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to `index`; empty: that is before the beginning."""
        found = self._at(index)
        return found.digest if found is not None else ""

    def entries(self, after: int, upto: int) -> Sequence[Entry]:
        """The entries `after` < index <= `upto`, or only the first of them, one at least: as far
        as they lie together and have `MAX_STRETCH_BYTES`."""
        if after >= self._base:
            return stretch_of(tuple(self._tail[after - self._base : upto - self._base]))
        stored = self._storage.read(after, min(upto, self._base))
        if isinstance(stored, _Stretch):
            return stored.within(MAX_STRETCH_BYTES)
        return stretch_of(stored)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add `entries` at the end, to be part of the next write.

        Raises `InvariantBroken` if they do not follow what is there (invariant 3).
        """
        self._check(entries, self.last_index, self.last_digest, InvariantBroken)
        self._extend(entries)

    def _extend(self, entries: Sequence[Entry]) -> None:
        self._tail.extend(entries)
        self.last_index += len(entries)
        for entry in entries:
            event = entry.event
            if isinstance(event, Opened):
                self._openings.append((entry.index, event))
            elif isinstance(event, Members):
                self._memberships.append((entry.index, event))

    def _check(
        self, entries: Sequence[Entry], index: int, digest: str, error: type[Exception]
    ) -> None:
        for entry in entries:
            index += 1
            if entry.index != index or not entry.follows(digest):
                raise error(f"entry {entry.index} does not follow entry {index - 1}")
            digest = entry.digest

    def truncate(self, after: int) -> None:
        """Drop the entries after `after`."""
        while self._openings and self._openings[-1][0] > after:
            self._openings.pop()
        while self._memberships and self._memberships[-1][0] > after:
            self._memberships.pop()
        if after <= self._base:
            self._tail = list(self._storage.read(max(self.begins, after - self._keep), after))
            self._base = after - len(self._tail)
        else:
            del self._tail[after - self._base :]
        self.last_index = min(self.last_index, after)
        if after < self._handed:
            self._truncate = after if self._truncate is None else min(self._truncate, after)
            self._handed = after
        self.durable = min(self.durable, after)

    def take(self, entries: Sequence[Entry], committed: int) -> None:
        """Append what is new of another log's `entries`, after truncating what conflicts with
        it (Raft §5.3). The entry before the first must be the same in both logs.

        Raises `InvariantBroken` if an entry up to `committed` conflicts (invariant 2), and
        `Malformed`, with nothing changed, if `entries` do not follow one another.
        """
        for position, entry in enumerate(entries):
            if entry.index <= self.begins:
                continue
            conflicts = entry.index <= self.last_index
            if conflicts and self.term_at(entry.index) == entry.term:
                continue
            if conflicts and entry.index <= committed:
                raise InvariantBroken(f"committed entry {entry.index} would be overwritten")
            new = entries[position:]
            self._check(new, entry.index - 1, self.digest_at(entry.index - 1), Malformed)
            if conflicts:
                self.truncate(entry.index - 1)
            self._extend(new)
            return

    def take_write(
        self, term: int, vote: int, cluster: str = "", trusted: bool = False
    ) -> Write | None:
        """What is to become durable now; None: all is durable. `trusted`: so is that the storage
        is trusted.

        The caller carries out one write at a time, and calls `written` after each.
        """
        if (
            (term, vote) == self._saved
            and (cluster == self._saved_cluster or self.last_index > 0)
            and self._truncate is None
            and self._handed == self.last_index
            and not (trusted and self._storage.suspect)
        ):
            return None
        entries = tuple(self._tail[self._handed - self._base :])
        write = Write(term, vote, self._truncate, entries, trusted, cluster)
        self._saved, self._truncate, self._handed = (term, vote), None, self.last_index
        self._saved_cluster = cluster
        return write

    def written(self, write: Write) -> None:
        """`write` is durable. Entries that were truncated since it was taken do not count."""
        if write.entries:
            self.durable = min(write.entries[-1].index, self._handed)
        if len(self._tail) > 2 * self._keep:
            surplus = min(len(self._tail) - self._keep, self.durable - self._base)
            del self._tail[:surplus]
            self._base += surplus
