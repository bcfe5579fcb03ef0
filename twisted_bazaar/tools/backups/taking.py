"""Takes a backup from the folder of a replica, while the replica runs or not.

A backup holds what is released: no entry in it can ever be undone. The index of the replica says
how far that is; it is behind by a moment.
"""

from collections.abc import Callable
from pathlib import Path

from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.storage.index import index_path, witness_in
from twisted_bazaar.storage.logfile import LogReader
from twisted_bazaar.storage.s3 import is_s3

from .file_format import BackupReader, BackupWriter, End, Start
from .places import opened, written

__all__ = ["end_of", "take"]

_CHUNK_ENTRIES = 4096


def take(folder: Path, place: str, since: str | None, milliseconds: Callable[[], int]) -> End:
    """Write what the replica in `folder` has released to `place`, a file or `s3://BUCKET/KEY`;
    with `since`, only what came after the backup there. Returns where it ends.

    Each entry is checked as it is read. Raises `Unusable` if the folder holds no log or a suspect
    one, if `since` is of another log, or if a place cannot be used, and `Damaged`.
    """
    begins = None if since is None else end_of(since)
    made = milliseconds()
    # The index first: the log goes on, and has what the index has.
    released = witness_in(index_path(folder))
    log = LogReader(folder)
    if log.suspect is not None:
        raise Unusable(f"{folder}: suspect, may lack orders: {log.suspect}")
    if released is None or released.index > log.last_index:
        raise Unusable(f"{folder}: nothing is released yet, or its index is made anew")
    if log.digest_at(released.index) != released.digest:
        raise Damaged(f"{folder}: entry {released.index} is another one than in its index")
    start = Start(cluster=log.cluster, after=0, number=0, digest=log.digest_at(0), made=made)
    term = at = 0
    if since is not None and begins is not None:
        if begins.index > released.index:
            raise Unusable(
                f"{since}: ends with entry {begins.index}, and {folder} with {released.index}"
            )
        if log.digest_at(begins.index) != begins.digest:
            raise Unusable(f"{since}: of another log than {folder}")
        start = Start(
            cluster=log.cluster,
            after=begins.index,
            number=begins.number,
            digest=begins.digest,
            made=made,
        )
        term, at = begins.term, begins.at
    if log.archive is not None and start.after < (lacking := log.archive.missing[0]):
        where = log.archive.where
        raise Unusable(f"{folder}: the entries up to {lacking} are not in {where}")
    _check_replaces_none(place, since, start, released.index)
    with written(place) as out:
        writer = BackupWriter(out, start, term, at)
        for after in range(start.after, released.index, _CHUNK_ENTRIES):
            writer.add(log.read(after, min(after + _CHUNK_ENTRIES, released.index)))
        return writer.finish()


def _check_replaces_none(place: str, since: str | None, start: Start, upto: int) -> None:
    """Raises `Unusable` if the backup that begins with `start` and ends with entry `upto` would
    replace one at `place` that holds what it does not: an increment the backup that it is since, or
    that of a replica that is behind a later one."""
    if is_s3(place):
        if place == since:
            raise Unusable(f"{place}: is what the increment follows")
        return
    if not Path(place).is_file() or not Path(place).stat().st_size:
        return
    with opened(place) as file:
        try:
            there = BackupReader(file, place)
            ends = there.last_line().index
        except Damaged:
            if since is None:
                return  # It holds nothing that can be restored.
            raise
    if since is not None and (there.start.after, there.start.digest) != (start.after, start.digest):
        raise Unusable(f"{place}: is there, and does not begin where {since} ends")
    if there.start.cluster == start.cluster and ends > upto:
        raise Unusable(f"{place}: is there, and ends with entry {ends}; this one with {upto}")


def end_of(place: str) -> End:
    """Where the backup at `place` ends, once all of it is checked."""
    with opened(place) as file:
        return BackupReader(file, place).read_through()
