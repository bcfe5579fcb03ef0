"""The log on disk: everything written is there after a restart, and nothing else is."""

import errno
import os
import shutil
import threading
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.fakes.histories import (
    SMALL,
    Written,
    check,
    extend,
    files,
    history,
    number_of,
    opened,
    order,
    write,
)
from twisted_bazaar.consensus.entries import Entry, Event, MemberInfo, Members, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, InvariantBroken, Unavailable, Unusable
from twisted_bazaar.storage.logfile import LogFile, LogReader


def test_a_new_log_is_empty_and_stays_so(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "deep" / "order-3") as file:
            check(file, [])
            assert file.recovered is None


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    entries = history(20)
    with opened(tmp_path) as file:
        file.write(Write(4, 2, None, tuple(entries[:7])))
        file.write(Write(4, 2, None, tuple(entries[7:])))
        check(file, entries, 4, 2)
    with opened(tmp_path) as file:
        check(file, entries, 4, 2)
        assert file.recovered is None


def test_the_files_hold_exactly_what_was_written(tmp_path: Path) -> None:
    entries = history(12)
    others = extend(entries[:5], [order(4, "other")], term=2)
    with opened(tmp_path) as file:
        for entry in entries:
            file.write(Write(1, 3, None, (entry,)))
        file.write(Write(2, 0, 5, tuple(others)))
    written = Written(tmp_path)
    assert written.records == [entry.record for entry in [*entries[:5], *others]]
    assert (written.term, written.vote, len(written.boots)) == (2, 0, 1)
    assert len(written.segments) > 2
    position = 0
    for path in written.segments:
        assert path.name == f"{position:020}.jsonl"
        position += path.stat().st_size


def test_every_start_writes_its_name(tmp_path: Path) -> None:
    random = Random(7)
    for _ in range(3):
        LogFile(tmp_path, 3, random).close()
    boots = Written(tmp_path).boots
    assert len(boots) == len(set(boots)) == 3


def test_a_write_of_nothing_new_writes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        file.write(Write(1, 2, None, tuple(history(1))))
        before = files(tmp_path)
        file.write(Write(1, 2, None, ()))
        file.write(Write(1, 2, file.last_index, ()))
        assert files(tmp_path) == before


@settings(deadline=None)
@given(st.data())
def test_any_writes_truncations_and_restarts_leave_the_last_state(data: st.DataObject) -> None:
    with TemporaryDirectory() as name, patch("os.fdatasync"), patch("os.fsync"):
        folder = Path(name)
        model: list[Entry] = []
        term, vote = 0, 0
        file = LogFile(folder, 3, Random(1), SMALL)
        for deed in data.draw(st.lists(st.sampled_from("wwtvomr"), max_size=25)):
            kept, count = len(model), 0
            if deed in "wt":
                count = data.draw(st.integers(0, 9))
            if deed == "t":
                kept = data.draw(st.integers(0, len(model)))
            if deed == "v":
                term, vote = term + data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
            number = number_of(model[:kept])
            events: list[Event] = [order(number + 1 + each) for each in range(count)]
            if deed in "om":
                events = [Opened(leader=3) if deed == "o" else Members((MemberInfo(3),))]
            made = extend(model[:kept], events, term)
            file.write(Write(term, vote, kept if deed == "t" else None, tuple(made)))
            model[kept:] = made
            if deed == "r":
                file.close()
                file = LogFile(folder, 3, Random(1), SMALL)
            check(file, model, term, vote)
        file.close()
        assert Written(folder).records == [entry.record for entry in model]
        with opened(folder) as file:
            check(file, model, term, vote)


def test_one_batch_is_one_write_and_one_sync_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_write = os.write

    def note_write(descriptor: int, data: bytes) -> int:
        calls.append("write")
        return real_write(descriptor, data)

    with opened(tmp_path, 1 << 20) as file:
        monkeypatch.setattr(os, "write", note_write)
        monkeypatch.setattr(os, "fdatasync", lambda _: calls.append("sync"))
        file.write(Write(2, 1, None, tuple(history(50))))
        assert calls == ["write", "sync"]


