"""The desk keeps the conditions of trades: limits, times, and to be validated only."""

import msgspec
import pytest

from tests.fakes.cluster import Cluster, buy, sell
from tests.fakes.member import TIMING
from twisted_bazaar.consensus.entries import Event
from twisted_bazaar.errors import KeyReused, Rejected
from twisted_bazaar.market import Judged, Placed, Rejection, Repriced, Side, Trade, Traded
from twisted_bazaar.order.desk import Batch, Known, Outcome


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads a market of ten stocks, 100 shares of each."""
    cluster = Cluster()
    cluster.open_market(3)
    return cluster


def limited(key: str, limit: int, quantity: int = 1) -> Trade:
    return msgspec.structs.replace(buy(key, quantity), limit=limit)


def until(key: str, milliseconds: int) -> Trade:
    return msgspec.structs.replace(buy(key), valid_until=milliseconds)


def validate(trade: Trade) -> Trade:
    return msgspec.structs.replace(trade, validate=True)


def traded(cluster: Cluster, *trades: Trade) -> list[Outcome | None]:
    """The outcomes of a batch that nothing disturbs."""
    batch = cluster.trade(3, *trades)
    cluster.pass_time(TIMING.heartbeat)
    return batch.outcomes


def reason(outcome: object) -> Rejection:
    assert isinstance(outcome, Rejected)
    return outcome.rejection


def propose(cluster: Cluster, event: Event) -> None:
    """Replica 3 has `event` at the end of its log, which is not committed."""
    desk = cluster.members[3].desk
    assert desk._tip is not None
    desk._tip.apply(cluster.members[3].replica.log.last_index + 1, event)
    desk._propose([event])


def last_at(cluster: Cluster) -> int:
    return cluster.members[3].replica.log.last_at_milliseconds


def test_a_limit_is_judged_at_the_end_of_the_log(cluster: Cluster) -> None:
    propose(cluster, Repriced("GameStart", 1700))
    dear, enough = traded(cluster, limited("dear", 1600), limited("enough", 1700))
    assert reason(dear) is Rejection.PRICE_OUT_OF_BOUNDS
    assert enough == Placed(1, replayed=False, price=1700)


def test_a_rejection_for_a_limit_waits_until_what_it_rests_on_is_committed(
    cluster: Cluster,
) -> None:
    propose(cluster, Repriced("GameStart", 1700))
    batch = cluster.trade(3, limited("dear", 1600))
    assert batch.outcomes == [None]
    cluster.pass_time(TIMING.heartbeat)
    assert reason(batch.outcomes[0]) is Rejection.PRICE_OUT_OF_BOUNDS


def test_a_time_is_compared_with_that_of_the_entry(cluster: Cluster) -> None:
    """Which is never before that of the entry before, whatever the wall clock shows."""
    replica = cluster.members[3].replica
    shown = [5000]
    replica._milliseconds = lambda: shown.pop(0) if len(shown) > 1 else shown[0]
    assert traded(cluster, until("just", 5000)) == [Placed(1, replayed=False, price=1599)]
    assert last_at(cluster) == 5000
    shown[:] = [4000]
    late, in_time = traded(cluster, until("late", 4999), until("in time", 5000))
    assert reason(late) is Rejection.EXPIRED
    assert in_time == Placed(2, replayed=False, price=1599)
    shown[:] = [6000, 7000]
    assert traded(cluster, until("judged once", 6000)) == [Placed(3, replayed=False, price=1599)]
    assert last_at(cluster) == 6000


def test_a_replay_is_answered_after_its_time(cluster: Cluster) -> None:
    replica = cluster.members[3].replica
    replica._milliseconds = lambda: 5000
    traded(cluster, until("once", 5000))
    replica._milliseconds = lambda: 9000
    assert traded(cluster, until("once", 5000)) == [Placed(1, replayed=True, price=1599)]
    assert traded(cluster, until("once", 9999)) == [Placed(1, replayed=True, price=1599)]


@pytest.mark.parametrize("limit", [None, 1599, 1601])
def test_another_limit_under_the_same_key_is_another_trade(
    cluster: Cluster, limit: int | None
) -> None:
    traded(cluster, limited("key", 1600))
    again, other = traded(
        cluster, limited("key", 1600), msgspec.structs.replace(buy("key"), limit=limit)
    )
    assert again == Placed(1, replayed=True, price=1599)
    assert isinstance(other, KeyReused)


def test_what_is_validated_is_judged_and_leaves_nothing(cluster: Cluster) -> None:
    last = cluster.members[3].replica.log.last_index
    judged, refused = traded(
        cluster, validate(buy("key")), validate(msgspec.structs.replace(buy("dear"), limit=1))
    )
    assert judged == Judged(1599)
    assert reason(refused) is Rejection.PRICE_OUT_OF_BOUNDS
    assert cluster.members[3].replica.log.last_index == last
    assert traded(cluster, sell("key", 5)) == [Placed(1, replayed=False, price=1599)]


def test_in_a_batch_a_validation_sees_the_trades_before_it_and_takes_no_shares(
    cluster: Cluster,
) -> None:
    outcomes = traded(
        cluster, buy("all but one", 99), validate(buy("two", 2)), validate(buy("one")), buy("last")
    )
    assert outcomes[0] == Placed(1, replayed=False, price=1599)
    assert reason(outcomes[1]) is Rejection.NOT_ENOUGH_SHARES
    assert outcomes[2:] == [Judged(1599), Placed(2, replayed=False, price=1599)]


def test_a_validation_under_a_used_key_is_answered_like_a_replay(cluster: Cluster) -> None:
    traded(cluster, buy("key"))
    again, other = traded(cluster, validate(buy("key")), validate(buy("key", 2)))
    assert again == Placed(1, replayed=True, price=1599)
    assert isinstance(other, KeyReused)


def test_a_judgement_waits_for_a_round_of_heartbeats(cluster: Cluster) -> None:
    cluster.cut(3)
    batch = cluster.trade(3, validate(buy("key")))
    cluster.pass_time(TIMING.heartbeat)
    assert batch.outcomes == [None]
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert batch.outcomes == [Judged(1599)]


def test_a_replay_of_an_order_of_an_earlier_release_says_the_price_of_the_first_listing(
    cluster: Cluster,
) -> None:
    old = Traded(1, "old", "GameStart", Side.BUY, 1)
    propose(cluster, old)
    propose(cluster, Repriced("GameStart", 5))
    assert traded(cluster, buy("old")) == [Placed(1, replayed=True, price=1599)]
    member = cluster.members[3]
    batch = Batch([buy("indexed")])
    indexed = msgspec.structs.replace(old, key="indexed")
    assert member.desk.decide(batch, Known({"indexed": indexed}, 4), cluster.clock.now)
    cluster.pass_time(TIMING.heartbeat)
    assert batch.outcomes == [Placed(1, replayed=True, price=1599)]
