"""What a backup holds, how damage to it is noticed, and what is restored from it."""

import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from unittest.mock import patch

import boto3
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.commands import run
from tests.fakes.histories import extend, history, ledger_of, opened, write
from tests.unit.storage.test_leaving import archive_all, log_in
from twisted_bazaar.consensus.entries import GENESIS, Entry, MemberInfo, Members, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, NotUnderstood, Unusable
from twisted_bazaar.market import Traded
from twisted_bazaar.runtime.folder_lock import claim
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile, LogReader
from twisted_bazaar.tools.backups.file_format import BackupReader, BackupWriter, End, Start
from twisted_bazaar.tools.backups.restoring import restore
from twisted_bazaar.tools.backups.taking import end_of, take
from twisted_bazaar.tools.backups.until import Until

ENTRIES = history(9)
NAME = "0123456789abcdef"


def written(entries: Sequence[Entry], since: End | None = None) -> bytes:
    """A backup of `entries`, which follow what `since` ends."""
    out = io.BytesIO()
    after, number, digest = (since.index, since.number, since.digest) if since else (0, 0, GENESIS)
    start = Start(cluster="c", after=after, number=number, digest=digest, made=7)
    writer = BackupWriter(out, start, term=since.term if since else 0, at=since.at if since else 0)
    writer.add(entries[:2])
    writer.add(entries[2:])
    writer.finish()
    return out.getvalue()


def read(content: bytes) -> tuple[list[Entry], End]:
    backup = BackupReader(io.BytesIO(content), "b")
    entries = [entry for piece in backup for entry in piece]
    assert backup.end is not None
    return entries, backup.end


def squeezed(text: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(text)


def test_a_backup_holds_the_entries_as_they_were() -> None:
    entries, end = read(written(ENTRIES))
    assert entries == ENTRIES
    last = ENTRIES[-1]
    assert end == End(
        index=last.index, number=9, term=1, at=last.at_milliseconds, digest=last.digest
    )


def test_an_increment_without_entries_ends_where_it_begins() -> None:
    _, end = read(written(ENTRIES))
    assert read(written([], end)) == ([], end)


@settings(deadline=None)
@given(st.data())
def test_no_damaged_backup_is_taken_for_a_whole_one(data: st.DataObject) -> None:
    whole = written(ENTRIES)
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = whole[:at]
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    longer = whole + data.draw(st.binary(min_size=1, max_size=40))
    for content in (cut, flipped, longer):
        try:
            entries, _ = read(content)
        except Damaged:
            continue
        # Of a frame that a decompressor skips, or of its header, nothing is taken.
        assert entries == ENTRIES


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: lines[1:],
        lambda lines: [],
    ],
)
def test_a_line_that_is_missing_or_elsewhere_is_damage(
    change: Callable[[list[bytes]], list[bytes]],
) -> None:
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(written(ENTRIES)).splitlines()
    content = b"".join(line + b"\n" for line in change(lines))
    with pytest.raises(Damaged):
        read(squeezed(content))


def test_a_backup_of_a_newer_release_is_refused() -> None:
    with pytest.raises(NotUnderstood, match="newer release"):
        read(squeezed(b'{"kind":"backup","format":2,"more":1}\n'))


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    """The folder of a replica whose index has the first 9 of all entries."""
    folder = tmp_path / "order-3"
    log(folder, ENTRIES, indexed=9)
    return folder


def log(folder: Path, entries: Sequence[Entry], indexed: int) -> None:
    with opened(folder) as file:
        file.write(Write(1, 3, None, tuple(entries), trusted=True))
        index = Index(folder / "index.sqlite", file)
        ledger = ledger_of(entries[:indexed])
        index.write(entries[:indexed], ledger.stocks.values(), ledger.last_number)
        index.close()


def test_a_backup_holds_only_what_is_released(replica: Path, tmp_path: Path) -> None:
    end = take(replica, str(tmp_path / "b"), None, lambda: 7)
    assert (end.index, end.digest) == (9, ENTRIES[8].digest)
    assert end_of(str(tmp_path / "b")) == end


def test_a_backup_that_fails_leaves_the_one_before(replica: Path, tmp_path: Path) -> None:
    place = tmp_path / "b"
    take(replica, str(place), None, lambda: 7)
    before = place.read_bytes()
    (segment,) = (replica / "log").glob("*0.jsonl")
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"kind":"traded"', b'"kind":"Traded"', 1))
    with pytest.raises(Damaged):
        take(replica, str(place), None, lambda: 7)
    assert place.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "order-3"]


