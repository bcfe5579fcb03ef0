"""One process at a time in a folder: a lock that ends with the process that holds it."""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from twisted_bazaar.errors import Unusable

__all__ = ["Claim", "claim"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
"""Others may neither read what is kept, nor take the lock: to open its file is all that needs."""

log = Logger()


class Claim:
    """A claimed folder. It stays claimed until `release`, or the end of the process.

    The operating system drops the lock with the process, however that ends, so there is never
    a stale lock to clean up; the file itself stays, as removing it would let two processes
    lock two files of the same name.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the folder up. Harmless when it was given up already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim(folder: Path) -> Claim:
    """Create `folder` if need be, and its parents, and claim it for this process.

    Keep the result: the folder is free again when it is released. Only its owner may enter it
    from now on. Raises `Unusable` if another process has claimed it, with that one's process id,
    or if it cannot be created or written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        _close_to_others(folder, _FOLDER_MODE)
        # Not inherited by children, which would otherwise hold the lock after our death.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        _close_to_others(path, _FILE_MODE)
    except OSError as why:
        raise Unusable(f"folder {folder} cannot be used: {why.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise Unusable(f"folder {folder} is in use by process {holder or '?'}") from None
    except OSError as why:
        os.close(descriptor)
        raise Unusable(f"folder {folder} cannot be used: {why.strerror}") from None
    return Claim(folder, descriptor)


def _close_to_others(path: Path, mode: int) -> None:
    """Take from others than the owner of `path` what they may do with it, or warn that they may.

    What an earlier release or the operator has made may be open to them.
    """
    found = path.stat()
    before = stat.S_IMODE(found.st_mode)
    if not before & 0o077:
        return
    # A folder in which anybody may make files, as /tmp, is not ours to close.
    if found.st_uid == os.geteuid() and not before & stat.S_ISVTX:
        with suppress(OSError):
            path.chmod(mode)
            log.info("{path}: for its owner only; it was open to others", path=path)
            return
    log.warn(
        "{path}: open to others (mode {mode:o}), which cannot be helped here",
        path=path,
        mode=before,
    )
