"""What a newer release wrote is refused in one line, and left as it is; none of it is damage."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.histories import history, ledger_of, opened, write
from twisted_bazaar.errors import NotUnderstood
from twisted_bazaar.storage.index import Index, witness_in
from twisted_bazaar.storage.lines import CLOSING_BYTES, close_lines
from twisted_bazaar.storage.mark import mark_path, read_mark


def reformat(line: bytes) -> bytes:
    """A line that is sound, and of a format that does not exist yet."""
    content = line[:-CLOSING_BYTES].replace(b'"format":1', b'"format":99')
    assert content.endswith(b'"format":99') or b'"format":99,' in content
    return close_lines([content], 0)[0]


def newer_log(folder: Path) -> Path:
    path = min((folder / "log").glob("*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(reformat(lines[0]))
    for later in sorted((folder / "log").iterdir())[1:]:
        later.unlink()
    return path


def newer_sidecar(folder: Path) -> Path:
    path = min((folder / "log").glob("*.places"))
    line, _, blocks = path.read_bytes().partition(b"\n")
    path.write_bytes(reformat(line + b"\n") + blocks)
    return path


def newer_mark(folder: Path) -> Path:
    """Whatever its other lines are: only the last is as it is in each format."""
    path = mark_path(folder)
    *_, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"another first line\n" + reformat(last))
    return path


def newer_index(folder: Path) -> Path:
    path = folder / "index.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE position ADD COLUMN more")
        connection.execute("PRAGMA user_version = 99")
    return path


def contents(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def open_as_a_replica_does(folder: Path) -> None:
    witness_in(folder / "index.sqlite")
    with opened(folder):
        pass


@pytest.mark.parametrize("spoil", [newer_log, newer_sidecar, newer_mark, newer_index])
def test_a_file_of_a_newer_release_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    entries = history(20)
    ledger = ledger_of(entries)
    with opened(tmp_path) as file:
        for entry in entries:
            write(file, [entry])
        with closing(Index(tmp_path / "index.sqlite", file)) as index:
            index.write(entries, ledger.stocks.values(), ledger.last_number)
    path = spoil(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(NotUnderstood) as refused:
        open_as_a_replica_does(tmp_path)
    assert str(refused.value) == f"{path}: format 99 is not known to this release"
    assert contents(tmp_path) == before


def test_an_index_of_a_newer_release_is_not_made_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        Index(tmp_path / "index.sqlite", file).close()
        path = newer_index(tmp_path)
        with pytest.raises(NotUnderstood, match="format 99 is not known"):
            Index(path, file)


def test_a_mark_without_a_format_is_read(tmp_path: Path) -> None:
    """As the releases before wrote it."""
    with opened(tmp_path) as file:
        write(file, history(3))
    known, path = read_mark(tmp_path), mark_path(tmp_path)
    first, last = path.read_bytes().splitlines(keepends=True)
    older = close_lines([last[:-CLOSING_BYTES].replace(b',"format":1', b"")], 0)[0]
    assert len(older) < len(last)
    path.write_bytes(first + older)
    assert read_mark(tmp_path) == known
