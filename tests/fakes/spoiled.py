"""Logs to damage, and what a replica must make of them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged
from twisted_bazaar.storage.logfile import LogReader
from twisted_bazaar.storage.mark import Mark, MarkFile

from .histories import check, extend, files, files_in, history, opened, order, write


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


def put(folder: Path, segments: dict[str, bytes], known: int | None = None) -> None:
    """Put a log into `folder`, and a mark that knows it up to byte `known`; None: all of it."""
    (folder / "log").mkdir()
    for name, text in segments.items():
        (folder / "log" / name).write_bytes(text)
    whole = b"".join(sound()[0].values())
    known = len(whole) if known is None else known
    checksum = int(whole[known - len('01234567"}\n') : known][:8] or b"0", 16)
    with patch("os.fsync"):
        MarkFile(folder, NOTHING).replace(Mark(3, None, False, known, checksum))


NOTHING = Mark(3, None, False)


@cache
def sound() -> tuple[dict[str, bytes], list[Entry]]:
    """The files of a log, and its entries."""
    with TemporaryDirectory() as folder:
        entries = log_with_everything(Path(folder))
        segments = files(Path(folder))
    assert len(segments) == 4
    return segments, entries


def last_header() -> int:
    """The position after the header of the last segment."""
    name = max(sound()[0])
    return int(Path(name).stem) + sound()[0][name].index(b"\n") + 1


def damaged(folder: Path) -> str:
    """Check that the log in `folder` is set aside whole, and stays suspect; returns the reason."""
    before = files(folder)
    with pytest.raises(Damaged) as reading:
        LogReader(folder)
    assert files(folder) == before
    why = str(reading.value)
    assert "\n" not in why
    aside = folder / "log.damaged-1"
    with patch("os.fdatasync"), patch("os.fsync"):
        for _ in range(2):
            with opened(folder) as file:
                check(file, [])
                assert (file.suspect, file.fresh) == (f"{why}; set aside as {aside}", False)
                assert file.recovered is None
    assert files_in(aside) == before
    return why


BEFORE = history(2)


@cache
def one_batch() -> tuple[dict[str, bytes], list[Entry]]:
    """A log that ends with one write of twenty orders after `BEFORE`, and all its entries."""
    with TemporaryDirectory() as name, opened(Path(name), segment_bytes=1 << 20) as file:
        write(file, BEFORE)
        batch = extend(BEFORE, [order(3 + each) for each in range(20)])
        write(file, batch)
        return files(Path(name)), [*BEFORE, *batch]
