"""Moves closed segments of a log to its archive.

A segment leaves once all of its entries are released and durably in the index, and it is older
than what is to be kept. The steps make this safe over a crash at any moment:

1. an archived file holds its entries, durably;
2. the log durably begins after them (`beginning.py`);
3. the segment is deleted.

After a crash before step 2 the entries are in both places. A crash after it leaves a segment that
is not of the log, which the next start deletes. Where replicas share an archive, a file of another
one may hold the entries already; then that is checked, and none is made. Nothing leaves while what
left before is not in the archive, though it was: the disk may be gone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from twisted_bazaar.consensus.beginning import Beginning, after
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, NotUnderstood, Unavailable
from twisted_bazaar.ledger import first_prices

from .archive import Archive
from .beginning import LogBeginning, write_beginning
from .lines import Segment, check_lines, decode_line
from .logfile import LogFile
from .segments import Segments

__all__ = ["Keep", "boundary", "leave"]

_HEADER_BYTES = 4096
_CHUNK_ENTRIES = 4096


class Keep(NamedTuple):
    """What stays in the log at least."""

    bytes: int = 0
    entries: int = 0


def boundary(log: LogFile, covered: int, keep: Keep) -> Segment | None:
    """The first line of the first segment that stays, if those before it leave now; None: none do.

    Entries up to `covered` are released, and in the index. Raises `Damaged` and OSError.
    """
    segments, before = log.segments, log.beginning
    for start in segments.starts[1:]:
        header = _header(segments, start)
        if (
            header.index > covered
            or log.end - start < keep.bytes
            or log.last_index - header.index < keep.entries
        ):
            return None
        # Entries before it may have been truncated after it: then a later one is such a place.
        if header.index >= before.index and log.digest_at(header.index) == header.digest:
            return header
    return None


def _header(segments: Segments, start: int) -> Segment:
    first = segments.bytes_of(start, 0, _HEADER_BYTES)
    line = first[: first.find(b"\n") + 1]
    header = decode_line(line[:-1]) if line else None
    if not isinstance(header, Segment) or check_lines(line, int(header.previous, 16)) is None:
        raise Damaged(f"{segments.path(start)}: the first line is not as it was written")
    return header


def leave(log: LogFile, archive: Archive, stays: Segment, place: str) -> LogBeginning:
    """Archive what is before the segment that begins with `stays`, at `place`, and make the log
    begin there, durably. Returns the new beginning, for `LogFile.leave`.

    On any thread. Raises `Damaged` if the log is not as it was written, `Unavailable` and OSError.
    """
    former = before = log.beginning
    if stays.index > former.index:
        [last] = log.read(stays.index - 1, stays.index)
        prices = former.prices or first_prices(
            entry.event for entry in _entries(log, former.index, stays.index)
        )
        before = after(
            last,
            number=log.number_at(stays.index),
            cluster=log.cluster,
            openings=log.openings,
            memberships=log.memberships,
            prices=prices,
        )
        if lost := archive.lost(former):
            # Another disk may be there, or none.
            raise Unavailable(f"{archive.where}: entries up to {lost} were there, and are not now")
        found = archive.reaches(before)
        if found:
            archive.settle()
        else:
            archive.add(_entries(log, former.index, stays.index), former.number, former.digest)
        archive.link(before)
        if archive.missing[0] > former.index:
            raise Unavailable(f"{archive.where}: entry {stays.index}, just put there, is missing")
        if found:
            _check(archive, former, stays.index)
    begins = LogBeginning(
        replica=log.replica,
        position=stays.position,
        term=stays.term,
        vote=stays.vote,
        previous=stays.previous,
        archive=place,
        before=before,
    )
    write_beginning(log.segments.folder, begins)
    return begins


def _check(archive: Archive, former: Beginning, upto: int) -> None:
    """Raises `Unavailable` unless the entries after `former` can be read from `archive`: another
    replica has put them there, long ago perhaps."""
    digest = former.digest
    try:
        for at in range(former.index, upto, _CHUNK_ENTRIES):
            for entry in archive.read(at, min(upto, at + _CHUNK_ENTRIES)):
                if not entry.follows(digest):
                    raise Damaged(f"{archive.where}: entry {entry.index} is another one")
                digest = entry.digest
    except (Damaged, NotUnderstood) as why:
        raise Unavailable(f"{why}: remove that file") from why


def _entries(log: LogFile, first: int, upto: int) -> Iterator[Entry]:
    for at in range(first, upto, _CHUNK_ENTRIES):
        yield from log.read(at, min(upto, at + _CHUNK_ENTRIES))
