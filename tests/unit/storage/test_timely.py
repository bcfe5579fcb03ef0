"""An archive that does not answer keeps no thread of a replica for long."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock, Semaphore

import pytest

from twisted_bazaar.storage.stores import FolderStore
from twisted_bazaar.storage.timely import TimelyStore

HOURS = 3600.0


class _Hanging(FolderStore):
    """A store that answers while `is_up` is set, and counts the reads that have begun."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_up = Event()
        self.is_up.set()
        self.begun = 0
        self.began = Semaphore(0)
        self.under_way = self.most = 0
        self._lock = Lock()

    def read(self, name: str, offset: int, size: int) -> bytes:
        with self._lock:
            self.begun += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.began.release()
        self.is_up.wait()
        try:
            return super().read(name, offset, size)
        finally:
            with self._lock:
                self.under_way -= 1


@pytest.fixture
def store(tmp_path: Path) -> _Hanging:
    store = _Hanging(tmp_path)
    store.put("file", b"content")
    return store


def test_what_hangs_is_waited_for_once(store: _Hanging) -> None:
    timely = TimelyStore(store, seconds=0.05)
    store.is_up.clear()
    with pytest.raises(OSError, match="in time"):
        timely.read("file", 0, 7)
    patient = TimelyStore(store, seconds=HOURS)
    patient._late = True
    for _ in range(50):
        # Waits for hours, or fails.
        with pytest.raises(OSError, match="does not answer"):
            patient.read("file", 0, 7)
    assert store.begun == 2, "one that finds out whether it answers"
    store.is_up.set()


def test_it_is_read_again_once_it_answers(store: _Hanging) -> None:
    timely = TimelyStore(store, seconds=0.05)
    store.is_up.clear()
    with pytest.raises(OSError, match="in time"):
        timely.read("file", 0, 7)
    store.is_up.set()
    with timely._changed:
        assert timely._changed.wait_for(lambda: not timely._late, 10)
    assert timely.read("file", 0, 7) == b"content"


def test_of_many_reads_some_are_made_at_a_time_and_each_is_answered(store: _Hanging) -> None:
    timely = TimelyStore(store, seconds=HOURS, most=3)
    store.is_up.clear()
    with ThreadPoolExecutor(20) as threads:
        reads = [threads.submit(timely.read, "file", 0, 7) for _ in range(20)]
        for _ in range(3):
            assert store.began.acquire(timeout=10)
        store.is_up.set()
        assert {read.result() for read in reads} == {b"content"}
    assert store.most == 3


def test_what_a_store_raises_is_raised(store: _Hanging) -> None:
    with pytest.raises(FileNotFoundError):
        TimelyStore(store).tail("none", 7)
