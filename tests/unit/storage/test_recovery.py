"""Files of a log that are not as they were written are damage, with any mark."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.histories import check, files, opened
from tests.fakes.spoiled import NOTHING, damaged, last_header, put, sound
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.storage.logfile import LogReader
from twisted_bazaar.storage.mark import Mark, MarkFile

anywhere = settings(deadline=None)


def knows(data: st.DataObject) -> int:
    """How much of the log a mark may know: of the last segment, anything."""
    whole = b"".join(sound()[0].values())
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    return data.draw(st.sampled_from([end for end in ends if end >= last_header()]))


@anywhere
@given(st.data())
def test_a_flipped_bit_is_damage_wherever_it_is(data: st.DataObject) -> None:
    """Also in the last newline, and with any mark."""
    segments, _ = sound()
    name = data.draw(st.sampled_from(sorted(segments)))
    text = bytearray(segments[name])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        put(folder, segments | {name: bytes(text)}, knows(data))
        line = segments[name].count(b"\n", 0, at) + 1
        why = damaged(folder)
        assert why.startswith(f"{folder / 'log' / name} line {line}: ")
        assert "the checksum does not fit (after entry " in why or (
            line == segments[name].count(b"\n")
        )


def test_a_flipped_bit_in_how_the_last_line_ends_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    name = max(segments)
    text = segments[name]
    put(tmp_path, segments, last_header())
    for at in range(len(text) - len(b',"end":"01234567"}\n'), len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[at] ^= 1 << bit
            (tmp_path / "log" / name).write_bytes(flipped)
            with pytest.raises(Damaged):
                LogReader(tmp_path)


@anywhere
@given(st.data())
def test_anything_missing_below_the_mark_is_damage(data: st.DataObject) -> None:
    """Cut at an end of line, or not; or overwritten with zeros; or whole segments gone."""
    segments, _ = sound()
    whole = b"".join(segments.values())
    known = knows(data)
    cut = data.draw(st.integers(0, known - 1))
    damage = whole[:cut]
    if data.draw(st.booleans()):
        damage += bytes(len(whole) - cut)
    kept = {name: damage[int(Path(name).stem) :][: len(text)] for name, text in segments.items()}
    kept = {name: text for name, text in kept.items() if text}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        put(folder, kept, known)
        why = damaged(folder)
        if not kept:
            assert why == f"{folder / 'log'}: all of the log is missing"


def test_missing_bytes_are_reported_with_their_place(tmp_path: Path) -> None:
    segments, _ = sound()
    name = max(segments)
    lines = segments[name].splitlines(keepends=True)
    put(tmp_path, segments | {name: b"".join(lines[:-1])})
    assert damaged(tmp_path) == (
        f"{tmp_path / 'log' / name} line {len(lines)}:"
        f" {len(lines[-1])} bytes that were on disk are missing (after entry 16)"
    )


def test_a_log_of_another_history_than_the_mark_is_damage(tmp_path: Path) -> None:
    """As when an older copy of the log is put back, and the replica ran on from there."""
    segments, _ = sound()
    put(tmp_path, segments)
    MarkFile(tmp_path, NOTHING).replace(Mark(3, None, False, last_header(), 0x1234))
    name = max(segments)
    path = tmp_path / "log" / name
    assert (
        damaged(tmp_path) == f"{path} line 2: the log was another one up to here (after entry 17)"
    )


@anywhere
@given(st.data())
def test_lines_left_out_doubled_or_swapped_are_damage(data: st.DataObject) -> None:
    segments, _ = sound()
    name = data.draw(st.sampled_from(sorted(segments)))
    lines = segments[name].splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
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
        damaged(folder)


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    names = sorted(segments)
    for missing, noticed in ((names[0], names[1]), (names[1], names[2]), (names[2], names[3])):
        folder = tmp_path / missing
        folder.mkdir()
        put(folder, {name: text for name, text in segments.items() if name != missing})
        assert damaged(folder).startswith(f"{folder / 'log' / noticed}: the log before it ends at")


def test_an_inner_segment_without_its_end_is_damage(tmp_path: Path) -> None:
    segments, _ = sound()
    name = sorted(segments)[1]
    for number, length in enumerate((len(segments[name]) - 5, 0)):
        folder = tmp_path / str(number)
        folder.mkdir()
        put(folder, segments | {name: segments[name][:length]})
        line = segments[name][:length].count(b"\n") + 1
        why = f"{folder / 'log' / name} line {line}: does not end where it should (after entry "
        assert damaged(folder).startswith(why)


def test_the_log_of_another_replica_is_refused_and_not_damage(tmp_path: Path) -> None:
    """Nothing is moved away, whether the mark is the other's as well, or ours, or gone."""
    segments, _ = sound()
    put(
        tmp_path,
        {name: text.replace(b'"replica":3', b'"replica":2') for name, text in segments.items()},
        0,
    )
    resealed(tmp_path)
    path = tmp_path / "log" / min(segments)
    before = files(tmp_path)
    for spoil in (lambda: None, (tmp_path / "mark").unlink):
        spoil()
        with (
            pytest.raises(Unusable, match=rf"^{path}: the log of replica 2, not of 3$") as error,
            opened(tmp_path),
        ):
            pass
        assert not isinstance(error.value, Damaged)
        assert files(tmp_path) == before
    MarkFile(tmp_path, NOTHING).replace(Mark(2, None, False))
    with pytest.raises(Unusable, match="the folder of replica 2, not of 3"), opened(tmp_path):
        pass
    assert files(tmp_path) == before
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
        (
            b'{"kind":"boot"',
            b'{"kind":"toot"',
            "a line of kind 'toot' is not known to this release",
        ),
        (b'{"kind":"boot"', b'{"kind":7,"b":1', "not a line of a log"),
        (b'{"kind":"boot"', b'["kind","boot"', "not a line of a log"),
        (b'"vote":3', b'"vote":"3"', "a line of kind 'vote' is not known to this release"),
        (b'"format":1', b'"format":2', "format 2 is not known to this release"),
        (b'"replica":3,"position":0', b'"replica":2,"position":0', "the log of replica 2, not of"),
        (b'"position":1770', b'"position":1771', "the header says position 1771"),
        (b'"digest":"0000', b'"digest":"1111', "the header says digest '1111"),
    ],
)
def test_lines_that_contradict_one_another_are_refused(
    tmp_path: Path, was: bytes, becomes: bytes, why: str
) -> None:
    segments, _ = sound()
    name = next(name for name in sorted(segments) if was in segments[name])
    put(tmp_path, segments | {name: segments[name].replace(was, becomes, 1)}, 0)
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
        put(folder, {name: b"".join(wrong)}, 0)
        resealed(folder)
        assert "a header is not the first line, or is missing" in damaged(folder)


def test_files_that_are_not_segments_are_left_alone(tmp_path: Path) -> None:
    segments, entries = sound()
    put(tmp_path, segments | {"README": b"?", "0.jsonl": b"?", min(segments) + "~": b"?"})
    with opened(tmp_path) as file:
        check(file, entries, 2, 0)
    assert files(tmp_path)["README"] == b"?"
