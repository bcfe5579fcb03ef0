"""The lines of a log file: JSON objects, each closed by a checksum of all that came before it.

    {"kind":"traded","index":3,…,"digest":"5f…","crc":"0d9c3b1e"}

The checksum of a line is the CRC-32 of every byte of its segment before the field `crc`, earlier
checksums included, and goes on from the checksum that closed the segment before. So a line can
be neither changed nor dropped unseen, and one CRC over any stretch of lines checks them all.
"""

from collections.abc import Callable, Iterable
from zlib import crc32

import msgspec

from ..errors import Damaged
from .entries import Entry, decode_entry

__all__ = [
    "FORMAT",
    "Boot",
    "Mark",
    "Segment",
    "Truncated",
    "Voted",
    "check_lines",
    "close_lines",
    "closing",
    "decode_line",
    "encode_mark",
    "resume",
    "sound_bytes",
    "was_whole",
]

FORMAT = 1
"""What a segment's header calls this way of writing."""


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


class Voted(msgspec.Struct, frozen=True, tag_field="kind", tag="vote"):
    """The replica's term, and its vote in it (0: none), from here on."""

    term: int
    vote: int


class Truncated(msgspec.Struct, frozen=True, tag_field="kind", tag="truncated"):
    """The entries after this index are void."""

    after: int


class Boot(msgspec.Struct, frozen=True, tag_field="kind", tag="boot"):
    """The replica started; what follows is written by this life of it."""

    boot: str


Mark = Segment | Voted | Truncated | Boot
"""A line that is not a log entry."""

_CLOSING = b',"crc":"%08x"}\n'
_CLOSING_BYTES = len(_CLOSING % 0)
_CRC_FIELD = _CLOSING[: _CLOSING.index(b"%")]
_MARK_KINDS = frozenset({"segment", "vote", "truncated", "boot"})


class _Kind(msgspec.Struct, frozen=True):
    kind: str


_encode = msgspec.json.Encoder().encode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_mark: Callable[[bytes], Mark] = msgspec.json.Decoder(Mark).decode


def encode_mark(mark: Mark) -> bytes:
    """A mark as `close_lines` takes it."""
    return _encode(mark)[:-1]


def decode_line(line: bytes) -> Entry | Mark:
    """Read a line, newline left out, whose checksum has been found right.

    Raises `Damaged` if it is none that this version writes.
    """
    record = line[: 1 - _CLOSING_BYTES] + b"}"
    try:
        if _decode_kind(record).kind in _MARK_KINDS:
            return _decode_mark(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"not a line of a log: {record[:80]!r}: {error}") from None
    return decode_entry(record)


def closing(crc: int) -> bytes:
    """How a line whose checksum is `crc` ends, newline included."""
    return _CLOSING % crc


def resume(crc: int) -> int:
    """The seed for the lines that follow, in the same file, one closed with `crc`.

    The first line of a file takes as its seed the last `crc` before it as it is.
    """
    return crc32(_CLOSING % crc, crc)


def close_lines(contents: Iterable[bytes], seed: int) -> tuple[bytes, int]:
    """Join `contents`, JSON objects without their last brace, into lines.

    Each grows by `len(closing(0))` bytes. Returns the lines and the checksum of the last.
    """
    parts: list[bytes] = []
    crc = 0
    for content in contents:
        crc = crc32(content, seed)
        end = _CLOSING % crc
        seed = crc32(end, crc)
        parts += (content, end)
    return b"".join(parts), crc


def check_lines(lines: bytes, seed: int) -> int | None:
    """The checksum of the last of these whole lines; None if any of them is damaged."""
    crc = crc32(memoryview(lines)[:-_CLOSING_BYTES], seed)
    return crc if lines[-_CLOSING_BYTES:] == _CLOSING % crc else None


def sound_bytes(lines: bytes, seed: int) -> int:
    """How many bytes of damaged `lines` come before the first damaged line."""
    start = 0
    while (end := lines.find(b"\n", start) + 1) > 0:
        crc = check_lines(lines[start:end], seed)
        if crc is None:
            break
        start, seed = end, resume(crc)
    return start


def was_whole(tail: bytes, seed: int) -> bool:
    """Whether a last line without its newline was whole once, and so is not a torn write.

    A write that was cut short leaves a beginning of what was to be written. So bytes after a
    closing that fits are not what was written there.
    """
    at = tail.find(_CRC_FIELD)
    while at >= 0:
        end = (_CLOSING % crc32(tail[:at], seed))[:-1]
        if tail.startswith(end, at) and len(tail) > at + len(end):
            return True
        at = tail.find(_CRC_FIELD, at + 1)
    return False
