"""Order logs to test with, and a plain reader of their files."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from zlib import crc32

from twisted_bazaar.consensus.entries import GENESIS, Entry, Event, Members, Opened, encode_entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.leases import Stamp
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed, Listing, Side, Traded
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.logfile import LogFile

AT = 1_790_000_000_000

LISTED = Listed((Listing("GameStart", 1599, 10**9), Listing("Fish, Co", 2050, 10**9)))


def extend(before: Sequence[Entry], events: Iterable[Event], term: int = 1) -> list[Entry]:
    """Entries with `events`, after `before`."""
    index = before[-1].index if before else 0
    digest = before[-1].digest if before else GENESIS
    made: list[Entry] = []
    for event in events:
        index += 1
        made.append(encode_entry(digest, index, term, AT + index, event))
        digest = made[-1].digest
    return made


def order(number: int, key: str | None = None) -> Traded:
    """Order `number`, of which there are always enough shares."""
    stock = LISTED.stocks[number % 2].name
    side = Side.SELL if number % 3 == 0 else Side.BUY
    return Traded(number, key or f"key-{number}", stock, side, number % 7 + 1)


def history(orders: int) -> list[Entry]:
    """A leader's first entry, a listing, and then so many orders."""
    return extend([], [Opened(leader=3), LISTED, *(order(number + 1) for number in range(orders))])


def ledger_of(entries: Iterable[Entry]) -> Ledger:
    """The ledger after `entries`."""
    ledger = Ledger()
    for entry in entries:
        ledger.apply(entry.index, entry.event)
    return ledger


def sends(
    log: Sequence[Entry],
    after: int,
    upto: int,
    commit: int | None = None,
    term: int = 1,
    rebuild: bool = False,
    stamp: Stamp | None = None,
    lease: float = 1.0,
    sent: float = 7.5,
) -> Apply:
    """A leader's message to a catalog: the entries `after` < index <= `upto` of its log."""
    digest = log[after - 1].digest if after else GENESIS
    commit = upto if commit is None else commit
    entries = tuple(log[after:upto])
    return Apply(
        term=term,
        previous_index=after,
        previous_digest=digest,
        entries=entries,
        commit=commit,
        rebuild=rebuild,
        history=log[0].digest,
        stamp=stamp,
        lease=lease,
        sent=sent,
    )


def number_of(entries: Sequence[Entry]) -> int:
    """The number of the last order among `entries`."""
    return sum(isinstance(entry.event, Traded) for entry in entries)


SMALL = 900
"""Bytes of a segment that holds a few entries."""


@contextmanager
def opened(
    folder: Path, segment_bytes: int = SMALL, archive: Archive | None = None
) -> Iterator[LogFile]:
    """The log of replica 3 in `folder`; a new one is trusted at once."""
    file = LogFile(folder, 3, Random(1), segment_bytes, archive=archive)
    try:
        if file.fresh:
            trust(file)
        yield file
    finally:
        file.close()


def write(file: LogFile, entries: Sequence[Entry] = (), truncate: int | None = None) -> None:
    """Write without a change of term or vote."""
    file.write(Write(file.term, file.vote, truncate, tuple(entries)))


def trust(file: LogFile) -> None:
    """Write that the log is trusted from here on."""
    file.write(Write(file.term, file.vote, None, (), trusted=True))


def check(file: LogFile, entries: Sequence[Entry], term: int = 0, vote: int = 0) -> None:
    """Check that every way to read the log returns exactly `entries`."""
    named = [(entry.index, entry.event) for entry in entries if isinstance(entry.event, Members)]
    assert list(file.memberships) == named
    assert (file.term, file.vote) == (term, vote)
    assert (file.last_index, file.last_number) == (len(entries), number_of(entries))
    assert list(file.read(0, len(entries))) == list(entries)
    for entry in entries:
        assert file.digest_at(entry.index) == entry.digest
        if isinstance(entry.event, Traded):
            assert file.index_of(entry.event.number) == entry.index


def files(folder: Path) -> dict[str, bytes]:
    """The files of the log in `folder`, by name and in order, without sidecars."""
    return files_in(folder / "log")


def files_in(log: Path) -> dict[str, bytes]:
    """The files in `log`, without sidecars, which a replica makes and replaces as it needs."""
    return {
        path.name: path.read_bytes() for path in sorted(log.iterdir()) if path.suffix != ".places"
    }


class Written:
    """What the files of a log say, read by the letter of their description."""

    def __init__(self, folder: Path) -> None:
        self.records: list[bytes] = []
        self.term = 0
        self.vote = 0
        self.boots: list[str] = []
        self.segments = sorted((folder / "log").glob("*.jsonl"))
        self.lines: list[bytes] = []
        crc = 0
        for path in self.segments:
            text = path.read_bytes()
            for line in text[: text.rfind(b"\n") + 1].splitlines(keepends=True):
                content, said = line[:-19], json.loads(line)
                checksum = said.get("crc") or said["end"]
                crc = crc32(content, crc)
                assert checksum == f"{crc:08x}"
                if said["kind"] != "segment" or path == self.segments[0]:
                    self.lines.append(line)
                self._take(said, content + b"}")
                end = crc
                crc = crc32(line[-19:], crc)
            crc = end

    def _take(self, said: dict[str, object], record: bytes) -> None:
        match said:
            case {"kind": "segment"}:
                assert said["index"] == len(self.records)
                assert (said["term"], said["vote"]) == (self.term, self.vote)
            case {"kind": "vote", "term": int(term), "vote": int(vote)}:
                self.term, self.vote = term, vote
            case {"kind": "truncated", "after": int(after)}:
                del self.records[after:]
            case {"kind": "boot", "boot": str(boot)}:
                self.boots.append(boot)
            case {"index": int(index)}:
                assert index == len(self.records) + 1
                self.records.append(record)
