"""The log as a replica sees it, against a plain list, over storage in memory and on disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.histories import extend, history, order
from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened
from twisted_bazaar.consensus.log import Log, MemoryStorage, Storage, Write
from twisted_bazaar.errors import InvariantBroken, Malformed
from twisted_bazaar.storage.logfile import LogFile

KEEP = 3


@contextmanager
def storage(kind: str) -> Iterator[Storage]:
    """An empty storage, in small files or in memory."""
    if kind == "memory":
        yield MemoryStorage()
        return
    with TemporaryDirectory() as folder, patch("os.fdatasync"), patch("os.fsync"):
        file = LogFile(Path(folder), 1, Random(1), segment_bytes=900)
        yield file
        file.close()


class Model:
    """A log, and beside it what it should be: plain lists."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.log = Log(storage, KEEP)
        self.entries: list[Entry] = []
        self.disk: list[Entry] = []
        self.term = 1
        self.under_way: Write | None = None
        self.stored = False
        self.seen: list[tuple[Sequence[Entry], list[Entry]]] = []
        """What was read, and is used only at the end, with what it has to be."""

    def append(self, count: int) -> None:
        made = extend(self.entries, [order(number + 1) for number in range(count)], self.term)
        self.log.append(made)
        self.entries += made

    def truncate(self, at: int) -> None:
        """A new leader replaces all after some entry."""
        after = at % (len(self.entries) + 1)
        self.log.truncate(after)
        del self.entries[after:]
        self.term += 1

    def take(self, _: int) -> None:
        if self.under_way is None:
            self.under_way = self.log.take_write(self.term, 1)
            self.stored = False

    def store(self, _: int) -> None:
        """The disk does it; the replica has not been told yet."""
        if self.under_way is not None and not self.stored:
            self.storage.write(self.under_way)
            if self.under_way.truncate is not None:
                del self.disk[self.under_way.truncate :]
            self.disk += self.under_way.entries
            self.stored = True

    def written(self, _: int) -> None:
        if self.under_way is not None:
            self.store(0)
            self.log.written(self.under_way)
            self.under_way = None

    def crash(self, _: int) -> None:
        """What the disk has is what there is."""
        self.log = Log(self.storage, KEEP)
        self.entries = list(self.disk)
        self.under_way = None

    def read(self, at: int) -> None:
        after = at % (len(self.entries) + 1)
        upto = min(len(self.entries), after + at % 7)
        seen = self.log.entries(after, upto)
        assert len(seen) > 0 or after == upto
        self.seen.append((seen, self.entries[after : after + len(seen)]))

    def check(self) -> None:
        log = self.log
        assert log.last_index == len(self.entries)
        assert log.last_digest == (self.entries[-1].digest if self.entries else GENESIS)
        assert log.last_term == (self.entries[-1].term if self.entries else 0)
        assert log.durable <= log.last_index
        assert self.disk[: log.durable] == self.entries[: log.durable]

    def finish(self) -> None:
        self.written(0)
        self.take(0)
        self.written(0)
        assert self.log.take_write(self.term, 1) is None
        assert self.log.durable == len(self.entries)
        assert list(self.storage.read(0, len(self.entries) + 5)) == self.entries
        assert (self.storage.term, self.storage.vote) == (self.term, 1)
        for index, entry in enumerate(self.entries, 1):
            assert self.log.entry_at(index) == entry
            assert self.log.term_at(index) == entry.term
            assert self.log.digest_at(index) == entry.digest
        for seen, was in self.seen:
            assert list(seen) == was


deeds = st.tuples(
    st.sampled_from(["append", "truncate", "take", "store", "written", "crash", "read"]),
    st.integers(0, 12),
)


@settings(deadline=None)
@given(st.sampled_from(["memory", "file"]), st.lists(deeds, max_size=40))
def test_a_log_is_a_list_whatever_is_truncated_while_whatever_is_written(
    kind: str, doing: list[tuple[str, int]]
) -> None:
    with storage(kind) as store:
        model = Model(store)
        for deed, number in doing:
            getattr(model, deed)(number)
            model.check()
        model.finish()


