"""A backup: entries of an order log as lines, compressed. Pure, over streams of bytes.

    {"kind":"backup","format":1,"cluster":"5f0c…","after":0,"digest":"000…","made":1790000000000}
    {"kind":"opened","index":1,…}
    {"kind":"end","index":830,"number":812,"term":4,"at":1790000000000,"digest":"…"}

The lines are one frame of Zstandard, with a checksum, so that `zstdcat` shows them. The digests
of the entries are as in the log: they prove that nothing is missing, changed or of another log. A
file without its last line was not finished.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO

import msgspec
import zstandard

from twisted_bazaar.consensus.entries import Entry, decode_entry
from twisted_bazaar.errors import Damaged, NotUnderstood
from twisted_bazaar.market import Traded

__all__ = ["FORMAT", "BackupReader", "BackupWriter", "End", "Start"]

FORMAT = 1
_LEVEL = 3
_READ_BYTES = 1 << 20
_MAX_LINE_BYTES = 16 << 20
"""A first listing may name 100,000 stocks."""


class Start(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="backup"):
    """What the entries of a backup follow on."""

    format: int = FORMAT
    cluster: str
    """The cluster whose log it is."""
    after: int
    """The entry before the first; 0: there is none, and the backup can be restored by itself."""
    number: int
    """The last order up to there; 0: there is none."""
    digest: str
    """Names the history up to there."""
    made: int
    """Milliseconds since 1970, when the backup was begun."""


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """Where a backup ends: its last entry, or what it follows on, if it has none."""

    index: int
    number: int
    """The last order."""
    term: int
    at: int
    """Milliseconds since 1970, when that entry was made."""
    digest: str
    """Names the history up to there."""


class _Format(msgspec.Struct):
    kind: str
    format: int


class BackupWriter:
    """Writes one backup to `out`, which its owner closes."""

    def __init__(self, out: IO[bytes], start: Start, term: int, at: int) -> None:
        """`term` and `at` are those of the entry that `start` names; 0 each, without one."""
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._lines = compressor.stream_writer(out, closefd=False)
        self._end = End(
            index=start.after, number=start.number, term=term, at=at, digest=start.digest
        )
        self._lines.write(msgspec.json.encode(start) + b"\n")

    def add(self, entries: Sequence[Entry]) -> None:
        """Write the next entries. Raises `Damaged` if they do not follow those before."""
        number, digest = self._end.number, self._end.digest
        for entry in entries:
            if not entry.follows(digest):
                raise Damaged(f"entry {entry.index}: its digest does not fit what comes before it")
            digest = entry.digest
            number = entry.event.number if isinstance(entry.event, Traded) else number
        self._lines.write(b"".join(entry.record + b"\n" for entry in entries))
        if entries:
            self._end = End(
                index=entries[-1].index,
                number=number,
                term=entries[-1].term,
                at=entries[-1].at_milliseconds,
                digest=digest,
            )

    def finish(self) -> End:
        """Write the last line, and what is still held back."""
        self._lines.write(msgspec.json.encode(self._end) + b"\n")
        self._lines.close()
        return self._end


class BackupReader:
    """Reads one backup from `source`, which is called `name` in what is raised.

    Raises `Damaged` at the first thing that is not as it was written, and `NotUnderstood` if a
    newer release has written it.
    """

    def __init__(self, source: IO[bytes], name: str) -> None:
        self.name = name
        self._lines = self._read(source)
        first, *self._pending = next(self._lines, [b""])
        self.start = self._started(first)
        self.end: End | None = None
        """Where the backup ends; set once all entries were read."""

    def __iter__(self) -> Iterator[Sequence[Entry]]:
        """The entries, checked, in pieces of about a megabyte. To be used once."""
        index, number, digest = self.start.after, self.start.number, self.start.digest
        for lines in chain([self._pending], self._lines):
            if self.end is not None:
                raise Damaged(f"{self.name}: goes on after its end")
            entries: list[Entry] = []
            for line in lines:
                if line.startswith(b'{"kind":"end",'):
                    self.end = self._ended(line, (index, number, digest))
                    break
                entry = self._entry(line, index, digest)
                index, digest = entry.index, entry.digest
                number = entry.event.number if isinstance(entry.event, Traded) else number
                entries.append(entry)
            if entries:
                yield entries
            if self.end is not None and line is not lines[-1]:
                raise Damaged(f"{self.name}: goes on after its end")
        if self.end is None:
            raise Damaged(f"{self.name}: was not finished: it ends after entry {index}")

    def read_through(self) -> End:
        """Check the whole backup, and return where it ends."""
        for _ in self:
            pass
        assert self.end is not None
        return self.end

    def last_line(self) -> End:
        """Where it says that it ends; nothing else is checked. To be used in place of the rest."""
        line = b""
        for lines in chain([self._pending], self._lines):
            line = lines[-1] if lines else line
        return self._end_in(line)

    def _entry(self, line: bytes, index: int, digest: str) -> Entry:
        try:
            entry = decode_entry(line)
        except Damaged as error:
            raise Damaged(f"{self.name}: after entry {index}: {error}") from None
        if entry.index != index + 1 or not entry.follows(digest):
            raise Damaged(f"{self.name}: entry {entry.index} does not follow entry {index}")
        return entry

    def _ended(self, line: bytes, reached: tuple[int, int, str]) -> End:
        end = self._end_in(line)
        if (end.index, end.number, end.digest) != reached:
            raise Damaged(f"{self.name}: ends with entry {reached[0]}, not as its last line says")
        return end

    def _end_in(self, line: bytes) -> End:
        try:
            return msgspec.json.decode(line, type=End)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(f"{self.name}: its last line: {error}") from None

    def _started(self, line: bytes) -> Start:
        try:
            known = msgspec.json.decode(line, type=_Format)
            if known.kind == "backup" and known.format > FORMAT:
                raise NotUnderstood(
                    f"{self.name}: a newer release has written it, in format {known.format}"
                )
            return msgspec.json.decode(line, type=Start)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Damaged(f"{self.name}: no backup of a bazaar, or not a whole one") from None

    def _read(self, source: IO[bytes]) -> Iterator[list[bytes]]:
        """Whole lines, those of each megabyte together; at least one each time."""
        rest = b""
        for block in self._decompressed(source):
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                raise Damaged(f"{self.name}: has a line without an end")
            if lines:
                yield lines
        if rest:
            raise Damaged(f"{self.name}: was not finished: it ends within a line")

    def _decompressed(self, source: IO[bytes]) -> Iterator[bytes]:
        blocks = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        try:
            while block := blocks.read(_READ_BYTES):
                yield block
        except zstandard.ZstdError as error:
            raise Damaged(f"{self.name}: no backup, or a damaged one: {error}") from None
