"""The mark beside an order log: how much of the log is surely on disk, and whether it is trusted.

    {"position":"00000000000000012345","last":"0d9c3b1e","end":"…"}
    {"replica":3,"suspect":null,"fresh":false,"origin":"…","format":1,"end":"…"}

Bytes missing at the end of a log look like a torn write, though they may have been acknowledged.
The first line says how much was there. It is overwritten after each write to the log, once that
is on disk, and never synced itself. So after a crash of the process it is exact, as the page
cache survives that; after a loss of power it may be behind the log; and it is never ahead of it.
It lies in the first block of the file, which a disk writes whole or not at all.

The second line changes rarely: then the file is replaced whole, durably. In each format the last
line says which it is, so that a release refuses what a newer one wrote, and does not take it for
damaged.
"""

import os
from pathlib import Path

import msgspec

from twisted_bazaar.errors import Damaged, NotUnderstood

from .files import replace_file, sync_folder
from .lines import BLOCK_BYTES, CLOSING_BYTES, check_lines, close_lines

__all__ = ["Mark", "MarkFile", "mark_path", "read_mark"]

FORMAT = 1
"""The version of this format. Releases that wrote none wrote this one."""
_READS = 3
"""How often the mark is read: a running replica may be overwriting it."""


class _Position(msgspec.Struct, frozen=True):
    position: str
    last: str


class _State(msgspec.Struct, frozen=True):
    replica: int
    suspect: str | None
    fresh: bool
    copied: bool = False
    origin: str = ""
    format: int = FORMAT


class _Version(msgspec.Struct, frozen=True):
    format: int = FORMAT


class Mark(msgspec.Struct, frozen=True):
    """What the mark says of a log."""

    replica: int
    """The replica that owns the log."""
    suspect: str | None
    """Why the log may lack what the replica acknowledged; None: it is trusted."""
    fresh: bool
    """Whether the log is suspect only because the folder was new."""
    position: int = 0
    """The log is on disk up to here."""
    checksum: int = 0
    """The checksum of the last line before `position`."""
    copied: bool = False
    """Whether the log is suspect only because the folder is a copy."""
    origin: str = ""
    """Names the folder that the mark was written in (`origin.py`); empty: not recorded."""


_encode = msgspec.json.encode
_decode_position = msgspec.json.Decoder(_Position, strict=True).decode
_decode_version = msgspec.json.Decoder(_Version, strict=True).decode
_decode_state = msgspec.json.Decoder(_State, strict=True).decode


def mark_path(folder: Path) -> Path:
    """Where the mark of the log in `folder` is."""
    return folder / "mark"


def read_mark(folder: Path) -> Mark | None:
    """The mark in `folder`; None: there is none. Raises `Damaged` if it is not as it was written,
    and `NotUnderstood` if it is of a newer format.

    Fields that a newer release may have added without that are ignored.
    """
    path = mark_path(folder)
    for attempt in range(_READS):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            _check_format(path, text)
            return _decode(text)
        except (ValueError, msgspec.DecodeError) as error:
            if attempt == _READS - 1:
                raise Damaged(f"{path}: {error}") from None
    raise AssertionError


class MarkFile:
    """Writes the mark in `folder`, for the one process that writes the log. Raises OSError."""

    def __init__(self, folder: Path, mark: Mark) -> None:
        self.mark = mark
        """The content of the file, except for its position."""
        self._path = mark_path(folder)
        self._file: int | None = None

    def advance(self, position: int, checksum: int) -> None:
        """The log is on disk up to `position`, and its last line has `checksum`."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY)
        os.pwrite(self._file, _encode_position(position, checksum), 0)

    def replace(self, mark: Mark) -> None:
        """Replace the mark, durably: when this returns, it survives any crash."""
        self.close()
        replace_file(
            self._path, _encode_position(mark.position, mark.checksum) + _encode_state(mark)
        )
        sync_folder(self._path.parent)
        self.mark = mark

    def close(self) -> None:
        """Close the file; `advance` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _encode_position(position: int, checksum: int) -> bytes:
    return close_lines([b'{"position":"%020d","last":"%08x"' % (position, checksum)], 0)[0]


_POSITION_BYTES = len(_encode_position(0, 0))
assert _POSITION_BYTES <= BLOCK_BYTES


def _encode_state(mark: Mark) -> bytes:
    state = _State(mark.replica, mark.suspect, mark.fresh, mark.copied, mark.origin)
    return close_lines([_encode(state)[:-1]], 0)[0]


def _check_format(path: Path, text: bytes) -> None:
    """Raises `NotUnderstood` if the last line is sound, and says a newer format."""
    line = text[text.rfind(b"\n", 0, -1) + 1 :]
    if check_lines(line, 0) is None:
        return
    version = _decode_version(line[:-CLOSING_BYTES] + b"}").format
    if version > FORMAT:
        raise NotUnderstood(f"{path}: format {version} is not known to this release")


def _decode(text: bytes) -> Mark:
    lines = text[:_POSITION_BYTES], text[_POSITION_BYTES:]
    for number, line in enumerate(lines, 1):
        if check_lines(line, 0) is None or line.count(b"\n") != 1:
            raise ValueError(f"line {number}: the checksum does not fit")
    where, what = (line[:-CLOSING_BYTES] + b"}" for line in lines)
    position, state = _decode_position(where), _decode_state(what)
    return Mark(
        state.replica,
        state.suspect,
        state.fresh,
        int(position.position),
        int(position.last, 16),
        state.copied,
        state.origin,
    )
