"""Whose a folder of an order process is, and what is said of another's."""

from pathlib import Path

import pytest

from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.storage.owner import (
    Owner,
    check_is_no_member,
    check_is_no_replica,
    is_of_member,
    is_of_replica,
    take_folder,
)

OURS = Owner(1, "ours", 4)


def test_a_folder_without_files_is_of_neither(tmp_path: Path) -> None:
    check_is_no_member(tmp_path)
    check_is_no_replica(tmp_path)


@pytest.mark.parametrize("left", ["mark", "log/", "log.damaged-1/"])
def test_what_a_replica_left_is_refused_by_a_member(tmp_path: Path, left: str) -> None:
    if left.endswith("/"):
        (tmp_path / left).mkdir()
    else:
        (tmp_path / left).touch()
    assert is_of_replica(tmp_path)
    with pytest.raises(Unusable, match="holds an order log, which --engine would leave behind"):
        check_is_no_replica(tmp_path)


def test_the_folder_of_a_member_is_refused_by_a_replica(tmp_path: Path) -> None:
    take_folder(tmp_path, OURS)
    take_folder(tmp_path, OURS)
    assert is_of_member(tmp_path)
    assert not is_of_replica(tmp_path)
    with pytest.raises(Unusable, match="its orders are in an engine, which --engine must name"):
        check_is_no_member(tmp_path)


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (Owner(1, "theirs", 4), "of bazaar ours, and the engine holds bazaar theirs"),
        (Owner(2, "ours", 4), "the folder of replica 1, not of 2"),
    ],
)
def test_the_folder_of_another_member_or_bazaar_is_refused(
    tmp_path: Path, other: Owner, line: str
) -> None:
    take_folder(tmp_path, OURS)
    with pytest.raises(Unusable, match=line):
        take_folder(tmp_path, other)
    take_folder(tmp_path, OURS)


def test_a_note_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text("{}")
    with pytest.raises(Damaged, match="engine.json"):
        take_folder(tmp_path, OURS)
