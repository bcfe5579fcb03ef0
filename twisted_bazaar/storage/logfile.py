"""The order log on disk: append-only text files, one JSON object a line.

    <folder>/log/00000000000000000000.jsonl
    <folder>/log/00000000000000000000.places
    <folder>/mark

Entries, votes, truncations and starts are lines that are appended; none is changed in place.
`lines.py` defines a line, `segments.py` reads entries, `places.py` knows where they are,
`sidecar.py` keeps that of closed segments, `recovery.py` reads the files at a start, `mark.py`
records how much of them is on disk, and `trust.py` handles a log that lacks some of it.
One `LogFile.write` is one `write` and one `fdatasync`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from random import Random
from threading import Lock
from typing import TypeVar

from twisted_bazaar.consensus.beginning import Beginning
from twisted_bazaar.consensus.entries import Entry, Members, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, InvariantBroken, NotUnderstood, Unavailable, Unusable
from twisted_bazaar.ledger import first_prices
from twisted_bazaar.market import Traded

from .archive import Archive
from .beginning import LogBeginning, read_beginning
from .earlier import EarlierEntries
from .files import sync_folder, write_all
from .lines import CLOSING_BYTES, Boot, Truncated, Voted, close_lines, encode_note, resume
from .mark import Mark, mark_path, read_mark
from .recovery import Recovery
from .stores import store_of
from .trust import Witness, log_path, open_log

__all__ = ["SEGMENT_BYTES", "LogFile", "LogReader"]

T = TypeVar("T")

SEGMENT_BYTES = 64 << 20
"""A segment of this size gets no further write; the log goes on in a new one."""


class _StoredLog:
    """Reads a log on disk. May be used on any thread."""

    def __init__(self, state: Recovery, archive: Archive | None) -> None:
        self.torn = state.torn
        """Bytes of a torn write at the end, which are ignored."""
        self.archive = archive
        """Where the entries before the beginning are; None: nowhere in reach."""
        if archive is not None:
            self._link(archive, state.begins.before)
        self.segments = state.segments
        self.segments.left = self._archived
        self._state = state
        self._cluster = state.cluster
        self._lock = Lock()
        """Guards `_state.places`, which one thread writes and any thread reads."""

    @property
    def term(self) -> int:
        return self._state.term

    @property
    def vote(self) -> int:
        return self._state.vote

    @property
    def beginning(self) -> Beginning:
        """Where the log begins."""
        return self._state.begins.before

    @property
    def end(self) -> int:
        """The position after the last line."""
        return self._state.end

    @property
    def cluster(self) -> str:
        """The cluster of this log; empty: none is known."""
        return self._cluster

    @property
    def openings(self) -> Sequence[tuple[int, Opened]]:
        """The durable `opened` entries with their indexes, ascending."""
        return self._state.openings

    @property
    def memberships(self) -> Sequence[tuple[int, Members]]:
        """The durable `members` entries with their indexes, ascending."""
        return self._state.memberships

    @property
    def last_index(self) -> int:
        """The index of the last durable entry; 0: there is none."""
        return self._state.places.last_index

    @property
    def last_number(self) -> int:
        """The number of the last durable order; 0: there is none."""
        return self._state.places.last_number

    def index_of(self, number: int) -> int:
        """The index of order 1 <= `number` <= `last_number`.

        Raises `Unavailable` if it has left the log and is not in the archive, `Damaged`, and
        OSError.
        """
        with self._lock:
            has_left = number <= self.beginning.number
            found = 0 if has_left else self._state.places.index_of(number)
        try:
            if not has_left:
                return found if isinstance(found, int) else found.find()
        except FileNotFoundError:
            pass  # Its segment has just left.
        return self._from_archive(lambda archive: archive.index_of(number), f"order {number}")

    def first_prices(self) -> Mapping[str, int]:
        """The prices of the first listing; none: there is no stock. Leaders' first entries are
        before it, and no order."""
        begins = self.beginning
        later = (self.read(at, at + 1)[0].event for at in range(begins.index, self.last_index))
        return begins.prices or first_prices(later)

    def number_at(self, index: int) -> int:
        """The last order up to entry `beginning.index` <= `index` <= `last_index`. Raises
        `Damaged` and OSError."""
        with self._lock:
            return self._state.places.number_at(index)

    def _archived(self, after: int, upto: int) -> Sequence[Entry]:
        return self._from_archive(lambda archive: archive.read(after, upto), f"entry {after + 1}")

    def _link(self, archive: Archive, beginning: Beginning) -> None:
        archive.link(beginning)

    def _from_archive(self, read: Callable[[Archive], T], what: str) -> T:
        if self.archive is None:
            raise Unavailable(f"{what} is not on the disk of this replica")
        return read(self.archive)

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        """The durable entries `after` < index <= `upto`, which are read when first used.

        Their use raises `Damaged` if they are not as they were written, and `Unavailable` if they
        have left the log and cannot be had.
        """
        with self._lock:
            begins = self.beginning.index
            if after >= begins or after >= upto:
                return self._state.read(after, upto)
            here = self._state.read(begins, max(begins, upto))
        return EarlierEntries(self._archived, after, min(begins, upto), here)

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to `index`; that of index 0 is `GENESIS`."""
        known = self._state.known_digest(index)
        return self.read(index - 1, index)[0].digest if known is None else known