def test_a_new_segment_is_durable_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_write = os.write

    def note_write(descriptor: int, data: bytes) -> int:
        if not data.startswith(b'{"kind":"places"'):
            calls.append(f"write {data[:16].decode()}")
        return real_write(descriptor, data)

    def note_sync(descriptor: int) -> None:
        calls.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    with opened(tmp_path, 1) as file:
        position = sum(map(len, files(tmp_path).values()))
        monkeypatch.setattr(os, "write", note_write)
        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(os, "fdatasync", note_sync)
        write(file, history(0))
    name = f"{position:020}.jsonl"
    assert calls == [
        'write {"kind":"segment',
        f"sync {name}",
        "sync log",
        'write {"kind":"opened"',
        f"sync {name}",
    ]


def test_a_write_that_the_system_splits_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = history(8)
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:33]))
    with opened(tmp_path) as file:
        write(file, entries)
    monkeypatch.undo()
    with opened(tmp_path) as file:
        check(file, entries)


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync"])
def test_after_a_failed_write_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    entries = history(4)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    with opened(tmp_path, segment_bytes=1) as file:
        write(file, entries[:2])
        monkeypatch.setattr(os, call, fail)
        with pytest.raises(OSError, match="I/O error"):
            write(file, entries[2:4])
        monkeypatch.undo()
        before = files(tmp_path)
        with pytest.raises(Unusable, match="an earlier write failed"):
            write(file, entries[2:4])
        assert files(tmp_path) == before
        check(file, entries[:2])
    with opened(tmp_path) as file:
        assert file.last_index in (2, 4)
        check(file, entries[: file.last_index])


def test_a_full_disk_leaves_a_log_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = history(4)
    real_write = os.write
    room = [100, 0]

    def fill(descriptor: int, data: bytes) -> int:
        if not (some := room.pop(0)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[:some])

    with opened(tmp_path) as file:
        write(file, entries[:2])
        monkeypatch.setattr(os, "write", fill)
        with pytest.raises(OSError, match="No space"):
            write(file, entries[2:])
        monkeypatch.undo()
    with opened(tmp_path) as file:
        check(file, entries[:2])
        assert file.recovered is not None
        write(file, entries[2:])
        check(file, entries)


def test_an_entry_that_does_not_follow_is_not_written(tmp_path: Path) -> None:
    entries = history(4)
    with opened(tmp_path) as file:
        file.write(Write(5, 1, None, tuple(entries[:2])))
        before = files(tmp_path)
        for wrong in (
            Write(5, 1, None, (entries[3],)),
            Write(5, 1, 1, (entries[2],)),
            Write(5, 1, None, (entries[2], entries[4])),
            Write(5, 1, None, (entries[3], entries[3])),
            Write(4, 1, None, (entries[2],)),
        ):
            with pytest.raises(InvariantBroken):
                file.write(wrong)
        assert files(tmp_path) == before
        file.write(Write(5, 1, None, (entries[2],)))
        check(file, entries[:3], 5, 1)


def test_a_record_that_is_not_one_line_is_not_written(tmp_path: Path) -> None:
    entries = history(1)
    broken = replace(entries[2], record=entries[2].record.replace(b",", b",\n", 1))
    with opened(tmp_path) as file:
        write(file, entries[:2])
        with pytest.raises(InvariantBroken):
            write(file, [broken])
    with opened(tmp_path) as file:
        check(file, entries[:2])


def test_a_truncation_does_not_change_entries_that_were_read(tmp_path: Path) -> None:
    entries = history(12)
    with opened(tmp_path) as file:
        write(file, entries)
        used_later, part = file.read(1, 11), file.read(1, 11)[2:5]
        others = extend(entries[:2], [order(1, f"new-{n}") for n in range(9)], term=2)
        write(file, others, truncate=2)
        assert len(used_later) == 10
        assert list(used_later) == entries[1:11]
        assert list(part) == entries[3:6]
        assert used_later[-1] == entries[10]
        assert used_later[2:5] == entries[3:6]


