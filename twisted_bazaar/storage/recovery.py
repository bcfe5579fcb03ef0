"""Recovers the state of an order log by reading all of its files once, without writing.

A million orders take about half a second, because each block is checked by one CRC and only lines
that are not orders are decoded.

Damage is everything that cannot be read, everything missing that the mark says was there, and
everything unreadable beyond the mark that no crash can have left. A crash can leave only the rest
of the one write that was under way, which was not acknowledged.
"""

from pathlib import Path
from typing import BinaryIO

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry, Members, Opened
from twisted_bazaar.consensus.log import cluster_of
from twisted_bazaar.errors import Damaged, NotUnderstood, Unusable

from .lines import (
    CLOSING_BYTES,
    FORMAT,
    Boot,
    Segment,
    Truncated,
    Voted,
    check_lines,
    checksum,
    close_lines,
    closes,
    decode_line,
    encode_note,
    is_torn,
    resume,
    sound_bytes,
)
from .mark import Mark
from .segments import Places, Segments

__all__ = ["Recovery"]

_BLOCK_BYTES = 1 << 20


class Recovery:
    """The state of the log in `folder`.

    `replica` must be the owner of the log; None: any. `mark` says how much of it was on disk.
    Raises `Damaged` if a file is not as it was written, `NotUnderstood` if a newer release wrote
    it, `Unusable` if it is another replica's, and OSError if it cannot be read.
    """

    def __init__(self, folder: Path, replica: int | None, mark: Mark | None) -> None:
        self.replica = replica
        self.segments = Segments(folder)
        self.places = Places()
        self.term = 0
        self.vote = 0
        self.named = ""
        """The cluster that the last vote names; empty: none."""
        self.openings: list[tuple[int, Opened]] = []
        """The `opened` entries with their indexes, ascending."""
        self.memberships: list[tuple[int, Members]] = []
        """The `members` entries with their indexes, ascending."""
        self.end = 0
        """The position after the last whole line."""
        self.closing = b""
        """The closing of the last whole line; empty: there is none."""
        self.torn = 0
        """Bytes of a torn write after `end`, in the last segment."""
        self.torn_header: Path | None = None
        """The file of a last segment whose header is torn; `segments` leaves it out."""
        for start in tuple(self.segments.starts):
            self._read_file(start, last=start == self.segments.starts[-1])
        self._check_last_number()
        if mark is not None and mark.position:
            self._check_extent(mark)

    @property
    def checksum(self) -> int:
        """The checksum of the last whole line; 0: there is none."""
        return checksum(self.closing) if self.closing else 0

    @property
    def cluster(self) -> str:
        """The cluster of this log; empty: none is known."""
        return cluster_of(self._entry(1)) if self.places.last_index else self.named

    def truncate(self, after: int) -> None:
        """Forget the entries after `after`."""
        self.places.truncate(after)
        for noted in (self.openings, self.memberships):
            while noted and noted[-1][0] > after:
                noted.pop()

    def note(self, entry: Entry) -> None:
        """`entry` is in the log; if it says how the cluster is made up, remember it."""
        if isinstance(entry.event, Opened):
            self.openings.append((entry.index, entry.event))
        elif isinstance(entry.event, Members):
            self.memberships.append((entry.index, entry.event))

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to 0 <= `index` <= the last."""
        return self._entry(index).digest if index else GENESIS

    def _entry(self, index: int) -> Entry:
        positions = self.places.positions[index - 1 : index + 1]
        end = positions[1] if len(positions) > 1 else self.end
        return self.segments.read(index, positions[:1], end)[0]

    def header(self, replica: int) -> Segment:
        """The first line of a segment that begins now."""
        return Segment(
            format=FORMAT,
            replica=replica,
            position=self.end,
            index=self.places.last_index,
            digest=self.digest_at(self.places.last_index),
            term=self.term,
            vote=self.vote,
            previous=f"{self.checksum:08x}",
        )

    def _read_file(self, start: int, last: bool) -> None:
        path = self.segments.path(start)
        if start != self.end:
            raise Damaged(f"{path}: the log before it ends at byte {self.end}: a file is missing")
        with path.open("rb", buffering=0) as file:
            tail = self._read_lines(path, file)
        if not tail and self.end > start:
            return
        at = self.end - start
        if last and (is_torn(tail, at, self.closing) if at else self._is_torn_header(tail)):
            self.torn = len(tail)
            if not at:
                self.segments.starts.pop()
                self.torn_header = path
        elif b"\n" in tail:
            raise self._damaged(self.end, "the checksum does not fit")
        else:
            raise self._damaged(self.end, "does not end where it should")

    def _read_lines(self, path: Path, file: BinaryIO) -> bytes:
        """Apply the sound lines of a file, and return the bytes after them."""
        start = self.end
        seed = self.checksum
        tail = b""
        left = path.stat().st_size
        while left > 0 and (data := file.read(min(left, _BLOCK_BYTES))):
            left -= len(data)
            lines = tail + data
            cut = lines.rfind(b"\n") + 1
            lines, tail = lines[:cut], lines[cut:]
            if not lines:
                continue
            closing = check_lines(lines, seed)
            if closing is None:
                sound = sound_bytes(lines, seed)
                self._take(start, lines[:sound])
                return lines[sound:] + tail + file.read(left)
            self._take(start, lines)
            seed = resume(closing)
        return tail

    def _take(self, start: int, lines: bytes) -> None:
        """Apply complete lines whose checksums are right, in the file that begins at `start`."""
        places = self.places
        add = places.positions.append
        position = self.end
        index = places.last_index + 1
        for line in lines.split(b"\n"):
            if line.startswith(b'{"kind":"traded","index":%d,' % index):
                add(position)
                index += 1
            elif line:
                self._take_other(start, line, position)
                index = places.last_index + 1
            position += len(line) + 1
        self.end += len(lines)
        if lines:
            self.closing = lines[-CLOSING_BYTES:]

    def _take_other(self, start: int, line: bytes, position: int) -> None:
        try:
            said = decode_line(line)
        except NotUnderstood as error:
            raise NotUnderstood(f"{self.segments.where(position)}: {error}") from None
        except Damaged as error:
            raise self._damaged(position, str(error)) from None
        last = self.places.last_index
        if isinstance(said, Segment) != (position == start):
            raise self._damaged(position, "a header is not the first line, or is missing")
        match said:
            case Segment():
                self._check_header(said, position)
            case Voted():
                if said.term < self.term:
                    raise self._damaged(position, f"term {said.term} after term {self.term}")
                self.term, self.vote = said.term, said.vote
                self.named = said.cluster or self.named
            case Truncated():
                if not 0 <= said.after <= last:
                    raise self._damaged(position, f"truncated after {said.after} of {last}")
                self.truncate(said.after)
            case Boot():
                pass
            case Entry():
                if said.index != last + 1:
                    raise self._damaged(position, f"entry {said.index} follows entry {last}")
                self.places.add(position, is_order=False)
                self.note(said)

    def _check_header(self, header: Segment, position: int) -> None:
        path = self.segments.path(position)
        if header.format != FORMAT:
            raise NotUnderstood(f"{path}: format {header.format} is not known to this release")
        if self.replica is None:
            self.replica = header.replica
        if self.replica != header.replica:
            raise Unusable(f"{path}: the log of replica {header.replica}, not of {self.replica}")
        said = msgspec.structs.asdict(header)
        for name, value in msgspec.structs.asdict(self.header(self.replica)).items():
            if said[name] != value:
                raise self._damaged(
                    position, f"the header says {name} {said[name]!r}, which should be {value!r}"
                )

    def _is_torn_header(self, tail: bytes) -> bool:
        """Whether a crash can have left this of a file that was being made."""
        if self.replica is None:
            return True
        header, _ = close_lines([encode_note(self.header(self.replica))], self.checksum)
        return header.startswith(tail) or tail == bytes(len(tail))

    def _check_last_number(self) -> None:
        """Raises `Damaged` unless counting orders leads to the last one: its number is right."""
        number = self.places.last_number
        if number == 0:
            return
        index = self.places.index_of(number)
        if getattr(self._entry(index).event, "number", None) != number:
            where = self.segments.where(self.places.positions[index - 1])
            raise Damaged(f"{where}: should be order {number}")

    def _check_extent(self, mark: Mark) -> None:
        """Raises `Damaged` unless all is there that `mark` says was on disk."""
        if not self.segments.starts:
            raise Damaged(f"{self.segments.folder}: all of the log is missing")
        if self.end < mark.position:
            missing = mark.position - self.end
            raise self._damaged(self.end, f"{missing} bytes that were on disk are missing")
        if not closes(self.segments.closing(mark.position), mark.checksum):
            raise self._damaged(mark.position, "the log was another one up to here")

    def _damaged(self, position: int, text: str) -> Damaged:
        where = self.segments.where(position)
        return Damaged(f"{where}: {text} (after entry {self.places.last_index})")
