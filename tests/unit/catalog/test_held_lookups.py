"""Lookups that wait until a catalog knows whether an entry that it cleared is committed."""

from pathlib import Path

import msgspec
import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.fakes.catalog_node import LOG, TIMING, Catalog
from tests.fakes.histories import sends
from tests.fakes.replicas import result_of
from twisted_bazaar.catalog.node import HOLD_SECONDS, Found
from twisted_bazaar.errors import Unavailable

TRADED = "Fish, Co"
"""The stock of entry 7."""


@pytest.fixture
def cleared(tmp_path: Path) -> Catalog:
    """It has told the leader that entry 7 is cleared, and does not know whether it is committed."""
    telling = Catalog(tmp_path / "catalog.csv")
    telling.tell()
    message = msgspec.structs.replace(sends(LOG, 6, 6), proposed=(LOG[6],))
    asked = result_of(telling.node.apply(message))
    telling.frontends.answer()
    assert [each.cleared for each in asked] == [7]
    return telling


def test_a_lookup_of_another_stock_is_answered_at_once(cleared: Catalog) -> None:
    found = cleared.node.look_up(["GameStart"])
    assert isinstance(found, Found)
    assert not found.held


def test_a_lookup_is_answered_as_soon_as_the_commit_is_known(cleared: Catalog) -> None:
    looking = cleared.node.look_up([TRADED, "GameStart"])
    assert isinstance(looking, Deferred)
    found = result_of(looking)
    assert found == []
    cleared.node.apply(sends(LOG, 7, 7))
    [answer] = found
    assert (answer.view.stocks[TRADED].version, list(answer.held)) == (7, [])


def test_a_lookup_that_waits_for_long_is_told_to_ask_again(cleared: Catalog) -> None:
    looking = cleared.node.look_up([TRADED, "GameStart"])
    assert isinstance(looking, Deferred)
    found = result_of(looking)
    cleared.reactor.advance(HOLD_SECONDS)
    [answer] = found
    assert list(answer.held) == [TRADED]


def test_one_that_takes_no_part_for_an_answer_waits_on(cleared: Catalog) -> None:
    """A front-end of an earlier release would take a stock that is missing for unknown."""
    looking = cleared.node.look_up([TRADED], partial=False)
    assert isinstance(looking, Deferred)
    found = result_of(looking)
    cleared.reactor.advance(10 * HOLD_SECONDS)
    assert found == []
    cleared.node.apply(sends(LOG, 7, 7))
    assert [answer.view.stocks[TRADED].version for answer in found] == [7]


def test_a_lookup_waits_no_longer_than_the_lease_lasts(cleared: Catalog) -> None:
    looking = cleared.node.look_up([TRADED], partial=False)
    assert isinstance(looking, Deferred)
    whole = Deferred.fromCoroutine(cleared.node.may_show_all())
    cleared.reactor.pump([TIMING.heartbeat / 3] * round(4 * TIMING.lease / TIMING.heartbeat))
    for [why] in (result_of(looking), result_of(whole)):
        assert isinstance(why, Unavailable)


def test_the_whole_market_waits_as_well(cleared: Catalog) -> None:
    whole = result_of(Deferred.fromCoroutine(cleared.node.may_show_all()))
    assert whole == []
    cleared.node.apply(sends(LOG, 7, 7))
    assert whole == [None]
    assert result_of(Deferred.fromCoroutine(cleared.node.may_show_all())) == [None]


def test_a_lookup_whose_caller_has_gone_is_forgotten(cleared: Catalog) -> None:
    looking = cleared.node.look_up([TRADED])
    assert isinstance(looking, Deferred)
    looking.addErrback(lambda failure: failure.trap(CancelledError))
    looking.cancel()
    cleared.node.apply(sends(LOG, 7, 7))
    assert not cleared.node._waiting
