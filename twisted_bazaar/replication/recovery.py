"""What the files of an order log amount to, found by reading all of them once.

Reading is all that is done here: whoever owns the log repairs it. A million orders take about
half a second, because the bytes are checked by one CRC over each block and only lines that are
not orders are looked into.

What is damage: everything that cannot be read, except an unfinished last line. That one is the
rest of a write that was under way when the replica died, and that nobody was told of.
"""

from pathlib import Path
from typing import BinaryIO

import msgspec

from ..errors import Damaged, Unusable
from .entries import GENESIS, Entry
from .lines import (
    FORMAT,
    Boot,
    Segment,
    Truncated,
    Voted,
    check_lines,
    close_lines,
    decode_line,
    encode_mark,
    resume,
    sound_bytes,
    was_whole,
)
from .segments import Places, Segments

__all__ = ["Recovery"]

_BLOCK_BYTES = 1 << 20


class Recovery:
    """The state of the log in `folder`.

    `replica` is whose log it has to be; None: anyone's. Raises `Damaged` if a file says what
    was never written so, and OSError if one cannot be read.

    Here, one day, a folder whose own mark tells of a longer log, or whose unfinished line is
    not of the boot that crashed, makes the replica *suspect*.
    """

    def __init__(self, folder: Path, replica: int | None) -> None:
        self.replica = replica
        self.segments = Segments(folder)
        self.places = Places()
        self.term = 0
        self.vote = 0
        self.boot = ""
        """Of the last start; empty: none is known."""
        self.end = 0
        """The position after the last whole line."""
        self.crc = 0
        """The checksum of the last whole line."""
        self.torn = 0
        """Bytes after `end`, in the last segment: an unfinished line."""
        self.torn_header: Path | None = None
        """The file of a last segment that was not even begun; `segments` leaves it out."""
        for start in tuple(self.segments.starts):
            self._read_file(start, last=start == self.segments.starts[-1])
        self._check_last_number()

    def last_digest(self) -> str:
        """The digest of the last entry."""
        index = self.places.last_index
        if index == 0:
            return GENESIS
        return self.segments.read(index, self.places.positions[-1:], self.end)[0].digest

    def header(self, replica: int) -> Segment:
        """The first line of the segment that would begin now."""
        return Segment(
            format=FORMAT,
            replica=replica,
            position=self.end,
            index=self.places.last_index,
            digest=self.last_digest(),
            term=self.term,
            vote=self.vote,
            previous=f"{self.crc:08x}",
        )

    def _read_file(self, start: int, last: bool) -> None:
        path = self.segments.path(start)
        if start != self.end:
            raise Damaged(f"{path}: the log before it ends at byte {self.end}: a file is missing")
        with path.open("rb", buffering=0) as file:
            tail = self._read_lines(path, file)
        if not tail and self.end > start:
            return
        if not last:
            raise Damaged(f"{path}: ends in the middle of a line")
        if self.end == start:
            self._accept_torn_header(path, tail)
        elif was_whole(tail, resume(self.crc)):
            raise Damaged(f"{path}: the last line does not end where it should")
        else:
            self.torn = len(tail)

    def _read_lines(self, path: Path, file: BinaryIO) -> bytes:
        """Take in the whole lines of a file, and return what comes after them."""
        start = self.end
        seed = self.crc
        tail = b""
        left = path.stat().st_size
        while left > 0 and (data := file.read(min(left, _BLOCK_BYTES))):
            left -= len(data)
            lines = tail + data
            cut = lines.rfind(b"\n") + 1
            lines, tail = lines[:cut], lines[cut:]
            if not lines:
                continue
            crc = check_lines(lines, seed)
            if crc is None:
                self._take(start, lines[: sound_bytes(lines, seed)])
                raise self._damaged(self.end, "the checksum does not fit")
            self._take(start, lines)
            self.crc = crc
            seed = resume(crc)
        return tail

    def _take(self, start: int, lines: bytes) -> None:
        """Take in whole lines whose checksums are right, in the file that begins at `start`."""
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

    def _take_other(self, start: int, line: bytes, position: int) -> None:
        try:
            said = decode_line(line)
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
            case Truncated():
                if not 0 <= said.after <= last:
                    raise self._damaged(position, f"truncated after {said.after} of {last}")
                self.places.truncate(said.after)
            case Boot():
                self.boot = said.boot
            case Entry():
                if said.index != last + 1:
                    raise self._damaged(position, f"entry {said.index} follows entry {last}")
                self.places.add(position, is_order=False)

    def _check_header(self, header: Segment, position: int) -> None:
        if header.format != FORMAT:
            path = self.segments.path(position)
            raise Unusable(f"{path}: format {header.format}, which this version cannot read")
        if self.replica is None:
            self.replica = header.replica
        said = msgspec.structs.asdict(header)
        for name, value in msgspec.structs.asdict(self.header(self.replica)).items():
            if said[name] != value:
                raise self._damaged(
                    position, f"the header says {name} {said[name]!r}, which should be {value!r}"
                )

    def _accept_torn_header(self, path: Path, tail: bytes) -> None:
        """See whether a file without a whole line is one whose creation was cut short."""
        if self.replica is not None:
            content = encode_mark(self.header(self.replica))
            if not close_lines([content], self.crc)[0].startswith(tail):
                raise Damaged(f"{path}: neither a segment nor the beginning of one")
        self.segments.starts.pop()
        self.torn = len(tail)
        self.torn_header = path

    def _check_last_number(self) -> None:
        """See that orders are counted as they were, so that their numbers lead to them."""
        number = self.places.last_number
        if number == 0:
            return
        index = self.places.index_of(number)
        positions = self.places.positions[index - 1 : index + 1]
        end = positions[1] if len(positions) > 1 else self.end
        (entry,) = self.segments.read(index, positions[:1], end)
        if getattr(entry.event, "number", None) != number:
            raise Damaged(f"{self.segments.where(positions[0])}: should be order {number}")

    def _damaged(self, position: int, text: str) -> Damaged:
        where = self.segments.where(position)
        return Damaged(f"{where}: {text} (after entry {self.places.last_index})")
