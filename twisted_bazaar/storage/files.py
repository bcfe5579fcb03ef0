"""Files that are replaced whole, and folders whose names are durable. Everything raises OSError."""

import fcntl
import os
from contextlib import suppress
from glob import escape
from pathlib import Path

__all__ = ["claim_unfinished", "remove_unfinished", "replace_file", "sync_folder", "write_all"]


def replace_file(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Make `path` a file of its owner's that holds `content`.

    The content is written to a file beside it, which is then renamed: a reader of `path` finds
    the old file or the new one, whole. With `sync` that holds after a loss of power, too, and
    `sync_folder` makes sure that it is the new one.
    """
    new = path.with_suffix(".new")
    # What a crash has left may be readable by other users, and would stay so.
    new.unlink(missing_ok=True)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(file, content)
        if sync:
            os.fsync(file)
    finally:
        os.close(file)
    os.replace(new, path)


def write_all(file: int, data: bytes) -> None:
    """Write `data` to a descriptor, in as many pieces as the system takes."""
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, memoryview(data)[written:])


def sync_folder(folder: Path) -> None:
    """Make durable which files are in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def claim_unfinished(file: int) -> None:
    """The file, open at a descriptor, is being made until that is closed: `remove_unfinished`
    leaves it alone, where the disk knows locks."""
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def remove_unfinished(folder: Path, before: str, after: str = "") -> None:
    """Remove the files in `folder` whose names begin and end so, and which no process makes: those
    who made them were killed. Raises nothing: they only take room."""
    for path in folder.glob(f"{escape(before)}*{escape(after)}"):
        with suppress(OSError):
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(file)
