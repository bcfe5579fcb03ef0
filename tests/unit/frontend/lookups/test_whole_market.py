"""The whole market: one query at a time, shown while it holds, with pauses for other work."""

import pytest

from tests.fakes.publisher import HISTORY, LEASE, FakePublisher
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.lookups.whole_market import (
    MarketQuery,
    MarketSnapshot,
    WholeMarketQueue,
)
from twisted_bazaar.http import answers
from twisted_bazaar.market import Stock


def stock(name: str, version: int) -> Stock:
    return Stock(name, 100, version, 0, version)


def whole(upto: int, history: str = HISTORY, **versions: int) -> MarketSnapshot:
    """What a catalog answers, or the leader if it names no log."""
    return MarketSnapshot.of([stock(*each) for each in versions.items()], history, upto)


AT_5 = whole(5, A=5, B=4)
AT_6 = whole(6, A=5, B=6)


class Desk:
    """A queue with a lease and floors of 5 and 4."""

    def __init__(self, cached: bool = True, capacity: int = 100) -> None:
        self.publisher = FakePublisher()
        self.market = WholeMarketQueue(self.publisher.floors if cached else None, capacity)
        self.publisher.grant(A=5, B=4)

    @property
    def now(self) -> float:
        return self.publisher.now

    def ask(self) -> object:
        """A client that has to wait."""
        ticket = object()
        assert self.market.add(ticket, self.now) is None
        return ticket

    def question(self) -> MarketQuery:
        question = self.market.take_query(self.now)
        assert question is not None
        return question

    def nothing_to_ask(self) -> bool:
        return self.market.take_query(self.now) is None

    def answer(self, answer: MarketSnapshot) -> dict[object, MarketSnapshot | BazaarError]:
        self.market.answered(answer, self.now)
        return self.answered()

    def answered(self) -> dict[object, MarketSnapshot | BazaarError]:
        return dict(self.market.take_answered())


@pytest.fixture
def desk() -> Desk:
    return Desk()


# One question.


def test_one_query_answers_all_clients_that_came_before_it(desk: Desk) -> None:
    tickets = [desk.ask() for _ in range(50)]
    desk.question()
    assert desk.nothing_to_ask()
    assert desk.answer(AT_5) == dict.fromkeys(tickets, AT_5)
    assert desk.nothing_to_ask()


def test_an_answer_that_still_holds_is_for_later_clients_as_well(desk: Desk) -> None:
    first = desk.ask()
    desk.question()
    later = desk.ask()
    assert desk.answer(AT_5) == dict.fromkeys([first, later], AT_5)


def test_an_outdated_answer_is_only_for_the_clients_before_its_query(desk: Desk) -> None:
    first = desk.ask()
    desk.question()
    desk.publisher.grant(B=6)
    later = desk.ask()
    assert desk.answer(AT_5) == {first: AT_5}
    desk.publisher.now += AT_5.cost
    assert desk.question().known is AT_5, "what has not changed need not come again"
    assert desk.answer(AT_6) == {later: AT_6}


def test_without_a_lease_an_answer_is_only_for_the_clients_before_its_query(desk: Desk) -> None:
    first = desk.ask()
    desk.question()
    desk.publisher.now += LEASE
    later = desk.ask()
    assert desk.answer(AT_5) == {first: AT_5}
    desk.publisher.now += AT_5.cost
    desk.question()
    assert desk.answer(AT_5) == {later: AT_5}


def test_without_a_cache_an_answer_is_only_for_the_clients_before_its_query() -> None:
    desk = Desk(cached=False)
    first = desk.ask()
    desk.question()
    later = desk.ask()
    assert desk.answer(AT_5) == {first: AT_5}
    desk.ask()
    desk.publisher.now += AT_5.cost
    desk.question()
    assert later in desk.answer(AT_5)


# What is kept.


def test_an_answer_is_shown_at_once_while_the_lease_holds_and_no_floor_is_above_it(
    desk: Desk,
) -> None:
    desk.ask()
    desk.question()
    desk.answer(AT_5)
    assert desk.market.add(object(), desk.now) is AT_5
    desk.publisher.grant(A=5)
    assert desk.market.add(object(), desk.now) is AT_5
    desk.publisher.grant(B=6)
    desk.ask()


