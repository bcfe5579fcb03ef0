"""Decides, when a log is opened for writing, whether it can be trusted.

A log that may lack what its replica has acknowledged is *suspect*. A damaged log is set aside
whole, for the operator, and a new one begins. The order of the steps makes this safe over a crash:

1. the damaged log is renamed, while the mark still says that there was one;
2. the mark durably says that the log here is suspect, and why;
3. the new log begins.

After a crash in between, the next start finds that the log is missing, or that it is suspect.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from twisted_bazaar.errors import Damaged, Unusable

from .beginning import begin_path
from .files import sync_folder
from .mark import Mark, MarkFile, mark_path, read_mark
from .origin import make_origin, origin_of
from .recovery import Recovery
from .segments import Segments

__all__ = ["Witness", "log_path", "open_log"]

_NEW = "the folder is new"
_COPY = "the folder is a copy, or was put back from one: it may lack what came after"
_ROT = frozenset({errno.EIO, errno.EUCLEAN})
"""The errors of a disk that cannot read what was written to it."""
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


class Witness(msgspec.Struct, frozen=True):
    """Another file, which knows that an entry was in the log."""

    name: str
    index: int
    digest: str
    """Names the history up to `index`."""


def log_path(folder: Path) -> Path:
    """The folder of the log's files, in `folder`."""
    return folder / "log"


def open_log(folder: Path, replica: int, witness: Witness | None) -> tuple[Recovery, MarkFile]:
    """The state of the log in `folder`, and its mark, which says whether it is trusted.

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
    """If `folder`, whose log is sound, is a copy, make its mark say so, durably."""
    mark = file.mark
    here = origin_of(folder)
    if mark.origin and mark.origin == here:
        return file
    suspect, copied = mark.suspect, mark.copied
    if mark.origin and suspect is None:
        suspect, copied = _COPY, True
    # First the new name: after a crash in between, the folder is taken for a copy, which is safe.
    origin = make_origin(folder)
    file.replace(msgspec.structs.replace(mark, suspect=suspect, copied=copied, origin=origin))
    return file


def _recover(log: Path, replica: int, mark: Mark, witness: Witness | None) -> Recovery:
    if mark.replica != replica:
        raise Unusable(f"{log.parent}: the folder of replica {mark.replica}, not of {replica}")
    # The process that put the mark there may have been killed before it synced the folder.
    sync_folder(log.parent)
    if mark.position == 0:
        _make_folder(log)
    elif not log.is_dir():
        raise Damaged(f"{log}: is missing")
    _settle(log, mark)
    with _rot_is_damage(log):
        recovery = Recovery(log, replica, mark, writable=True)
        if witness is not None:
            _check_witness(recovery, witness)
    return recovery


def _check_witness(recovery: Recovery, witness: Witness) -> None:
    log, last = recovery.segments.folder, recovery.places.last_index
    if last < witness.index:
        raise Damaged(f"{log}: ends with entry {last}, but {witness.name} with {witness.index}")
    if witness.index < recovery.begins.before.index:
        return  # That is to be looked for in the archive.
    if recovery.digest_at(witness.index) != witness.digest:
        raise Damaged(f"{log}: entry {witness.index} is another one than in {witness.name}")


def _settle(log: Path, mark: Mark) -> None:
    """Make sure that what will be read is on disk.

    What a killed process has written is in the page cache and may not be on disk yet. What it
    failed to sync is in the page cache and may never be on disk (Rebello et al., ATC 2020).
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
    """Raises `Damaged` if a folder without a mark has had one."""
    log = log_path(folder)
    if witness is not None or log.is_dir() or any(folder.glob(f"{log.name}.damaged-*")):
        raise Damaged(f"{mark_path(folder)}: is missing")


def _check_owner(log: Path, replica: int) -> None:
    """Raises `Unusable` if a log, damaged or not, is of another replica."""
    if not (Segments(log).starts or begin_path(log).exists()) and any(log.iterdir()):
        raise Unusable(f"{log}: not the log of an order replica")
    try:
        with _rot_is_damage(log):
            Recovery(log, replica, None)
    except Damaged:
        pass


def _set_aside(log: Path) -> str:
    """Rename a damaged log, durably, and return where it is now, in words."""
    if not os.path.lexists(log):
        return ""
    places = (log.with_name(f"{log.name}.damaged-{number}") for number in count(1))
    place = next(place for place in places if not os.path.lexists(place))
    log.rename(place)
    sync_folder(log.parent)
    return f"; set aside as {place}"


def _make_folder(folder: Path) -> None:
    """Make `folder` and its parents, durably."""
    folder.mkdir(0o700, parents=True, exist_ok=True)
    for parent in folder.parents:
        try:
            sync_folder(parent)
        except PermissionError:
            # A folder that this user may not read is not one that was just made.
            break


@contextmanager
def _rot_is_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _ROT:
            raise
        raise Damaged(f"{error.filename or path}: {error.strerror}") from error
