"""Entries that a leader has proposed: what a catalog does with them before it knows whether they
are committed."""

import msgspec
import pytest

from tests.fakes.catalog_life import FRONTEND, HEARTBEAT, LOG, CatalogLife, at_work, stocks_of
from tests.fakes.histories import LISTED, extend, order, sends
from twisted_bazaar.catalog.projection import MAX_PROPOSED, Position, Projection
from twisted_bazaar.consensus.entries import Entry, Opened
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.ledger import Ledger

ODD, EVEN = LISTED.stocks[1].name, LISTED.stocks[0].name
"""The stocks of the orders with odd numbers, and with even ones. Entry 7 is order 5."""


def proposes(log: list[Entry], after: int, upto: int, commit: int | None = None) -> Apply:
    """The leader's message with entries that are not committed beyond `commit`."""
    commit = after if commit is None else commit
    message = sends(log, after, min(upto, commit), commit, term=log[-1].term)
    return msgspec.structs.replace(message, proposed=tuple(log[max(after, commit) : upto]))


@pytest.fixture
def catalog() -> CatalogLife:
    return at_work()


@pytest.fixture
def cleared(catalog: CatalogLife) -> CatalogLife:
    """It has told the leader that entries 7 and 8 are cleared; 6 is committed."""
    catalog.send(proposes(LOG, 6, 8))
    catalog.push()
    catalog.answer()
    (answer,) = catalog.answers().values()
    assert (answer.applied, answer.released, answer.cleared, answer.taken) == (6, 6, 8, 8)
    return catalog


def waits(catalog: CatalogLife, name: str | None) -> bool:
    return catalog.publisher.wait_for(name) is not None


# Clearing.


def test_front_ends_hear_of_an_entry_before_it_is_committed(catalog: CatalogLife) -> None:
    catalog.send(proposes(LOG, 6, 8))
    assert catalog.push() == [FRONTEND]
    pushed = catalog.pushed[FRONTEND]
    assert (pushed.upto, pushed.floors) == (8, {ODD: 7, EVEN: 8})
    assert catalog.answers() == {}, "not before they have answered"


def test_what_is_cleared_is_not_shown_before_it_is_committed(cleared: CatalogLife) -> None:
    assert cleared.shown == stocks_of(6)
    assert cleared.ask(sends(LOG, 8, 8, commit=7)).released == 7
    assert cleared.shown == stocks_of(7)
    assert cleared.ask(sends(LOG, 8, 8)).released == 8
    assert cleared.shown == stocks_of(8)


def test_what_is_committed_is_not_shown_before_it_is_cleared(catalog: CatalogLife) -> None:
    catalog.send(proposes(LOG, 6, 8))
    catalog.push()
    catalog.send(sends(LOG, 8, 8))
    assert catalog.projection.position.index == 8
    assert catalog.shown == stocks_of(6)
    catalog.answer()
    assert catalog.shown == stocks_of(8)


def test_a_leader_hears_after_a_heartbeat_how_much_is_cleared(catalog: CatalogLife) -> None:
    catalog.send(proposes(LOG, 6, 8))
    catalog.push()
    catalog.pass_time(HEARTBEAT)
    (answer,) = catalog.answers().values()
    assert (answer.cleared, answer.taken) == (6, 8)


# Lookups that wait.


def test_a_lookup_of_what_is_cleared_waits_for_its_commit(cleared: CatalogLife) -> None:
    assert waits(cleared, ODD)
    assert waits(cleared, EVEN)
    assert waits(cleared, None), "the whole market"
    assert not waits(cleared, "another")
    cleared.ask(sends(LOG, 8, 8, commit=7))
    assert not waits(cleared, ODD)
    assert waits(cleared, EVEN)
    cleared.ask(sends(LOG, 8, 8))
    assert not waits(cleared, EVEN)
    assert not waits(cleared, None)


def test_a_lookup_of_what_is_not_cleared_yet_waits_for_nothing(catalog: CatalogLife) -> None:
    """No client can have heard of the trade: what is shown is still right."""
    catalog.send(proposes(LOG, 6, 8))
    assert not waits(catalog, ODD)
    catalog.push()
    catalog.pass_time(HEARTBEAT)
    catalog.answers()
    assert not waits(catalog, ODD), "nor when the leader was told that it is not"


