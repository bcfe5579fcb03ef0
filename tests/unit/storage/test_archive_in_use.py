"""An archive that is shared, out of reach for a while, or written to while it is read."""

import os
from collections.abc import Collection
from pathlib import Path
from random import Random
from stat import S_ISREG
from unittest.mock import patch
from zlib import crc32

import pytest

from tests.fakes.histories import history, ledger_of, number_of, opened, write
from twisted_bazaar.consensus.beginning import Beginning
from twisted_bazaar.errors import Unavailable, Unusable
from twisted_bazaar.storage import recovery
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.archived import Name
from twisted_bazaar.storage.beginning import (
    LogBeginning,
    archive_of,
    begin_path,
    read_beginning,
)
from twisted_bazaar.storage.index import Index, witness_in
from twisted_bazaar.storage.logfile import LogFile, LogReader
from twisted_bazaar.storage.stores import FolderStore
from twisted_bazaar.storage.trust import Witness, log_path
from twisted_bazaar.tools.backups.taking import end_of, take

from .test_leaving import ENTRIES, archive_all, check, log_in, written


class Unreliable(FolderStore):
    """A place that cannot be reached now and then."""

    is_up = True

    def names(self) -> Collection[str]:
        if not self.is_up:
            raise OSError("it is down")
        return super().names()


def indexed(folder: Path, log: LogFile, upto: int) -> None:
    index = Index(folder / "index.sqlite", log)
    ledger = ledger_of(ENTRIES[:upto])
    new = list(log.read(index.index, upto))
    index.write(new, ledger.stocks.values(), ledger.last_number)
    index.close()


def test_a_log_is_opened_without_its_archive_and_reads_from_it_later(tmp_path: Path) -> None:
    written(tmp_path)
    store = Unreliable(tmp_path / "archive")
    with log_in(tmp_path) as log:
        archive_all(log)
        begins = log.beginning
    store.is_up = False
    archive = Archive(store)
    with opened(tmp_path, archive=archive) as log:
        assert log.suspect is None
        assert archive.missing == (begins.index, begins.digest)
        assert list(log.read(begins.index, len(ENTRIES))) == ENTRIES[begins.index :]
        with pytest.raises(Unavailable):
            list(log.read(0, 1))
        store.is_up = True
        archive.link(log.beginning)
        check(log)


def test_a_log_that_begins_with_entry_1_asks_for_no_archive(tmp_path: Path) -> None:
    store = Unreliable(tmp_path / "archive")
    store.is_up = False
    Archive(store).link(Beginning())


def test_a_later_link_to_an_earlier_beginning_loses_nothing(tmp_path: Path) -> None:
    """What fetches entries links to the beginning that it saw; meanwhile, more may have left."""
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
        assert log.archive is not None
        log.archive.link(Beginning(index=1, digest=ENTRIES[0].digest))
        check(log)


def test_replicas_that_share_a_folder_make_the_same_file_at_once(tmp_path: Path) -> None:
    mine, theirs = FolderStore(tmp_path), FolderStore(tmp_path)
    sync, other = os.fsync, [b"content"]

    def synced(file: int) -> None:
        sync(file)
        if other and S_ISREG(os.fstat(file).st_mode):
            theirs.put("name", other.pop())

    with patch("os.fsync", synced):
        mine.put("name", b"content")
    assert not other
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert mine.read("name", 0, 10) == b"content"


