"""A lock on a folder, which ends with the process that holds it."""

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
"""Other users may neither read the files nor open the lock, which is all that taking it needs."""

log = Logger()


class Claim:
    """A claimed folder. It stays claimed until `release`, or the end of the process.

    The system drops the lock with the process, so there is never a stale lock to clean up. The
    file stays: without it two processes could lock two files of the same name.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give up the claim. Harmless the second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim(folder: Path) -> Claim:
    """Claim `folder` for this process, and create it and its parents if they are missing.

    From now on only its owner may enter it. Raises `Unusable` if it cannot be created or written,
    or if another process has claimed it, whose process id is in the text.
    """
    path = folder / "lock"
    try:
        folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        _close_to_others(folder, _FOLDER_MODE)
        # Not inherited: a child would hold the lock after the death of this process.
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
    """Take all access to `path` from other users, or log a warning that they have it.

    An earlier release, or the operator, may have made it open to them.
    """
    found = path.stat()
    before = stat.S_IMODE(found.st_mode)
    # To pass through is no access: that is the way of an engine's user to its own files.
    if not before & 0o066:
        return
    # A shared folder such as /tmp, which has the sticky bit, stays open.
    if found.st_uid == os.geteuid() and not before & stat.S_ISVTX:
        with suppress(OSError):
            path.chmod(mode)
            log.info("{folder}: for its owner only; it was open to others", folder=path)
            return
    log.warn(
        "{folder}: open to other users (mode {mode:o}), which this service cannot change",
        folder=path,
        mode=before,
    )
