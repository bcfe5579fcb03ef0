"""The mark beside the log reads as it was last written, or is damaged."""

import os
import threading
from pathlib import Path

import pytest

from twisted_bazaar.errors import Damaged
from twisted_bazaar.storage.lines import BLOCK_BYTES
from twisted_bazaar.storage.mark import Mark, MarkFile, mark_path, read_mark

SUSPECT = Mark(3, 'a "reason"\nof two lines, and ünï', True, 12345, 0xD9C3B1E)


def test_a_folder_has_no_mark_until_one_is_written(tmp_path: Path) -> None:
    assert read_mark(tmp_path) is None
    assert read_mark(tmp_path / "nowhere") is None


@pytest.mark.parametrize("mark", [SUSPECT, Mark(1, None, False), Mark(2, None, False, 2**63, 0)])
def test_a_mark_reads_as_it_was_written(tmp_path: Path, mark: Mark) -> None:
    file = MarkFile(tmp_path, mark)
    file.replace(mark)
    assert read_mark(tmp_path) == file.mark == mark
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_advancing_changes_the_position_alone(tmp_path: Path) -> None:
    file = MarkFile(tmp_path, SUSPECT)
    file.replace(SUSPECT)
    for position, checksum in ((1, 0), (20_000_000_000, 0xFFFFFFFF), (7, 1)):
        file.advance(position, checksum)
        assert read_mark(tmp_path) == Mark(3, SUSPECT.suspect, True, position, checksum)
    file.close()
    file.advance(8, 2)
    file.replace(Mark(3, None, False, 9, 3))
    file.advance(10, 4)
    file.close()
    assert read_mark(tmp_path) == Mark(3, None, False, 10, 4)


def test_a_new_mark_is_durable_before_it_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_replace = os.replace

    def note_sync(descriptor: int) -> None:
        calls.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def note_replace(*paths: Path) -> None:
        calls.append("replace " + " ".join(path.name for path in paths))
        real_replace(*paths)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    MarkFile(tmp_path, SUSPECT).replace(SUSPECT)
    assert calls == ["sync mark.new", "replace mark.new mark", f"sync {tmp_path.name}"]


def test_the_position_lies_in_one_block_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, int]] = []
    file = MarkFile(tmp_path, SUSPECT)
    file.replace(SUSPECT)
    monkeypatch.setattr(os, "pwrite", lambda _, data, at: written.append((at, len(data))))
    file.advance(2**63, 0xFFFFFFFF)
    file.advance(0, 0)
    file.close()
    (first, again) = written
    assert first == again
    assert first[0] == 0
    assert first[1] <= BLOCK_BYTES


def test_a_mark_that_is_not_as_it_was_written_is_damage(tmp_path: Path) -> None:
    MarkFile(tmp_path, SUSPECT).replace(SUSPECT)
    path = mark_path(tmp_path)
    text = path.read_bytes()
    (first, second) = text.splitlines(keepends=True)
    spoiled = [text[:cut] for cut in range(len(text))]
    for at in range(len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[at] ^= 1 << bit
            spoiled.append(bytes(flipped))
    spoiled += [second + first, first + first, second, text + b"\n", text + second, b"\0" * 512]
    for bad in spoiled:
        path.write_bytes(bad)
        with pytest.raises(Damaged, match=rf"^{path}: "):
            read_mark(tmp_path)
    path.write_bytes(text)
    assert read_mark(tmp_path) == SUSPECT


def test_a_mark_can_be_read_while_it_advances(tmp_path: Path) -> None:
    start = Mark(3, None, False)
    file = MarkFile(tmp_path, start)
    file.replace(start)
    done = threading.Event()

    def advance() -> None:
        position = 0
        while not done.is_set():
            position += 1
            file.advance(position, position)

    thread = threading.Thread(target=advance)
    thread.start()
    try:
        seen = [read_mark(tmp_path) for _ in range(500)]
    finally:
        done.set()
        thread.join()
    file.close()
    positions = [mark.position for mark in seen if mark]
    assert len(positions) == len(seen)
    assert positions == sorted(positions)