def test_what_leaves_the_log_while_a_tool_reads_it_is_found(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        reader = LogReader(tmp_path)
        early = reader.read(0, 30)
        archive_all(log)
        assert list(early) == ENTRIES[:30]
        check(reader)


def test_a_tool_that_begins_while_segments_leave_begins_again(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        reads: list[LogBeginning | None] = []

        def read(folder: Path) -> LogBeginning | None:
            reads.append(read_beginning(folder))
            if len(reads) == 1:
                archive_all(log)
            return reads[-1]

        with patch.object(recovery, "read_beginning", read):
            check(LogReader(tmp_path, whole=True))
        assert len(reads) == 2


def test_a_backup_is_taken_of_what_has_left_and_of_what_stays(tmp_path: Path) -> None:
    folder, backup = tmp_path / "order-3", tmp_path / "backup"
    written(folder)
    with log_in(folder) as log:
        indexed(folder, log, 55)
        archive_all(log)
    with log_in(folder) as log:
        for entry in history(75)[len(ENTRIES) :]:
            write(log, [entry])
        # So the last digest that is known without reading is not that of the beginning.
        assert len(log.segments.starts) > 2
    assert take(folder, str(backup), None, lambda: 7).index == 55
    assert end_of(str(backup)).number == number_of(ENTRIES[:55])


def test_an_index_that_ends_before_the_log_begins_goes_on(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        indexed(tmp_path, log, 20)
        archive_all(log)
        assert log.beginning.index > 20
    witness = witness_in(tmp_path / "index.sqlite")
    assert witness is not None
    log = reopened(tmp_path, witness)
    index = Index(tmp_path / "index.sqlite", log)
    assert (index.index, index.rebuilt) == (20, None)
    index.close()
    log.close()


def test_such_an_index_stays_until_the_archive_is_at_hand(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        indexed(tmp_path, log, 20)
        archive_all(log)
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    with (
        log_in(tmp_path) as log,
        pytest.raises(Unusable, match="goes to entry 20, and entry 20 is"),
    ):
        Index(tmp_path / "index.sqlite", log)
    assert witness_in(tmp_path / "index.sqlite") is not None


def test_an_index_is_made_anew_through_the_archive(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
    with log_in(tmp_path) as log:
        for entry in history(75)[len(ENTRIES) :]:
            write(log, [entry])
    with log_in(tmp_path) as log:
        assert len(log.segments.starts) > 2
        indexed(tmp_path, log, len(ENTRIES))


def test_the_index_is_durable_when_it_says_so_though_it_is_being_copied(tmp_path: Path) -> None:
    synced: list[str] = []
    sync = os.fsync

    def told(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        sync(file)

    written(tmp_path)
    with log_in(tmp_path) as log:
        indexed(tmp_path, log, 20)
        index = Index(tmp_path / "index.sqlite", log)
        with patch("os.fsync", told):
            assert index.sync() == 20
        index.close()
    assert str(tmp_path / "index.sqlite-wal") in synced


def reopened(folder: Path, witness: Witness) -> LogFile:
    archive = Archive(FolderStore(folder / "archive"))
    return LogFile(folder, 3, Random(2), 900, witness, archive)


def test_the_archive_stays_where_it_is_until_an_option_names_another_place(tmp_path: Path) -> None:
    written(tmp_path)
    log = log_path(tmp_path)
    assert archive_of(log, "") == ""
    assert archive_of(log, "s3://shelf") == "s3://shelf"
    with log_in(tmp_path) as file:
        archive_all(file)
        begins = file.beginning
    (tmp_path / "archive").rename(tmp_path / "moved")
    moved = str(tmp_path / "moved")
    assert archive_of(log, "") == ""
    assert archive_of(log, moved) == moved
    assert archive_of(log, "") == moved
    reader = LogReader(tmp_path)
    check(reader)
    assert reader.beginning == begins
    begin_path(log).write_bytes(b"damaged")
    assert archive_of(log, "") == ""


class Forgetful(FolderStore):
    """A place that loses what is put there."""

    def put(self, name: str, content: bytes) -> None:
        pass


def test_nothing_leaves_the_log_that_is_not_found_in_the_archive(tmp_path: Path) -> None:
    written(tmp_path)
    with opened(tmp_path, archive=Archive(Forgetful(tmp_path / "archive"))) as log:
        with pytest.raises(Unavailable, match="just put there, is missing"):
            archive_all(log)
        assert log.beginning.index == 0
    with log_in(tmp_path) as log:
        check(log)


def test_nothing_leaves_the_log_while_what_left_before_is_not_there(tmp_path: Path) -> None:
    """The disk of the archive is not mounted: what went to the folder would be lost with it."""
    written(tmp_path, ENTRIES[:30])
    shelf, away = tmp_path / "archive", tmp_path / "away"
    with log_in(tmp_path) as log:
        archive_all(log)
        begins = log.beginning.index
        shelf.rename(away)
        for at in range(30, 60, 3):
            write(log, ENTRIES[at : at + 3])
        for _ in range(2):
            with pytest.raises(Unavailable, match=f"up to {begins} were there, and are not now"):
                archive_all(log)
        assert not shelf.exists()
        assert log.beginning.index == begins
        away.rename(shelf)
        assert archive_all(log)
        check(log)


def test_a_file_of_a_newer_release_in_a_shared_archive_is_none_of_this_log(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
        begins = log.beginning.index
    name = Name(1, begins + 5, begins + 3, "0" * 32, "f" * 32)
    text = b'{"format":9}'
    trailer = len(text).to_bytes(4, "little") + crc32(text).to_bytes(4, "little")
    (tmp_path / "archive" / str(name)).write_bytes(text + trailer)
    for path in (tmp_path / "archive").glob(f"*-{begins:020}-*"):
        path.unlink()
    with log_in(tmp_path) as log:
        assert log.archive is not None
        assert log.archive.missing[0] == begins
