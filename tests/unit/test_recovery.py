"""A log whose files are not as they were left: a torn write is cut off, damage is refused.

What cannot be told apart yet: bytes missing at the very end, or overwritten there up to and
including the last end of line, look like a write that was cut short, though they may have been
acknowledged. So do whole segments missing at the end. That takes a mark of how much was
durable, kept elsewhere.
"""

import json
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.replication.entries import Entry
from twisted_bazaar.replication.log import Write
from twisted_bazaar.replication.logfile import LogReader

from .histories import Written, check, extend, files, history, opened, order, write


def log_with_everything(folder: Path) -> list[Entry]:
    """Four segments with votes, a truncation and two starts in them."""
    entries = history(6)
    with opened(folder) as file:
        file.write(Write(1, 3, None, tuple(entries)))
        entries[5:] = extend(entries[:5], [order(4, "new"), order(5, "newer")], term=2)
        file.write(Write(2, 0, 5, tuple(entries[5:])))
    with opened(folder) as file:
        made = extend(entries, [order(6 + each) for each in range(10)], term=2)
        for entry in made:
            write(file, [entry])
    return entries + made


def put(folder: Path, segments: dict[str, bytes]) -> None:
    (folder / "log").mkdir()
    for name, text in segments.items():
        (folder / "log" / name).write_bytes(text)


@cache
def sound() -> tuple[dict[str, bytes], list[Entry]]:
    """The files of a log, and its entries."""
    with TemporaryDirectory() as folder:
        entries = log_with_everything(Path(folder))
        segments = files(Path(folder))
    assert len(segments) == 4
    return segments, entries


def refused(folder: Path) -> str:
    """That the log in `folder` is not opened and stays as it is; answers why."""
    before = files(folder)
    with pytest.raises(Damaged) as opening, opened(folder):
        pass
    with pytest.raises(Damaged) as reading:
        LogReader(folder)
    assert str(opening.value) == str(reading.value)
    assert "\n" not in str(opening.value)
    assert files(folder) == before
    return str(opening.value)


def survivors(text: bytes, entries: Sequence[Entry], before: int) -> list[Entry]:
    """The entries in the whole lines of a last segment, and the `before` before it."""
    records = [line[:-18] + b"}" for line in text.split(b"\n")[:-1]]
    kept = before + sum(b'"digest"' in record for record in records[1:])
    assert records[0].startswith(b'{"kind":"segment"')
    return list(entries[:kept])


@given(st.data())
def test_a_write_cut_short_anywhere_loses_only_the_line_it_was_cut_in(data: st.DataObject) -> None:
    segments, entries = sound()
    name = max(segments)
    text = segments[name]
    cut = data.draw(st.integers(text.index(b"\n") + 1, len(text)))
    with TemporaryDirectory() as temporary, patch("os.fdatasync"), patch("os.fsync"):
        folder = Path(temporary)
        put(folder, segments | {name: text[:cut]})
        before = json.loads(text.splitlines()[0])["index"]
        kept = survivors(text[:cut], entries, before)
        torn = cut - (text.rfind(b"\n", 0, cut) + 1)
        with opened(folder) as file:
            check(file, kept, 2, 0)
            assert (file.recovered is not None) == (torn > 0)
            if torn:
                assert f"{name}: cut off an unfinished last line of {torn} bytes" in str(
                    file.recovered
                )
            write(file, extend(kept, [order(len(kept) - 1, "after")], term=2))
        Written(folder)
        with opened(folder) as file:
            assert (file.recovered, file.last_index) == (None, len(kept) + 1)


