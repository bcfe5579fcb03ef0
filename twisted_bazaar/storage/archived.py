"""The format of an archived file: consecutive entries that have left the log, compressed. Pure.

    frames of zstandard, each of them some whole lines, each line the record of an entry
    a frame that decompressors skip: the footer

So `zstd -d` shows the entries as they were in the log, without the checksums of its lines; their
digests are there. One entry is read without the others: the footer says where the frames are, and
which entries are in them. The name of a file says which entries it holds, and names the histories
before them and up to the last one, so that files of another history are told apart.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import msgspec
import zstandard

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, NotUnderstood
from twisted_bazaar.market import Traded

__all__ = [
    "FORMAT",
    "FRAME_BYTES",
    "TAIL_BYTES",
    "Footer",
    "Name",
    "footer_of",
    "lines_of",
    "pack",
    "parse_name",
]

FORMAT = 1
FRAME_BYTES = 256 << 10
"""A frame holds so many bytes of lines, or one line."""
_LEVEL = 3
_SKIPPED = (0x184D2A50).to_bytes(4, "little")
"""How a frame begins that decompressors skip; its length follows."""
_TRAILER_BYTES = 8
"""At the end: the length of the footer, and its CRC-32."""
TAIL_BYTES = 64 << 10
"""Most footers are in the last so many bytes of a file."""
_NAME = re.compile(r"([0-9]{20})-([0-9]{20})-([0-9]{20})-([0-9a-f]{32})-([0-9a-f]{32})\.jsonl\.zst")


class Name(NamedTuple):
    """What the name of an archived file says."""

    first: int
    """The index of the first entry."""
    last: int
    last_number: int
    """The last order up to entry `last`; 0: there is none."""
    before: str
    """Names the history before the first entry."""
    digest: str
    """Names the history up to the last one."""

    def __str__(self) -> str:
        numbers = f"{self.first:020}-{self.last:020}-{self.last_number:020}"
        return f"{numbers}-{self.before}-{self.digest}.jsonl.zst"


class Footer(msgspec.Struct, frozen=True):
    """Where entries are in an archived file."""

    format: int
    first: int
    """The index of the first entry."""
    entries: int
    number: int
    """The orders before the first entry."""
    others: tuple[int, ...]
    """The places, from 0, of the entries that are not orders."""
    firsts: tuple[int, ...]
    """The place of the first entry of each frame."""
    offsets: tuple[int, ...]
    """Where each frame begins, and where the last one ends."""

    def frame_of(self, place: int) -> int:
        """The frame that holds the entry at `place`."""
        return bisect_left(self.firsts, place + 1) - 1

    def number_at(self, place: int) -> int:
        """The last order up to the entry at `place`."""
        return self.number + place + 1 - bisect_right(self.others, place)

    def place_of(self, number: int) -> int:
        """The place of order `number`, which is in the file."""
        nth = number - self.number
        before = range(len(self.others))
        return nth - 1 + bisect_left(before, nth, key=lambda at: self.others[at] - at)


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Footer).decode


class _Version(msgspec.Struct, frozen=True):
    format: int


def parse_name(text: str) -> Name | None:
    """What a file's name says; None: it is no archived file."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    first, last, number, before, digest = found.groups()
    return Name(int(first), int(last), int(number), before, digest)


def pack(entries: Iterable[Entry], number: int, before: str) -> tuple[Name, bytes]:
    """The file that holds `entries`, at least one, which follow order `number` and the history
    `before`: its name, and its content."""
    compress = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress
    parts: list[bytes] = []
    firsts, offsets, others = [0], [0], list[int]()
    lines: list[bytes] = []
    size, first = 0, 0
    for place, entry in enumerate(entries):
        first = first or entry.index
        if not isinstance(entry.event, Traded):
            others.append(place)
        if lines and size + len(entry.record) >= FRAME_BYTES:
            parts.append(compress(b"".join(lines)))
            firsts.append(place)
            offsets.append(offsets[-1] + len(parts[-1]))
            lines, size = [], 0
        lines += (entry.record, b"\n")
        size += len(entry.record) + 1
    parts.append(compress(b"".join(lines)))
    offsets.append(offsets[-1] + len(parts[-1]))
    footer = Footer(
        FORMAT,
        first,
        place + 1,
        number,
        tuple(others),
        tuple(firsts),
        tuple(offsets),
    )
    text = _encode(footer)
    trailer = len(text).to_bytes(4, "little") + crc32(text).to_bytes(4, "little")
    skipped = (len(text) + len(trailer)).to_bytes(4, "little")
    parts += (_SKIPPED, skipped, text, trailer)
    last_number = number + place + 1 - len(others)
    name = Name(first, entry.index, last_number, before or GENESIS, entry.digest)
    return name, b"".join(parts)


def footer_of(tail: bytes, name: Name) -> Footer | int:
    """The footer in the last bytes of a file; or how many of them it takes. Raises `Damaged`, and
    `NotUnderstood` if a newer release wrote it."""
    size = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little")
    if len(tail) < size + _TRAILER_BYTES:
        return size + _TRAILER_BYTES
    text = tail[len(tail) - _TRAILER_BYTES - size : -_TRAILER_BYTES]
    if not size or crc32(text) != int.from_bytes(tail[-4:], "little"):
        raise Damaged(f"{name}: its footer is not as it was written")
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version != FORMAT:
            raise NotUnderstood(f"{name}: format {version} is not known to this release")
        footer = _decode(text)
    except msgspec.DecodeError as error:
        raise Damaged(f"{name}: {error}") from None
    fits = (footer.first, footer.first + footer.entries - 1) == (name.first, name.last)
    if not fits or len(footer.offsets) != len(footer.firsts) + 1:
        raise Damaged(f"{name}: its footer is of other entries")
    return footer


def lines_of(frame: bytes, footer: Footer, number: int, name: Name) -> list[bytes]:
    """The records in frame `number`. Raises `Damaged`."""
    firsts = (*footer.firsts, footer.entries)
    first, after = list(pairwise(firsts))[number]
    try:
        lines = zstandard.ZstdDecompressor().decompress(frame).split(b"\n")
    except zstandard.ZstdError as error:
        raise Damaged(f"{name}: frame {number}: {error}") from None
    if len(lines) - 1 != after - first or lines.pop():
        raise Damaged(f"{name}: frame {number} holds other entries than its footer says")
    return lines
