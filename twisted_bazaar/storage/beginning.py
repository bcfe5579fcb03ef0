"""The file beside the segments of a log that says where the log begins.

    <folder>/log/begin

It is replaced whole, durably, and that is the moment at which entries leave the log: segments that
begin earlier are not of the log from then on, and are deleted. Where there is no such file, the log
begins with entry 1.
"""

from pathlib import Path

import msgspec

from twisted_bazaar.consensus.beginning import WHOLE, Beginning
from twisted_bazaar.errors import Damaged, NotUnderstood

from .files import replace_file, sync_folder
from .lines import CLOSING_BYTES, check_lines, close_lines

__all__ = [
    "FORMAT",
    "LogBeginning",
    "archive_of",
    "begin_path",
    "read_beginning",
    "read_from",
    "text_of",
    "write_beginning",
]

FORMAT = 1


class LogBeginning(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log begins, and its state there."""

    format: int = FORMAT
    replica: int = 0
    position: int = 0
    """Bytes before the first segment: where that begins."""
    term: int = 0
    vote: int = 0
    previous: str = ""
    """The checksum of the line before; empty: there is none."""
    archive: str = ""
    """Where the entries before are; empty: in the folder of the replica."""
    before: Beginning = WHOLE
    """What is known of the entries before."""


class _Version(msgspec.Struct, frozen=True):
    format: int


def begin_path(log: Path) -> Path:
    """Where the beginning of a log is."""
    return log / "begin"


def read_beginning(log: Path) -> LogBeginning | None:
    """Where the log in the folder `log` begins; None: with entry 1. Raises as `read_from` does."""
    return read_from(begin_path(log))


def read_from(path: Path) -> LogBeginning | None:
    """The beginning of a log that `text_of` made of it is in the file `path`; None: there is no
    file.

    Raises `Damaged` if the file is not as it was written, `NotUnderstood` if a newer release wrote
    it, and OSError.
    """
    try:
        line = path.read_bytes()
    except FileNotFoundError:
        return None
    if line.count(b"\n") != 1 or check_lines(line, 0) is None:
        raise Damaged(f"{path}: the checksum does not fit")
    record = line[:-CLOSING_BYTES] + b"}"
    try:
        version = msgspec.json.decode(record, type=_Version).format
        if version != FORMAT:
            raise NotUnderstood(f"{path}: format {version} is not known to this release")
        return msgspec.json.decode(record, type=LogBeginning)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{path}: {error}") from None


def text_of(beginning: LogBeginning) -> bytes:
    """The content of a file that says where a log begins."""
    return close_lines([msgspec.json.encode(beginning)[:-1]], 0)[0]


def write_beginning(log: Path, beginning: LogBeginning) -> None:
    """The log in the folder `log` begins there from now on, over any crash. Raises OSError."""
    replace_file(begin_path(log), text_of(beginning))
    sync_folder(log)


def archive_of(log: Path, place: str) -> str:
    """Where the archive of the log in the folder `log` is: at `place`, and the log says so from now
    on, durably; or, if that is empty, where the log says. Raises OSError, and `NotUnderstood`."""
    try:
        begins = read_beginning(log)
    except Damaged:
        return place  # The log is set aside.
    if begins is None or not place or begins.archive == place:
        return place or (begins.archive if begins else "")
    write_beginning(log, msgspec.structs.replace(begins, archive=place))
    return place
