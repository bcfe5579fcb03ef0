"""The catalog node: what it shows, what it pushes, and when it writes its file."""

from itertools import count
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.catalog_node import LOG, SUBSCRIPTION, TIMING, Catalog, ReactorWithThreads
from tests.fakes.histories import ledger_of, sends
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import result_of
from twisted_bazaar.catalog import node as module
from twisted_bazaar.catalog.market_file import Snapshot, load
from twisted_bazaar.catalog.node import CatalogNode
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.catalog.publisher import View
from twisted_bazaar.catalog.subscribers import QUOTE_SECONDS
from twisted_bazaar.errors import Malformed, Unavailable
from twisted_bazaar.leases import kept
from twisted_bazaar.market import Listing, Stock
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ASKED


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog.csv")


# What no leader says.


def test_a_term_that_jumps_is_refused_and_the_next_leader_is_heard(catalog: Catalog) -> None:
    catalog.apply(4)
    for term in (1 + MAX_TERM_STEP_ASKED + 1, 2**53 - 1):
        with pytest.raises(Malformed, match="above term 1"):
            catalog.node.apply(sends(LOG, 4, 4, term=term))
    catalog.apply(8)
    assert catalog.node._projection.position.term == 1


# What readers see.


def test_nothing_is_shown_without_a_lease(catalog: Catalog) -> None:
    catalog.apply(8)
    with pytest.raises(Unavailable, match="no lease"):
        catalog.node.view()
    catalog.lease()
    assert catalog.shown() == ledger_of(LOG).stocks
    catalog.reactor.advance(kept(TIMING.lease))
    with pytest.raises(Unavailable, match="no lease"):
        catalog.node.view()


def test_a_reader_asks_the_clock_itself(catalog: Catalog) -> None:
    """The reactor may have stopped since, or the whole process."""
    catalog.apply(8)
    catalog.lease()
    catalog.reactor.rightNow += TIMING.lease
    assert catalog.shown() is None


def test_the_clock_is_asked_after_the_view_was_read(catalog: Catalog) -> None:
    """A reader's thread that was stopped in between holds a view that may be out of date."""
    catalog.apply(8)
    catalog.lease()
    times = []

    def seconds() -> float:
        times.append("clock")
        return catalog.reactor.seconds()

    class Publisher:
        @property
        def view(self) -> View:
            times.append("view")
            return View({}, 0.0)

    catalog.node._seconds = seconds
    catalog.node._publisher = cast(Any, Publisher())
    assert catalog.shown() is None
    assert times == ["view", "clock"]


def test_a_market_without_stocks_is_not_shown(catalog: Catalog) -> None:
    """The first leader is about to list them: it is no answer that there are none."""
    catalog.apply(1)
    catalog.lease()
    with pytest.raises(Unavailable, match="nothing is listed yet"):
        catalog.node.view()


def test_what_a_reader_was_given_never_changes(catalog: Catalog) -> None:
    catalog.apply(4)
    catalog.lease()
    stocks = catalog.node.view().stocks
    before = dict(stocks)
    catalog.apply(8)
    assert stocks == before
    assert catalog.shown() == ledger_of(LOG).stocks


def test_a_first_leader_is_told_what_the_file_lists(tmp_path: Path) -> None:
    listed = Snapshot((Stock("GameStart", 1599, 100, 0, 0),), Position(), 0)
    catalog = Catalog(tmp_path / "catalog.csv", listed)
    catalog.apply(1)
    catalog.lease()
    assert catalog.shown() is None, "they are not in the log yet"
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
        "the catalog's data is not of this order log: rebuilding it"
    ]


# Whom it tells.


@pytest.fixture
def telling(catalog: Catalog) -> Catalog:
    """It has released entry 6, and tells one front-end, which holds a lease."""
    catalog.tell()
    return catalog


def test_a_front_end_that_subscribes_is_told_everything_at_once(catalog: Catalog) -> None:
    catalog.apply(8)
    catalog.lease()
    catalog.node.subscribe(SUBSCRIPTION)
    [(address, token, push, _)] = catalog.frontends.pushed
    assert (address, token, push.life) == ("127.0.0.1:7001", "token", 71)
    assert push.floors == {"GameStart": 8, "Fish, Co": 7}


def test_one_that_has_no_lease_takes_no_subscription(catalog: Catalog) -> None:
    catalog.apply(8)
    with pytest.raises(Unavailable):
        catalog.node.subscribe(SUBSCRIPTION)
    assert catalog.frontends.pushed == []


def test_the_leader_is_answered_once_the_front_ends_have_answered(telling: Catalog) -> None:
    asked = result_of(telling.node.apply(sends(LOG, 6, 8)))
    assert (len(telling.frontends.pushed), asked) == (1, [])
    assert telling.shown() == ledger_of(LOG[:6]).stocks
    telling.frontends.answer()
    assert telling.shown() == ledger_of(LOG).stocks
    [reply] = asked
    assert reply.released == 8


