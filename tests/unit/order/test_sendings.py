"""A sending is for one leadership, is taken once, and for a time: what a leader takes, and what
it says of what it does not take."""

import pytest

from tests.fakes.cluster import Cluster, buy, sell
from tests.fakes.member import TICK, TIMING
from twisted_bazaar.errors import NotLeader, OutcomeUnknown, Overloaded, Rejected
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.trading.queue import Batch, Pending, TradeQueue
from twisted_bazaar.leases import kept
from twisted_bazaar.market import Placed, Trade
from twisted_bazaar.order import desk
from twisted_bazaar.order.desk import Known
from twisted_bazaar.order.sendings import MAX_LIVES, Sendings
from twisted_bazaar.sending import MAX_SENDING_SECONDS, UNGUARDED, Sending

LATER = 1e9


def sending(
    number: int, *expected: int, life: int = 7, term: int = 1, expires: tuple[float, ...] = ()
) -> Sending:
    return Sending(term=term, life=life, number=number, expected=expected, expires=expires)


# What came before.


def test_each_is_taken_once() -> None:
    taken = Sendings(1)
    assert taken.take(sending(1), 0.0)
    assert not taken.take(sending(1), 0.0)
    assert taken.take(sending(2), 0.0)
    assert not taken.take(sending(2), 9.0)
    assert not taken.take(sending(1), 9.0)


def test_one_that_was_given_up_is_not_taken_once_a_later_one_came() -> None:
    taken = Sendings(1)
    assert taken.take(sending(2), 0.0)
    assert not taken.take(sending(1), 0.0)


def test_one_that_is_expected_is_taken_though_a_later_one_came() -> None:
    taken = Sendings(1)
    assert taken.take(sending(3, 1), 0.0)
    assert taken.take(sending(1), 0.0)
    assert not taken.take(sending(1), 0.0)
    assert not taken.take(sending(2), 0.0)


def test_one_that_was_expected_once_and_is_no_more_is_not_taken() -> None:
    taken = Sendings(1)
    assert taken.take(sending(2, 1), 0.0)
    assert taken.take(sending(3), 0.0)
    assert not taken.take(sending(1), 0.0)


def test_one_that_was_given_up_is_not_expected_because_a_later_one_says_so() -> None:
    taken = Sendings(1)
    assert taken.take(sending(3), 0.0)
    assert taken.take(sending(4, 2), 0.0)
    assert not taken.take(sending(2), 0.0)


def test_each_life_counts_for_itself() -> None:
    taken = Sendings(1)
    assert taken.take(sending(5, life=7), 0.0)
    assert taken.take(sending(4, life=8), 0.0)
    assert not taken.take(sending(4, life=7), 0.0)


def test_a_life_is_forgotten_only_when_all_that_it_may_have_sent_has_expired() -> None:
    taken = Sendings(1)
    for life in range(1, MAX_LIVES + 1):
        assert taken.take(sending(2, life=life), 0.0)
    assert not taken.take(sending(2, life=MAX_LIVES + 1), MAX_SENDING_SECONDS * 2)
    assert not taken.take(sending(1, life=1), MAX_SENDING_SECONDS * 2)
    assert taken.take(sending(3, life=2), MAX_SENDING_SECONDS * 2)
    after = MAX_SENDING_SECONDS * 2 + 0.1
    assert taken.take(sending(2, life=MAX_LIVES + 1), after)
    assert not taken.take(sending(2, life=2), after), "it was heard of meanwhile"


def test_what_an_earlier_release_sends_is_taken() -> None:
    taken = Sendings(0)
    assert taken.take(UNGUARDED, 0.0)
    assert taken.take(UNGUARDED, 0.0)