def read_bytes(path: Path) -> bytes | int:
    """What is in a file, or which kind of another thing it is."""
    return path.read_bytes() if path.is_file() else path.stat().st_mode


@pytest.fixture
def taken(tmp_path: Path) -> dict[str, Path]:
    """Backups of every kind, and the data that they are of."""
    names = ("data", "empty", "backup", "increment", "other", "text", "cut", "pipe")
    files = {name: tmp_path / name for name in names}
    files["empty"].mkdir()
    log(files["data"] / "order-1", ENTRIES, indexed=3)
    another = extend([], [Opened(leader=2), *(entry.event for entry in ENTRIES[1:])])
    log(tmp_path / "another", another, indexed=3)
    take(tmp_path / "another", str(files["other"]), None, lambda: 7)
    take(files["data"] / "order-1", str(files["backup"]), None, lambda: 7)
    take(files["data"] / "order-1", str(files["increment"]), str(files["backup"]), lambda: 8)
    os.mkfifo(files["pipe"])
    files["text"].write_text("a text\n")
    files["cut"].write_bytes(files["backup"].read_bytes()[:-20])
    return files


@pytest.mark.parametrize(
    ("why", "command"),
    [
        ("order-1: is not empty; restore into another folder", "restore {backup} {data}"),
        ("goes on after entry", "restore {increment} {empty}"),
        ("end with order 1, before 9", "restore {backup} {empty} --until 9"),
        ("no backup, or a damaged one", "restore {text} {empty}"),
        ("not a whole one", "restore {cut} {empty}"),
        ("No such file", "restore {empty}/none {empty}"),
        ("not the folder of an order replica", "backup {empty} {empty}/file"),
        ("of another log", "backup {data}/order-1 {empty}/file --since {other}"),
        ("does not begin where", "backup {data}/order-1 {backup} --since {backup}"),
        ("does not begin where", "backup {data}/order-1 {backup} --since {increment}"),
        ("no backup", "backup {data}/order-1 {text} --since {backup}"),
        ("is there, and no file", "backup {data}/order-1 {empty}"),
        ("is there, and no file", "backup {data}/order-1 {pipe}"),
    ],
)
def test_what_cannot_be_restored_is_one_line(
    taken: dict[str, Path], why: str, command: str
) -> None:
    before = {name: read_bytes(path) for name, path in taken.items()}
    ran = run(*command.format(**taken).split())
    assert (ran.returncode, ran.stdout) == (1, "")
    assert why in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(taken["empty"].iterdir())
    assert {name: read_bytes(path) for name, path in taken.items()} == before


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        place = {"LocationConstraint": "eu-central-1"}
        boto3.client("s3").create_bucket(Bucket="bazaar", CreateBucketConfiguration=place)
        yield "s3://bazaar/backups"


def test_a_backup_in_s3_is_restored(replica: Path, tmp_path: Path, bucket: str) -> None:
    end = take(replica, f"{bucket}/1", None, lambda: 7)
    take(replica, f"{bucket}/2", f"{bucket}/1", lambda: 8)
    made = restore([f"{bucket}/1", f"{bucket}/2"], tmp_path / "new", [1], Until(), Random(1))
    assert made.last_number == end.number
    with pytest.raises(Unusable, match="s3://bazaar/backups/3"):
        end_of(f"{bucket}/3")
    with pytest.raises(Unusable, match="must be s3://BUCKET/KEY"):
        end_of("s3://bazaar")


def restored(tmp_path: Path, entries: Sequence[Entry], until: Until | None = None) -> list[Entry]:
    """The log of a replica that is restored from a backup of `entries`."""
    (tmp_path / "backup").write_bytes(written(entries))
    data = tmp_path / "data"
    restore([str(tmp_path / "backup")], data, [1, 2, 3], until or Until(), Random(1), NAME)
    logs = [LogReader(data / f"order-{number}") for number in (1, 2, 3)]
    assert [reader.suspect for reader in logs] == [None] * 3
    first, *others = [list(reader.read(0, reader.last_index)) for reader in logs]
    assert others == [first, first]
    return first


def test_restored_orders_are_the_same_in_another_history(tmp_path: Path) -> None:
    new = restored(tmp_path, ENTRIES)
    assert [entry.event for entry in new[1:-1]] == [entry.event for entry in ENTRIES[1:]]
    assert not {entry.digest for entry in new} & {entry.digest for entry in ENTRIES}
    digest = GENESIS
    for entry in new:
        assert entry.follows(digest)
        digest = entry.digest


