"""Several replicas that have their archive in one place."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fakes.histories import extend, history, number_of, opened, order, trust, write
from twisted_bazaar.consensus.beginning import Beginning
from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.market import Traded
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.files import claim_unfinished
from twisted_bazaar.storage.leaving import Keep, boundary, leave
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.stores import FolderStore

ENTRIES = history(60)
BATCHES = {1: 2, 2: 3, 3: 5}
"""The entries that each replica writes together: so its segments end at entries of their own."""


@contextmanager
def sharing(folder: Path) -> Iterator[Mapping[int, LogFile]]:
    """Logs of three replicas."""
    with ExitStack() as stack:
        logs = {}
        for replica in BATCHES:
            archive = Archive(FolderStore(folder / "shared"))
            own = folder / f"order-{replica}"
            logs[replica] = stack.enter_context(opened(own, archive=archive))
            if logs[replica].suspect:
                trust(logs[replica])
        yield logs


def leaves(log: LogFile) -> bool:
    """The first segment leaves; returns whether there is one that may."""
    stays = boundary(log, log.last_index, Keep())
    if stays is None:
        return False
    assert log.archive is not None
    begins = leave(log, log.archive, stays, "")
    log.leave(begins)
    log.segments.sweep(begins.position)
    return True


def check(log: LogFile, entries: list[Entry] = ENTRIES) -> None:
    for entry in entries:
        assert list(log.read(entry.index - 1, entry.index)) == [entry]
        if isinstance(entry.event, Traded):
            assert log.index_of(entry.event.number) == entry.index
    assert list(log.read(0, len(entries))) == entries


def test_each_replica_reads_all_that_left_its_log_now_and_after_a_restart(tmp_path: Path) -> None:
    with sharing(tmp_path) as logs:
        for replica, log in logs.items():
            for at in range(0, len(ENTRIES), BATCHES[replica]):
                write(log, ENTRIES[at : at + BATCHES[replica]])
        # In turns, the last one first: so each meets files that go on after where its log begins.
        beginnings = set[int]()
        while [log for log in reversed(logs.values()) if leaves(log)]:
            beginnings |= {log.beginning.index for log in logs.values()}
            for log in logs.values():
                check(log)
        segments = max(len(list(log.segments.starts)) for log in logs.values())
        assert segments == 1
        assert len(beginnings) > 10
    with sharing(tmp_path) as logs:
        for log in logs.values():
            assert log.beginning.index > 40
            assert log.archive is not None
            assert log.archive.missing[0] == 0
            check(log)


def test_what_a_file_of_another_replica_holds_is_not_archived_again(tmp_path: Path) -> None:
    with sharing(tmp_path) as logs:
        for log in logs.values():
            for at in range(0, len(ENTRIES), 3):
                write(log, ENTRIES[at : at + 3])
        while leaves(logs[1]):
            pass
        files = set((tmp_path / "shared").iterdir())
        while leaves(logs[2]):
            pass
        assert logs[2].beginning.index >= logs[1].beginning.index - 10
        assert len(set((tmp_path / "shared").iterdir()) - files) <= 1
        check(logs[2])


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_nothing_leaves_a_log_for_a_damaged_file_of_another_replica(
    tmp_path: Path, damage: str
) -> None:
    with sharing(tmp_path) as logs:
        for log in logs.values():
            for at in range(0, len(ENTRIES), 3):
                write(log, ENTRIES[at : at + 3])
        assert leaves(logs[1])
        [file] = (tmp_path / "shared").iterdir()
        whole = file.read_bytes()
        middle = len(whole) // 4
        bad = {
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:-20],
            "empty": b"",
        }
        file.write_bytes(bad[damage])
        with pytest.raises(Unavailable, match=f"{file}: .*: remove that file"):
            leaves(logs[2])
        assert logs[2].beginning.index == 0
        check(logs[2])
        file.unlink()
        assert leaves(logs[2])
        check(logs[2])


def packed(archive: Archive, entries: list[Entry], after: int) -> None:
    """Archive those of `entries` after index `after`."""
    before = entries[after - 1].digest if after else GENESIS
    archive.add(entries[after:], number_of(entries[:after]), before)


def test_what_follows_in_a_file_of_another_history_does_not_count(tmp_path: Path) -> None:
    """The bazaar was restored as of entry 30, and its replicas go on in the same place."""
    archive = Archive(FolderStore(tmp_path))
    others = (order(number, f"other-{number}") for number in range(29, 39))
    restored = ENTRIES[:30] + extend(ENTRIES[:30], others)
    assert [entry.digest for entry in restored[:30]] == [e.digest for e in ENTRIES[:30]]
    assert restored[30].digest != ENTRIES[30].digest
    packed(archive, ENTRIES, 0)
    packed(archive, restored, 30)
    last = restored[-1]
    archive.link(Beginning(index=40, digest=last.digest, number=number_of(restored)))
    assert archive.missing[0] == 0
    assert archive.read(0, 40) == restored
    assert archive.read(32, 35) == restored[32:35]
    for entry in restored:
        if isinstance(entry.event, Traded):
            assert archive.index_of(entry.event.number) == entry.index


def test_two_that_make_the_same_file_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    """One is stopped in the middle of its file, while the other makes its own."""
    content, halfway, go_on = b"whole" * 1000, threading.Event(), threading.Event()
    store, fsync = FolderStore(tmp_path), os.fsync
    made: list[str] = []

    def slow(file: int) -> None:
        if threading.current_thread().name == "slow" and not halfway.is_set():
            os.truncate(file, 10)
            halfway.set()
            assert go_on.wait(10)
            os.pwrite(file, content, 0)
        fsync(file)

    def make() -> None:
        store.put("file", content)
        made.append("slow")

    # The folder is there already, so the first sync is that of the file.
    with patch("os.fsync", slow), patch("twisted_bazaar.storage.stores.sync_folder"):
        other = threading.Thread(target=make, name="slow")
        other.start()
        assert halfway.wait(10)
        store.put("file", content)
        assert store.read("file", 0, len(content)) == content
        go_on.set()
        other.join(10)
    assert made == ["slow"]
    assert store.read("file", 0, len(content)) == content
    assert list(store.names()) == ["file"]


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with (
        patch("os.fsync", full),
        patch("twisted_bazaar.storage.stores.sync_folder"),
        pytest.raises(OSError, match="No space left"),
    ):
        FolderStore(tmp_path).put("file", b"some")
    assert list(tmp_path.iterdir()) == []


def test_what_a_maker_left_that_was_killed_goes_and_what_is_being_made_stays(
    tmp_path: Path,
) -> None:
    left, being_made, other = (tmp_path / name for name in ("file.1.new", "file.2.new", "g.1.new"))
    for path in (left, being_made, other):
        path.write_bytes(b"some")
    with being_made.open("rb") as file:
        claim_unfinished(file.fileno())
        FolderStore(tmp_path).put("file", b"all")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["file", "file.2.new", "g.1.new"]
