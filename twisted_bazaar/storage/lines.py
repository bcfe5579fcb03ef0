"""The lines of a log file: JSON objects, each ended by a checksum of everything before it.

    {"kind":"traded","index":3,…,"digest":"5f…","crc":"0d9c3b1e"}

The checksum of a line is the CRC-32 of every byte of its segment before the field `crc`, earlier
checksums included, seeded with the last checksum of the segment before. So a line can be neither
changed nor dropped unnoticed, and one CRC over consecutive lines checks all of them.

In the last line of each write the field is called `end`. What follows was written after that line
was on disk, so nothing up to it can be the rest of a torn write.
"""

import re
from collections.abc import Callable, Sequence
from zlib import crc32

import msgspec

from twisted_bazaar.consensus.entries import Entry, decode_entry
from twisted_bazaar.errors import Damaged, NotUnderstood

__all__ = [
    "BLOCK_BYTES",
    "CLOSING_BYTES",
    "FORMAT",
    "Boot",
    "Note",
    "Segment",
    "Truncated",
    "Voted",
    "check_lines",
    "checksum",
    "close_lines",
    "closes",
    "closing_with",
    "decode_line",
    "encode_note",
    "is_torn",
    "resume",
    "sound_bytes",
]

FORMAT = 1
"""The version of the format, in the header of each segment."""

BLOCK_BYTES = 512
"""A disk writes a block of this size, at a multiple of it, whole or not at all."""


class Segment(msgspec.Struct, frozen=True, tag_field="kind", tag="segment"):
    """The first line of a file: the state of the log before it."""

    format: int
    replica: int
    """The replica that owns the log."""
    position: int
    """Bytes in the files before this one; also the name of the file."""
    index: int
    """The index of the last entry before it."""
    digest: str
    """The digest that names the history up to `index`."""
    term: int
    vote: int
    previous: str
    """The checksum of the line before; `00000000` if there is none."""


class Voted(msgspec.Struct, frozen=True, tag_field="kind", tag="vote", omit_defaults=True):
    """The replica's term and its vote in that term (0: none), from here on."""

    term: int
    vote: int
    cluster: str = ""
    """The replica's cluster, until an entry names it; empty: none is known."""


class Truncated(msgspec.Struct, frozen=True, tag_field="kind", tag="truncated"):
    """The entries after index `after` are removed."""

    after: int


class Boot(msgspec.Struct, frozen=True, tag_field="kind", tag="boot"):
    """The replica started, and writes what follows. For a person: no program reads it."""

    boot: str
    """A random name of this start."""


Note = Segment | Voted | Truncated | Boot
"""A line that is not a log entry."""

_INNER = b',"crc":"%08x"}\n'
_LAST = b',"end":"%08x"}\n'
"""The end of a line, and of the last line of a write."""
_FINISHED = re.compile(rb',"end":"[0-9a-f]{8}"}\n')
"""Not found within a JSON string, where a quotation mark has a backslash before it."""
_CHECKSUM = slice(8, 16)
_CLOSING = re.compile(rb',"(?:crc|end)":"')
CLOSING_BYTES = len(_LAST % 0)
"""The length of a closing: the end of a line from its checksum field to its newline."""
_NOTE_KINDS = frozenset({"segment", "vote", "truncated", "boot"})


class _Kind(msgspec.Struct, frozen=True):
    kind: str


_encode = msgspec.json.Encoder().encode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_note: Callable[[bytes], Note] = msgspec.json.Decoder(Note).decode


def encode_note(note: Note) -> bytes:
    """A note for `close_lines`."""
    return _encode(note)[:-1]


def decode_line(line: bytes) -> Entry | Note:
    """Decode a line without its newline, whose checksum has been verified.

    Raises `NotUnderstood` if this release does not know its kind or fields, and `Damaged` if no
    release can have written it.
    """
    record = line[: 1 - CLOSING_BYTES] + b"}"
    try:
        kind = _decode_kind(record).kind
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"not a line of a log: {record[:80]!r}: {error}") from None
    try:
        return _decode_note(record) if kind in _NOTE_KINDS else decode_entry(record)
    except (msgspec.DecodeError, Damaged) as error:
        why = f"a line of kind {kind!r} is not known to this release: {error}"
        raise NotUnderstood(why) from None


def closes(closing: bytes, crc: int) -> bool:
    """Whether `closing` holds the checksum `crc`."""
    return closing in (_INNER % crc, _LAST % crc)


def closing_with(crc: str) -> bytes:
    """A closing that holds the checksum `crc`, eight hexadecimal digits."""
    return _LAST % int(crc, 16)


def checksum(closing: bytes) -> int:
    """The checksum in `closing`. Raises ValueError if there is none."""
    return int(closing[_CHECKSUM], 16)


def resume(closing: bytes) -> int:
    """The seed for the lines after one that ends with `closing`, in the same file.

    The seed of the first line of a file is the last checksum of the file before.
    """
    return crc32(closing, checksum(closing))


def close_lines(contents: Sequence[bytes], seed: int) -> tuple[bytes, bytes]:
    """Join `contents`, JSON objects without their last brace, to the lines of one write.

    Each becomes `CLOSING_BYTES` longer. Returns the lines and the closing of the last one.
    """
    parts: list[bytes] = []
    for content in contents[:-1]:
        crc = crc32(content, seed)
        closing = _INNER % crc
        seed = crc32(closing, crc)
        parts += (content, closing)
    closing = _LAST % crc32(contents[-1], seed)
    parts += (contents[-1], closing)
    return b"".join(parts), closing


def check_lines(lines: bytes, seed: int) -> bytes | None:
    """The closing of the last of these complete lines; None if any of them is damaged."""
    crc = crc32(memoryview(lines)[:-CLOSING_BYTES], seed)
    closing = lines[-CLOSING_BYTES:]
    return closing if closes(closing, crc) else None


def sound_bytes(lines: bytes, seed: int) -> int:
    """The number of bytes before the first damaged line in `lines`."""
    start = 0
    while (end := lines.find(b"\n", start) + 1) > 0:
        closing = check_lines(lines[start:end], seed)
        if closing is None:
            break
        start, seed = end, resume(closing)
    return start


def is_torn(rest: bytes, at: int, before: bytes) -> bool:
    """Whether `rest` can be what a crash has left of the last write; if not, it is damage.

    `rest` begins at byte `at` of its file, right after a sound line that ends with the closing
    `before`. After a torn write the file may end anywhere, and some blocks may not be on disk,
    which are zeros; a crash while it was being cut off leaves the same. Nothing was written
    after it.
    """
    if any(found.end() < len(rest) for found in _FINISHED.finditer(rest)):
        return False
    line = rest[: rest.find(b"\n") + 1] or rest
    hole = line.find(b"\0")
    if hole < 0:
        return not line.endswith(b"\n") and not _was_whole(line, resume(before))
    upto = ((at + hole) // BLOCK_BYTES + 1) * BLOCK_BYTES - at
    lost = not rest[hole:upto].strip(b"\0")
    return lost and (hole == 0 or (at + hole) % BLOCK_BYTES == 0)


def _was_whole(line: bytes, seed: int) -> bool:
    """Whether a last line without a newline was complete: bytes follow a closing that fits."""
    for found in _CLOSING.finditer(line):
        crc = crc32(line[: found.start()], seed)
        rest = line[found.start() :]
        for closing in (_INNER % crc, _LAST % crc):
            if rest.startswith(closing[:-1]) and len(rest) >= len(closing):
                return True
    return False
