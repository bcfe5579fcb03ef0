"""Entries that leave the log for the archive, and what still answers then."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.fakes.histories import history, number_of, opened, trust, write
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, NotUnderstood, Unavailable, Unusable
from twisted_bazaar.market import Traded
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.beginning import begin_path, read_beginning
from twisted_bazaar.storage.leaving import Keep, boundary, leave
from twisted_bazaar.storage.lines import close_lines
from twisted_bazaar.storage.logfile import LogFile, LogReader
from twisted_bazaar.storage.stores import FolderStore
from twisted_bazaar.storage.trust import log_path
from twisted_bazaar.tools.inspection import verify

ENTRIES = history(60)
ALL = Keep()


class Killed(BaseException):
    """The process is killed."""


@contextmanager
def log_in(folder: Path) -> Iterator[LogFile]:
    archive = Archive(FolderStore(folder / "archive"))
    with opened(folder, archive=archive) as log:
        if log.suspect:
            trust(log)
        yield log


def written(folder: Path, entries: list[Entry] = ENTRIES) -> None:
    with log_in(folder) as log:
        for at in range(0, len(entries), 3):
            write(log, entries[at : at + 3])


def archive_all(log: LogFile, keep: Keep = ALL) -> int:
    """All that may leave does; returns how many segments did."""
    moved = 0
    while (stays := boundary(log, log.last_index, keep)) is not None:
        assert log.archive is not None
        begins = leave(log, log.archive, stays, "")
        log.leave(begins)
        log.segments.sweep(begins.position)
        moved += 1
    return moved


def check(log: LogFile | LogReader, entries: list[Entry] = ENTRIES) -> None:
    assert list(log.read(0, log.last_index)) == entries[: log.last_index]
    assert log.last_number == number_of(entries[: log.last_index])
    for entry in entries[: log.last_index]:
        assert list(log.read(entry.index - 1, entry.index)) == [entry]
        if isinstance(entry.event, Traded):
            assert log.index_of(entry.event.number) == entry.index
    begins = log.beginning.index
    assert list(log.read(begins, log.last_index)) == entries[begins : log.last_index]
    if begins:
        assert log.digest_at(begins) == entries[begins - 1].digest
    assert log.openings[0] == (1, entries[0].event)


def test_what_has_left_is_read_as_before_also_after_a_restart(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        before = log.cluster
        assert archive_all(log) > 3
        assert 40 < log.beginning.index < log.last_index == len(ENTRIES)
        check(log)
        assert len(list(log_path(tmp_path).glob("*.jsonl"))) == 1
    with log_in(tmp_path) as log:
        assert log.suspect is None
        assert log.cluster == before
        check(log)
    check(LogReader(tmp_path))


def test_what_is_to_be_kept_stays(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log, Keep(entries=30))
        assert 20 <= log.beginning.index <= 32
        archive_all(log, Keep(bytes=3000))
        assert log.end - log.segments.starts[0] >= 3000
        assert boundary(log, log.beginning.index, Keep()) is None


def test_what_was_read_before_it_left_is_used_after(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        early = [log.read(at, at + 5) for at in range(0, 55, 5)]
        archive_all(log)
        assert [list(each) for each in early] == [ENTRIES[at : at + 5] for at in range(0, 55, 5)]


@contextmanager
def killed_before(step: int) -> Iterator[list[str]]:
    """Every change of a file before number `step` is made; then the process is killed."""
    done: list[str] = []
    with_step = [0]

    def guarded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            with_step[0] += 1
            if with_step[0] > step:
                raise Killed
            done.append(name)
            return original(*given, **named)

        return call

    with (
        patch("os.replace", guarded("replace", os.replace)),
        patch("os.fsync", guarded("fsync", os.fsync)),
        patch("os.write", guarded("write", os.write)),
        patch("os.unlink", guarded("unlink", os.unlink)),
    ):
        yield done


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path) -> None:
    step, finished = 0, False
    while not finished:
        folder = tmp_path / str(step)
        written(folder, ENTRIES[:20])
        with log_in(folder) as log:
            try:
                with killed_before(step):
                    archive_all(log)
                finished = True
            except Killed:
                pass
        check(LogReader(folder))
        with log_in(folder) as log:
            assert log.suspect is None
            archive_all(log)
            check(log)
        step += 1
    assert step > 20


def test_a_truncation_before_a_segment_does_not_end_what_leaves(tmp_path: Path) -> None:
    """A segment whose first line names an entry that was replaced since is no place to begin."""
    with log_in(tmp_path) as log:
        write(log, ENTRIES[:10])
        write(log, ENTRIES[10:12])
        write(log, ENTRIES[9:12], truncate=9)
        for at in range(12, 40, 2):
            write(log, ENTRIES[at : at + 2])
        archive_all(log)
        assert log.beginning.index > 12
        check(log)


def test_without_its_archive_a_log_says_what_it_lacks(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
        begins = log.beginning
    for path in (tmp_path / "archive").iterdir():
        path.unlink()
    with log_in(tmp_path) as log:
        assert log.suspect is None
        with pytest.raises(Unavailable, match="entry 1 is not in the archive"):
            list(log.read(0, 1))
        with pytest.raises(Unavailable, match="order 1 is not in the archive"):
            log.index_of(1)
        assert log.archive is not None
        assert log.archive.missing == (begins.index, begins.digest)
        with pytest.raises(Unusable, match="the entries up to .* are not in .*/archive"):
            verify(tmp_path)
        after = list(log.read(begins.index, log.last_index))
        assert after == ENTRIES[begins.index :]


def test_damage_in_the_archive_changes_no_entry(tmp_path: Path) -> None:
    written(tmp_path)
    with log_in(tmp_path) as log:
        archive_all(log)
    first = min((tmp_path / "archive").iterdir())
    content = first.read_bytes()
    noticed = 0
    for at in range(10, len(content) - 1, 97):
        first.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        last = int(first.name[21:41])
        with log_in(tmp_path) as log:
            try:
                found = list(log.read(0, last)), log.index_of(1)
            except Unavailable:
                # That is no reason to stop.
                noticed += 1
                reader = LogReader(tmp_path)
                with pytest.raises((Damaged, NotUnderstood)):
                    list(reader.read(0, last)), reader.index_of(1)
            else:
                assert found == (ENTRIES[:last], 3)
    assert noticed


def test_a_beginning_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    begin_path(log_path(tmp_path)).write_bytes(close_lines([b'{"format":2'], 0)[0])
    with pytest.raises(NotUnderstood, match="format 2 is not known"):
        read_beginning(log_path(tmp_path))
    with pytest.raises(NotUnderstood, match="format 2 is not known"), log_in(tmp_path):
        pass
