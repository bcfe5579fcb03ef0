"""The sidecar of a closed segment: what the segment adds to the log, so that a start need not read
it, nor memory hold where its entries are.

    {"kind":"places","format":1,"header":{…},"size":…,"touched":…,…,"end":"0d9c3b1e"}
    blocks, each: the places of 1,024 entries, 4 bytes each, and a checksum

It is derived from the segment: made when that is closed, or was read at a start, and never synced.
It is believed only if it fits the log before it, and the size, the time of the last change, the
first line and the last checksum of the file. Each block has its own checksum, which depends on the
first line of the sidecar, too. What does not fit is made anew from the segment.
"""

import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from threading import Lock
from zlib import crc32

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, NotUnderstood

from .files import replace_file
from .lines import (
    CLOSING_BYTES,
    Segment,
    Truncated,
    check_lines,
    close_lines,
    decode_line,
)
from .places import OpenRun
from .segments import Segments

__all__ = [
    "BLOCK_ENTRIES",
    "FORMAT",
    "ClosedRun",
    "Head",
    "orders_in",
    "read_head",
    "sidecar_path",
    "write",
]

FORMAT = 1
"""The version of this format."""
BLOCK_ENTRIES = 1024
_SUM_BYTES = 4
_BLOCK_BYTES = 4 * BLOCK_ENTRIES + _SUM_BYTES
_OTHER = 1 << 31
"""Marks the place of an entry that is not an order. A segment is shorter than this."""


class Head(msgspec.Struct, frozen=True, tag_field="kind", tag="places"):
    """The first line of a sidecar."""

    format: int
    header: Segment
    """The first line of the segment: the state of the log before it."""
    size: int
    """Bytes of the segment."""
    touched: int
    """When the segment was last written to, as its file says, in nanoseconds."""
    closing: str
    """The end of its last line."""
    base: int
    """The index of the entry before the first that it adds; less than that before it, if the
    segment removes entries of earlier ones."""
    base_number: int
    """The orders up to there."""
    entries: int
    """How many entries it adds."""
    orders: tuple[int, ...]
    """How many of them are orders, by block."""
    term: int
    vote: int
    named: str
    """The cluster that the last vote names."""
    cluster: str
    """The cluster of the log; empty: none is known."""
    digest: str
    """Names the history up to the last entry."""
    configurations: tuple[str, ...]
    """The records of those of its entries that change the configuration of the log."""


class _Version(msgspec.Struct, frozen=True, tag_field="kind", tag="places"):
    format: int


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Head).decode
_decode_version = msgspec.json.Decoder(_Version).decode


def sidecar_path(segments: Segments, start: int) -> Path:
    """The sidecar of the segment that begins at `start`."""
    return segments.path(start).with_suffix(".places")


