"""When the log of a replica is trusted, when it is suspect, and the reasons it gives."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fakes.histories import check, extend, files, history, opened, order, trust, write
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.storage.logfile import LogFile, LogReader
from twisted_bazaar.storage.mark import read_mark
from twisted_bazaar.storage.trust import Witness

ENTRIES = history(6)


def open_log(folder: Path, witness: Witness | None = None) -> LogFile:
    return LogFile(folder, 3, Random(1), 900, witness)


def trusted(folder: Path, entries: Sequence[Entry] = ENTRIES) -> Path:
    """A folder that holds `entries`, and is trusted."""
    with opened(folder) as file:
        file.write(Write(2, 1, None, tuple(entries)))
        assert (file.suspect, file.fresh) == (None, False)
    return folder


def verdict(folder: Path) -> tuple[str | None, bool]:
    file = open_log(folder)
    file.close()
    return file.suspect, file.fresh


def test_a_new_folder_is_suspect_and_fresh_until_it_is_trusted(tmp_path: Path) -> None:
    for _ in range(3):
        assert verdict(tmp_path) == ("the folder is new", True)
    file = open_log(tmp_path)
    file.write(Write(2, 1, None, (), trusted=True))
    assert (file.suspect, file.fresh) == (None, False)
    file.close()
    assert verdict(tmp_path) == (None, False)


def test_a_new_folder_with_entries_is_not_fresh(tmp_path: Path) -> None:
    file = open_log(tmp_path)
    write(file, ENTRIES)
    assert (file.suspect, file.fresh) == ("the folder is new", False)
    file.close()
    assert verdict(tmp_path) == ("the folder is new", False)


def test_the_log_is_durable_before_the_mark_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries, term and vote that are written with it are on disk before it."""
    seen: list[tuple[int, int, int]] = []
    real_replace = os.replace

    def look(source: Path, target: Path) -> None:
        reader = LogReader(tmp_path)
        seen.append((reader.last_index, reader.term, reader.vote))
        real_replace(source, target)

    file = open_log(tmp_path)
    monkeypatch.setattr(os, "replace", look)
    file.write(Write(2, 1, None, tuple(ENTRIES), trusted=True))
    file.close()
    assert seen == [(len(ENTRIES), 2, 1)]


def test_a_trusted_mark_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_log(tmp_path)
    trust(file)
    monkeypatch.setattr(os, "replace", None)
    trust(file)
    file.write(Write(2, 1, None, tuple(ENTRIES), trusted=True))
    file.close()


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_mark_that_cannot_be_written_leaves_the_log_suspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = open_log(tmp_path)
    write(file, ENTRIES)
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            trust(file)
    with pytest.raises(Unusable, match="an earlier write failed"):
        trust(file)
    assert file.suspect == "the folder is new"
    file.close()
    file = open_log(tmp_path)
    assert file.suspect == "the folder is new"
    check(file, ENTRIES)
    file.close()


def cut(folder: Path) -> None:
    path = max((folder / "log").iterdir())
    path.write_bytes(path.read_bytes()[:-1])


