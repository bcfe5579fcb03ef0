"""The rest of a torn write is cut off; anything else that cannot be read is damage.

The mark is behind the log here, as after a loss of power.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.histories import Written, check, extend, files, opened, order, write
from tests.fakes.spoiled import BEFORE, damaged, last_header, one_batch, put, sound
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.logfile import LogReader

anywhere = settings(deadline=None)


def survivors(text: bytes, entries: Sequence[Entry], before: int) -> list[Entry]:
    """The entries in the whole lines of a last segment, and the `before` before it."""
    records = [line[:-18] + b"}" for line in text.split(b"\n")[:-1]]
    kept = before + sum(b'"digest"' in record for record in records[1:])
    assert records[0].startswith(b'{"kind":"segment"')
    return list(entries[:kept])


@anywhere
@given(st.data())
def test_a_write_cut_short_anywhere_loses_only_the_line_it_was_cut_in(data: st.DataObject) -> None:
    segments, entries = sound()
    name = max(segments)
    text = segments[name]
    cut = data.draw(st.integers(text.index(b"\n") + 1, len(text)))
    with TemporaryDirectory() as temporary, patch("os.fdatasync"), patch("os.fsync"):
        folder = Path(temporary)
        put(folder, segments | {name: text[:cut]}, last_header())
        before = json.loads(text.splitlines()[0])["index"]
        kept = survivors(text[:cut], entries, before)
        torn = cut - (text.rfind(b"\n", 0, cut) + 1)
        with opened(folder) as file:
            check(file, kept, 2, 0)
            assert file.suspect is None
            assert (file.recovered is not None) == (torn > 0)
            if torn:
                assert f"{name}: cut off an unfinished write of {torn} bytes" in str(file.recovered)
            write(file, extend(kept, [order(len(kept) - 1, "after")], term=2))
        Written(folder)
        with opened(folder) as file:
            assert (file.recovered, file.last_index) == (None, len(kept) + 1)


def test_a_last_segment_with_a_torn_header_is_begun_again(tmp_path: Path) -> None:
    segments, entries = sound()
    name = max(segments)
    before = json.loads(segments[name].splitlines()[0])["index"]
    header = segments[name].index(b"\n")
    for cut in (0, 1, 40, header - 1, header):
        folder = tmp_path / str(cut)
        folder.mkdir()
        put(folder, segments | {name: segments[name][:cut]}, int(Path(name).stem))
        reader = LogReader(folder)
        assert (reader.last_index, reader.torn) == (before, cut)
        with opened(folder) as file:
            check(file, entries[:before], 2, 0)
            assert file.recovered is not None
            assert name in file.recovered
            assert file.suspect is None
            write(file, entries[before:])
        with opened(folder) as file:
            check(file, entries, 2, 0)
            assert file.recovered is None


def test_a_torn_segment_is_removed_durably_before_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments, _ = sound()
    put(tmp_path, segments | {max(segments): b""}, int(Path(max(segments)).stem))
    synced: list[dict[str, bytes]] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(files(tmp_path)))
    with opened(tmp_path):
        pass
    without = {name: segments[name] for name in sorted(segments)[:-1]}
    assert [each for each in synced if max(segments) not in each] == [without]


def test_a_first_segment_with_a_torn_header_is_begun_again(tmp_path: Path) -> None:
    put(tmp_path, {f"{0:020}.jsonl": b'{"kind":"segm'}, 0)
    with pytest.raises(Unusable, match="holds no order log yet"):
        LogReader(tmp_path)
    with opened(tmp_path) as file:
        check(file, [])
    Written(tmp_path)


@pytest.mark.parametrize("text", [b"?", b'{"kind":"segment","format":1,"position":0,', b'\0\0{"'])
def test_a_last_segment_that_begins_otherwise_is_damage(tmp_path: Path, text: bytes) -> None:
    segments, _ = sound()
    name = max(segments)
    put(tmp_path, segments | {name: text}, int(Path(name).stem))
    path = tmp_path / "log" / name
    assert damaged(tmp_path) == f"{path} line 1: does not end where it should (after entry 13)"


def test_a_segment_whose_header_is_zeros_is_begun_again(tmp_path: Path) -> None:
    segments, entries = sound()
    name = max(segments)
    put(tmp_path, segments | {name: bytes(200)}, int(Path(name).stem))
    with opened(tmp_path) as file:
        check(file, entries[:13], 2, 0)
        assert (file.suspect, file.recovered is None) == (None, False)


@anywhere
@given(st.data())
def test_a_flipped_bit_in_a_torn_line_costs_no_whole_line(data: st.DataObject) -> None:
    """A bit that makes an end of line in it is damage: no write leaves such a line."""
    segments, entries = sound()
    name = max(segments)
    text = segments[name]
    start = text.rindex(b"\n", 0, -1) + 1
    torn = bytearray(text[: data.draw(st.integers(start + 1, len(text) - 1))])
    at = data.draw(st.integers(start, len(torn) - 1))
    torn[at] ^= 1 << data.draw(st.integers(0, 7))
    with TemporaryDirectory() as temporary, patch("os.fdatasync"), patch("os.fsync"):
        folder = Path(temporary)
        put(folder, segments | {name: bytes(torn)}, last_header())
        if b"\n" in torn[start:] or 0 in torn[start:]:
            damaged(folder)
            return
        with opened(folder) as file:
            check(file, entries[:-1], 2, 0)
            assert file.recovered is not None


@anywhere
@given(st.data())
def test_missing_blocks_of_the_last_write_lose_nothing_before_it(
    data: st.DataObject,
) -> None:
    """After a loss of power, any of them may be zeros, and any number at the end missing."""
    segments, entries = one_batch()
    (name,) = segments
    text = bytearray(segments[name])
    begin = text.rindex(b'"end"', 0, -30)
    begin = text.index(b"\n", begin) + 1
    blocks = range(begin // 512, len(text) // 512 + 1)
    for block in data.draw(st.sets(st.sampled_from(blocks))):
        low, high = max(begin, block * 512), min(len(text), block * 512 + 512)
        text[low:high] = bytes(high - low)
    text = text[: data.draw(st.integers(begin, len(text)))]
    with TemporaryDirectory() as temporary, patch("os.fdatasync"), patch("os.fsync"):
        folder = Path(temporary)
        put(folder, {name: bytes(text)}, 0)
        with opened(folder) as file:
            assert file.suspect is None
            assert file.last_index >= len(BEFORE)
            check(file, entries[: file.last_index])


def test_a_block_missing_before_a_later_write_is_damage(tmp_path: Path) -> None:
    """A disk that says that it has what it has not: nothing else writes on after a hole."""
    segments, entries = one_batch()
    (name,) = segments
    text = bytearray(segments[name])
    hole = text.rindex(b'"number":12,') // 512 * 512
    text[hole : hole + 512] = bytes(512)
    after = tmp_path / "after"
    after.mkdir()
    put(after, {name: bytes(text)}, 0)
    with opened(after) as file:
        assert file.suspect is None
        check(file, entries[: file.last_index])
    with TemporaryDirectory() as folder, opened(Path(folder), segment_bytes=1 << 20) as file:
        write(file, entries[:4])
        write(file, entries[4:])
        write(file, extend(entries, [order(23)]))
        text[len(text) :] = files(Path(folder))[name][len(text) :]
    put(tmp_path, {name: bytes(text)}, 0)
    assert "the checksum does not fit (after entry 1" in damaged(tmp_path)


@pytest.mark.parametrize(("at", "length"), [(3, 512), (0, 100), (-512, 511)])
def test_zeros_that_are_not_whole_blocks_are_damage(tmp_path: Path, at: int, length: int) -> None:
    segments, _ = one_batch()
    (name,) = segments
    text = bytearray(segments[name])
    hole = text.rindex(b'"number":12,') // 512 * 512 + at
    text[hole : hole + length] = bytes(length)
    put(tmp_path, {name: bytes(text)}, 0)
    damaged(tmp_path)
