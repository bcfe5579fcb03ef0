"""A catalog at work: what it shows its readers, and when it writes its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from twisted_bazaar.catalog import node as module
from twisted_bazaar.catalog.database import Snapshot, load
from twisted_bazaar.catalog.node import CatalogNode
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.market import Listing, Stock
from twisted_bazaar.replication.entries import GENESIS
from twisted_bazaar.replication.messages import Apply

from .fake_replicas import result_of
from .histories import history, ledger_of
from .leaks import nothing_leaks  # noqa: F401

LOG = history(6)
SOON = 0.5
"""Seconds after which a change is on disk."""


class Threads:
    """A thread pool whose work is done when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = []

    def callInThreadWithCallback(  # noqa: N802
        self, on_result: Any, function: Any, *args: Any
    ) -> None:
        self.work.append((on_result, lambda: function(*args)))

    def finish(self) -> None:
        """Do what has been waiting for longest."""
        on_result, function = self.work.pop(0)
        try:
            result = function()
        except Exception:
            on_result(False, Failure())
        else:
            on_result(True, result)


class ReactorWithThreads(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.threads = Threads()

    def getThreadPool(self) -> Threads:  # noqa: N802
        return self.threads

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


class Catalog:
    """A catalog that runs, with a file in `path`."""

    def __init__(self, path: Path, snapshot: Snapshot | None = None) -> None:
        self.path = path
        self.reactor = ReactorWithThreads()
        self.threads = self.reactor.threads
        start = snapshot or Snapshot((), Position(), 0)
        self.node = CatalogNode(self.reactor, start, path)
        self.node.startService()

    def apply(self, upto: int, commit: int | None = None, rebuild: bool = False) -> None:
        after = 0 if rebuild else self.node._projection.position.index
        digest = LOG[after - 1].digest if after else GENESIS
        message = Apply(1, 3, after, digest, tuple(LOG[after:upto]), commit or upto, rebuild, 0.0)
        [reply] = result_of(self.node.apply(message))
        assert reply.applied == upto

    def pass_time(self) -> None:
        """Long enough for a save to begin, if there is anything to save."""
        self.reactor.pump([SOON / 10] * 10)

    def saved(self) -> int:
        """The index that the file reflects; 0: there is none."""
        return load(self.path).position.index if self.path.exists() else 0


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog.csv")


# What readers see.


def test_nothing_may_be_shown_before_all_that_is_committed_is_applied(catalog: Catalog) -> None:
    assert not catalog.node.view.current
    catalog.apply(3, commit=8)
    assert not catalog.node.view.current
    catalog.apply(8)
    assert catalog.node.view.current
    assert catalog.node.view.stocks == ledger_of(LOG).stocks


def test_a_view_never_changes_under_a_reader(catalog: Catalog) -> None:
    catalog.apply(4)
    view, stocks = catalog.node.view, dict(catalog.node.view.stocks)
    catalog.apply(8)
    assert catalog.node.view is not view
    assert catalog.node.view.stocks != stocks
    assert view.stocks == stocks
    catalog.apply(0, commit=8, rebuild=True)
    assert (view.stocks, view.current) == (stocks, True)
    assert (catalog.node.view.stocks, catalog.node.view.current) == ({}, False)


def test_a_heartbeat_leaves_the_view_alone(catalog: Catalog) -> None:
    catalog.apply(8)
    view = catalog.node.view
    catalog.apply(8)
    assert catalog.node.view is view


def test_a_first_leader_is_told_what_the_file_lists(tmp_path: Path) -> None:
    listed = Snapshot((Stock("GameStart", 1599, 100, 0, 0),), Position(), 0)
    catalog = Catalog(tmp_path / "catalog.csv", listed)
    assert catalog.node.view.stocks == {}, "they are not in the log yet"
    assert catalog.node.listing() == [Listing("GameStart", 1599, 100)]


def test_one_that_has_applied_something_lists_that(catalog: Catalog) -> None:
    catalog.apply(8)
    stocks = ledger_of(LOG).stocks.values()
    expected = [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]
    assert catalog.node.listing() == expected


def test_a_rebuild_is_told_in_the_log(catalog: Catalog) -> None:
    catalog.apply(8)
    with capturedLogs() as events:
        catalog.apply(5, rebuild=True)
    assert [formatEvent(event) for event in events] == [
        "what is here is not of this order log: rebuilding from its beginning"
    ]


# The file.


def test_a_change_is_saved_soon(catalog: Catalog) -> None:
    catalog.apply(4)
    assert catalog.threads.work == [], "not on the reactor's thread, nor before the leader knows"
    catalog.pass_time()
    catalog.threads.finish()
    assert catalog.saved() == 4
    restarted = CatalogNode(catalog.reactor, load(catalog.path), catalog.path)
    assert restarted.view.stocks == catalog.node.view.stocks
    assert not restarted.view.current


def test_what_did_not_change_is_not_saved(catalog: Catalog) -> None:
    catalog.pass_time()
    catalog.apply(4)
    catalog.pass_time()
    catalog.threads.finish()
    catalog.apply(4)
    catalog.pass_time()
    assert catalog.threads.work == []


def test_a_catalog_without_stocks_does_not_overwrite_its_listing(catalog: Catalog) -> None:
    catalog.apply(1)
    catalog.pass_time()
    assert catalog.threads.work == []


def test_there_is_one_save_at_a_time_and_none_misses_what_came_meanwhile(
    catalog: Catalog,
) -> None:
    catalog.apply(4)
    catalog.pass_time()
    catalog.apply(6)
    catalog.pass_time()
    assert len(catalog.threads.work) == 1
    catalog.threads.finish()
    assert catalog.saved() == 4, "what it was when the save began"
    catalog.pass_time()
    catalog.threads.finish()
    assert catalog.saved() == 6


def test_a_stop_saves_what_is_not_saved_yet(catalog: Catalog) -> None:
    catalog.apply(4)
    stopped = result_of(catalog.node.stopService())
    assert stopped == []
    catalog.threads.finish()
    assert stopped == [None]
    assert catalog.saved() == 4
    assert not catalog.reactor.getDelayedCalls()


def test_a_stop_with_nothing_to_save_is_over_at_once(catalog: Catalog) -> None:
    catalog.apply(4)
    catalog.pass_time()
    catalog.threads.finish()
    assert result_of(catalog.node.stopService()) == [None]


def test_a_stop_waits_for_the_save_under_way_and_then_saves_the_rest(catalog: Catalog) -> None:
    """Two at once would write into one another's temporary file."""
    catalog.apply(4)
    catalog.pass_time()
    catalog.apply(8)
    stopped = result_of(catalog.node.stopService())
    assert len(catalog.threads.work) == 1
    catalog.threads.finish()
    assert (catalog.saved(), stopped) == (4, [])
    catalog.threads.finish()
    assert (catalog.saved(), stopped) == (8, [None])


def test_a_save_that_failed_is_tried_again_and_nothing_is_lost(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, snapshot: Snapshot) -> None:
        raise OSError(28, "No space left on device")

    catalog.apply(4)
    with monkeypatch.context() as full, capturedLogs() as events:
        full.setattr(module, "save", no_room)
        for _ in range(3):
            catalog.pass_time()
            catalog.threads.finish()
    said = [formatEvent(event) or "" for event in events]
    assert said == [f"cannot write {catalog.path}: [Errno 28] No space left on device"], "once"
    assert catalog.node.view.current
    catalog.pass_time()
    catalog.threads.finish()
    assert catalog.saved() == 4


def test_a_last_save_that_fails_does_not_hold_up_the_stop(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path, snapshot: Snapshot) -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(module, "save", gone)
    catalog.apply(4)
    stopped = result_of(catalog.node.stopService())
    catalog.threads.finish()
    assert stopped == [None]


def test_a_failure_that_nobody_foresaw_is_logged_and_saving_goes_on(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    def broken(path: Path, snapshot: Snapshot) -> None:
        raise KeyError("a bug")

    catalog.apply(4)
    with monkeypatch.context() as bug:
        bug.setattr(module, "save", broken)
        catalog.pass_time()
        catalog.threads.finish()
    assert [failure.type for failure in logged_failures] == [KeyError]
    logged_failures.clear()
    catalog.pass_time()
    catalog.threads.finish()
    assert catalog.saved() == 4


def test_one_that_never_started_stops(tmp_path: Path) -> None:
    node = CatalogNode(ReactorWithThreads(), Snapshot((), Position(), 0), tmp_path / "c.csv")
    assert node.stopService() is None
