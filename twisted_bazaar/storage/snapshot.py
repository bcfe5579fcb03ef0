"""A snapshot in place of a log and its index: the index of another replica, and where the log
begins.

    <folder>/snapshot/index.sqlite
    <folder>/snapshot/ready

The index comes in parts, which are written aside. Once it is whole and checked, and the replica
answers nothing any more, the file `ready` says durably that it is to be used. Then the index is
renamed, the log durably begins after the entry that it is as of, and the folder goes. After a crash
in between, the next start goes on where this one was: each step can be made again.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from twisted_bazaar.consensus.beginning import Beginning

from .beginning import LogBeginning, read_beginning, read_from, text_of, write_beginning
from .files import replace_file, sync_folder
from .index import index_path, witness_in
from .linked_keys import keys_are_linked
from .mark import read_mark
from .recovery import Recovery
from .trust import log_path

__all__ = ["Incoming", "install_snapshot", "use_snapshot"]


class Incoming:
    """A snapshot that is on its way. Everything blocks, and raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "snapshot"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(0o700)
        self._file = os.open(index_path(self._folder), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def add(self, offset: int, data: bytes) -> None:
        """The next part."""
        os.pwrite(self._file, data, offset)

    def check(self, beginning: Beginning) -> str | None:
        """It is whole, and on disk. Why it is not good; None: it is."""
        os.fsync(self._file)
        self.close()
        witness = witness_in(index_path(self._folder))
        if witness is None or not keys_are_linked(index_path(self._folder)):
            return "its sums do not fit"
        if (witness.index, witness.digest) != (beginning.index, beginning.digest):
            return f"it is as of entry {witness.index}, not of {beginning.index}"
        return None

    def close(self) -> None:
        """Harmless the second time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def drop(self) -> None:
        """It is not to be used."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def use_snapshot(folder: Path, beginning: Beginning, archive: str) -> None:
    """The next start in `folder` uses the snapshot there, durably. Raises OSError."""
    ready = LogBeginning(before=beginning, archive=archive)
    sync_folder(folder / "snapshot")
    replace_file(folder / "snapshot" / "ready", text_of(ready))
    sync_folder(folder / "snapshot")
    sync_folder(folder)


def install_snapshot(folder: Path, replica: int) -> int:
    """Put the snapshot in `folder` in place of log and index, if one is to be used. Returns the
    entry that the log begins after now; 0: there is no such snapshot.

    Term and vote stay, and so does what the mark says. Raises OSError, and what `Recovery` raises.
    """
    aside = folder / "snapshot"
    ready = read_from(aside / "ready")
    if ready is None:
        shutil.rmtree(aside, ignore_errors=True)
        return 0
    log = log_path(folder)
    known = read_beginning(log)
    # Those of the index before: SQLite would apply them to this one.
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{index_path(folder)}{suffix}")
    if index_path(aside).exists():
        os.replace(index_path(aside), index_path(folder))
    sync_folder(folder)
    if known is None or known.before != ready.before:
        state = Recovery(log, replica, read_mark(folder))
        begins = msgspec.structs.replace(
            ready,
            replica=replica,
            # Beyond all that is there, also beyond a write that was cut short.
            position=state.end + state.torn + 1,
            term=state.term,
            vote=state.vote,
            previous=f"{state.checksum:08x}",
        )
        write_beginning(log, begins)
    os.unlink(aside / "ready")
    sync_folder(aside)
    shutil.rmtree(aside, ignore_errors=True)
    sync_folder(folder)
    return ready.before.index
