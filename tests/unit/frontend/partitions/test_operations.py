"""Market operations of several partitions: each makes its part, and a stock is followed."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import ChangeRefused, NotExecuted, OutcomeUnknown
from twisted_bazaar.frontend.partitions.operations import OperationRouter
from twisted_bazaar.market import (
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Repriced,
    Resumed,
)

from .members import GIVE_UP, PARTITIONS, PAUSE, Members, at_home_in, moved, outcome_of

A, B, C = (at_home_in(partition)[0] for partition in range(PARTITIONS))
A2 = at_home_in(0, 2)[1]
UNKNOWN = ChangeRefused(ChangeRefusal.UNKNOWN_STOCK, "unknown stock")


class Service:
    """Stands in for the `OperationService` of one partition."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Change, Deferred[Any]]] = []
        self.led: list[tuple[int, int]] = []

    def change(self, change: Change) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.waiting.append((change, answer))
        return answer

    def hand_over(self, partition: int, member: int) -> Deferred[Any]:
        self.led.append((partition, member))
        return Deferred()

    @property
    def asked(self) -> list[Change]:
        return [change for change, _ in self.waiting]

    def settle(self, outcome: object) -> None:
        _, answer = self.waiting.pop(0)
        if isinstance(outcome, Exception):
            answer.errback(outcome)
        else:
            answer.callback(outcome)


class Operator:
    def __init__(self) -> None:
        self.members = Members()
        self.services = [Service() for _ in range(PARTITIONS)]
        services: Any = self.services
        self.router = OperationRouter(
            self.members.clock.seconds, services, self.members.whereabouts, GIVE_UP
        )

    def asked(self) -> list[list[Change]]:
        return [each.asked for each in self.services]


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_a_stock_is_listed_at_home(operator: Operator) -> None:
    a, b, a2 = Listing(A, 1, 2), Listing(B, 3, 4), Listing(A2, 5, 6)
    answer = operator.router.change(Listed((a, b, a2)))
    assert operator.asked() == [[Listed((a, a2))], [Listed((b,))], []]
    operator.services[0].settle(7)
    operator.services[1].settle(0)
    assert outcome_of(answer) == {0: 7}, "nothing had to be changed in the other"


def test_all_stocks_are_those_of_all_partitions(operator: Operator) -> None:
    answer = operator.router.change(Halted(()))
    assert operator.asked() == [[Halted(())]] * 3
    for number, service in enumerate(operator.services):
        service.settle(number + 1)
    assert outcome_of(answer) == {0: 1, 1: 2, 2: 3}


def test_a_stock_on_its_way_is_halted_when_it_has_arrived(operator: Operator) -> None:
    operator.members.known.heard(1, [moved(A, 2, arrived=False)])
    answer = operator.router.change(Halted(()))
    for service in operator.services:
        service.settle(5)
    assert operator.asked() == [[], [], [Halted((A,))]]
    operator.services[2].settle(6)
    assert outcome_of(answer) == {0: 5, 1: 5, 2: 6}


@pytest.mark.parametrize("kind", [Halted, Resumed])
def test_named_stocks_are_changed_where_they_are(operator: Operator, kind: Any) -> None:
    operator.members.known.heard(1, [moved(B, 2)])
    answer = operator.router.change(kind((A, B, C, A2)))
    assert operator.asked() == [[kind((A, A2))], [], [kind((B, C))]]
    operator.services[0].settle(3)
    operator.services[2].settle(4)
    assert outcome_of(answer) == {0: 3, 2: 4}


def test_those_of_a_partition_that_lacks_one_are_looked_for_one_by_one(operator: Operator) -> None:
    operator.members.placements = [moved(A, 1)]
    answer = operator.router.change(Halted((A, A2)))
    operator.services[0].settle(UNKNOWN)
    assert operator.asked()[0] == [Halted((A,))]
    operator.services[0].settle(UNKNOWN)
    assert operator.asked() == [[], [Halted((A,))], []]
    operator.services[1].settle(9)
    operator.services[0].settle(8)
    assert outcome_of(answer) == {0: 8, 1: 9}


@pytest.mark.parametrize("change", [Repriced(B, 5), Move(B, 0)])
def test_a_stock_that_was_moved_is_changed_where_it_is(operator: Operator, change: Change) -> None:
    operator.members.placements = [moved(B, 2)]
    answer = operator.router.change(change)
    operator.services[1].settle(UNKNOWN)
    assert operator.asked() == [[], [], [change]]
    operator.services[2].settle(4)
    assert outcome_of(answer) == {2: 4}


def test_a_stock_that_is_there_already_is_not_moved(operator: Operator) -> None:
    answer = operator.router.change(Move(B, 1))
    operator.services[1].settle(0)
    assert outcome_of(answer) == {}


def test_a_stock_that_is_nowhere_is_unknown(operator: Operator) -> None:
    answer = operator.router.change(Repriced(B, 5))
    operator.services[1].settle(UNKNOWN)
    assert outcome_of(answer) is UNKNOWN


def test_one_that_does_not_arrive_in_time_is_not_changed(operator: Operator) -> None:
    operator.members.placements = [moved(B, 2, arrived=False)]
    found: list[Any] = []
    operator.router.change(Repriced(B, 5)).addErrback(lambda why: found.append(why.value))
    operator.services[1].settle(UNKNOWN)
    for _ in range(int(GIVE_UP / PAUSE) + 2):
        operator.members.clock.advance(PAUSE)
        if operator.services[2].waiting:
            operator.services[2].settle(UNKNOWN)
    [why] = found
    assert type(why) is NotExecuted


def test_of_several_failures_the_worst_is_told(operator: Operator) -> None:
    worst = OutcomeUnknown("?")
    answer = operator.router.change(Halted(()))
    operator.services[0].settle(NotExecuted("!"))
    operator.services[1].settle(worst)
    operator.services[2].settle(4)
    assert outcome_of(answer) is worst


def test_a_partition_is_led_by_whom_the_operator_wants(operator: Operator) -> None:
    operator.router.hand_over(2, 1)
    assert [each.led for each in operator.services] == [[], [], [(2, 1)]]
    why = outcome_of(operator.router.hand_over(3, 1))
    assert isinstance(why, ChangeRefused)
    assert "there are 3" in str(why)