class LogReader(_StoredLog):
    """The log in a replica's folder, as it was when this object was made.

    It writes nothing, and so may be made while the replica runs; a write under way is ignored, and
    what leaves the log is found in the archive.
    Raises `Unusable` if there is no log, `Damaged` if it is not as it was written.
    """

    def __init__(self, folder: Path, whole: bool = False) -> None:
        """`whole`: every line is read now, whatever sidecars say."""
        log = log_path(folder)
        archive: Archive | None = None
        with _usable(folder):
            # Before the log, as a running replica goes on writing.
            mark = read_mark(folder)
            if not log.is_dir():
                if mark is not None and mark.position:
                    raise Damaged(f"{log}: is missing")
                raise Unusable(f"{folder}: not the folder of an order replica")
            owner = mark.replica if mark else None
            state = _state_in(log, owner, mark, whole)
            if state.begins.position:
                archive = Archive(store_of(state.begins.archive, folder))
        if not state.segments.starts or state.replica is None:
            raise Unusable(f"{folder}: holds no order log yet")
        if mark is None:
            raise Damaged(f"{mark_path(folder)}: is missing")
        self._folder = folder
        with _usable(folder):
            super().__init__(state, archive)
        self.replica = state.replica
        """The replica that owns the log."""
        self.suspect = mark.suspect
        """Why the log may lack what the replica acknowledged; None: it is trusted."""

    def _from_archive(self, read: Callable[[Archive], T], what: str) -> T:
        try:
            return super()._from_archive(read, what)
        except Unavailable:
            # It may have left the log since this object was made.
            begins = read_beginning(self.segments.folder)
            if begins is None or begins.before.index <= self._state.begins.before.index:
                raise
            self._state.begins = begins
            self.archive = Archive(store_of(begins.archive, self._folder))
            with _usable(self._folder):
                self._link(self.archive, begins.before)
            return super()._from_archive(read, what)


