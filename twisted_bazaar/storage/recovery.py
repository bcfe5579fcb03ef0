"""Recovers the state of an order log from its files.

A closed segment with a sidecar that fits is not read: only its first line and its last checksum
are compared. The last segment is read whole, and so is each without such a sidecar, which is then
made. A million orders take about half a second to read, because each block is checked by one CRC
and only lines that are not orders are decoded.

Damage is everything that cannot be read, everything missing that the mark says was there, and
everything unreadable beyond the mark that no crash can have left. A crash can leave only the rest
of the one write that was under way, which was not acknowledged. Damage within a segment that is not
read here is noticed when an entry of it is read; then its sidecar goes, and the next start reads
it. One that was written to since it was closed is read in any case.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry, Members, Opened, decode_entry
from twisted_bazaar.consensus.log import cluster_of
from twisted_bazaar.errors import Damaged, NotUnderstood, Unusable

from .beginning import LogBeginning, read_beginning
from .lines import (
    CLOSING_BYTES,
    FORMAT,
    Boot,
    Note,
    Segment,
    Truncated,
    Voted,
    check_lines,
    checksum,
    close_lines,
    closes,
    closing_with,
    decode_line,
    encode_note,
    is_torn,
    resume,
    sound_bytes,
)
from .mark import Mark
from .places import Places, Run
from .segments import Segments, StoredEntries
from .sidecar import FORMAT as SIDECAR_FORMAT
from .sidecar import ClosedRun, Head, orders_in, read_head, sidecar_path, write

__all__ = ["Recovery"]

_BLOCK_BYTES = 1 << 20
_HEADER_BYTES = 4096
"""A header is shorter."""


class Recovery:
    """The state of the log in `folder`.

    `replica` must be the owner of the log; None: any. `mark` says how much of it was on disk.
    `writable`: sidecars are made. `whole`: every line is read, whatever sidecars say.
    Raises `Damaged` if a file is not as it was written, `NotUnderstood` if a newer release wrote
    it, `Unusable` if it is another replica's, and OSError if it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        replica: int | None,
        mark: Mark | None,
        writable: bool = False,
        whole: bool = False,
    ) -> None:
        self.begins = read_beginning(folder) or LogBeginning()
        """Where the log begins."""
        before = self.begins.before
        if self.begins.replica and replica not in (None, self.begins.replica):
            owner = self.begins.replica
            raise Unusable(f"{folder}: the log of replica {owner}, not of {replica}")
        self.replica = self.begins.replica or replica
        self.segments = Segments(folder, writable, self.begins.position)
        self.places = Places()
        self.places.begin(before.index, before.number)
        self.term = self.begins.term
        self.vote = self.begins.vote
        self.named = ""
        """The cluster that the last vote names; empty: none."""
        self.configurations: list[Entry] = []
        """The `opened` and `members` entries after the beginning, ascending."""
        self.end = self.begins.position
        """The position after the last whole line."""
        previous = self.begins.previous
        self.closing = closing_with(previous) if previous else b""
        """The closing of the last whole line; empty: there is none."""
        self.torn = 0
        """Bytes of a torn write after `end`, in the last segment."""
        self.torn_header: Path | None = None
        """The file of a last segment whose header is torn; `segments` leaves it out."""
        self._header: Segment | None = None
        """The first line of the last segment, which was read; None: its run is closed."""
        self._cluster = ""
        """What entry 1 says; empty: it was not read."""
        self._ended = 0, GENESIS
        """An entry whose digest is known, and that digest."""
        self._read_all(whole)
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
        if self.begins.before.index:
            return self.begins.before.cluster
        if not self.places.last_index:
            return self.named
        self._cluster = self._cluster or cluster_of(self._entry(1))
        return self._cluster

    @property
    def openings(self) -> Sequence[tuple[int, Opened]]:
        """The `opened` entries with their indexes, ascending."""
        later = [
            (entry.index, entry.event)
            for entry in self.configurations
            if isinstance(entry.event, Opened)
        ]
        return [*self.begins.before.openings, *later]

    @property
    def memberships(self) -> Sequence[tuple[int, Members]]:
        """The `members` entries with their indexes, ascending."""
        later = [
            (entry.index, entry.event)
            for entry in self.configurations
            if isinstance(entry.event, Members)
        ]
        return [*self.begins.before.memberships, *later]

    def leave(self, begins: LogBeginning) -> None:
        """The log begins there from now on: what is before has left it."""
        before = begins.before
        self.begins = begins
        self.places.leave(before.index, before.number)
        self.segments.starts = [s for s in self.segments.starts if s >= begins.position]
        self.configurations = [e for e in self.configurations if e.index > before.index]

    def add(self, entry: Entry, position: int, is_order: bool) -> None:
        """`entry` is the next one, and begins at `position`."""
        self.places.open.add(position, is_order)
        if not is_order and isinstance(entry.event, Opened | Members):
            self.configurations.append(entry)

    def truncate(self, after: int) -> None:
        """Forget the entries after `after`."""
        if after < self.places.last_index:
            self._ended = 0, GENESIS
        self.places.truncate(after)
        while self.configurations and self.configurations[-1].index > after:
            self.configurations.pop()
        if after == 0:
            self._cluster = ""

    def read(self, after: int, upto: int) -> StoredEntries:
        """The entries `after` < index <= `upto`, which are read when first used."""
        return StoredEntries(self.segments, after + 1, self.places.pieces(after, upto, self.end))

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to 0 <= `index` <= the last."""
        known = self.known_digest(index)
        return self._entry(index).digest if known is None else known

    def known_digest(self, index: int) -> str | None:
        """That digest; None: entry `index` is to be read."""
        before = self.begins.before
        if not index:
            return GENESIS
        if index == before.index:
            return before.digest
        ended, digest = self._ended
        return digest if index == ended else None

    def _entry(self, index: int) -> Entry:
        return self.read(index - 1, index)[0]

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

    def close(self) -> Run | None:
        """The run of the last segment, which gets no other line; None: it is closed already.

        Its sidecar is made, if this log is writable and the disk takes it. The caller gives it to
        `go_on`.
        """
        header, run = self._header, self.places.open
        if header is None:
            return None
        run.end = self.end
        with suppress(OSError):
            head = self._head(header)
            path = sidecar_path(self.segments, run.start)
            if self.segments.writable:
                return ClosedRun(self.segments, head, write(path, head, run))
            known = read_head(path)
            if known is not None and known[0] == head:
                return ClosedRun(self.segments, *known)
        return run

    def go_on(self, closed: Run | None, header: Segment) -> None:
        """The log goes on in a segment that begins with `header`; the run of the one before is
        `closed`."""
        if closed is not None:
            self.places.seal(closed)
        self._header = header
        self.places.go_on(header.position)

    def _head(self, header: Segment) -> Head:
        """What the sidecar of the last segment says."""
        run = self.places.open
        size = self.end - run.start
        _, touched = self.segments.stat(run.start)
        added = [entry for entry in self.configurations if entry.index > run.base]
        return Head(
            format=SIDECAR_FORMAT,
            header=header,
            size=size,
            touched=touched,
            closing=self.closing.decode(),
            base=run.base,
            base_number=run.base_number,
            entries=len(run),
            orders=orders_in(run),
            term=self.term,
            vote=self.vote,
            named=self.named,
            cluster=self.cluster,
            digest=self.digest_at(self.places.last_index),
            configurations=tuple(entry.record.decode() for entry in added),
        )

    def _read_all(self, whole: bool) -> None:
        starts = tuple(self.segments.starts)
        if not starts:
            return
        read = {starts[-1]}
        if b"\n" not in self.segments.bytes_of(starts[-1], 0, _HEADER_BYTES):
            # A crash may have left it so. Then the one before is the last, and is written to.
            read |= {*starts[-2:]}
        for start in starts:
            if start != self.end:
                path = self.segments.path(start)
                raise Damaged(
                    f"{path}: the log before it ends at byte {self.end}: a file is missing"
                )
            if whole or start in read or not self._take_sidecar(start):
                self._read_file(start, last=start == starts[-1])

    def _take_sidecar(self, start: int) -> bool:
        """Apply what the sidecar of a closed segment says; not if it does not fit."""
        found = read_head(sidecar_path(self.segments, start))
        if found is None or not self._fits(found[0], start):
            return False
        head, line = found
        try:
            added = [decode_entry(record.encode()) for record in head.configurations]
        except Damaged:
            return False
        if (closed := self.close()) is not None:
            self.places.seal(closed)
        self._header = None
        self.replica = head.header.replica
        self.truncate(head.base)
        self.configurations += added
        run = ClosedRun(self.segments, head, line)
        self.places.take(run, head.entries, sum(head.orders))
        self.term, self.vote, self.named = head.term, head.vote, head.named
        self._cluster = head.cluster if self.places.last_index else ""
        self._ended = self.places.last_index, head.digest
        self.closing = head.closing.encode()
        self.end = start + head.size
        return True

    def _fits(self, head: Head, start: int) -> bool:
        """Whether a sidecar is of the segment that begins at `start`, after the log before it."""
        replica = head.header.replica if self.replica is None else self.replica
        if head.header != self.header(replica):
            return False
        if self.segments.stat(start) != (head.size, head.touched):
            return False
        if not self._is_sound_where_seen(head, start):
            return False
        first = self.places.first_index - 1
        return (
            first <= head.base <= head.header.index
            and self.places.number_at(head.base) == head.base_number
        )

    def _is_sound_where_seen(self, head: Head, start: int) -> bool:
        """Whether the first line of a segment and its last checksum are those that `head` says."""
        closing = self.segments.closing(start + head.size)
        first = self._first_line(start, self.checksum)
        return closing == head.closing.encode() and first == head.header

    def _first_line(self, start: int, seed: int) -> Entry | Note | None:
        """The first line of a segment; None: it is not as it was written, or not known."""
        first = self.segments.bytes_of(start, 0, _HEADER_BYTES)
        line = first[: first.find(b"\n") + 1]
        if not line or check_lines(line, seed) is None:
            return None
        try:
            return decode_line(line[:-1])
        except (Damaged, NotUnderstood):
            return None

    def _read_file(self, start: int, last: bool) -> None:
        path = self.segments.path(start)
        tail = self._read_lines(start)
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

    def _read_lines(self, start: int) -> bytes:
        """Apply the sound lines of a segment, and return the bytes after them."""
        seed = self.checksum
        tail = b""
        at, (size, _) = 0, self.segments.stat(start)
        while at < size and (
            data := self.segments.bytes_of(start, at, min(size - at, _BLOCK_BYTES))
        ):
            at += len(data)
            lines = tail + data
            cut = lines.rfind(b"\n") + 1
            lines, tail = lines[:cut], lines[cut:]
            if not lines:
                continue
            closing = check_lines(lines, seed)
            if closing is None:
                sound = sound_bytes(lines, seed)
                self._take(start, lines[:sound])
                return lines[sound:] + tail + self.segments.bytes_of(start, at, size - at)
            self._take(start, lines)
            seed = resume(closing)
        return tail

    def _take(self, start: int, lines: bytes) -> None:
        """Apply complete lines whose checksums are right, in the file that begins at `start`."""
        run = self.places.open
        add = run.offsets.append
        position = self.end - run.start
        index = self.places.last_index + 1
        for line in lines.split(b"\n"):
            if line.startswith(b'{"kind":"traded","index":%d,' % index):
                add(position)
                index += 1
            elif line:
                self._take_other(start, line, run.start + position)
                index = self.places.last_index + 1
                if self.places.open is not run:
                    position += run.start - self.places.open.start
                    run = self.places.open
                    add = run.offsets.append
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
                self.add(said, position, is_order=False)

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
        self.go_on(self.close(), header)

    def _is_torn_header(self, tail: bytes) -> bool:
        """Whether a crash can have left this of a file that was being made."""
        if self.replica is None:
            return True
        header, _ = close_lines([encode_note(self.header(self.replica))], self.checksum)
        return header.startswith(tail) or tail == bytes(len(tail))

    def _check_last_number(self) -> None:
        """Raises `Damaged` unless counting orders leads to the last one: its number is right."""
        number = self.places.last_number
        if number == self.begins.before.number:
            return
        found = self.places.index_of(number)
        index = found if isinstance(found, int) else found.find()
        if getattr(self._entry(index).event, "number", None) != number:
            [(run, at, _)] = self.places.pieces(index - 1, index, self.end)
            [position], _ = run.positions(at, 1)
            raise Damaged(f"{self.segments.where(position)}: should be order {number}")

    def _check_extent(self, mark: Mark) -> None:
        """Raises `Damaged` unless all is there that `mark` says was on disk."""
        if mark.position <= self.begins.position:
            return  # The beginning is newer than the mark, which is not synced.
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