def test_an_answer_is_not_shown_after_the_lease(desk: Desk) -> None:
    desk.ask()
    desk.question()
    desk.answer(AT_5)
    desk.publisher.now += LEASE
    ticket = desk.ask()
    desk.publisher.grant(A=5, B=4)
    assert desk.market.add(object(), desk.now) is AT_5, "it has been true all the time"
    desk.question()
    assert desk.answer(AT_5) == {ticket: AT_5}


@pytest.mark.parametrize("other", [whole(5, "log-2", A=5, B=4), whole(0, "", A=5, B=4)])
def test_an_answer_from_another_or_an_unknown_log_is_not_shown_again(
    desk: Desk, other: MarketSnapshot
) -> None:
    ticket = desk.ask()
    desk.question()
    assert desk.answer(other) == {ticket: other}
    desk.ask()


def test_what_the_leader_answered_does_not_make_one_forget_what_a_catalog_did(desk: Desk) -> None:
    desk.ask()
    desk.question()
    desk.answer(AT_5)
    desk.publisher.grant(B=6)
    desk.ask()
    desk.publisher.now += AT_5.cost
    desk.question()
    desk.answer(from_leader := whole(0, "", A=5, B=6))
    desk.publisher.grant(B=7)
    desk.ask()
    desk.publisher.now += from_leader.cost
    assert desk.question().known is AT_5


def test_changes_make_the_whole_that_would_have_come() -> None:
    changed = AT_5.changed([stock("B", 6)], 6)
    assert (changed.body, changed.upto, changed.fresh) == (AT_6.body, 6, 1)
    listed = AT_5.changed([stock("AA", 7)], 7)
    assert listed.body == answers.stocks([stock("A", 5), stock("AA", 7), stock("B", 4)])
    same = AT_5.changed([], 9)
    assert (same.body, same.upto, same.fresh) == (AT_5.body, 9, 0)
    assert AT_5.body == answers.stocks([stock("A", 5), stock("B", 4)]), "nothing is changed in it"


# Bounds.


def test_after_an_answer_there_is_a_pause_that_grows_with_what_it_cost(desk: Desk) -> None:
    many = MarketSnapshot.of([stock(f"Stock{number}", 5) for number in range(12_000)], HISTORY, 5)
    assert AT_5.cost < 0.001 < many.changed([], 5).cost < 0.05 < many.cost < 0.5
    desk.ask()
    desk.question()
    desk.answer(many)
    desk.publisher.grant(B=6)
    desk.ask()
    assert desk.nothing_to_ask()
    assert desk.market.pause_until == desk.now + many.cost
    desk.publisher.now += many.cost
    desk.question()
    assert desk.market.pause_until is None


def test_a_query_without_an_answer_fails_the_clients_that_came_before_it(desk: Desk) -> None:
    first = desk.ask()
    desk.question()
    later = desk.ask()
    error = Unavailable("no catalog answers")
    desk.market.failed(error, desk.now)
    assert desk.answered() == {first: error}
    desk.question()
    assert desk.answer(AT_5) == {later: AT_5}


def test_clients_that_have_hung_up_cause_no_query_and_get_no_answer(desk: Desk) -> None:
    gone = desk.ask()
    desk.market.withdraw(gone)
    assert desk.nothing_to_ask()
    assert desk.market.pause_until is None
    gone, there = desk.ask(), desk.ask()
    desk.question()
    desk.market.withdraw(gone)
    assert desk.answer(AT_5) == {there: AT_5}
    desk.market.withdraw(there)


def test_the_waiting_clients_have_a_bound() -> None:
    desk = Desk(capacity=3)
    tickets = [desk.ask(), desk.ask()]
    desk.question()
    tickets.append(desk.ask())
    with pytest.raises(Unavailable):
        desk.market.add(object(), desk.now)
    assert desk.answer(AT_5).keys() == set(tickets)
    desk.publisher.grant(B=6)
    desk.ask()