class LogFile(_StoredLog):
    """The `Storage` of a replica, in a folder that no other process uses.

    Opening cuts off a torn write (`recovered`). A log that may lack anything else is set aside,
    and another one begun (`suspect`). `witness` knows an entry that the log must have. `random`
    names the start. `archive` has the entries before the beginning. Raises `Unusable`.
    """

    def __init__(
        self,
        folder: Path,
        replica: int,
        random: Random,
        segment_bytes: int = SEGMENT_BYTES,
        witness: Witness | None = None,
        archive: Archive | None = None,
    ) -> None:
        with _usable(folder):
            state, self._mark = open_log(folder, replica, witness)
            super().__init__(state, archive)
        self.replica = replica
        self.recovered: str | None = None
        """What was cut off of a torn write, for the operator; None: nothing."""
        self._segment_bytes = segment_bytes
        self._file: int | None = None
        self._failed = False
        with _usable(folder):
            try:
                with self._at_risk():
                    self._open()
                    self._append([encode_note(Boot(f"{random.getrandbits(64):016x}"))])
            except BaseException:
                self.close()
                raise

    def _link(self, archive: Archive, beginning: Beginning) -> None:
        # Nothing before the beginning is needed to go on.
        with suppress(OSError, Unavailable):
            archive.link(beginning)

    def _from_archive(self, read: Callable[[Archive], T], what: str) -> T:
        try:
            return super()._from_archive(read, what)
        except (Damaged, NotUnderstood) as why:
            # This replica's own log is as it was written.
            raise Unavailable(f"{what} is not read from the archive: {why}") from why

    @property
    def suspect(self) -> str | None:
        """Why the log may lack what was acknowledged, in one line; None: it is trusted."""
        return self._mark.mark.suspect

    @property
    def fresh(self) -> bool:
        """Whether it is suspect only because the folder was new, and has no entries yet."""
        return self._mark.mark.fresh and self.last_index == 0

    @property
    def copied(self) -> bool:
        """Whether it is suspect only because the folder is a copy."""
        return self._mark.mark.copied

    def write(self, write: Write) -> None:
        """Make `write` durable: when this returns, it survives any crash.

        Raises OSError if the disk fails, and from then on `Unusable`: only a restart, which reads
        the file again, can tell what it holds.
        """
        state = self._state
        contents: list[bytes] = []
        last = state.places.last_index
        if write.term < state.term:
            raise InvariantBroken(f"term {write.term} after term {state.term}")
        truncate = write.truncate is not None and write.truncate < last
        # The first entry names the cluster; until there is one, the vote does.
        named = write.cluster if last == 0 or write.truncate == 0 else ""
        if (write.term, write.vote) != (state.term, state.vote) or (named and named != state.named):
            contents.append(encode_note(Voted(write.term, write.vote, named)))
        if truncate:
            last = write.truncate or 0
            contents.append(encode_note(Truncated(last)))
        if write.entries and not (
            write.entries[0].index == last + 1
            and write.entries[-1].index == last + len(write.entries)
        ):
            raise InvariantBroken(f"entry {write.entries[0].index} written after entry {last}")
        notes = len(contents)
        contents += [entry.record[:-1] for entry in write.entries]
        trusted = write.trusted and self.suspect is not None
        if not contents and not trusted:
            return
        with self._at_risk():
            positions = self._append(contents)[notes:]
            with self._lock:
                state.term, state.vote = write.term, write.vote
                state.named = named or state.named
                self._cluster = write.cluster
                state.truncate(last)
                for entry, position in zip(write.entries, positions, strict=True):
                    state.add(entry, position, is_order=type(entry.event) is Traded)
            if trusted:
                self._mark.replace(
                    Mark(
                        self.replica,
                        None,
                        False,
                        state.end,
                        state.checksum,
                        origin=self._mark.mark.origin,
                    )
                )

    def leave(self, begins: LogBeginning) -> None:
        """The log begins there from now on, as its folder and its archive say already."""
        with self._lock:
            self._state.leave(begins)

    def close(self) -> None:
        """Close the file. The log stays readable; nothing more can be written."""
        self._failed = True
        self._mark.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        """Prepare the last file for appending."""
        state = self._state
        if state.begins.position:
            # What a crash has kept from being deleted.
            state.segments.sweep(state.begins.position)
        if state.torn_header is not None:
            state.torn_header.unlink()
            sync_folder(state.segments.folder)
            self.recovered = f"{state.torn_header}: removed a segment that was never begun"
        if not state.segments.starts:
            self._begin_segment()
            return
        start = state.segments.starts[-1]
        path = state.segments.path(start)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        if state.torn and state.torn_header is None:
            os.ftruncate(self._file, state.end - start)
            os.fsync(self._file)
            self.recovered = (
                f"{path}: cut off an unfinished write of {state.torn} bytes"
                f" after entry {state.places.last_index}"
            )

    @contextmanager
    def _at_risk(self) -> Iterator[None]:
        """Around each write: after one that fails, no other is possible."""
        if self._failed:
            raise Unusable(f"{self._state.segments.folder}: closed, or an earlier write failed")
        self._failed = True
        yield
        self._failed = False

    def _append(self, contents: list[bytes]) -> list[int]:
        """Make `contents` durable as lines, and return the position of each."""
        state = self._state
        if not contents:
            return []
        if state.end - state.segments.starts[-1] >= self._segment_bytes:
            self._begin_segment()
        assert self._file is not None
        lines, closing = close_lines(contents, resume(state.closing))
        if lines.count(b"\n") != len(contents):
            raise InvariantBroken("a record holds the end of a line")
        write_all(self._file, lines)
        os.fdatasync(self._file)
        sizes = (len(content) + CLOSING_BYTES for content in contents)
        positions = list(accumulate(sizes, initial=state.end))
        state.end = positions.pop()
        state.closing = closing
        # Not earlier: a crash must not leave a mark that is ahead of the log.
        self._mark.advance(state.end, state.checksum)
        return positions

    def _begin_segment(self) -> None:
        """Start a new segment, which is durable before anything else is written to it."""
        state = self._state
        header = state.header(self.replica)
        lines, closing = close_lines([encode_note(header)], state.checksum)
        start = state.end
        file = os.open(
            state.segments.path(start), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600
        )
        if self._file is not None:
            os.close(self._file)
        self._file = file
        write_all(file, lines)
        os.fsync(file)
        sync_folder(state.segments.folder)
        closed = state.close()
        with self._lock:
            state.segments.starts.append(start)
            state.go_on(closed, header)
            state.closing = closing
            state.end += len(lines)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Turn an OSError into an `Unusable`."""
    try:
        yield
    except OSError as error:
        raise Unusable(f"{folder}: {error}") from error


def _state_in(log: Path, owner: int | None, mark: Mark | None, whole: bool) -> Recovery:
    """The state of a log whose replica may be running: then segments may leave meanwhile."""
    while True:
        begins = read_beginning(log)
        try:
            return Recovery(log, owner, mark, whole=whole)
        except (Damaged, FileNotFoundError):
            if read_beginning(log) == begins:
                raise
