"""Folders of replicas, at every moment at which one had acknowledged something."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import NamedTuple
from unittest.mock import patch

from tests.fakes.histories import LISTED, extend, ledger_of, number_of, order
from twisted_bazaar.consensus.entries import Entry, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import SEGMENT_BYTES, LogFile
from twisted_bazaar.storage.stores import FolderStore
from twisted_bazaar.storage.trust import Witness

__all__ = [
    "INDEX",
    "INDEX_LOG",
    "MARK",
    "REPLICA",
    "Files",
    "Moment",
    "index_of",
    "log_in_place",
    "moments",
    "scratch",
    "without_waiting",
]

REPLICA = 3
MARK = "mark"
INDEX = "index.sqlite"
INDEX_LOG = "index.sqlite-wal"

Files = dict[str, bytes]
"""What is in a folder, by path; a folder without files is not in it."""


class Moment(NamedTuple):
    """What a folder held at some time, and what the replica had acknowledged by then."""

    files: Files
    entries: tuple[Entry, ...]
    term: int
    vote: int
    suspect: bool
    """It was suspect then, so it may hold anything and must stay so."""

    @property
    def segments(self) -> list[str]:
        return self._of_log(".jsonl")

    @property
    def sidecars(self) -> list[str]:
        return self._of_log(".places")

    def _of_log(self, suffix: str) -> list[str]:
        return [
            name for name in sorted(self.files) if name.startswith("log/") and name.endswith(suffix)
        ]


def log_in_place(
    folder: Path,
    random: Random,
    segment_bytes: int = SEGMENT_BYTES,
    witness: Witness | None = None,
) -> LogFile:
    """The log in `folder`, as if it had always been there: a trial puts copies everywhere."""
    with (
        patch("twisted_bazaar.storage.trust.origin_of", lambda folder: "here"),
        patch("twisted_bazaar.storage.trust.make_origin", lambda folder: "here"),
    ):
        archive = Archive(FolderStore(folder / "archive"))
        return LogFile(folder, REPLICA, random, segment_bytes, witness, archive)


def moments(random: Random) -> list[Moment]:
    """The moments of one replica's life: writes, votes, truncations, restarts, perhaps a loss."""
    with scratch() as folder, without_waiting():
        life = _Life(folder, random)
        life.begin()
        for _ in range(random.randint(6, 24)):
            life.go_on()
        if random.random() < 0.2:
            life.lose()
        life.file.close()
        return life.moments


class _Life:
    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.moments: list[Moment] = []
        self._random = random
        self._segment_bytes = random.choice((300, 700, 700, 1500, 100_000))
        self._entries: list[Entry] = []
        self._term = 1
        self._vote = 0
        self._indexed = 0
        self.file = self._open()

    def _open(self) -> LogFile:
        return log_in_place(self.folder, self._random, self._segment_bytes)

    def begin(self) -> None:
        self._entries = extend([], [Opened(leader=3), LISTED], self._term)
        self.file.write(Write(self._term, 0, None, tuple(self._entries), trusted=True))
        self._remember()

    def go_on(self) -> None:
        deed = self._random.random()
        if deed < 0.15:
            self.file.close()
            self.file = self._open()
        elif deed < 0.3:
            self._term += self._random.randint(0, 2)
            self._vote = self._random.randint(0, 3)
            self._write(None, [])
        elif deed < 0.4:
            # Never what is indexed: that is released.
            kept = self._random.randint(max(2, self._indexed), len(self._entries))
            self._term += 1
            self._write(kept, extend(self._entries[:kept], [Opened(leader=2)], self._term))
        else:
            number = number_of(self._entries)
            count = self._random.choice((1, 1, 1, 2, 3, 8))
            events = [order(number + 1 + each) for each in range(count)]
            self._write(None, extend(self._entries, events, self._term))
        self._remember()

    def _write(self, kept: int | None, made: list[Entry]) -> None:
        self.file.write(Write(self._term, self._vote, kept, tuple(made)))
        self._entries = self._entries[:kept] + made

    def lose(self) -> None:
        """Something is lost, and found lost; then it is fetched from others, in part."""
        self.file.close()
        last = max((self.folder / "log").glob("*.jsonl"))
        last.write_bytes(last.read_bytes()[:-2])
        self.file = self._open()
        assert self.file.suspect is not None
        self._remember()
        fetched = self._random.randint(0, len(self._entries))
        self.file.write(Write(self._term, 0, None, tuple(self._entries[:fetched])))
        self._remember()

    def _remember(self) -> None:
        self.moments.append(
            Moment(
                read_files(self.folder),
                tuple(self._entries),
                self.file.term,
                self.file.vote,
                self.file.suspect is not None,
            )
        )


def read_files(folder: Path) -> Files:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def index_of(moment: Moment, upto: int, closed: bool) -> Files:
    """An index that reflects the first `upto` entries of `moment`, written in some batches.

    Not `closed`: as a killed process leaves it, with all of that in SQLite's own log.
    """
    with scratch() as folder:
        index = Index(folder / INDEX, History(moment.entries))
        for after in range(0, upto, 7):
            entries = moment.entries[after : min(upto, after + 7)]
            ledger = ledger_of(moment.entries[: after + len(entries)])
            index.write(entries, ledger.stocks.values(), ledger.last_number)
        if closed:
            index.close()
        files = {name: text for name, text in read_files(folder).items() if "-shm" not in name}
        index.close()
        return files


class History:
    """Entries as an index asks for them."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = entries

    @property
    def last_index(self) -> int:
        return len(self._entries)

    def digest_at(self, index: int) -> str:
        return self._entries[index - 1].digest if index else "0" * 32


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder, in memory where there is such a thing."""
    memory = Path("/dev/shm")
    folder = Path(mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Nothing here survives a crash of the machine, and need not. What damages a file leaves its
    times as they are, as a disk does."""
    with (
        patch("os.fsync", _done),
        patch("os.fdatasync", _done),
        patch("twisted_bazaar.storage.segments.touched", lambda _: 7),
    ):
        yield


def _done(_: int) -> None:
    pass