@pytest.fixture(params=["memory", "file"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    with storage(request.param) as store:
        yield Log(store, KEEP)


def test_entries_truncated_during_their_write_are_not_durable(log: Log) -> None:
    entries = history(3)
    log.append(entries)
    write = log.take_write(1, 0)
    assert write is not None
    log.truncate(2)
    log.append(extend(entries[:2], [Opened(leader=2)], term=2))
    log.written(write)
    assert (log.durable, log.last_index) == (2, 3)
    again = log.take_write(2, 0)
    assert again is not None
    assert (again.truncate, [entry.term for entry in again.entries]) == (2, [2])


def test_durable_entries_that_are_truncated_are_durable_no_more() -> None:
    storage = MemoryStorage()
    storage.write(Write(1, 0, None, tuple(history(3))))
    for after in (4, 2, 0):
        log = Log(storage, KEEP)
        assert log.durable == 5
        log.truncate(after)
        assert log.durable == after


def test_a_truncation_before_the_write_is_taken_needs_no_mark_on_disk(log: Log) -> None:
    entries = history(3)
    log.append(entries)
    log.truncate(2)
    assert log.take_write(1, 0) == Write(1, 0, None, tuple(entries[:2]))


def test_a_vote_alone_is_written_once(log: Log) -> None:
    assert log.take_write(0, 0) is None
    assert log.take_write(4, 2) == Write(4, 2, None, ())
    assert log.take_write(4, 2) is None


def test_trust_is_written_until_the_storage_has_it() -> None:
    storage = MemoryStorage(suspect="a line is damaged")
    log = Log(storage)
    assert log.take_write(0, 0) is None
    write = log.take_write(0, 0, trusted=True)
    assert write == Write(0, 0, None, (), trusted=True)
    storage.write(write)
    log.written(write)
    assert storage.suspect is None
    assert log.take_write(0, 0, trusted=True) is None


def test_what_is_read_together_has_a_bound_in_bytes_and_is_one_entry_at_least(log: Log) -> None:
    entries = history(9)
    log.append(entries)
    for _ in range(2):  # from memory, and then from storage
        for size in (1, 400, 1000):
            with patch("twisted_bazaar.consensus.log.MAX_STRETCH_BYTES", size):
                found: list[Entry] = []
                while len(found) < len(entries):
                    some = list(log.entries(len(found), len(entries)))
                    assert len(some) >= 1
                    assert len(some) == 1 or sum(len(each.record) for each in some) <= size
                    found += some
                assert found == entries
        assert len(log.entries(0, 9)) > 1
        while (write := log.take_write(1, 0)) is not None:
            log._storage.write(write)
            log.written(write)
        log = Log(log._storage, KEEP)


@pytest.mark.parametrize("committed", [0, 2])
def test_what_does_not_follow_is_not_taken_and_nothing_is_truncated_for_it(
    log: Log, committed: int
) -> None:
    entries = history(3)
    log.append(entries)
    [forged] = extend(extend([], [Opened(leader=5), Opened(leader=5)]), [Opened(leader=9)], term=2)
    with pytest.raises(Malformed):
        log.take([entries[1], forged], committed)
    assert (log.last_index, log.last_digest) == (5, entries[-1].digest)


def test_entries_that_do_not_follow_are_refused_and_none_is_taken(log: Log) -> None:
    entries = history(4)
    log.append(entries[:2])
    forged = extend([entries[2]], [entries[3].event])
    for wrong in (entries[3:], entries[:1], [entries[2], *extend(history(9), [Opened(leader=1)])]):
        with pytest.raises(InvariantBroken):
            log.append(wrong)
    with pytest.raises(InvariantBroken):
        log.append([entries[2], *extend(forged, [Opened(leader=1)])])
    assert log.last_index == 2
