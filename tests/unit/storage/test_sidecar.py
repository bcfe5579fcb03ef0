"""A closed segment's sidecar stands for it, as long as it fits; and nothing depends on it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fakes.histories import check, extend, history, opened, order, write
from twisted_bazaar.consensus.entries import Entry, MemberInfo, Members, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, NotUnderstood
from twisted_bazaar.storage import sidecar
from twisted_bazaar.storage.lines import CLOSING_BYTES, close_lines
from twisted_bazaar.storage.logfile import LogReader
from twisted_bazaar.storage.places import OpenRun
from twisted_bazaar.storage.recovery import Recovery
from twisted_bazaar.tools.inspection import verify

BLOCK = sidecar.BLOCK_ENTRIES


def sidecars(folder: Path) -> list[Path]:
    return sorted((folder / "log").glob("*.places"))


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "log").glob("*.jsonl"))


@contextmanager
def noting_reads() -> Iterator[list[str]]:
    """The segments that a start reads whole."""
    read: list[str] = []
    real = Recovery._read_file

    def noting(self: Recovery, start: int, last: bool) -> None:
        read.append(f"{start:020}")
        real(self, start, last)

    with patch.object(Recovery, "_read_file", noting):
        yield read


def long_log(folder: Path, orders: int = 40) -> list[Entry]:
    entries = history(orders)
    with opened(folder) as file:
        file.write(Write(1, 0, None, ()))
        for entry in entries:
            write(file, [entry])
    return entries


@contextmanager
def as_it_was(path: Path) -> Iterator[None]:
    """Change a file as a disk does that rots: its times stay."""
    times = path.stat()
    yield
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def flip(path: Path, at: int) -> None:
    text = bytearray(path.read_bytes())
    text[at] ^= 1
    path.write_bytes(text)


def test_a_start_reads_the_last_segment_only(tmp_path: Path) -> None:
    entries = long_log(tmp_path)
    assert len(sidecars(tmp_path)) == len(segments(tmp_path)) - 1 > 5
    last = segments(tmp_path)[-1].stem
    with noting_reads() as read, opened(tmp_path) as file:
        check(file, entries, 1)
    assert read == [last]
    with noting_reads() as read:
        LogReader(tmp_path)
    assert len(read) == 1


def test_memory_holds_places_of_the_last_segment_only(tmp_path: Path) -> None:
    entries = long_log(tmp_path)
    with opened(tmp_path) as file:
        write(file, extend(entries, [order(41 + each) for each in range(30)]))
        write(file, extend([*file.read(70, 72)], [order(71)]))
        places = file._state.places
        assert len(places.open) == 1 < file.last_index
        assert {type(span.run) for span in places._spans} == {sidecar.ClosedRun}


def test_what_the_segments_said_of_the_cluster_is_known_without_reading_them(
    tmp_path: Path,
) -> None:
    members = Members((MemberInfo(1), MemberInfo(2), MemberInfo(3)))
    first = history(3)
    more = extend(first, [members, *(order(4 + each) for each in range(20))])
    later = extend([*first, *more], [Opened(leader=1)], term=2)
    with opened(tmp_path) as file:
        write(file, first)
        for entry in [*more, *later]:
            write(file, [entry])
        known = file.openings, file.memberships
    with opened(tmp_path) as file:
        assert (file.openings, file.memberships, file.cluster) == (*known, first[0].digest)
        assert [index for index, _ in file.openings] == [1, later[0].index]
        assert [index for index, _ in file.memberships] == [more[0].index]


def test_entries_that_a_later_segment_removed_stay_removed(tmp_path: Path) -> None:
    entries = long_log(tmp_path, 20)
    for kept in (15, 4, 0):
        with opened(tmp_path) as file:
            events = [entry.event for entry in history(14)]
            if kept:
                events = [order(kept - 1 + each) for each in range(9)]
            made = extend(entries[:kept], events)
            write(file, made[:3], truncate=kept)
            for entry in made[3:]:
                write(file, [entry])
            entries = entries[:kept] + made
            check(file, entries, 1)
        with noting_reads() as read, opened(tmp_path) as file:
            check(file, entries, 1)
        assert len(read) == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def first_line_flipped(path: Path) -> None:
    flip(path, 100)


def older(path: Path) -> None:
    with patch.object(sidecar, "FORMAT", 0):
        reformatted(path, 0)


def reformatted(path: Path, form: int) -> None:
    line, _, blocks = path.read_bytes().partition(b"\n")
    content = line[: 1 - CLOSING_BYTES].replace(b'"format":1', b'"format":%d' % form, 1)
    path.write_bytes(close_lines([content], 0)[0] + blocks)


def of_another_segment(path: Path) -> None:
    path.write_bytes(sidecars(path.parent.parent)[0].read_bytes())


@pytest.mark.parametrize("spoil", [Path.unlink, cut, first_line_flipped, older, of_another_segment])
def test_a_sidecar_that_is_missing_damaged_older_or_of_another_segment_is_made_anew(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    entries = long_log(tmp_path)
    path = sidecars(tmp_path)[3]
    sound = path.read_bytes()
    spoil(path)
    with noting_reads() as read, opened(tmp_path) as file:
        assert file.suspect is None
        check(file, entries, 1)
    assert read == [path.stem, segments(tmp_path)[-1].stem]
    assert path.read_bytes() == sound


def test_the_sidecars_of_another_log_are_not_believed(tmp_path: Path) -> None:
    long_log(tmp_path / "one", 30)
    with opened(tmp_path / "other") as file:
        entries = extend([], [Opened(leader=2), *(entry.event for entry in history(30)[1:])])
        file.write(Write(1, 0, None, ()))
        for entry in entries:
            write(file, [entry])
    for path in sidecars(tmp_path / "one"):
        (tmp_path / "other" / "log" / path.name).write_bytes(path.read_bytes())
    with opened(tmp_path / "other") as file:
        assert file.suspect is None
        check(file, entries, 1)


def test_a_sidecar_of_a_newer_release_is_refused_in_one_line(tmp_path: Path) -> None:
    long_log(tmp_path)
    path = sidecars(tmp_path)[2]
    reformatted(path, 2)
    with pytest.raises(NotUnderstood) as refused, opened(tmp_path):
        pass
    assert str(refused.value) == f"{path}: format 2 is not known to this release"
    assert not (tmp_path / "log.damaged-1").exists()


def test_a_segment_that_was_written_to_since_it_was_closed_is_read(tmp_path: Path) -> None:
    long_log(tmp_path)
    path = segments(tmp_path)[3]
    flip(path, 400)
    with opened(tmp_path) as file:
        assert file.suspect is not None
        assert f"{path} line" in file.suspect


def test_damage_within_a_closed_segment_is_found_by_reading_and_by_the_start_after_that(
    tmp_path: Path,
) -> None:
    entries = long_log(tmp_path)
    path = segments(tmp_path)[3]
    with as_it_was(path):
        flip(path, 400)
    with pytest.raises(Damaged, match=f"{path} line"):
        verify(tmp_path)
    with opened(tmp_path) as file:
        assert file.suspect is None
        with pytest.raises(Damaged, match=f"{path} line"):
            list(file.read(0, len(entries)))
    with opened(tmp_path) as file:
        assert file.suspect is not None


def test_blocks_that_rot_while_the_log_is_used_are_made_anew(tmp_path: Path) -> None:
    entries = long_log(tmp_path)
    for spoil in (cut, Path.unlink, lambda path: flip(path, path.stat().st_size - 7)):
        with opened(tmp_path) as file:
            before = {path: path.read_bytes() for path in sidecars(tmp_path)}
            for path in before:
                spoil(path)
            check(file, entries, 1)
            for path, text in before.items():
                assert path.read_bytes() == text


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    entries = long_log(tmp_path)
    for path in sidecars(tmp_path)[::2]:
        path.unlink()
    flip(sidecars(tmp_path)[1], -6)
    before = {path: path.read_bytes() for path in (tmp_path / "log").iterdir()}
    assert list(LogReader(tmp_path).read(0, len(entries))) == entries
    assert verify(tmp_path).last_index == len(entries)
    assert {path: path.read_bytes() for path in (tmp_path / "log").iterdir()} == before


def test_a_sidecar_that_cannot_be_written_hinders_nothing(tmp_path: Path) -> None:
    with patch("twisted_bazaar.storage.recovery.write", side_effect=OSError(28, "full")):
        entries = long_log(tmp_path)
        with opened(tmp_path) as file:
            check(file, entries, 1)
    assert sidecars(tmp_path) == []


@pytest.mark.parametrize("others", [(), (0, 1), (5, BLOCK - 1, BLOCK, 3 * BLOCK + 7)])
def test_orders_are_found_in_any_block(tmp_path: Path, others: tuple[int, ...]) -> None:
    """As in memory, which was counted through."""
    entries = extend(
        [],
        [Opened(leader=3) if at in others else order(at + 1) for at in range(3 * BLOCK + 20)],
    )
    with opened(tmp_path, segment_bytes=100_000) as file:
        write(file, entries)
        run = OpenRun(0, 0, 0)
        for at in range(len(entries)):
            run.add(at, at not in others)
        write(file, extend(entries, [order(len(entries) + 1)]))
        [span] = file._state.places._spans
        closed = span.run
        assert isinstance(closed, sidecar.ClosedRun)
        for at in {0, 1, 5, 6, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, len(entries)}:
            assert (
                closed.orders_before(at)
                == run.orders_before(at)
                == at - sum(other < at for other in others)
            )
        for nth in (1, 2, 5, 6, BLOCK - 1, BLOCK, BLOCK + 1, run.orders):
            assert closed.place_of(nth) == run.place_of(nth)