def test_the_leader_is_answered_in_time_though_a_front_end_is_not_there(
    telling: Catalog,
) -> None:
    asked = result_of(telling.node.apply(sends(LOG, 6, 8)))
    telling.reactor.pump([TIMING.heartbeat / 10] * 14)
    [reply] = asked
    assert (reply.applied, reply.released) == (8, 6)


def test_a_push_that_failed_is_made_again(telling: Catalog) -> None:
    telling.node.apply(sends(LOG, 6, 8))
    [(_, _, first, answer)] = telling.frontends.pushed
    telling.frontends.pushed.clear()
    answer.errback(Unavailable("gone"))
    assert telling.frontends.pushed == [], "not at once"
    telling.reactor.pump([TIMING.heartbeat / 10] * 14)
    [(_, _, again, _)] = telling.frontends.pushed
    assert (again.upto, again.floors) == (first.upto, first.floors)


def test_an_unexpected_error_costs_one_lease(
    telling: Catalog, logged_failures: list[Failure]
) -> None:
    asked = result_of(telling.node.apply(sends(LOG, 6, 8)))
    telling.frontends.pushed.pop()[3].errback(KeyError("a bug"))
    assert [failure.type for failure in logged_failures] == [KeyError]
    logged_failures.clear()
    telling.reactor.pump([TIMING.lease / 20] * 21)
    assert asked
    telling.lease()
    assert telling.shown() == ledger_of(LOG).stocks


def test_a_stop_ends_the_pushes(telling: Catalog) -> None:
    telling.node.stopService()
    telling.threads.finish()
    telling.reactor.pump([TIMING.lease / 20] * 21)
    assert telling.frontends.pushed == []
    assert not telling.reactor.getDelayedCalls()


# The file.


def test_a_change_is_saved_soon(catalog: Catalog) -> None:
    catalog.apply(4)
    assert catalog.threads.work == [], "not on the reactor's thread, nor before the leader knows"
    catalog.pass_time()
    catalog.threads.finish()
    assert catalog.saved() == 4
    restarted = catalog.life(load(catalog.path))
    assert set(restarted.listing()) == set(catalog.node.listing())
    with pytest.raises(Unavailable):
        restarted.view()


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
    catalog.lease()
    assert catalog.shown() == ledger_of(LOG[:4]).stocks
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


def test_an_unexpected_error_is_logged_and_saving_goes_on(
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
    never = Catalog(tmp_path / "catalog.csv").life(Snapshot((), Position(), 0))
    assert never.stopService() is None


def test_opened_is_called_once_with_the_stocks_of_the_market(tmp_path: Path) -> None:
    told: list[list[str]] = []
    reactor = ReactorWithThreads()
    new = Snapshot((Stock("Wished", 1, 1, 0, 0),), Position(), 0)
    node = CatalogNode(
        reactor,
        reactor.seconds,
        new,
        tmp_path / "catalog.csv",
        cast(Any, None),
        count(1).__next__,
        TIMING,
        lambda stocks: told.append(sorted(stocks)),
    )
    node.apply(sends(LOG, 0, 1, term=3))
    assert told == [], "nothing is listed yet"
    node.apply(sends(LOG, 1, 3, term=3))
    node.apply(sends(LOG, 3, 5, term=3))
    assert told == [["Fish, Co", "GameStart"]]


# Quotes.


def test_what_is_released_is_pushed_soon_to_a_front_end_that_takes_quotes(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = msgspec.structs.replace(SUBSCRIPTION, quotes=True)
    monkeypatch.setattr("tests.fakes.catalog_node.SUBSCRIPTION", takes)
    catalog.tell()
    catalog.node.apply(sends(LOG, 6, 7))
    catalog.frontends.answer()
    assert catalog.frontends.pushed == []
    catalog.reactor.advance(QUOTE_SECONDS)
    ((*_, push, _),) = catalog.frontends.pushed
    stock = catalog.node.view().stocks[push.quotes[0].name]
    assert [msgspec.structs.astuple(each) for each in push.quotes] == [
        msgspec.structs.astuple(stock)
    ]
    assert stock.version == 7


def test_no_quotes_are_pushed_after_a_stop(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = msgspec.structs.replace(SUBSCRIPTION, quotes=True)
    monkeypatch.setattr("tests.fakes.catalog_node.SUBSCRIPTION", takes)
    catalog.tell()
    catalog.node.apply(sends(LOG, 6, 7))
    catalog.frontends.answer()
    catalog.node.stopService()
    assert catalog.node._quoting is None
    catalog.reactor.advance(2 * QUOTE_SECONDS)
    assert catalog.frontends.pushed == []
