"""`--keep` and `--archive`: how much of the log stays when segments leave it, and where they go."""

import re
from pathlib import Path

from twisted_bazaar.storage.leaving import Keep
from twisted_bazaar.storage.s3 import is_s3

__all__ = ["KEEP_HELP", "archive_place", "bytes_of", "keep_argument", "parse_keep"]

KEEP_HELP = (
    "What stays in the log at least when closed segments leave it for the archive: a size, as "
    "2GiB, or a number of entries. Without it, all does."
)
_UNITS = {"B": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40}
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?i?B)")


def bytes_of(text: str) -> int:
    """A size: a number and B, KiB, MiB, GiB or TiB. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"must be a size, as 64MiB, not {text!r}")
    return int(found[1]) << _UNITS[found[2].replace("i", "")]


def parse_keep(text: str) -> Keep:
    """Raises ValueError."""
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return Keep(entries=int(text))
    try:
        return Keep(bytes=bytes_of(text))
    except ValueError:
        raise ValueError(f"must be a size, as 2GiB, or a number of entries, not {text!r}") from None


def keep_argument(keep: Keep) -> str:
    """The text that `parse_keep` reads as `keep`."""
    return f"{keep.bytes}B" if keep.bytes else str(keep.entries)


def archive_place(text: str) -> str:
    """s3://BUCKET/PREFIX, or a folder, of which the absolute path is returned; empty: none is
    named. Raises ValueError."""
    if not text or is_s3(text):
        return text
    if not text.strip() or "\0" in text:
        raise ValueError(f"must be a folder or s3://BUCKET/PREFIX, not {text!r}")
    return str(Path(text).absolute())
