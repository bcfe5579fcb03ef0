"""The queue of trades: each is settled exactly once, with no more than what is known."""

from collections.abc import Callable

import msgspec
import pytest

from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotExecuted,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.frontend.trading.queue import (
    MAX_BATCH_TRADES,
    Batch,
    Outcome,
    Pending,
    TradeQueue,
)
from twisted_bazaar.market import Placed, Rejection, Side, Trade

REJECTED = Rejected(Rejection.NOT_ENOUGH_SHARES)
REFUSED_IN_DOUBT = OutcomeUnknown("refused, and sent before")

CAPACITY = 10_000


def pending(number: int, deadline: float = 5.0, owner: str = "a") -> Pending:
    trade = Trade(f"key-{number}", "GameStart", Side.BUY, 1)
    return Pending(trade, number, deadline, owner=owner)


def queue_of(count: int, capacity: int = CAPACITY, in_flight: int = 2) -> TradeQueue:
    """A queue with trades 1 … `count` waiting."""
    queue = TradeQueue(capacity, in_flight)
    for number in range(1, count + 1):
        queue.add(pending(number))
    return queue


def sent(queue: TradeQueue, leader: int = 3) -> Batch:
    """The next batch, of which there must be one."""
    batch = queue.take(leader, 1)
    assert batch is not None
    return batch


def tickets(batch: Batch | None) -> list[object]:
    return [each.ticket for each in batch.pending] if batch else []


def settled(queue: TradeQueue) -> dict[object, Outcome]:
    return {each.ticket: outcome for each, outcome in queue.take_settled()}


def placed(number: int, replayed: bool = False) -> Placed:
    return Placed(number, replayed)


# Batches.


def test_everything_that_waits_goes_in_one_batch() -> None:
    queue = queue_of(3)
    assert tickets(queue.take(3, 1)) == [1, 2, 3]
    assert queue.take(3, 1) is None


def test_a_batch_carries_what_came_while_one_was_in_flight() -> None:
    queue = queue_of(1, in_flight=1)
    first = sent(queue)
    queue.add(pending(2))
    queue.add(pending(3))
    assert queue.take(3, 1) is None, "one is in flight"
    queue.answered(first, [placed(1)])
    assert tickets(queue.take(3, 1)) == [2, 3]


def test_a_batch_carries_what_came_while_two_were_in_flight() -> None:
    queue = queue_of(1)
    first = sent(queue)
    queue.add(pending(2))
    second = sent(queue)
    queue.add(pending(3))
    queue.add(pending(4))
    assert (tickets(first), tickets(second)) == ([1], [2])
    assert queue.take(3, 1) is None, "two are in flight"
    queue.answered(first, [placed(1)])
    assert tickets(queue.take(3, 1)) == [3, 4]


def test_nothing_is_sent_while_no_replica_leads() -> None:
    queue = queue_of(1)
    assert queue.take(0, 1) is None
    assert tickets(queue.take(2, 1)) == [1]


def test_a_batch_is_bounded_and_the_rest_is_next() -> None:
    queue = queue_of(MAX_BATCH_TRADES + 1)
    assert len(sent(queue).pending) == MAX_BATCH_TRADES
    assert tickets(sent(queue)) == [MAX_BATCH_TRADES + 1]


def test_a_batch_is_given_up_when_the_last_of_its_trades_is() -> None:
    queue = TradeQueue()
    for number, deadline in ((1, 7.0), (2, 9.0), (3, 8.0)):
        queue.add(pending(number, deadline))
    assert sent(queue).deadline == 9.0


# Capacity.


