"""A copy of a folder is told from the folder itself, also when it is put in its place."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.fakes.histories import extend, history, opened, order, write
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.mark import MarkFile, read_mark


def _moved_in(folder: Path, copy: Path) -> None:
    shutil.rmtree(folder)
    copy.rename(folder)


def _copied_in(folder: Path, copy: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


def _copied_over(folder: Path, copy: Path) -> None:
    shutil.copytree(copy, folder, dirs_exist_ok=True)


@pytest.mark.parametrize("put_back", [_moved_in, _copied_in, _copied_over])
def test_a_copy_that_is_put_back_is_suspect_and_keeps_its_log(
    tmp_path: Path, put_back: Callable[[Path, Path], None]
) -> None:
    folder, copy = tmp_path / "order-1", tmp_path / "copy"
    entries = history(2)
    with opened(folder) as file:
        write(file, entries)
    shutil.copytree(folder, copy)
    with opened(folder) as file:
        write(file, extend(entries, [order(3)]))
    put_back(folder, copy)
    with opened(folder) as file:
        assert file.suspect is not None
        assert "copy" in file.suspect
        assert file.copied
        assert file.last_index >= len(entries)
        assert "\n" not in file.suspect


def test_a_copy_stays_suspect_until_it_has_recalled(tmp_path: Path) -> None:
    folder = tmp_path / "order-1"
    with opened(folder) as file:
        write(file, history(2))
    _copied_in(folder, Path(shutil.copytree(folder, tmp_path / "copy")))
    for _ in range(2):
        with opened(folder) as file:
            assert file.copied
    with opened(folder) as file:
        trust_again(file)
    with opened(folder) as file:
        assert file.suspect is None


def trust_again(file: LogFile) -> None:
    file.write(Write(file.term, file.vote, None, (), trusted=True, cluster=file.cluster))


def test_a_folder_that_is_moved_as_it_is_stays_trusted(tmp_path: Path) -> None:
    with opened(tmp_path / "old") as file:
        write(file, history(2))
    (tmp_path / "old").rename(tmp_path / "new")
    with opened(tmp_path / "new") as file:
        assert file.suspect is None


def test_a_folder_of_release_0_1_is_given_an_origin_and_stays_trusted(tmp_path: Path) -> None:
    """Its mark names none, and there is no file."""
    with opened(tmp_path) as file:
        write(file, history(2))
    (tmp_path / "origin").unlink()
    mark = read_mark(tmp_path)
    assert mark is not None
    MarkFile(tmp_path, mark).replace(msgspec.structs.replace(mark, origin=""))
    for _ in range(2):
        with opened(tmp_path) as file:
            assert file.suspect is None
