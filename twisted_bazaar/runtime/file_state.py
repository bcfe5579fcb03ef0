"""Whether a file has changed, for those who read it again then."""

from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

__all__ = ["FileState", "file_state"]


class FileState(NamedTuple):
    """Another one once a file has been written or replaced."""

    changed_at: int
    size: int
    """Bytes."""
    inode: int
    is_regular: bool
    """Whether it is neither a folder, nor a pipe or another thing that reading may wait for."""


def file_state(path: Path) -> FileState | None:
    """That of the file at `path`, by one call of the system; None: it cannot be looked at.

    Take it before the file is read: what is written meanwhile then shows in the next one.
    """
    try:
        known = path.stat()
    except OSError:
        return None
    return FileState(known.st_mtime_ns, known.st_size, known.st_ino, S_ISREG(known.st_mode))