def test_a_restored_log_names_its_new_cluster_and_members_alone(tmp_path: Path) -> None:
    later = extend(
        ENTRIES,
        [
            Opened(leader=7, cluster="old", members=(5, 6, 7), name="n"),
            Members((MemberInfo(5, "a:1"), MemberInfo(9, "b:2", joining=True)), before=(5, 6)),
        ],
        term=4,
    )
    new = restored(tmp_path, [*ENTRIES, *later])
    now = Members((MemberInfo(1), MemberInfo(2), MemberInfo(3)))
    assert [entry.event for entry in new[-2:]] == [now, now]
    openings = [entry.event for entry in new if isinstance(entry.event, Opened)]
    assert {(event.cluster, event.members) for event in openings} == {(NAME, (1, 2, 3))}
    assert new[-1].term == 5, "a term in which no leader has made an entry"
    reader = LogReader(tmp_path / "data" / "order-2")
    assert (reader.cluster, reader.term, reader.vote) == (NAME, 5, 0)


@pytest.mark.parametrize(
    ("until", "last"),
    [
        (Until(number=4), 4),
        (Until(number=9), 9),
        (Until(at=ENTRIES[-3].at_milliseconds), 7),
        (Until(at=ENTRIES[-1].at_milliseconds + 5), 9),
    ],
)
def test_a_bazaar_is_restored_up_to_an_order_or_a_time(
    tmp_path: Path, until: Until, last: int
) -> None:
    new = restored(tmp_path, ENTRIES, until)
    orders = [entry.event for entry in new if isinstance(entry.event, Traded)]
    assert [order.number for order in orders] == list(range(1, last + 1))


def test_what_comes_after_the_last_order_is_not_restored(tmp_path: Path) -> None:
    more = extend(ENTRIES, [Opened(leader=2, cluster="c", members=(1, 2, 3))], term=2)
    assert len(restored(tmp_path, [*ENTRIES, *more], Until(number=9))) == len(ENTRIES) + 1


def test_an_increment_is_taken_again(taken: dict[str, Path]) -> None:
    since = str(taken["backup"])
    end = take(taken["data"] / "order-1", str(taken["increment"]), since, lambda: 9)
    assert end_of(str(taken["increment"])) == end


def test_a_replica_that_is_behind_replaces_no_later_backup(tmp_path: Path) -> None:
    place = str(tmp_path / "b")
    ahead, behind = tmp_path / "order-1", tmp_path / "order-2"
    log(ahead, ENTRIES, indexed=9)
    log(behind, ENTRIES, indexed=3)
    take(behind, place, None, lambda: 7)
    end = take(ahead, place, None, lambda: 8)
    with pytest.raises(Unusable, match="ends with entry 9; this one with 3"):
        take(behind, place, None, lambda: 9)
    assert end_of(place) == end
    # A damaged one holds nothing.
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(whole[:-9])
    assert take(behind, place, None, lambda: 10).index == 3


@pytest.mark.parametrize("words", ["--replicas ٣", "--replicas 1001", f"--until {'9' * 5000}"])
def test_a_number_that_is_none_is_a_wrong_argument(taken: dict[str, Path], words: str) -> None:
    ran = run("restore", taken["backup"], taken["empty"], *words.split())
    assert ran.returncode == 2
    assert "must be" in ran.stderr
    assert not list(taken["empty"].iterdir())


