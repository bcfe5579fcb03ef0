"""Whether a folder is the one that was written to, or a copy of it.

A copy is sound and tells of no damage, but what its replica voted and acknowledged after it was
made is not in it. It gives itself away by a small file that is made once and never written
again: the system says when its content or its entry last changed, and no copy can be given the
same answer. A whole disk that is put back is not told apart by this.
"""

import os
from pathlib import Path

from .files import sync_folder

__all__ = ["make_origin", "origin_of"]


def _path(folder: Path) -> Path:
    return folder / "origin"


def origin_of(folder: Path) -> str:
    """The name of `folder` among its copies; empty: it has none. Raises OSError."""
    try:
        found = _path(folder).stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_ino}-{found.st_ctime_ns}"


def make_origin(folder: Path) -> str:
    """Give `folder` a new name, durably, and return it. Raises OSError."""
    path = _path(folder)
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, b"Never changed: by this file a copy of this folder is told from it.\n")
        os.fsync(file)
    finally:
        os.close(file)
    sync_folder(folder)
    return origin_of(folder)