def test_entries_are_read_when_they_are_first_used(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        write(file, history(3))
        entries = file.read(0, 5)
        part = entries[1:3]
        shutil.rmtree(tmp_path / "log")
        for sequence, length in ((entries, 5), (part, 2)):
            assert len(sequence) == length
            with pytest.raises(Unavailable):
                list(sequence)


def test_a_change_of_the_file_is_noticed_when_reading(tmp_path: Path) -> None:
    entries = history(5)
    with opened(tmp_path, 1 << 20) as file:
        write(file, entries)
        path = tmp_path / "log" / f"{0:020}.jsonl"
        text = path.read_bytes()
        path.write_bytes(text.replace(b'"key-3"', b'"key-4"', 1))
        assert list(file.read(0, 4)) == entries[:4]
        with pytest.raises(Damaged, match=rf"^{path} line 7: the checksum does not fit"):
            list(file.read(1, 7))
        for length in (len(text) - 30, text.rindex(b"\n", 0, -1) + 1):
            path.write_bytes(text[:length])
            with pytest.raises(Damaged, match=rf"^{path} line 9: "):
                list(file.read(5, 7))


def test_entries_can_be_read_while_others_are_written(tmp_path: Path) -> None:
    entries = history(400)
    wrong: list[BaseException] = []
    done = threading.Event()

    def read(file: LogFile, seed: int) -> None:
        random = Random(seed)
        try:
            while not done.is_set():
                last = file.last_index
                after = random.randint(0, last)
                upto = random.randint(after, last)
                assert list(file.read(after, upto)) == entries[after:upto]
                if file.last_number:
                    assert file.index_of(file.last_number) >= last
        except BaseException as error:
            wrong.append(error)

    with opened(tmp_path, 10_000) as file:
        readers = [threading.Thread(target=read, args=(file, seed)) for seed in (1, 2)]
        for reader in readers:
            reader.start()
        for start in range(0, len(entries), 3):
            write(file, entries[start : start + 3])
        done.set()
        for reader in readers:
            reader.join()
        assert wrong == []
        check(file, entries)


def test_a_closed_log_can_be_read_and_not_written(tmp_path: Path) -> None:
    entries = history(2)
    with opened(tmp_path) as file:
        write(file, entries[:3])
        file.close()
        file.close()
        check(file, entries[:3])
        with pytest.raises(Unusable):
            write(file, entries[3:])


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(Unusable, match=rf"^{tmp_path}: .*File exists"):
        LogFile(tmp_path, 3, Random(1))


def test_a_reader_sees_what_is_durable_and_changes_nothing(tmp_path: Path) -> None:
    entries = history(9)
    with opened(tmp_path) as file:
        file.write(Write(2, 1, None, tuple(entries[:8])))
        unfinished = b'{"kind":"traded","index":9,'
        with max((tmp_path / "log").iterdir()).open("ab") as last:
            last.write(unfinished)
        before = files(tmp_path)
        reader = LogReader(tmp_path)
        assert (reader.replica, reader.torn) == (3, len(unfinished))
        assert (reader.term, reader.vote, reader.last_number) == (2, 1, 6)
        assert list(reader.read(0, 8)) == entries[:8]
        assert files(tmp_path) == before


def test_a_reader_refuses_what_is_not_a_log(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=rf"^{tmp_path}: not the folder of an order replica$"):
        LogReader(tmp_path)
    (tmp_path / "log").mkdir()
    with pytest.raises(Unusable, match=rf"^{tmp_path}: holds no order log yet$"):
        LogReader(tmp_path)
    assert list((tmp_path / "log").iterdir()) == []