def test_a_lookup_waits_for_what_was_cleared_when_it_came_only(cleared: CatalogLife) -> None:
    """A stock that is traded all the time is shown all the same."""
    wait = cleared.publisher.wait_for(ODD)
    assert wait is not None
    log = LOG + extend(LOG, [order(7)])
    cleared.send(proposes(log, 8, 9, commit=8))
    cleared.push()
    cleared.answer()
    assert cleared.publisher.is_over(wait)
    assert waits(cleared, ODD), "the next one"


# Another leader.


def another(after: int, *numbers: int) -> list[Entry]:
    """The log of the leader of term 2, which has `LOG` up to `after`, and these orders."""
    log = extend(LOG[:after], [Opened(leader=2, name="2")], term=2)
    log += extend(log, [order(number) for number in numbers], term=2)
    return LOG[:after] + log


def test_what_an_earlier_leader_proposed_is_not_committed_by_the_next(
    cleared: CatalogLife,
) -> None:
    log = another(6, 5)
    cleared.send(sends(log, 8, 8, term=2))
    assert cleared.projection.position.index == 6
    assert cleared.projection.tip == 6


def test_a_lookup_of_what_was_truncated_waits_for_the_next_leaders_first_entry(
    cleared: CatalogLife,
) -> None:
    """What was answered is in that leader's log before that entry."""
    waiting = cleared.publisher.wait_for(EVEN)
    assert waiting is not None
    log = another(6)
    cleared.send(sends(log, 7, 7, term=2))
    assert waits(cleared, EVEN), "the leader has been heard, and its log has not"
    cleared.send(sends(log, 6, 7, term=2))
    assert cleared.projection.position.index == 7
    assert waits(cleared, EVEN), "its front-ends do not know the new history yet"
    cleared.push()
    cleared.answer()
    assert cleared.publisher.is_over(waiting)
    assert not waits(cleared, EVEN)


def test_what_was_cleared_of_another_log_is_cleared_once_more(cleared: CatalogLife) -> None:
    """The entries of the next leader have the same indexes, and are of other stocks."""
    log = another(6, 5)
    cleared.send(proposes(log, 6, 8, commit=7))
    assert cleared.publisher.view.upto == 6
    assert all(answer.cleared == 6 for answer in cleared.answers().values())
    cleared.push()
    assert cleared.pushed[FRONTEND].upto == 8
    cleared.answer()
    assert cleared.publisher.view.upto == 7


def test_an_answer_to_a_push_of_what_was_truncated_clears_nothing(catalog: CatalogLife) -> None:
    catalog.send(proposes(LOG, 6, 8))
    catalog.push()
    log = another(6, 5)
    catalog.send(proposes(log, 6, 8, commit=7))
    catalog.answer()
    assert catalog.publisher.view.upto == 6
    assert catalog.push() == [FRONTEND], "it is told of the new entries at once"
    assert catalog.pushed[FRONTEND].history == log[6].digest


# What is kept.


def projection() -> Projection:
    known = Projection(Ledger(), Position())
    known.apply(sends(LOG, 0, 4))
    return known


def test_proposals_follow_one_another_and_what_is_applied() -> None:
    known = projection()
    known.apply(proposes(LOG, 5, 6, commit=5))
    assert known.tip == 4, "entry 5 is missing"
    known.apply(proposes(LOG, 4, 6))
    known.apply(proposes(LOG, 4, 6))
    assert [entry.index for entry in known.proposed] == [5, 6]
    known.apply(sends(LOG, 6, 6, commit=5))
    assert (known.position.index, known.tip) == (5, 6)


def test_proposals_of_another_log_of_the_term_are_dropped() -> None:
    """There is none; the digest says so all the same."""
    known = projection()
    known.apply(proposes(LOG, 4, 6))
    wrong = msgspec.structs.replace(sends(LOG, 6, 6), previous_digest="0" * 32)
    known.apply(wrong)
    assert (known.position.index, known.tip) == (4, 4)


def test_a_catalog_keeps_a_bounded_number_of_proposals() -> None:
    known = projection()
    log = LOG[:4] + extend(LOG[:4], [order(number + 3) for number in range(MAX_PROPOSED + 5)])
    known.apply(proposes(log, 4, len(log)))
    assert known.tip == 4 + MAX_PROPOSED
    known.apply(sends(log, known.tip, len(log)))
    assert known.position.index == len(log)
