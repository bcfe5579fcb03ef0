"""The files of an order log, and how entries are read from them.

A place in the log is one integer, its *position*: bytes from the start, as if all segments were
one file. A segment is named by the position of its first byte. Lines are only appended, so an
entry whose position is known can be read at any time, also while others are written.
"""

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from twisted_bazaar.consensus.entries import Entry, decode_entry
from twisted_bazaar.errors import Damaged

from .lines import CLOSING_BYTES, check_lines, resume, sound_bytes

__all__ = ["Places", "Segments", "StoredEntries"]

_NAME = re.compile(r"[0-9]{20}\.jsonl")


class Places:
    """The position of every entry: 8 bytes an entry, and 8 more for each that is not an order."""

    def __init__(self) -> None:
        self.positions = array("Q")
        """Those of entry 1, 2, 3 …"""
        self._orders_before = array("Q")
        """For each entry that is not an order, the number of orders before it."""

    @property
    def last_index(self) -> int:
        return len(self.positions)

    @property
    def last_number(self) -> int:
        """The number of the last order; 0: there is none."""
        return len(self.positions) - len(self._orders_before)

    def add(self, position: int, is_order: bool) -> None:
        """The next entry is at `position`."""
        if not is_order:
            self._orders_before.append(self.last_number)
        self.positions.append(position)

    def truncate(self, after: int) -> None:
        """Forget the entries after index `after`."""
        others = self._orders_before
        while others and others[-1] + len(others) > after:
            others.pop()
        del self.positions[after:]

    def index_of(self, number: int) -> int:
        """The index of order 1 <= `number` <= `last_number`."""
        return number + bisect_left(self._orders_before, number)


class Segments:
    """The segments of one log, by the position of their first byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = sorted(
            int(path.stem) for path in folder.iterdir() if _NAME.fullmatch(path.name)
        )
        """Only appended to, so that readers need no lock."""

    def path(self, start: int) -> Path:
        """The file of the segment that begins at `start`."""
        return self.folder / f"{start:020}.jsonl"

    def closing(self, position: int) -> bytes:
        """The closing of the line that ends at `position`; empty if there is none."""
        start = self.starts[max(0, bisect_left(self.starts, position) - 1)]
        with self.path(start).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), CLOSING_BYTES, max(0, position - start - CLOSING_BYTES))

    def where(self, position: int) -> str:
        """The file and line number of a position, for a message."""
        start = self.starts[bisect_right(self.starts, position) - 1]
        path = self.path(start)
        with path.open("rb") as file:
            number = file.read(position - start).count(b"\n") + 1
        return f"{path} line {number}"

    def read(self, first: int, positions: Sequence[int], end: int) -> list[Entry]:
        """The entries from index `first` on that are at `positions`; the last line ends at `end`.

        Raises `Damaged` if a byte between the first and the last is not as it was written, and
        OSError if the file cannot be read.
        """
        entries: list[Entry] = []
        done = 0
        while done < len(positions):
            segment = bisect_right(self.starts, positions[done])
            upto, stop = len(positions), end
            if segment < len(self.starts) and self.starts[segment] < end:
                stop = self.starts[segment]
                upto = bisect_left(positions, stop, done)
            entries += self._read_segment(
                self.starts[segment - 1], first + done, positions[done:upto], stop
            )
            done = upto
        return entries

    def _read_segment(
        self, start: int, index: int, positions: Sequence[int], end: int
    ) -> Iterator[Entry]:
        base = positions[0]
        with self.path(start).open("rb", buffering=0) as file:
            before = os.pread(file.fileno(), CLOSING_BYTES, base - start - CLOSING_BYTES)
            lines = os.pread(file.fileno(), end - base, base - start)
        try:
            seed = resume(before)
        except ValueError:
            raise Damaged(f"{self.where(base)}: the line before has no checksum") from None
        if len(lines) < end - base or check_lines(lines, seed) is None:
            bad = base + sound_bytes(lines, seed)
            raise Damaged(f"{self.where(bad)}: the checksum does not fit (reading entry {index})")
        for position in positions:
            at = position - base
            stop = lines.index(b"\n", at) + 1 - CLOSING_BYTES
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


class StoredEntries(Sequence[Entry]):
    """Entries that are read from their files when first used, on the thread that uses them.

    A later truncation does not change them. Their use raises what `Segments.read` raises.
    """

    def __init__(self, segments: Segments, first: int, positions: Sequence[int], end: int) -> None:
        self._segments = segments
        self._first = first
        self._positions = positions
        self._end = end
        self._loaded: list[Entry] | None = None

    def _load(self) -> list[Entry]:
        if self._loaded is None:
            self._loaded = self._segments.read(self._first, self._positions, self._end)
        return self._loaded

    def within(self, size: int) -> Sequence[Entry]:
        """The first of these entries, at least one, whose lines have at most `size` bytes."""
        if len(self) < 2 or self._end - self._positions[0] <= size:
            return self
        return self[: max(1, bisect_right(self._positions, self._positions[0] + size) - 1)]

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._load())

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(at, slice) and self._loaded is None:
            first, stop, step = at.indices(len(self))
            if step == 1:
                end = self._positions[stop] if stop < len(self) else self._end
                return StoredEntries(
                    self._segments, self._first + first, self._positions[first:stop], end
                )
        return self._load()[at]
