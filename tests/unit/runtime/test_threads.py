"""Threads for blocking calls: each call is answered once, in order, and a stop waits for all."""

import threading
from collections.abc import Iterator

import pytest
from twisted.python.failure import Failure

from twisted_bazaar.runtime.threads import Threads

PATIENCE_SECONDS = 10.0


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(2, "test")
    threads.start()
    yield threads
    threads.stop()


class Results:
    """What calls came to, as they end."""

    def __init__(self, expected: int) -> None:
        self.seen: list[tuple[bool, object]] = []
        self._left = expected
        self.all = threading.Event()

    def __call__(self, went_well: bool, result: object) -> None:
        self.seen.append((went_well, result))
        self._left -= 1
        if not self._left:
            self.all.set()


def test_a_call_is_answered_with_its_result(threads: Threads) -> None:
    results = Results(1)
    threads.callInThreadWithCallback(results, divmod, 7, 2)
    assert results.all.wait(PATIENCE_SECONDS)
    assert results.seen == [(True, (3, 1))]


def test_a_call_that_fails_is_answered_with_its_failure_and_costs_no_thread(
    threads: Threads,
) -> None:
    results = Results(5)
    for _ in range(5):
        threads.callInThreadWithCallback(results, divmod, 7, 0)
    assert results.all.wait(PATIENCE_SECONDS)
    for went_well, failure in results.seen:
        assert not went_well
        assert isinstance(failure, Failure)
        assert failure.check(ZeroDivisionError)


def test_no_more_calls_are_under_way_than_there_are_threads(threads: Threads) -> None:
    entered, leave, most = threading.Semaphore(0), threading.Event(), []
    lock, inside = threading.Lock(), 0

    def call() -> None:
        nonlocal inside
        with lock:
            inside += 1
            most.append(inside)
        entered.release()
        leave.wait(PATIENCE_SECONDS)
        with lock:
            inside -= 1

    results = Results(4)
    for _ in range(4):
        threads.callInThreadWithCallback(results, call)
    for _ in range(2):
        assert entered.acquire(timeout=PATIENCE_SECONDS)
    assert not results.seen
    leave.set()
    assert results.all.wait(PATIENCE_SECONDS)
    assert max(most) == 2


def test_a_stop_waits_for_earlier_calls_and_begins_no_other() -> None:
    threads, results = Threads(1, "test"), Results(3)
    for number in range(3):
        threads.callInThreadWithCallback(results, lambda number: number, number)
    threads.start()
    threads.stop()
    assert results.seen == [(True, 0), (True, 1), (True, 2)]
    threads.callInThreadWithCallback(results, lambda: 3)
    assert len(results.seen) == 3


def test_the_arguments_of_a_call_are_freed_once_it_is_done(threads: Threads) -> None:
    import gc
    import weakref

    class Large:
        pass

    large = Large()
    kept, results = weakref.ref(large), Results(1)
    threads.callInThreadWithCallback(results, lambda _: None, large)
    del large
    assert results.all.wait(PATIENCE_SECONDS)
    deadline = threading.Event()
    for _ in range(1000):
        gc.collect()
        if kept() is None:
            break
        deadline.wait(0.001)
    assert kept() is None


def test_there_may_be_more_threads_later() -> None:
    threads = Threads(1, "growing")
    threads.start()
    threads.grow(1)
    together = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    results = Results(2)
    for _ in range(2):
        threads.callInThreadWithCallback(results, together.wait)
    threads.grow(2)
    assert results.all.wait(PATIENCE_SECONDS)
    assert all(went_well for went_well, _ in results.seen), "both ran at the same time"
    threads.stop()
