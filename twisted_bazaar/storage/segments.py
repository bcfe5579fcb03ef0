"""The files of an order log, and how entries are read from them.

A place in the log is one integer, its *position*: bytes from the start, as if all segments were
one file. A segment is named by the position of its first byte. Lines are only appended, so an
entry whose position is known can be read at any time, also while others are written.
"""

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import overload

from twisted_bazaar.consensus.entries import Entry, decode_entry
from twisted_bazaar.errors import Damaged

from .files import sync_folder
from .lines import CLOSING_BYTES, check_lines, resume, sound_bytes
from .places import Piece

__all__ = ["Segments", "StoredEntries", "touched"]

_NAME = re.compile(r"[0-9]{20}\.jsonl")
_STEP_ENTRIES = 4096
"""Places that are looked at together."""


class Segments:
    """The segments of one log, by the position of their first byte.

    Not `writable`: what is found in the folder stays as it is.
    """

    def __init__(self, folder: Path, writable: bool = False, begins: int = 0) -> None:
        """`begins`: segments before this position have left the log."""
        self.folder = folder
        self.writable = writable
        found = (int(path.stem) for path in folder.iterdir() if _NAME.fullmatch(path.name))
        self.starts = sorted(start for start in found if start >= begins)
        """Appended to, or replaced whole by a list without the first ones: so readers need no
        lock."""
        self.left: Callable[[int, int], Sequence[Entry]] | None = None
        """Reads the entries `after` < index <= `upto` whose segment has left the log; None: none
        have."""

    def path(self, start: int) -> Path:
        """The file of the segment that begins at `start`."""
        return self.folder / f"{start:020}.jsonl"

    def bytes_of(self, start: int, offset: int, size: int) -> bytes:
        """So many bytes of the segment that begins at `start`, or fewer where it ends.

        Raises OSError.
        """
        with self.path(start).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def stat(self, start: int) -> tuple[int, int]:
        """The size of a segment, and when it was last written to, in nanoseconds. Raises
        OSError."""
        found = self.path(start).stat()
        return found.st_size, touched(found)

    def closing(self, position: int) -> bytes:
        """The closing of the line that ends at `position`; empty if there is none."""
        starts = self.starts
        start = starts[max(0, bisect_left(starts, position) - 1)]
        return self.bytes_of(start, max(0, position - start - CLOSING_BYTES), CLOSING_BYTES)

    def where(self, position: int) -> str:
        """The file and line number of a position, for a message."""
        starts = self.starts
        start = starts[bisect_right(starts, position) - 1]
        number = self.bytes_of(start, 0, position - start).count(b"\n") + 1
        return f"{self.path(start)} line {number}"

    def sweep(self, begins: int) -> None:
        """Delete the segments before position `begins`, which have left the log. Raises OSError."""
        gone = [
            path
            for path in sorted(self.folder.iterdir())
            if _NAME.fullmatch(path.name) and int(path.stem) < begins
        ]
        for path in gone:
            with suppress(FileNotFoundError):
                os.unlink(path.with_suffix(".places"))
            os.unlink(path)
        if gone:
            sync_folder(self.folder)

    def read(self, index: int, start: int, positions: Sequence[int], end: int) -> Iterator[Entry]:
        """The entries from `index` on that are at `positions` of the segment that begins at
        `start`; the last line ends at `end`.

        Raises `Damaged` if a byte between the first and the last is not as it was written, and
        OSError if the file cannot be read.
        """
        base = positions[0]
        seen = self.bytes_of(start, base - start - CLOSING_BYTES, CLOSING_BYTES + end - base)
        before, lines = seen[:CLOSING_BYTES], seen[CLOSING_BYTES:]
        try:
            seed = resume(before)
        except ValueError:
            raise Damaged(f"{self.where(base)}: the line before has no checksum") from None
        if len(lines) < end - base or check_lines(lines, seed) is None:
            bad = base + sound_bytes(lines, seed)
            raise Damaged(f"{self.where(bad)}: the checksum does not fit (reading entry {index})")
        for position in positions:
            at = position - base
            stop = lines.find(b"\n", at) + 1 - CLOSING_BYTES
            try:
                entry = decode_entry(lines[at:stop] + b"}")
            except Damaged as error:
                raise Damaged(f"{self.where(position)}: {error}") from None
            if entry.index != index:
                raise Damaged(
                    f"{self.where(position)}: entry {entry.index}, where entry {index} should be"
                )
            yield entry
            index += 1


def touched(found: os.stat_result) -> int:
    """When a file was last written to, as it says itself, in nanoseconds."""
    return found.st_mtime_ns


class StoredEntries(Sequence[Entry]):
    """Entries that are read from their files when first used, on the thread that uses them.

    A later truncation does not change them. Their use raises what `Segments.read` raises.
    """

    def __init__(self, segments: Segments, first: int, pieces: Sequence[Piece]) -> None:
        self._segments = segments
        self._first = first
        self._pieces = pieces
        self._count = sum(piece.size for piece in pieces)
        self._loaded: list[Entry] | None = None

    def _load(self) -> list[Entry]:
        if self._loaded is None:
            entries: list[Entry] = []
            for run, at, count in self._pieces:
                index = self._first + len(entries)
                try:
                    positions, end = run.positions(at, count)
                    entries += self._segments.read(index, run.start, positions, end)
                except FileNotFoundError:
                    left = self._segments.left
                    if left is None:
                        raise
                    entries += left(index - 1, index - 1 + count)
                except Damaged:
                    run.distrust()
                    raise
            self._loaded = entries
        return self._loaded

    def within(self, size: int) -> Sequence[Entry]:
        """The first of these entries, at least one, whose lines have at most `size` bytes. Reads
        where they are, from their sidecars."""
        taken, left = 0, size
        for run, at, count in self._pieces:
            for more in range(0, count, _STEP_ENTRIES):
                try:
                    positions, end = run.positions(at + more, min(_STEP_ENTRIES, count - more))
                except FileNotFoundError:
                    # The segment has just left the log.
                    return self[: max(1, taken)]
                first = positions[0]
                if end - first > left:
                    taken += bisect_right(positions, first + left) - 1
                    return self[: max(1, taken)]
                taken, left = taken + len(positions), left - (end - first)
        return self

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._load())

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(at, slice) and self._loaded is None:
            first, stop, step = at.indices(self._count)
            if step == 1:
                pieces = _between(self._pieces, first, stop)
                return StoredEntries(self._segments, self._first + first, pieces)
        return self._load()[at]


def _between(pieces: Sequence[Piece], first: int, stop: int) -> Sequence[Piece]:
    """The entries `first` <= … < `stop` of `pieces`, counted from 0."""
    found: list[Piece] = []
    for run, at, count in pieces:
        begin, end = max(0, first), min(count, stop)
        if begin < end:
            found.append(Piece(run, at + begin, end - begin))
        first, stop = first - count, stop - count
    return found
