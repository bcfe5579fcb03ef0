"""Makes the folders of the replicas of a new bazaar from backups.

A restored bazaar is another cluster than the one before, though its orders are the same: it has
another name, its first entry says so, and therefore all digests are others. So nothing of before
can be taken for something of it, or the other way round: no replica that still runs, no catalog,
no cached quote, no position in a stream.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import msgspec

from twisted_bazaar.consensus.entries import (
    GENESIS,
    Entry,
    MemberInfo,
    Members,
    Opened,
    encode_entry,
    rechained,
)
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Traded
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.storage.files import sync_folder
from twisted_bazaar.storage.logfile import LogFile

from .file_format import BackupReader
from .places import opened
from .until import Until

__all__ = ["Restored", "restore"]


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored."""

    cluster: str
    last_index: int
    last_number: int
    digest: str
    """Names the new history."""


def restore(
    places: Sequence[str],
    data: Path,
    replicas: Sequence[int],
    until: Until,
    random: Random,
    cluster: str = "",
    only: int | None = None,
) -> Restored:
    """Make `data`/order-N for each N of `replicas`, the ids of all replicas of the new bazaar, from
    the backup at the first of `places` and the increments at the others, in their order. With
    `only`, one of `replicas`, just that one's folder is made, and it is `data`.

    `cluster` names the new bazaar; empty: at random. The same backups, ids and name make the same
    logs, so that each machine can make its own. A folder appears when it is whole: what is left of
    an attempt that failed is removed by the next one.

    Raises `Unusable` if a folder is there already, if the backups do not follow one another, or if
    they do not reach `until`, if they are of a bazaar named `cluster`, or if the disk fails, and
    `Damaged` if one is not as it was written.
    """
    try:
        return _restore(places, data, replicas, until, random, cluster, only)
    except OSError as error:
        raise Unusable(f"{data}: {error}") from error


def _restore(
    places: Sequence[str],
    data: Path,
    replicas: Sequence[int],
    until: Until,
    random: Random,
    cluster: str,
    only: int | None,
) -> Restored:
    cluster = cluster or f"{random.getrandbits(64):016x}"
    members = tuple(sorted(replicas))
    if only is not None:
        return _restore_one(places, data, members, only, until, random, cluster)
    folders = {number: data / f"order-{number}" for number in members}
    for folder in data.glob("order-*"):
        if any(folder.iterdir()):
            raise Unusable(f"{folder}: is not empty; restore into another folder")
    aside = data / ".restoring"
    # Another attempt may be under way. What one has left that was killed goes.
    claimed = claim(aside)
    try:
        _empty(aside)
        for folder in folders.values():
            # It may be a link, or a disk of its own: then nothing is begun.
            with suppress(FileNotFoundError):
                folder.rmdir()
        made = {number: aside / folder.name for number, folder in folders.items()}
        restored = _write(places, made, members, until, cluster, random)
        for number, folder in folders.items():
            made[number].rename(folder)
        sync_folder(data)
        return restored
    finally:
        # It may have filled the disk.
        shutil.rmtree(aside, ignore_errors=True)
        claimed.release()


def _empty(aside: Path) -> None:
    for left in aside.glob("order-*"):
        shutil.rmtree(left)


def _restore_one(
    places: Sequence[str],
    folder: Path,
    members: tuple[int, ...],
    only: int,
    until: Until,
    random: Random,
    cluster: str,
) -> Restored:
    """Make the folder of one replica where it is to be. One that is cut short is suspect, until its
    last line is written, and is not empty then."""
    if only not in members:
        raise Unusable(f"there is no replica {only} of {len(members)}")
    if folder.exists() and any(folder.iterdir()):
        raise Unusable(f"{folder}: is not empty; restore into another folder")
    was_there = folder.exists()
    try:
        return _write(places, {only: folder}, members, until, cluster, random)
    except BaseException:
        for each in folder.glob("*"):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        if folder.exists() and not was_there:
            folder.rmdir()
        raise


def _write(
    places: Sequence[str],
    folders: Mapping[int, Path],
    members: tuple[int, ...],
    until: Until,
    cluster: str,
    random: Random,
) -> Restored:
    ledger = Ledger()
    digest, index, term, at = GENESIS, 0, 0, 0
    with ExitStack() as stack:
        logs = [LogFile(folder, number, random) for number, folder in folders.items()]
        for log in logs:
            stack.callback(log.close)
        for chunk in _entries(places, until, cluster):
            renamed: list[Entry] = []
            for entry in chunk:
                new = _of_cluster(entry, digest, cluster, members)
                _apply(ledger, new)
                digest, index, term, at = new.digest, new.index, new.term, new.at_milliseconds
                renamed.append(new)
            for log in logs:
                log.write(Write(term, 0, None, tuple(renamed), cluster=cluster))
        if not index:
            raise Unusable("nothing is restored: it would be an empty bazaar")
        # A term of its own: no leader has made this entry.
        now = Members(tuple(map(MemberInfo, members)))
        last = encode_entry(digest, index + 1, term + 1, at, now)
        for log in logs:
            log.write(Write(term + 1, 0, None, (last,), trusted=True, cluster=cluster))
    return Restored(
        cluster=cluster,
        last_index=last.index,
        last_number=ledger.last_number,
        digest=last.digest,
    )


def _entries(places: Sequence[str], until: Until, cluster: str) -> Iterator[Sequence[Entry]]:
    """The entries of all backups up to `until`, in order. None may be of `cluster`."""
    index, number, digest = 0, 0, GENESIS
    ended = False
    for place in places:
        with opened(place) as file:
            backup = BackupReader(file, place)
            start = backup.start
            if start.cluster == cluster:
                raise Unusable(f"{place}: of bazaar {cluster}; the new one needs another name")
            if (start.after, start.digest) != (index, digest):
                before = f"the backup before it ends with entry {index}" if index else "none is"
                raise Unusable(f"{place}: goes on after entry {start.after}, and {before}")
            for chunk in backup:
                kept: list[Entry] = []
                for entry in chunk:
                    ended = ended or number == until.number or _is_late(entry, until)
                    if ended:
                        break
                    number = entry.event.number if isinstance(entry.event, Traded) else number
                    kept.append(entry)
                if kept:
                    yield kept
            # Also what is not restored is read: it shows whether the backup is whole.
            assert backup.end is not None
            index, digest = backup.end.index, backup.end.digest
    if until.number is not None and number < until.number:
        raise Unusable(f"the backups end with order {number}, before {until.number}")


def _is_late(entry: Entry, until: Until) -> bool:
    return until.at is not None and entry.at_milliseconds > until.at


def _of_cluster(entry: Entry, previous: str, cluster: str, members: tuple[int, ...]) -> Entry:
    """`entry` in the log of `cluster`, after the history that `previous` names."""
    event = entry.event
    if isinstance(event, Opened):
        event = msgspec.structs.replace(event, cluster=cluster, members=members)
    elif isinstance(event, Members):
        event = Members(tuple(map(MemberInfo, members)))
    else:
        return rechained(previous, entry)
    return encode_entry(previous, entry.index, entry.term, entry.at_milliseconds, event)


def _apply(ledger: Ledger, entry: Entry) -> None:
    try:
        ledger.apply(entry.index, entry.event)
    except InvariantBroken as error:
        raise Damaged(f"the backup: {error}") from None