def test_a_folder_that_is_a_link_is_refused_before_anything_is_made(
    taken: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    (taken["empty"] / "order-2").symlink_to(tmp_path / "volume")
    ran = run("restore", taken["backup"], taken["empty"])
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert [path.name for path in taken["empty"].iterdir()] == ["order-2"]


def test_of_two_restores_at_once_one_is_refused(taken: dict[str, Path]) -> None:
    claimed = claim(taken["empty"] / ".restoring")
    ran = run("restore", taken["backup"], taken["empty"])
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "in use by process" in ran.stderr
    claimed.release()
    # As after a kill: what was made is removed.
    (taken["empty"] / ".restoring" / "order-7").mkdir()
    assert run("restore", taken["backup"], taken["empty"]).returncode == 0
    names = sorted(path.name for path in taken["empty"].iterdir())
    assert names == ["order-1", "order-2", "order-3"]


def test_a_restore_that_failed_is_begun_again(tmp_path: Path) -> None:
    whole = written(ENTRIES)
    (tmp_path / "backup").write_bytes(whole[:-9])
    data = tmp_path / "data"
    with pytest.raises(Damaged):
        restore([str(tmp_path / "backup")], data, [1], Until(), Random(1), NAME)
    assert not (data / "order-1").exists()
    (tmp_path / "backup").write_bytes(whole)
    restore([str(tmp_path / "backup")], data, [1], Until(), Random(1), NAME)
    with closing(LogFile(data / "order-1", 1, Random(2))) as file:
        assert (file.suspect, file.last_number) == (None, 9)


def test_one_replica_is_restored_in_its_own_folder_and_fits_the_others(tmp_path: Path) -> None:
    whole = restored(tmp_path, ENTRIES)
    folder = tmp_path / "volume"
    folder.mkdir()
    backup = str(tmp_path / "backup")
    restore([backup], folder, [1, 2, 3], Until(), Random(3), NAME, only=2)
    with closing(LogFile(folder, 2, Random(4))) as file:
        assert (file.suspect, file.cluster) == (None, NAME)
        assert list(file.read(0, file.last_index)) == whole
    with pytest.raises(Unusable, match="is not empty"):
        restore([backup], folder, [1, 2, 3], Until(), Random(3), NAME, only=2)
    with pytest.raises(Unusable, match="no replica 4 of 3"):
        restore([backup], tmp_path / "none", [1, 2, 3], Until(), Random(3), NAME, only=4)


def test_one_replica_of_a_damaged_backup_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(written(ENTRIES)[:-9])
    folder = tmp_path / "volume"
    folder.mkdir()
    with pytest.raises(Damaged):
        restore([str(tmp_path / "backup")], folder, [1], Until(), Random(1), NAME, only=1)
    assert not list(folder.iterdir())


def test_a_restored_bazaar_never_has_the_name_of_the_one_before(tmp_path: Path) -> None:
    """Else old catalogs and replicas would take its history for theirs."""
    out = io.BytesIO()
    start = Start(cluster=NAME, after=0, number=0, digest=GENESIS, made=7)
    writer = BackupWriter(out, start, term=0, at=0)
    writer.add(ENTRIES)
    writer.finish()
    (tmp_path / "old").write_bytes(out.getvalue())
    with pytest.raises(Unusable, match="the new one needs another name"):
        restore([str(tmp_path / "old")], tmp_path / "data", [1], Until(), Random(1), NAME)
    assert not (tmp_path / "data" / "order-1").exists()


def test_a_disk_that_is_full_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "backup").write_bytes(written(ENTRIES))
    data = tmp_path / "data"
    places = [str(tmp_path / "backup")]
    calls: list[int] = []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with patch("os.fdatasync", full), pytest.raises(Unusable, match="No space left"):
        restore(places, data, [1], Until(), Random(1), NAME)
    assert not (data / "order-1").exists()
    assert restore(places, data, [1], Until(), Random(1), NAME).last_number == 9


def test_a_restore_that_is_interrupted_leaves_nothing(taken: dict[str, Path]) -> None:
    with patch("os.fdatasync", side_effect=KeyboardInterrupt):
        ran = run("restore", taken["backup"], taken["empty"])
    assert (ran.returncode, ran.stderr) == (130, "restore: interrupted\n")
    assert not list(taken["empty"].iterdir())


def test_entries_that_a_replica_lacks_are_said_to_be_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "order-3"
    with log_in(folder) as file:
        for entry in ENTRIES:
            write(file, [entry])
        archive_all(file)
        begins = file.beginning.index
        index = Index(folder / "index.sqlite", file)
        ledger = ledger_of(ENTRIES)
        index.write(ENTRIES, ledger.stocks.values(), ledger.last_number)
        index.close()
    shelf, away = folder / "archive", tmp_path / "away"
    whole, increment = str(tmp_path / "whole"), str(tmp_path / "increment")
    take(folder, whole, None, lambda: 7)
    shelf.rename(away)
    ran = run("backup", folder, tmp_path / "b")
    assert ran.stderr == f"backup: {folder}: the entries up to {begins} are not in {shelf}\n"
    assert not (tmp_path / "b").exists()
    # What comes after that needs no archive.
    assert take(folder, increment, whole, lambda: 8).index == len(ENTRIES)


def test_what_a_backup_left_that_was_killed_goes_with_the_next_one(
    replica: Path, tmp_path: Path
) -> None:
    (tmp_path / ".b.abc.unfinished").write_bytes(b"some")
    take(replica, str(tmp_path / "b"), None, lambda: 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "order-3"]
