"""Whether the log in a folder can be trusted, found out when it is opened for writing.

A log that may lack what its replica acknowledged is *suspect*. It is set aside whole, for a
person to look at, and a new one begins. The order of this is what makes it hold over a crash:

1. the damaged log is moved away, while the mark still tells of it;
2. the mark durably says that what is here is suspect, and why;
3. the new log begins.

Whoever opens the folder after a crash in between finds a log missing, or the verdict.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from twisted_bazaar.errors import Damaged, Unusable

from .files import sync_folder
from .mark import Mark, MarkFile, mark_path, read_mark
from .origin import make_origin, origin_of
from .recovery import Recovery
from .segments import Segments

__all__ = ["Witness", "log_path", "open_log"]

_NEW = "the folder is new"
_COPY = "the folder is a copy, or was put back from one: it may lack what came after"
_ROT = frozenset({errno.EIO, errno.EUCLEAN})
"""What the system answers when it cannot give back what it was given."""
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


class Witness(msgspec.Struct, frozen=True):
    """Something else that knows an entry to have been in the log."""

    name: str
    index: int
    digest: str
    """Names the history up to `index`."""


def log_path(folder: Path) -> Path:
    """Where the files of the log in `folder` are."""
    return folder / "log"


def open_log(folder: Path, replica: int, witness: Witness | None) -> tuple[Recovery, MarkFile]:
    """What the log in `folder` amounts to, and its mark, which says whether it is trusted.

    Raises `Unusable` if it is another replica's, and OSError.
    """
    log = log_path(folder)
    mark: Mark | None = None
    try:
        with _rot_is_damage(folder):
            mark = read_mark(folder)
        if mark is not None:
            recovery = _recover(log, replica, mark, witness)
            return recovery, _settle_origin(folder, MarkFile(folder, mark))
        _check_new(folder, witness)
        why = _NEW
    except Damaged as damage:
        if mark is None and log.is_dir():
            _check_owner(log, replica)
        why = f"{damage}{_set_aside(log)}"
    _make_folder(folder)
    mark = Mark(replica, suspect=why, fresh=why == _NEW, origin=make_origin(folder))
    file = MarkFile(folder, mark)
    file.replace(mark)
    return _recover(log, replica, mark, None), file


def _settle_origin(folder: Path, file: MarkFile) -> MarkFile:
    """See whether `folder`, whose log is sound, is a copy; its mark says so from here on."""
    mark = file.mark
    here = origin_of(folder)
    if mark.origin and mark.origin == here:
        return file
    suspect, copied = mark.suspect, mark.copied
    if mark.origin and suspect is None:
        suspect, copied = _COPY, True
    # First the new name: a crash in between leaves a folder that is taken for a copy.
    origin = make_origin(folder)
    file.replace(msgspec.structs.replace(mark, suspect=suspect, copied=copied, origin=origin))
    return file


def _recover(log: Path, replica: int, mark: Mark, witness: Witness | None) -> Recovery:
    if mark.replica != replica:
        raise Unusable(f"{log.parent}: the folder of replica {mark.replica}, not of {replica}")
    # The mark may have been put there by a process that was killed before it synced that.
    sync_folder(log.parent)
    if mark.position == 0:
        _make_folder(log)
    elif not log.is_dir():
        raise Damaged(f"{log}: is missing")
    _settle(log, mark)
    with _rot_is_damage(log):
        recovery = Recovery(log, replica, mark)
        if witness is not None:
            _check_witness(recovery, witness)
    return recovery


def _check_witness(recovery: Recovery, witness: Witness) -> None:
    log, last = recovery.segments.folder, recovery.places.last_index
    if last < witness.index:
        raise Damaged(f"{log}: ends with entry {last}, but {witness.name} with {witness.index}")
    if recovery.digest_at(witness.index) != witness.digest:
        raise Damaged(f"{log}: entry {witness.index} is another one than in {witness.name}")


def _settle(log: Path, mark: Mark) -> None:
    """See to it that what will be read is what is on disk.

    What a killed process had written, or made, is in the page cache and may not be on disk yet.
    What it failed to sync is in the page cache and may never be (Rebello et al., ATC 2020).
    """
    segments = Segments(log)
    for start in segments.starts[-1:]:
        file = os.open(segments.path(start), os.O_RDONLY)
        try:
            os.fdatasync(file)
            known = max(0, mark.position - start) // _PAGE_BYTES * _PAGE_BYTES
            os.posix_fadvise(file, known, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
    sync_folder(log)


def _check_new(folder: Path, witness: Witness | None) -> None:
    """See that a folder without a mark never had one. Raises `Damaged` if it had."""
    log = log_path(folder)
    if witness is not None or log.is_dir() or any(folder.glob(f"{log.name}.damaged-*")):
        raise Damaged(f"{mark_path(folder)}: is missing")


def _check_owner(log: Path, replica: int) -> None:
    """See that a log, damaged or not, is this replica's. Raises `Unusable` if it is not."""
    if not Segments(log).starts and any(log.iterdir()):
        raise Unusable(f"{log}: not the log of an order replica")
    try:
        with _rot_is_damage(log):
            Recovery(log, replica, None)
    except Damaged:
        pass


def _set_aside(log: Path) -> str:
    """Move a damaged log away for good, and say where it is now."""
    if not os.path.lexists(log):
        return ""
    places = (log.with_name(f"{log.name}.damaged-{number}") for number in count(1))
    place = next(place for place in places if not os.path.lexists(place))
    log.rename(place)
    sync_folder(log.parent)
    return f"; set aside as {place}"


def _make_folder(folder: Path) -> None:
    """Make `folder`, and what it lies in, and see to it that this outlives a crash."""
    folder.mkdir(0o700, parents=True, exist_ok=True)
    for parent in folder.parents:
        try:
            sync_folder(parent)
        except PermissionError:
            # Whoever may not even look into it has not just made anything in it.
            break


@contextmanager
def _rot_is_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _ROT:
            raise
        raise Damaged(f"{error.filename or path}: {error.strerror}") from error