def test_a_segment_that_was_only_just_begun_is_begun_again(tmp_path: Path) -> None:
    segments, entries = sound()
    name = max(segments)
    before = json.loads(segments[name].splitlines()[0])["index"]
    header = segments[name].index(b"\n")
    for cut in (0, 1, 40, header - 1, header):
        folder = tmp_path / str(cut)
        folder.mkdir()
        put(folder, segments | {name: segments[name][:cut]})
        reader = LogReader(folder)
        assert (reader.last_index, reader.torn) == (before, cut)
        with opened(folder) as file:
            check(file, entries[:before], 2, 0)
            assert file.recovered is not None
            assert name in file.recovered
            write(file, entries[before:])
        with opened(folder) as file:
            check(file, entries, 2, 0)
            assert file.recovered is None


def test_a_segment_that_was_only_just_begun_is_gone_for_good_before_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments, _ = sound()
    put(tmp_path, segments | {max(segments): b""})
    synced: list[dict[str, bytes]] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(files(tmp_path)))
    with opened(tmp_path):
        pass
    without = {name: segments[name] for name in sorted(segments)[:-1]}
    assert [each for each in synced if max(segments) not in each] == [without]


def test_a_very_first_segment_that_was_only_just_begun_is_begun_again(tmp_path: Path) -> None:
    put(tmp_path, {f"{0:020}.jsonl": b'{"kind":"segm'})
    with pytest.raises(Unusable, match="holds no order log yet"):
        LogReader(tmp_path)
    with opened(tmp_path) as file:
        check(file, [])
    Written(tmp_path)


@pytest.mark.parametrize("text", [b"?", b'{"kind":"segment","format":1,"replica":4,', b"\0" * 500])
def test_a_last_segment_that_never_began_like_one_is_damage(tmp_path: Path, text: bytes) -> None:
    segments, _ = sound()
    name = max(segments)
    put(tmp_path, segments | {name: text})
    assert (
        refused(tmp_path)
        == f"{tmp_path / 'log' / name}: neither a segment nor the beginning of one"
    )


@given(st.data())
def test_a_flipped_bit_is_damage_wherever_it_is(data: st.DataObject) -> None:
    """Also in the last end of line: what follows a closing that fits was not written there."""
    segments, _ = sound()
    name = data.draw(st.sampled_from(sorted(segments)))
    text = bytearray(segments[name])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        put(folder, segments | {name: bytes(text)})
        line = segments[name].count(b"\n", 0, at) + 1
        why = refused(folder)
        assert why.startswith(f"{folder / 'log' / name}")
        assert f"{name} line {line}: the checksum does not fit (after entry " in why or (
            line == segments[name].count(b"\n")
        )


def test_a_flipped_bit_in_how_the_last_line_ends_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    name = max(segments)
    text = segments[name]
    put(tmp_path, segments)
    for at in range(len(text) - len(b',"crc":"01234567"}\n'), len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[at] ^= 1 << bit
            (tmp_path / "log" / name).write_bytes(flipped)
            with pytest.raises(Damaged):
                LogReader(tmp_path)


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
        put(folder, segments | {name: bytes(torn)})
        if b"\n" in torn[start:]:
            refused(folder)
            return
        with opened(folder) as file:
            check(file, entries[:-1], 2, 0)
            assert file.recovered is not None


@given(st.data())
def test_lines_left_out_doubled_or_swapped_are_damage(data: st.DataObject) -> None:
    """Left out at the very end they are not: see above."""
    segments, _ = sound()
    name = data.draw(st.sampled_from(sorted(segments)))
    lines = segments[name].splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 2))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda other: other != at))
    match data.draw(st.sampled_from(["left out", "doubled", "swapped"])):
        case "left out":
            del lines[at]
        case "doubled":
            lines.insert(other, lines[at])
        case "swapped":
            lines[at], lines[other] = lines[other], lines[at]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        put(folder, segments | {name: b"".join(lines)})
        refused(folder)


def test_a_missing_or_foreign_segment_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    names = sorted(segments)
    for missing, noticed in ((names[0], names[1]), (names[1], names[2]), (names[2], names[3])):
        folder = tmp_path / missing
        folder.mkdir()
        put(folder, {name: text for name, text in segments.items() if name != missing})
        assert refused(folder).startswith(f"{folder / 'log' / noticed}: the log before it ends at")


