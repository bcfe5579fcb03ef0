"""Trades of several partitions: each goes to the one that has its stock, and has one outcome."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import (
    KeyReused,
    NotExecuted,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.frontend.partitions.trades import TradeRouter
from twisted_bazaar.market import Judged, Placed, Rejection, Side, Trade

from .members import PARTITIONS, PAUSE, Members, at_home_in, moved, outcome_of

HOME = [at_home_in(partition)[0] for partition in range(PARTITIONS)]
"""By partition, a stock that is at home in it."""
DEADLINE = 5.0
UNKNOWN = Rejected(Rejection.UNKNOWN_STOCK)


class Service:
    """Stands in for the `TradeService` of one partition."""

    def __init__(self) -> None:
        self.single: list[tuple[Trade, float | None, Deferred[Any]]] = []
        self.batches: list[tuple[list[Trade], Deferred[Any]]] = []
        self.ids: list[str] = []
        self.owners: list[str] = []

    def place(
        self,
        trade: Trade,
        request_id: str,
        context: Any,
        owner: str,
        deadline: float | None = None,
    ) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.owners.append(owner)
        self.single.append((trade, deadline, answer))
        self.ids.append(request_id)
        return answer

    def place_together(
        self, trades: Any, request_id: str, context: Any, owner: str
    ) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.owners.append(owner)
        self.batches.append((list(trades), answer))
        self.ids.append(request_id)
        return answer

    def settle(self, outcome: object) -> None:
        """The oldest trade that waits is settled."""
        _, _, answer = self.single.pop(0)
        if isinstance(outcome, Exception):
            answer.errback(outcome)
        else:
            answer.callback(outcome)


class Desk:
    def __init__(self) -> None:
        self.members = Members()
        self.services = [Service() for _ in range(PARTITIONS)]
        services: Any = self.services
        self.router = TradeRouter(
            self.members.clock.seconds, services, self.members.whereabouts, DEADLINE
        )

    def place(self, stock: str) -> Deferred[Any]:
        return self.router.place(trade(stock), "request-1", None, "alice")

    def waiting(self) -> list[int]:
        return [len(each.single) for each in self.services]


def trade(stock: str) -> Trade:
    return Trade(f"key-{stock}", stock, Side.BUY, 5)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def placed(number: int, replayed: bool = False, partition: int | None = None) -> Placed:
    return Placed(number, replayed, 100, partition)


def test_a_trade_goes_to_the_partition_of_its_stock_and_has_its_number(desk: Desk) -> None:
    for partition, stock in enumerate(HOME):
        answer = desk.place(stock)
        assert desk.waiting() == [int(each == partition) for each in range(PARTITIONS)]
        [(sent, deadline, _)] = desk.services[partition].single
        assert (sent, deadline) == (trade(stock), DEADLINE)
        desk.services[partition].settle(placed(7))
        assert outcome_of(answer).number == 7000 + partition
    assert [each.ids for each in desk.services] == [["request-1"]] * PARTITIONS
    assert [each.owners for each in desk.services] == [["alice"]] * PARTITIONS


def test_a_judged_trade_has_no_number(desk: Desk) -> None:
    answer = desk.place(HOME[1])
    desk.services[1].settle(Judged(100))
    assert outcome_of(answer) == Judged(100)


@pytest.mark.parametrize(
    "met",
    [Rejected(Rejection.HALTED), KeyReused(), OutcomeUnknown("?"), NotExecuted("!")],
)
def test_other_refusals_are_told_as_they_are(desk: Desk, met: Exception) -> None:
    answer = desk.place(HOME[1])
    desk.services[1].settle(met)
    assert outcome_of(answer) is met
    assert desk.members.asked == []


def test_a_stock_that_is_nowhere_is_unknown(desk: Desk) -> None:
    answer = desk.place(HOME[1])
    desk.services[1].settle(UNKNOWN)
    assert outcome_of(answer).rejection is Rejection.UNKNOWN_STOCK
    assert desk.members.asked == [2], "the leader of that partition was asked"


def test_a_trade_follows_its_stock_under_the_same_key_until_its_deadline(desk: Desk) -> None:
    desk.members.placements = [moved(HOME[1], 2)]
    answer = desk.place(HOME[1])
    desk.members.clock.advance(1.0)
    desk.services[1].settle(UNKNOWN)
    [(sent, deadline, _)] = desk.services[2].single
    assert (sent.key, deadline) == (trade(HOME[1]).key, DEADLINE), "no more time than it had"
    desk.services[2].settle(placed(4))
    assert outcome_of(answer).number == 4002
    desk.place(HOME[1])
    assert desk.waiting() == [0, 0, 1], "the next one goes there at once"


def test_a_trade_waits_while_its_stock_moves(desk: Desk) -> None:
    desk.members.placements = [moved(HOME[1], 2, arrived=False)]
    answer = desk.place(HOME[1])
    desk.services[1].settle(UNKNOWN)
    assert desk.waiting() == [0, 0, 0]
    desk.members.clock.advance(PAUSE)
    desk.services[2].settle(UNKNOWN)
    desk.members.clock.advance(PAUSE)
    assert desk.waiting() == [0, 0, 1]
    desk.services[2].settle(placed(1))
    assert outcome_of(answer).number == 1002


def test_a_stock_that_does_not_arrive_in_time_leaves_its_trade_not_executed(desk: Desk) -> None:
    desk.members.placements = [moved(HOME[1], 2, arrived=False)]
    answer = desk.place(HOME[1])
    found: list[Any] = []
    answer.addErrback(lambda failure: found.append(failure.value))
    desk.services[1].settle(UNKNOWN)
    for _ in range(int(DEADLINE / PAUSE) + 2):
        desk.members.clock.advance(PAUSE)
        if desk.services[2].single:
            desk.services[2].settle(UNKNOWN)
    [why] = found
    assert type(why) is NotExecuted
    assert desk.members.clock.seconds() >= DEADLINE


def test_what_the_next_partition_makes_unknown_is_unknown(desk: Desk) -> None:
    desk.members.placements = [moved(HOME[1], 0)]
    answer = desk.place(HOME[1])
    desk.services[1].settle(UNKNOWN)
    desk.services[0].settle(OutcomeUnknown("?"))
    assert isinstance(outcome_of(answer), OutcomeUnknown)


def test_a_replay_from_before_the_move_has_the_number_of_its_partition(desk: Desk) -> None:
    desk.members.known.heard(1, [moved(HOME[1], 2)])
    answer = desk.place(HOME[1])
    desk.services[2].settle(placed(9, replayed=True, partition=1))
    assert outcome_of(answer).number == 9001


# Batches.


def test_a_batch_is_a_call_to_each_partition_and_keeps_its_order(desk: Desk) -> None:
    stocks = [HOME[2], HOME[0], HOME[2]]
    answer = desk.router.place_together(
        [trade(each) for each in stocks], "request-1", None, "alice"
    )
    assert [[sent for sent, _ in each.batches] for each in desk.services] == [
        [[trade(HOME[0])]],
        [],
        [[trade(HOME[2]), trade(HOME[2])]],
    ]
    desk.services[2].batches[0][1].callback([placed(5), Rejected(Rejection.HALTED)])
    assert not answer.called
    desk.services[0].batches[0][1].callback([placed(1)])
    first, second, third = outcome_of(answer)
    assert (first.number, second.number) == (5002, 1000)
    assert third.rejection is Rejection.HALTED


def test_a_trade_of_a_batch_follows_its_stock_alone(desk: Desk) -> None:
    desk.members.placements = [moved(HOME[1], 2)]
    answer = desk.router.place_together([trade(HOME[1]), trade(at_home_in(1, 2)[1])])
    desk.services[1].batches[0][1].callback([UNKNOWN, placed(3)])
    desk.services[2].settle(placed(8))
    assert [each.number for each in outcome_of(answer)] == [8002, 3001]


def test_a_batch_of_one_partition_without_room_is_not_executed_as_a_whole(desk: Desk) -> None:
    answer = desk.router.place_together([trade(HOME[1]), trade(HOME[1])])
    desk.services[1].batches[0][1].errback(Overloaded("full"))
    assert isinstance(outcome_of(answer), Overloaded)


def test_of_a_batch_of_several_partitions_those_without_room_are_not_executed(desk: Desk) -> None:
    answer = desk.router.place_together([trade(HOME[1]), trade(HOME[0])])
    desk.services[1].batches[0][1].errback(Overloaded("full"))
    desk.services[0].batches[0][1].callback([placed(2)])
    full, done = outcome_of(answer)
    assert isinstance(full, Overloaded)
    assert done.number == 2000


def test_an_empty_batch_has_no_outcome(desk: Desk) -> None:
    assert outcome_of(desk.router.place_together([])) == []
