"""The lines of a log file: JSON objects, each closed by a checksum of all that came before it.

    {"kind":"traded","index":3,…,"digest":"5f…","crc":"0d9c3b1e"}

The checksum of a line is the CRC-32 of every byte of its segment before the field `crc`, earlier
checksums included, and goes on from the checksum that closed the segment before. So a line can
be neither changed nor dropped unseen, and one CRC over any stretch of lines checks them all.

The last line of each write calls that field `end` instead. Whatever follows it was written only
once the disk had it, so nothing before it can be the rest of a write that was cut short.
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
    "decode_line",
    "encode_note",
    "is_torn",
    "resume",
    "sound_bytes",
]

FORMAT = 1
"""What a segment's header calls this way of writing."""

BLOCK_BYTES = 512
"""What a disk writes whole or not at all, at multiples of it."""


class Segment(msgspec.Struct, frozen=True, tag_field="kind", tag="segment"):
    """The first line of a file: what the files before it amount to."""

    format: int
    replica: int
    """Whose log this is."""
    position: int
    """Bytes in the files before this one; its name says the same."""
    index: int
    """Of the last entry before it."""
    digest: str
    """Of the history up to `index`."""
    term: int
    vote: int
    previous: str
    """The checksum of the last line before; `00000000` if there is none."""


class Voted(msgspec.Struct, frozen=True, tag_field="kind", tag="vote", omit_defaults=True):
    """The replica's term, and its vote in it (0: none), from here on."""

    term: int
    vote: int
    cluster: str = ""
    """The cluster that it is of, as long as no entry names it; empty: none is known."""


class Truncated(msgspec.Struct, frozen=True, tag_field="kind", tag="truncated"):
    """The entries after this index are void."""

    after: int


class Boot(msgspec.Struct, frozen=True, tag_field="kind", tag="boot"):
    """The replica started; what follows is written by this life of it."""

    boot: str


Note = Segment | Voted | Truncated | Boot
"""A line that is not a log entry."""

_INNER = b',"crc":"%08x"}\n'
_LAST = b',"end":"%08x"}\n'
"""How a line ends, and how the last one of a write does."""
_FINISHED = re.compile(rb',"end":"[0-9a-f]{8}"}\n')
"""No text in JSON looks like this: a quotation mark in it has a backslash."""
_CHECKSUM = slice(8, 16)
_CLOSING = re.compile(rb',"(?:crc|end)":"')
CLOSING_BYTES = len(_LAST % 0)
"""How much longer than its content a line is, but for the brace."""
_NOTE_KINDS = frozenset({"segment", "vote", "truncated", "boot"})


class _Kind(msgspec.Struct, frozen=True):
    kind: str


_encode = msgspec.json.Encoder().encode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_note: Callable[[bytes], Note] = msgspec.json.Decoder(Note).decode


def encode_note(note: Note) -> bytes:
    """A note as `close_lines` takes it."""
    return _encode(note)[:-1]


def decode_line(line: bytes) -> Entry | Note:
    """Read a line, newline left out, whose checksum has been found right.

    Raises `NotUnderstood` if this release does not know what it says, and `Damaged` if it is no
    line of any release.
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
    """Whether `closing` is that of a line whose checksum is `crc`."""
    return closing in (_INNER % crc, _LAST % crc)


def checksum(closing: bytes) -> int:
    """The checksum in the `closing` of a line. Raises ValueError if it is none."""
    return int(closing[_CHECKSUM], 16)


def resume(closing: bytes) -> int:
    """The seed for the lines that follow, in the same file, one that ends with `closing`.

    The first line of a file takes as its seed the last checksum before it as it is.
    """
    return crc32(closing, checksum(closing))


def close_lines(contents: Sequence[bytes], seed: int) -> tuple[bytes, bytes]:
    """Join `contents`, JSON objects without their last brace, into the lines of one write.

    Each grows by `CLOSING_BYTES`. Returns the lines and the closing of the last.
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
    """The closing of the last of these whole lines; None if any of them is damaged."""
    crc = crc32(memoryview(lines)[:-CLOSING_BYTES], seed)
    closing = lines[-CLOSING_BYTES:]
    return closing if closes(closing, crc) else None


def sound_bytes(lines: bytes, seed: int) -> int:
    """How many bytes of damaged `lines` come before the first damaged line."""
    start = 0
    while (end := lines.find(b"\n", start) + 1) > 0:
        closing = check_lines(lines[start:end], seed)
        if closing is None:
            break
        start, seed = end, resume(closing)
    return start


def is_torn(rest: bytes, at: int, before: bytes) -> bool:
    """Whether `rest` can be what a crash left of the last write; if not, it is damage.

    `rest` begins at byte `at` of its file, right after a sound line that ends with the closing
    `before`. Of a write that was cut short, the file may end anywhere, or the disk may have
    some blocks and not others, which are zeros then; and so is what was being cut off again
    when the power failed once more. Nothing was written after it.
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
    """Whether a last line without its newline had one once: bytes follow a closing that fits."""
    for found in _CLOSING.finditer(line):
        crc = crc32(line[: found.start()], seed)
        rest = line[found.start() :]
        for closing in (_INNER % crc, _LAST % crc):
            if rest.startswith(closing[:-1]) and len(rest) >= len(closing):
                return True
    return False