def test_another_client_finds_room_beside_one_that_has_all_it_may_have() -> None:
    queue = queue_of(CAPACITY)
    with pytest.raises(Overloaded):
        queue.add(pending(0))
    for number in range(CAPACITY // 2):
        queue.add(pending(number, owner="b"))
    with pytest.raises(Overloaded):
        queue.add(pending(0, owner="b"))
    queue.add(pending(0, owner="c"))


def test_the_trade_of_another_client_is_in_the_next_batch() -> None:
    queue = queue_of(CAPACITY, in_flight=1)
    first = sent(queue)
    queue.add(pending(-1, owner="b"))
    queue.answered(first, [placed(1)] * len(first.pending))
    assert -1 in tickets(sent(queue))


def test_more_than_fits_is_refused_at_once() -> None:
    queue = queue_of(2, capacity=2)
    with pytest.raises(Overloaded):
        queue.add(pending(3))
    assert tickets(sent(queue)) == [1, 2]
    assert settled(queue) == {}


def test_what_is_in_flight_takes_its_place_until_it_is_settled() -> None:
    queue = queue_of(2, capacity=2)
    batch = sent(queue)
    with pytest.raises(Overloaded):
        queue.add(pending(3))
    queue.answered(batch, [placed(1), NotLeader()])
    queue.add(pending(4))
    with pytest.raises(Overloaded):
        queue.add(pending(5))


# Outcomes.


@pytest.mark.parametrize("outcome", [placed(7), placed(7, True), REJECTED, KeyReused("k")])
def test_what_the_leader_decided_is_the_answer(outcome: Outcome) -> None:
    queue = queue_of(1)
    assert queue.answered(sent(queue), [outcome])
    assert settled(queue) == {1: outcome}
    assert settled(queue) == {}, "once"
    assert queue.take(3, 1) is None


def test_a_leader_that_is_overloaded_is_not_asked_again() -> None:
    full = Overloaded("the leader has too many trades under way")
    queue = queue_of(1)
    assert queue.answered(sent(queue), [full])
    assert settled(queue) == {1: full}


def test_a_leader_that_is_overloaded_says_nothing_of_what_was_sent_before() -> None:
    """The first sending may have been executed, or be on its way."""
    queue = queue_of(1)
    queue.lost(sent(queue))
    assert queue.answered(sent(queue), [Overloaded("full")])
    assert isinstance(settled(queue)[1], OutcomeUnknown)


@pytest.mark.parametrize("outcome", [REJECTED, KeyReused("k")])
def test_a_rejection_settles_what_was_sent_before_too(outcome: Outcome) -> None:
    queue = queue_of(1)
    queue.lost(sent(queue))
    queue.answered(sent(queue), [outcome])
    assert settled(queue) == {1: outcome}


@pytest.mark.parametrize(("outcome", "doubtful"), [(NotLeader(), False), (OutcomeUnknown(), True)])
def test_what_was_not_decided_is_sent_again(outcome: BazaarError, doubtful: bool) -> None:
    queue = queue_of(2)
    assert not queue.answered(sent(queue), [outcome, placed(1)]), "it may lead no more"
    assert settled(queue) == {2: placed(1)}
    again = sent(queue, leader=2)
    assert tickets(again) == [1]
    assert again.pending[0].doubtful is doubtful


def test_what_was_lost_is_sent_again() -> None:
    queue = queue_of(2)
    queue.lost(sent(queue))
    again = sent(queue, leader=2)
    assert tickets(again) == [1, 2]
    assert all(each.doubtful for each in again.pending)
    assert settled(queue) == {}


def test_once_doubtful_always_doubtful() -> None:
    """The second leader did not execute it; the first may have."""
    queue = queue_of(1)
    queue.lost(sent(queue))
    queue.answered(sent(queue), [NotLeader()])
    queue.expire(5.0)
    assert isinstance(settled(queue)[1], OutcomeUnknown)


def test_a_replay_is_shown() -> None:
    queue = queue_of(1)
    queue.answered(sent(queue), [placed(7, replayed=True)])
    assert settled(queue) == {1: placed(7, replayed=True)}


@pytest.mark.parametrize("how", ["lost", "unknown", "another leader"])
def test_a_replay_of_the_trades_own_first_sending_is_none(how: str) -> None:
    queue = queue_of(1)
    first = sent(queue)
    if how == "lost":
        queue.lost(first)
    elif how == "unknown":
        queue.answered(first, [OutcomeUnknown()])
    else:
        queue.led_by(2, 1)
    queue.answered(sent(queue, leader=2), [placed(7, replayed=True)])
    assert settled(queue) == {1: placed(7, replayed=False)}


def test_an_order_that_another_partition_has_is_said_to_be_there() -> None:
    """The stock was moved while it was not known what had become of the trade."""
    queue = queue_of(1)
    queue.lost(sent(queue))
    queue.answered(sent(queue, leader=2), [Placed(7, True, 5, 3)])
    assert settled(queue) == {1: Placed(7, False, 5, 3)}


def test_a_trade_that_no_leader_took_shows_that_it_was_replayed() -> None:
    queue = queue_of(1)
    queue.answered(sent(queue), [NotLeader()])
    queue.answered(sent(queue, leader=2), [placed(7, replayed=True)])
    assert settled(queue) == {1: placed(7, replayed=True)}


# Another leader.


def test_nothing_is_expected_of_the_old_leader_when_another_leads() -> None:
    queue = queue_of(1)
    old = sent(queue, leader=3)
    queue.led_by(2, 1)
    again = sent(queue, leader=2)
    assert tickets(again) == [1]
    queue.led_by(2, 1)
    assert queue.take(2, 1) is None, "what the new leader was sent is not given up"
    assert queue.answered(old, [placed(7)]), "a late answer says nothing of who leads now"
    assert settled(queue) == {}
    queue.answered(again, [REJECTED])
    assert settled(queue) == {1: REJECTED}


@pytest.mark.parametrize("late", ["answer", "not leader", "loss"])
def test_what_becomes_late_of_a_batch_that_was_given_up_changes_nothing(late: str) -> None:
    queue = queue_of(1)
    old = sent(queue)
    queue.led_by(2, 1)
    again = sent(queue, leader=2)
    if late == "loss":
        assert not queue.lost(old)
    else:
        queue.answered(old, [placed(7) if late == "answer" else NotLeader()])
    assert queue.take(2, 1) is None
    assert settled(queue) == {}
    queue.answered(again, [placed(7)])
    assert settled(queue) == {1: placed(7)}


def led_by_another(queue: TradeQueue, first: Batch, second: Batch) -> None:
    queue.led_by(2, 1)


def lost_in_order(queue: TradeQueue, first: Batch, second: Batch) -> None:
    queue.lost(first)
    queue.lost(second)


def lost_backwards(queue: TradeQueue, first: Batch, second: Batch) -> None:
    queue.lost(second)
    queue.lost(first)


def not_leader(queue: TradeQueue, first: Batch, second: Batch) -> None:
    queue.answered(first, [NotLeader()] * len(first.pending))
    queue.answered(second, [OutcomeUnknown()] * len(second.pending))


@pytest.mark.parametrize("fail", [led_by_another, lost_in_order, lost_backwards, not_leader])
def test_what_is_sent_again_keeps_its_place(
    fail: Callable[[TradeQueue, Batch, Batch], None],
) -> None:
    queue = queue_of(2)
    first = sent(queue)
    for number in (3, 4):
        queue.add(pending(number))
    second = sent(queue)
    queue.add(pending(5))
    fail(queue, first, second)
    assert tickets(queue.take(2, 1)) == [1, 2, 3, 4, 5]


# Deadlines.


def test_a_trade_that_was_never_sent_was_not_executed() -> None:
    queue = queue_of(1)
    queue.expire(4.9)
    assert settled(queue) == {}
    queue.expire(5.0)
    assert type(settled(queue)[1]) is NotExecuted
    assert queue.take(3, 1) is None


def test_a_trade_that_no_leader_took_was_not_executed() -> None:
    queue = queue_of(1)
    queue.answered(sent(queue), [NotLeader()])
    queue.expire(5.0)
    assert type(settled(queue)[1]) is NotExecuted


def test_of_a_trade_that_is_in_flight_nothing_is_known() -> None:
    queue = queue_of(1)
    batch = sent(queue)
    queue.expire(5.0)
    [outcome] = settled(queue).values()
    assert isinstance(outcome, OutcomeUnknown)
    assert "key-1" in str(outcome)
    queue.expire(6.0)
    queue.answered(batch, [placed(1)])
    assert settled(queue) == {}, "it has been answered"
    assert queue.take(3, 1) is None


def test_of_a_trade_that_was_lost_nothing_is_known() -> None:
    queue = queue_of(1)
    queue.lost(sent(queue))
    queue.expire(5.0)
    assert isinstance(settled(queue)[1], OutcomeUnknown)


def test_a_trade_that_was_given_up_is_not_sent_again() -> None:
    queue = TradeQueue()
    queue.add(pending(1, deadline=5.0))
    queue.add(pending(2, deadline=6.0))
    batch = sent(queue)
    queue.expire(5.0)
    queue.lost(batch)
    assert tickets(queue.take(2, 1)) == [2]


def test_only_what_is_late_is_given_up() -> None:
    queue = TradeQueue()
    for number, deadline in ((1, 6.0), (2, 5.0), (3, 7.0)):
        queue.add(pending(number, deadline))
    queue.expire(5.5)
    assert list(settled(queue)) == [2]
    assert tickets(queue.take(3, 1)) == [1, 3]


def test_what_is_given_up_makes_room() -> None:
    queue = queue_of(2, capacity=2)
    sent(queue)
    queue.expire(5.0)
    for number in (3, 4):
        queue.add(pending(number, 9.0))
    with pytest.raises(Overloaded):
        queue.add(pending(5))


# Trades that came together


def together(queue: TradeQueue, *numbers: int) -> list[Pending]:
    batch = [pending(number) for number in numbers]
    queue.add_together(batch)
    return batch


def test_trades_that_came_together_are_sent_together_also_beyond_the_bound() -> None:
    queue = queue_of(MAX_BATCH_TRADES - 1)
    together(queue, *range(1000, 1100))
    together(queue, *range(2000, 2100))
    assert tickets(sent(queue))[MAX_BATCH_TRADES - 1 :] == [*range(1000, 1100)]
    assert tickets(sent(queue)) == [*range(2000, 2100)]


@pytest.mark.parametrize("lose", ["lost", "answered"])
def test_trades_that_came_together_are_sent_together_again(lose: str) -> None:
    queue = queue_of(MAX_BATCH_TRADES - 1, in_flight=1)
    together(queue, *range(1000, 1100))
    batch = sent(queue)
    queue.add(pending(5000))
    if lose == "lost":
        queue.lost(batch)
    else:
        others = len(batch.pending) - 1
        outcomes = [placed(1), *[OutcomeUnknown("the leader changed")] * others]
        queue.answered(batch, outcomes)
    again = tickets(sent(queue, leader=2))
    assert [number for number in again if 1000 <= number < 1100] == [*range(1000, 1100)]


def test_trades_that_came_together_are_taken_in_wholly_or_not_at_all() -> None:
    queue = queue_of(8, capacity=10)
    with pytest.raises(Overloaded):
        together(queue, 20, 21, 22)
    together(queue, 30, 31)
    assert tickets(sent(queue)) == [*range(1, 9), 30, 31]


# Leaders of earlier releases


GUARDED = [{"limit": 1}, {"valid_until": 1}, {"validate": True}]


def guarded(number: int, **more: object) -> Pending:
    trade = msgspec.structs.replace(pending(number).trade, **(more or GUARDED[0]))
    return Pending(trade, number, 5.0)


@pytest.mark.parametrize("more", GUARDED)
def test_a_trade_that_a_leader_would_not_judge_wholly_is_not_sent_to_it(
    more: dict[str, object],
) -> None:
    queue = queue_of(1)
    queue.add(guarded(2, **more))
    queue.add(pending(3))
    batch = queue.take(3, 1, 0)
    assert tickets(batch) == [1, 3]
    [(refused, outcome)] = queue.take_settled()
    assert refused.ticket == 2
    assert isinstance(outcome, NotExecuted)
    assert "earlier release" in str(outcome)


def test_such_a_trade_waits_for_a_leader_that_has_not_said_what_it_understands() -> None:
    queue = queue_of(1)
    queue.add(guarded(2))
    queue.add(pending(3))
    assert tickets(queue.take(3, 1, None)) == [1, 3]
    assert queue.take(3, 1, None) is None
    assert settled(queue) == {}
    queue.add(pending(4))
    assert tickets(queue.take(3, 1, 1)) == [2, 4]


def test_one_that_a_leader_may_have_executed_waits_for_a_leader_that_can_tell() -> None:
    queue = queue_of(0)
    queue.add(guarded(1))
    queue.lost(sent(queue))
    assert queue.take(2, 2, 0) is None
    assert settled(queue) == {}
    queue.expire(6.0)
    assert isinstance(settled(queue)[1], OutcomeUnknown)


def test_what_came_together_waits_together() -> None:
    queue = queue_of(0)
    queue.add_together([pending(1), guarded(2), pending(3)])
    queue.add(pending(4))
    assert tickets(queue.take(3, 1, None)) == [4]
    assert tickets(queue.take(3, 1, 1)) == [1, 2, 3]


# Trades that are judged only


def test_a_trade_that_is_only_judged_is_never_of_unknown_outcome() -> None:
    queue = queue_of(0)
    queue.add(guarded(1, validate=True))
    queue.lost(sent(queue))
    queue.expire(6.0)
    assert isinstance(settled(queue)[1], NotExecuted)


def test_an_order_that_such_a_trade_finds_is_a_replay_also_if_it_was_sent_before() -> None:
    queue = queue_of(0)
    queue.add(guarded(1, validate=True))
    queue.lost(sent(queue))
    queue.answered(sent(queue), [placed(7, replayed=True)])
    assert settled(queue) == {1: placed(7, replayed=True)}
