"""Tells a copy of a folder from the folder itself.

A copy is sound, but lacks what its replica has voted and acknowledged since. It is recognised by
a small file that is made once and never written again: its inode number and the time of its last
change (ctime), which a copy cannot be given. A whole disk that is restored is not recognised.
"""

import os
from pathlib import Path

from .files import sync_folder

__all__ = ["make_origin", "origin_of"]


def _path(folder: Path) -> Path:
    return folder / "origin"


def origin_of(folder: Path) -> str:
    """The name of `folder`, which no copy of it has; empty: none yet. Raises OSError."""
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