# At the desk.


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads a market of ten stocks, 100 shares of each."""
    cluster = Cluster()
    cluster.open_market(3)
    return cluster


def sent(cluster: Cluster, id: int, given: Sending, *trades: Trade) -> desk.Batch:
    batch = desk.Batch(trades, given)
    assert cluster.members[id].desk.decide(batch, Known({}, 0), cluster.clock.now)
    cluster.carry_out(cluster.members[id])
    cluster.pass_time(TIMING.heartbeat)
    return batch


def change_leader(cluster: Cluster, old: int, new: int) -> int:
    """The term in which `new` leads after `old`."""
    cluster.cut(old)
    cluster.pass_time(2 * (TIMING.election_timeout + TICK))
    term = cluster.elect(new).replica.term
    cluster.heal()
    cluster.pass_time(2 * (TIMING.election_timeout + TICK))
    return term


def test_a_trade_is_not_executed_in_another_leadership_of_the_same_replica(
    cluster: Cluster,
) -> None:
    """It was on its way while another leader rejected its key."""
    first = cluster.members[3].replica.term
    second = change_leader(cluster, 3, 2)
    rejected = sent(cluster, 2, sending(2, term=second), buy("key", 101))
    assert isinstance(rejected.outcomes[0], Rejected)
    third = change_leader(cluster, 2, 3)
    assert sent(cluster, 3, sending(1, life=8, term=third), sell("more")).outcomes == [
        Placed(1, replayed=False, price=1599)
    ]
    late = sent(cluster, 3, sending(1, term=first), buy("key", 101))
    assert isinstance(late.outcomes[0], NotLeader)
    assert cluster.members[3].desk.ledger.last_number == 1


def test_a_sending_that_was_given_up_is_not_executed(cluster: Cluster) -> None:
    """The same leader rejects the key, is sold shares, and then the first sending comes."""
    term = cluster.members[3].replica.term
    rejected = sent(cluster, 3, sending(2, term=term), buy("key", 101))
    assert isinstance(rejected.outcomes[0], Rejected)
    sent(cluster, 3, sending(3, term=term), sell("more"))
    late = sent(cluster, 3, sending(1, term=term), buy("key", 101))
    assert isinstance(late.outcomes[0], OutcomeUnknown)
    assert cluster.members[3].desk.ledger.last_number == 1


def test_a_copy_that_comes_after_the_leadership_does_not_say_not_executed(
    cluster: Cluster,
) -> None:
    term = cluster.members[3].replica.term
    assert sent(cluster, 3, sending(1, term=term), buy("key")).outcomes == [
        Placed(1, False, price=1599)
    ]
    change_leader(cluster, 3, 2)
    copy = sent(cluster, 3, sending(1, term=term), buy("key"))
    assert isinstance(copy.outcomes[0], OutcomeUnknown)
    never_came = sent(cluster, 3, sending(2, term=term), buy("other"))
    assert isinstance(never_came.outcomes[0], NotLeader)


def test_what_was_refused_for_lack_of_room_is_refused_for_good(cluster: Cluster) -> None:
    """Its client was told that it was not executed."""
    leading, term = cluster.members[3].desk, cluster.members[3].replica.term
    leading._capacity = 0
    assert isinstance(sent(cluster, 3, sending(1, term=term), buy("key")).outcomes[0], Overloaded)
    leading._capacity = 10
    copy = sent(cluster, 3, sending(1, term=term), buy("key"))
    assert isinstance(copy.outcomes[0], OutcomeUnknown)
    assert leading.ledger.last_number == 0


def test_a_look_up_that_is_too_old_uses_nothing_up(cluster: Cluster) -> None:
    leading, term = cluster.members[3].desk, cluster.members[3].replica.term
    leading._forgotten = 1
    batch = desk.Batch([buy("key")], sending(1, term=term))
    assert not leading.decide(batch, Known({}, 0), cluster.clock.now)
    assert leading.decide(batch, Known({}, 1), cluster.clock.now)
    cluster.carry_out(cluster.members[3])
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


def test_only_what_has_expired_of_a_batch_is_not_executed(cluster: Cluster) -> None:
    now, term = cluster.clock.now, cluster.members[3].replica.term
    given = sending(1, term=term, expires=(now + 1, now, now - 1, LATER))
    batch = sent(cluster, 3, given, buy("a"), buy("b"), buy("c"), buy("d"))
    assert [type(outcome) for outcome in batch.outcomes] == [
        Placed,
        OutcomeUnknown,
        OutcomeUnknown,
        Placed,
    ]
    assert cluster.members[3].desk.ledger.last_number == 2


def test_a_batch_of_an_earlier_release_is_decided(cluster: Cluster) -> None:
    assert sent(cluster, 3, UNGUARDED, buy("key")).outcomes == [
        Placed(1, replayed=False, price=1599)
    ]
    assert isinstance(sent(cluster, 2, UNGUARDED, buy("key")).outcomes[0], NotLeader)


# What a front-end says of its sendings.


def pending(number: int, deadline: float = 5.0) -> Pending:
    return Pending(buy(f"key-{number}"), number, deadline)


def queue_of(count: int) -> TradeQueue:
    """A queue with trades 1 … `count` waiting."""
    queue = TradeQueue(in_flight=3)
    for number in range(1, count + 1):
        queue.add(pending(number))
    return queue


def taken(queue: TradeQueue, term: int = 1) -> Batch:
    """The next batch for replica 3, of which there must be one."""
    batch = queue.take(3, term)
    assert batch is not None
    return batch


def clock(moment: float) -> float:
    """The leader's clock shows this."""
    return moment + 1000.0


def test_a_batch_names_its_leadership_and_those_before_that_are_still_expected() -> None:
    queue = queue_of(1)
    first = taken(queue)
    queue.add(pending(2))
    second = taken(queue)
    queue.lost(first)
    queue.add(pending(3))
    third = taken(queue)
    assert first.number < second.number < third.number
    assert (first.expected, second.expected) == ([], [first.number])
    assert third.expected == [second.number], "the first was given up"
    assert [each.ticket for each in third.pending] == [1, 3]
    with_it = third.sending(77, 1.0, clock)
    assert (with_it.term, with_it.life, with_it.number) == (1, 77, third.number)
    assert with_it.expected == [second.number]


def test_nothing_of_another_leadership_is_expected() -> None:
    queue = queue_of(1)
    taken(queue)
    queue.add(pending(2))
    assert taken(queue, term=2).expected == []


def test_each_trade_expires_with_its_client_and_none_is_valid_for_long() -> None:
    queue = TradeQueue()
    for number, deadline in ((1, 7.0), (2, 5.0), (3, 1000.0)):
        queue.add(pending(number, deadline))
    with_it = taken(queue).sending(77, 1.0, clock)
    assert with_it.expires == [1007.0, 1005.0, 1001.0 + MAX_SENDING_SECONDS]


def test_a_later_leadership_of_the_same_replica_is_another() -> None:
    queue = queue_of(1)
    old = taken(queue)
    queue.led_by(3, 2)
    assert [each.ticket for each in taken(queue, term=2).pending] == [1]
    assert queue.answered(old, [Placed(7, replayed=False, price=1599)])
    assert not queue.take_settled()


# The leader's clock, as a front-end knows it.


def test_a_moment_on_the_leaders_clock_is_never_said_to_be_later_than_it_is() -> None:
    leadership = Leadership([1, 2])
    leadership.heard_clock(2, 1000.0, 50.0)
    clock = leadership.clock_of(2)
    assert clock(50.0) == 1000.0
    assert clock(55.0) == 1000.0 + kept(5.0)
    assert leadership.clock_of(1)(55.0) == 0.0, "nothing is known of it: all has expired"