def test_an_inner_segment_without_its_end_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    name = sorted(segments)[1]
    put(tmp_path, segments | {name: segments[name][:-5]})
    assert refused(tmp_path) == f"{tmp_path / 'log' / name}: ends in the middle of a line"
    (tmp_path / "log" / name).write_bytes(b"")
    assert refused(tmp_path) == f"{tmp_path / 'log' / name}: ends in the middle of a line"


def test_the_log_of_another_replica_is_refused(tmp_path: Path) -> None:
    segments, _ = sound()
    put(
        tmp_path,
        {name: text.replace(b'"replica":3', b'"replica":2') for name, text in segments.items()},
    )
    resealed(tmp_path)
    with (
        pytest.raises(Damaged, match="line 1: the header says replica 2, which should be 3"),
        opened(tmp_path),
    ):
        pass
    assert LogReader(tmp_path).replica == 2


def resealed(folder: Path) -> None:
    """Give every line the checksum that fits: damage that only its meaning gives away."""
    crc = 0
    for path in sorted((folder / "log").iterdir()):
        lines = path.read_bytes().splitlines()
        lines[0] = re.sub(rb'"previous":"[^"]*"', b'"previous":"%08x"' % crc, lines[0])
        text = b""
        seed = crc
        for line in lines:
            crc = crc32(line[:-18], seed)
            closing = b',"crc":"%08x"}\n' % crc
            seed = crc32(closing, crc)
            text += line[:-18] + closing
        path.write_bytes(text)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        (b'"index":7,"term"', b'"index":8,"term"', "entry 8 follows entry 6"),
        (b'"number":15', b'"number":14', "should be order 15"),
        (b'"after":5', b'"after":9', "truncated after 9 of 8"),
        (b'"term":2,"vote":0', b'"term":0,"vote":0', "term 0 after term 1"),
        (b'{"kind":"boot"', b'{"kind":"toot"', "not a log entry"),
        (b'{"kind":"boot"', b'{"kind":7,"b":1', "not a line of a log"),
        (b'{"kind":"boot"', b'["kind","boot"', "not a line of a log"),
        (b'"vote":3', b'"vote":"3"', "not a line of a log"),
        (b'"format":1', b'"format":2', "format 2, which this version cannot read"),
        (b'"replica":3,"position":0', b'"replica":2,"position":0', "the header says replica 3"),
        (b'"position":1770', b'"position":1771', "the header says position 1771"),
        (b'"digest":"0000', b'"digest":"1111', "the header says digest '1111"),
    ],
)
def test_lines_that_contradict_one_another_are_refused(
    tmp_path: Path, was: bytes, becomes: bytes, why: str
) -> None:
    segments, _ = sound()
    name = next(name for name in sorted(segments) if was in segments[name])
    put(tmp_path, segments | {name: segments[name].replace(was, becomes, 1)})
    resealed(tmp_path)
    with pytest.raises(Unusable, match=why):
        LogReader(tmp_path)


def test_a_header_in_the_middle_or_none_at_the_beginning_is_refused(tmp_path: Path) -> None:
    segments, _ = sound()
    name = min(segments)
    lines = segments[name].splitlines(keepends=True)
    for number, wrong in enumerate(([lines[0], *lines], lines[1:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        put(folder, {name: b"".join(wrong)})
        resealed(folder)
        assert "a header is not the first line, or is missing" in refused(folder)


def test_files_that_are_not_segments_are_left_alone(tmp_path: Path) -> None:
    segments, entries = sound()
    put(tmp_path, segments | {"README": b"?", "0.jsonl": b"?", min(segments) + "~": b"?"})
    with opened(tmp_path) as file:
        check(file, entries, 2, 0)
    assert files(tmp_path)["README"] == b"?"