def read_head(path: Path) -> tuple[Head, bytes] | None:
    """What the sidecar in `path` says, and its first line; None: there is none, or it is damaged.

    Its blocks are checked when they are used. Raises `NotUnderstood` if a newer release wrote it.
    """
    try:
        with path.open("rb") as file:
            line = file.readline()
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    if not line.endswith(b"\n") or check_lines(line, 0) is None:
        return None
    record = line[:-CLOSING_BYTES] + b"}"
    try:
        version = _decode_version(record).format
        if version > FORMAT:
            raise NotUnderstood(f"{path}: format {version} is not known to this release")
        head = _decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    blocks = -(-head.entries // BLOCK_ENTRIES)
    whole = len(line) + 4 * head.entries + _SUM_BYTES * blocks
    if version < FORMAT or len(head.orders) != blocks or size != whole:
        return None
    return head, line


def write(path: Path, head: Head, run: OpenRun) -> bytes:
    """Make the sidecar in `path` that of `run`, and return its first line. Raises OSError."""
    places = array("I", run.offsets)
    for other in run.others:
        places[other] |= _OTHER
    line, _ = close_lines([_encode(head)[:-1]], 0)
    seed = crc32(line)
    parts = [line]
    for number, at in enumerate(range(0, len(places), BLOCK_ENTRIES)):
        block = _little(places[at : at + BLOCK_ENTRIES])
        parts += (block, _block_sum(block, seed, number))
    replace_file(path, b"".join(parts), sync=False)
    return line


def orders_in(run: OpenRun) -> tuple[int, ...]:
    """How many entries of each block are orders."""
    upto = [run.orders_before(at) for at in (*range(0, len(run), BLOCK_ENTRIES), len(run))]
    return tuple(after - before for before, after in pairwise(upto))


class ClosedRun:
    """A run whose places are in a sidecar. On any thread."""

    def __init__(self, segments: Segments, head: Head, line: bytes) -> None:
        """`line` is the first line of the sidecar."""
        self.start = head.header.position
        self.base = head.base
        self.base_number = head.base_number
        self._head = head
        self._segments = segments
        self._path = sidecar_path(segments, self.start)
        self._first_byte = len(line)
        self._seed = crc32(line)
        self._upto = array("I", accumulate(head.orders, initial=0))
        """The orders before each block."""
        self._lock = Lock()
        self._made: OpenRun | None = None
        """The run that was made anew, as the sidecar is not as it was written."""

    def positions(self, at: int, count: int) -> tuple[Sequence[int], int]:
        if self._made is not None:
            return self._made.positions(at, count)
        places = self._read(at, min(at + count + 1, self._head.entries))
        if places is None:
            return self._make().positions(at, count)
        positions = [self.start + (place & ~_OTHER) for place in places]
        end = positions.pop() if len(positions) > count else self.start + self._head.size
        return positions, end

    def orders_before(self, at: int) -> int:
        if self._made is not None:
            return self._made.orders_before(at)
        block = at // BLOCK_ENTRIES
        before = self._upto[block]
        first = block * BLOCK_ENTRIES
        if at == first:
            return before
        if self._is_full(block):
            return before + at - first
        places = self._read(first, at)
        if places is None:
            return self._make().orders_before(at)
        return before + sum(place < _OTHER for place in places)

    def place_of(self, nth: int) -> int:
        if self._made is not None:
            return self._made.place_of(nth)
        block = bisect_left(self._upto, nth) - 1
        first = block * BLOCK_ENTRIES
        left = nth - self._upto[block]
        if self._is_full(block):
            return first + left - 1
        places = self._read(first, min(first + BLOCK_ENTRIES, self._head.entries))
        if places is None:
            return self._make().place_of(nth)
        orders = [at for at, place in enumerate(places, first) if place < _OTHER]
        return orders[left - 1]

    def distrust(self) -> None:
        if self._segments.writable:
            with suppress(OSError):
                self._path.unlink()

    def _is_full(self, block: int) -> bool:
        """Whether all entries of a block are orders, and those of a full block."""
        return self._upto[block + 1] - self._upto[block] == BLOCK_ENTRIES

    def _read(self, first: int, stop: int) -> "array[int] | None":
        """The places `first` <= … < `stop`; None: the sidecar is not as it was written."""
        low, high = first // BLOCK_ENTRIES, -(-stop // BLOCK_ENTRIES)
        try:
            file = os.open(self._path, os.O_RDONLY)
            try:
                data = os.pread(
                    file, (high - low) * _BLOCK_BYTES, self._first_byte + low * _BLOCK_BYTES
                )
            finally:
                os.close(file)
        except OSError:
            return None
        places = array("I")
        for number in range(low, high):
            at = (number - low) * _BLOCK_BYTES
            block, summed = self._block(data, at, number)
            if summed != _block_sum(block, self._seed, number):
                return None
            places.frombytes(block)
        if sys.byteorder == "big":
            places.byteswap()
        return places[first - low * BLOCK_ENTRIES : stop - low * BLOCK_ENTRIES]

    def _block(self, data: bytes, at: int, number: int) -> tuple[bytes, bytes]:
        size = 4 * min(BLOCK_ENTRIES, self._head.entries - number * BLOCK_ENTRIES)
        return data[at : at + size], data[at + size : at + size + _SUM_BYTES]

    def _make(self) -> OpenRun:
        """Read the places from the segment, and make its sidecar anew.

        Raises `Damaged` if the segment is not as it was written, and OSError.
        """
        with self._lock:
            if self._made is None:
                made = _read_run(self._segments, self._head)
                if self._segments.writable:
                    with suppress(OSError):
                        write(self._path, self._head, made)
                self._made = made
            return self._made


def _read_run(segments: Segments, head: Head) -> OpenRun:
    """The run of the segment that `head` was made of."""
    start = head.header.position
    lines = segments.bytes_of(start, 0, head.size)
    closing = check_lines(lines, int(head.header.previous, 16))
    if closing is None or closing != head.closing.encode():
        raise Damaged(f"{segments.path(start)}: is not as it was when it was closed")
    run = OpenRun(start, head.base, head.base_number)
    run.end = start + len(lines)
    position, index = start, head.header.index + 1
    for line in lines.split(b"\n")[:-1]:
        is_order = line.startswith(b'{"kind":"traded","index":%d,' % index)
        said = None if is_order else decode_line(line)
        if is_order or isinstance(said, Entry):
            if index > head.base:
                run.add(position, is_order)
            index += 1
        elif isinstance(said, Truncated):
            run.truncate(max(0, said.after - head.base))
            index = said.after + 1
        position += len(line) + 1
    if (len(run), orders_in(run)) != (head.entries, head.orders):
        raise Damaged(f"{segments.path(start)}: does not hold the entries that it held")
    return run


def _little(places: "array[int]") -> bytes:
    if sys.byteorder == "big":
        places.byteswap()
    return places.tobytes()


def _block_sum(block: bytes, seed: int, number: int) -> bytes:
    return crc32(block, crc32(b"%d" % number, seed)).to_bytes(_SUM_BYTES, "little")