def rm(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def empty(folder: Path) -> None:
    for path in (folder / "log").iterdir():
        path.unlink()


def scribble(folder: Path) -> None:
    (folder / "mark").write_bytes(b"?")


@pytest.mark.parametrize(
    ("spoil", "why", "aside"),
    [
        (cut, "does not end where it should|are missing", True),
        (rm("log"), "{folder}/log: is missing", False),
        (empty, "{folder}/log: all of the log is missing", True),
        (rm("mark"), "{folder}/mark: is missing", True),
        (scribble, "{folder}/mark: line 1: the checksum does not fit", True),
    ],
)
def test_what_is_missing_is_set_aside_and_stays_suspect_until_it_is_trusted(
    tmp_path: Path, spoil: Callable[[Path], None], why: str, aside: bool
) -> None:
    trusted(tmp_path)
    spoil(tmp_path)
    before = files(tmp_path) if aside else {}
    file = open_log(tmp_path)
    check(file, [])
    suspect = file.suspect
    assert suspect is not None
    assert "\n" not in suspect
    assert any(each in suspect for each in why.format(folder=tmp_path).split("|"))
    assert suspect.endswith(f"; set aside as {tmp_path}/log.damaged-1") == aside
    assert not file.fresh
    file.write(Write(5, 0, None, tuple(ENTRIES[:4])))
    file.close()
    kept = tmp_path / "log.damaged-1"
    assert aside == kept.exists()
    for _ in range(2):
        file = open_log(tmp_path)
        assert (file.suspect, file.recovered) == (suspect, None)
        check(file, ENTRIES[:4], 5)
        file.close()
    file = open_log(tmp_path)
    file.write(Write(5, 0, None, tuple(ENTRIES[4:]), trusted=True))
    file.close()
    assert verdict(tmp_path) == (None, False)
    if aside:
        assert {path.name: path.read_bytes() for path in sorted(kept.iterdir())} == before


def test_a_damaged_log_is_renamed_durably_before_the_mark_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the mark says that it is suspect before there is a log again."""
    trusted(tmp_path)
    cut(tmp_path)
    calls: list[str] = []

    def note(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*arguments: object) -> object:
            shown = arguments[-1]
            if isinstance(shown, int):
                shown = os.readlink(f"/proc/self/fd/{shown}")
            if isinstance(shown, str | Path) and Path(shown).is_relative_to(tmp_path):
                calls.append(f"{name} {Path(shown).name}")
            return real(*arguments)

        return call

    for name in ("rename", "replace", "fsync"):
        monkeypatch.setattr(os, name, note(name))
    open_log(tmp_path).close()
    here = f"fsync {tmp_path.name}"
    begin = calls.index("rename log.damaged-1")
    assert calls[begin : begin + 7] == [
        "rename log.damaged-1",
        here,
        "fsync origin",
        here,
        "fsync mark.new",
        "replace mark",
        here,
    ]
    assert set(calls[begin + 7 :]) == {here, "fsync log", f"fsync {0:020}.jsonl"}


def test_a_log_that_was_set_aside_is_never_overwritten(tmp_path: Path) -> None:
    kept: list[dict[str, bytes]] = []
    for number in (1, 2, 3):
        if number == 1:
            trusted(tmp_path)
        else:
            file = open_log(tmp_path)
            file.write(Write(number, 0, 0, tuple(history(number)), trusted=number == 2))
            file.close()
        cut(tmp_path)
        kept.append(files(tmp_path))
        suspect, fresh = verdict(tmp_path)
        assert str(suspect).endswith(f"; set aside as {tmp_path}/log.damaged-{number}")
        assert not fresh
    for number, was in enumerate(kept, 1):
        there = (tmp_path / f"log.damaged-{number}").iterdir()
        assert {path.name: path.read_bytes() for path in sorted(there)} == was


def test_a_folder_whose_log_was_set_aside_and_lost_its_mark_is_not_new(tmp_path: Path) -> None:
    trusted(tmp_path)
    cut(tmp_path)
    verdict(tmp_path)
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "mark").unlink()
    assert verdict(tmp_path) == (f"{tmp_path}/mark: is missing", False)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "syslog").write_text("?")
    for _ in range(2):
        with pytest.raises(Unusable, match=rf"^{tmp_path}/log: not the log of an order replica$"):
            open_log(tmp_path)
        assert [path.name for path in tmp_path.rglob("*")] == ["log", "syslog"]
        (tmp_path / "log" / "0.jsonl").write_text("?")
        (tmp_path / "log" / "0.jsonl").unlink()


def test_a_witness_of_an_entry_in_the_log_changes_nothing(tmp_path: Path) -> None:
    trusted(tmp_path)
    for entry in ENTRIES:
        file = open_log(tmp_path, Witness("the index", entry.index, entry.digest))
        assert file.suspect is None
        check(file, ENTRIES, 2, 1)
        file.close()


def test_a_witness_of_an_entry_that_the_log_lacks_makes_it_suspect(tmp_path: Path) -> None:
    more = extend(ENTRIES, [order(7)])[0]
    for name, witness, why in (
        ("a", Witness("the index", 9, more.digest), "ends with entry 8, but the index with 9"),
        ("b", Witness("the index", 4, "0f" * 16), "entry 4 is another one than in the index"),
    ):
        folder = trusted(tmp_path / name)
        file = open_log(folder, witness)
        assert file.suspect == f"{folder}/log: {why}; set aside as {folder}/log.damaged-1"
        check(file, [])
        file.close()
    file = open_log(tmp_path / "c", Witness("the index", 9, more.digest))
    assert (file.suspect, file.fresh) == (f"{tmp_path}/c/mark: is missing", False)
    file.close()


def test_a_bad_sector_is_damage_and_a_missing_permission_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted(tmp_path)
    before = files(tmp_path)
    real_open = Path.open
    failure = OSError(errno.EACCES, "Permission denied")

    def fail(path: Path, *arguments: object, **options: object) -> object:
        if path.suffix == ".jsonl" and path.parent.name == "log":
            raise failure
        return real_open(path, *arguments, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as broken:
        broken.setattr(Path, "open", fail)
        with pytest.raises(Unusable, match="Permission denied"):
            open_log(tmp_path)
    assert files(tmp_path) == before
    failure = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(Path, "open", fail)
    aside = f"{tmp_path}/log.damaged-1"
    assert verdict(tmp_path)[0] == f"{tmp_path}/log: Input/output error; set aside as {aside}"
    assert {path.name: path.read_bytes() for path in Path(aside).iterdir()} == before


def test_bytes_that_a_failed_sync_left_in_the_page_cache_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed `fdatasync` the page cache holds, as clean, what the disk has not."""
    trusted(tmp_path)
    path = max((tmp_path / "log").iterdir())
    on_disk = path.read_bytes()
    calls: list[str] = []

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(Unusable, match="Input/output error"):
            open_log(tmp_path)
    cached = path.read_bytes()
    more = extend(ENTRIES, [order(7)])
    with path.open("ab") as file:
        file.write(more[0].record[:-1] + b',"end":"00000000"}\n')
    assert path.read_bytes() != on_disk

    def drop(_: int, begin: int, length: int, advice: int) -> None:
        calls.append("drop")
        assert advice == os.POSIX_FADV_DONTNEED
        assert length == 0
        assert begin <= len(cached)
        path.write_bytes(on_disk)

    monkeypatch.setattr(os, "posix_fadvise", drop)
    with opened(tmp_path) as again:
        assert again.suspect is None
        check(again, ENTRIES, 2, 1)
    assert calls == ["drop"]


def test_bytes_that_a_killed_process_did_not_sync_are_synced_before_they_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if what follows goes into a segment of its own."""
    trusted(tmp_path)
    name = max(files(tmp_path))
    calls: list[str] = []
    monkeypatch.setattr(
        os,
        "fdatasync",
        lambda file: calls.append(Path(os.readlink(f"/proc/self/fd/{file}")).name),
    )
    LogFile(tmp_path, 3, Random(1), segment_bytes=1).close()
    assert calls[0] == name
    assert len(calls) == 2


def test_a_reader_says_that_a_log_is_suspect(tmp_path: Path) -> None:
    file = open_log(tmp_path)
    write(file, ENTRIES)
    reader = LogReader(tmp_path)
    assert (reader.suspect, reader.last_index) == ("the folder is new", len(ENTRIES))
    trust(file)
    assert LogReader(tmp_path).suspect is None
    file.close()


@pytest.mark.parametrize("spoil", [cut, rm("log"), empty, rm("mark"), scribble])
def test_a_reader_refuses_a_log_that_lacks_something_and_changes_nothing(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    trusted(tmp_path)
    spoil(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Damaged):
        LogReader(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_mark_follows_the_log(tmp_path: Path) -> None:
    """It is never behind what was acknowledged, as long as the machine lives."""
    with opened(tmp_path) as file:
        for entry in ENTRIES:
            write(file, [entry])
            mark = read_mark(tmp_path)
            assert mark is not None
            assert mark.position == sum(map(len, files(tmp_path).values()))


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_the_mark_is_never_ahead_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with opened(tmp_path) as file:
        write(file, ENTRIES[:4])
        before = read_mark(tmp_path)

        def look(*_: object) -> None:
            assert read_mark(tmp_path) == before
            raise OSError(errno.EIO, "I/O error")

        monkeypatch.setattr(os, call, look)
        with pytest.raises(OSError, match="I/O error"):
            write(file, ENTRIES[4:])
        monkeypatch.undo()
    assert read_mark(tmp_path) == before
