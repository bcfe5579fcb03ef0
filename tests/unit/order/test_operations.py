"""The trading desk: what an answer to a market operation waits for."""

import pytest

from tests.fakes.cluster import Cluster, buy
from tests.fakes.member import TICK, TIMING
from twisted_bazaar.errors import ChangeRefused, NotLeader, OutcomeUnknown, Rejected
from twisted_bazaar.market import Change, Halted, Move, Placed, Rejection, Repriced, Resumed
from twisted_bazaar.order.desk import Operation
from twisted_bazaar.sending import Sending

LONG = TIMING.election_timeout + TICK
CHEAPER = Repriced("GameStart", 5)


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads a market of ten stocks, and nothing is under way."""
    cluster = Cluster(learners=["catalog"])
    cluster.open_market(3)
    cluster.pass_time(TIMING.heartbeat)
    return cluster


def operate(
    cluster: Cluster, id: int, change: Change, number: int = 1, *, left: float = 9.0
) -> Operation:
    """Ask replica `id` for a change; `left` seconds are left until its caller is answered."""
    now, member = cluster.clock.now, cluster.members[id]
    sending = Sending(
        term=member.replica.term, life=7, number=number, expected=(), expires=(now + left,)
    )
    operation = Operation(change, sending)
    member.desk.operate(operation, now)
    cluster.carry_out(member)
    return operation


def price(cluster: Cluster, id: int = 3) -> int:
    return cluster.members[id].desk.ledger.stocks["GameStart"].price


def test_a_change_is_an_entry_that_every_replica_and_catalog_follows(cluster: Cluster) -> None:
    operation = operate(cluster, 3, CHEAPER)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert operation.answer == 3
    assert [price(cluster, id) for id in (1, 2, 3)] == [5, 5, 5]
    assert cluster.learners["catalog"].ledger.stocks["GameStart"].price == 5


def test_it_is_answered_once_no_cache_shows_the_market_as_it_was(cluster: Cluster) -> None:
    cluster.learners["catalog"].releases = 2
    operation = operate(cluster, 3, CHEAPER)
    cluster.pass_time(TIMING.lease / 2)
    assert (cluster.members[3].replica.commit, operation.answer) == (3, None)
    cluster.learners["catalog"].releases = 3
    cluster.pass_time(2 * TIMING.heartbeat)
    assert operation.answer == 3


def test_a_market_of_one_partition_keeps_its_stocks(cluster: Cluster) -> None:
    operation = operate(cluster, 3, Move("GameStart", 1))
    cluster.pass_time(2 * TIMING.heartbeat)
    assert isinstance(operation.answer, ChangeRefused)


def test_a_stock_that_moves_is_not_traded_and_is_shown_until_that_is_released(
    cluster: Cluster,
) -> None:
    desk = cluster.members[3].desk
    desk._place = (0, 2)
    cluster.learners["catalog"].releases = 2
    operation = operate(cluster, 3, Move("GameStart", 1))
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(TIMING.lease / 2)
    assert (operation.answer, "GameStart" in desk.released_stocks) == (None, True)
    cluster.learners["catalog"].releases = 3
    cluster.pass_time(2 * TIMING.heartbeat)
    assert operation.answer == 3
    assert [str(outcome) for outcome in batch.outcomes] == [str(Rejected(Rejection.UNKNOWN_STOCK))]
    assert "GameStart" not in desk.released_stocks
    assert all("GameStart" not in each.desk.ledger.stocks for each in cluster.members.values())


def test_trades_after_it_are_at_the_new_price_before_it_is_committed(cluster: Cluster) -> None:
    cluster.cut(1, 2)
    operate(cluster, 3, CHEAPER)
    batch = cluster.trade(3, buy("key"))
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert batch.outcomes == [Placed(1, replayed=False, price=5)]


def test_a_halted_stock_is_not_traded_until_it_is_resumed(cluster: Cluster) -> None:
    operate(cluster, 3, Halted(()))
    halted = cluster.trade(3, buy("key"))
    operate(cluster, 3, Resumed(("GameStart",)), number=2)
    resumed = cluster.trade(3, buy("key"), buy("other", 1, "FishCo"))
    cluster.pass_time(2 * TIMING.heartbeat)
    (refused,) = halted.outcomes
    assert isinstance(refused, Rejected)
    assert refused.rejection is Rejection.HALTED
    assert resumed.outcomes[0] == Placed(1, replayed=False, price=1599)
    assert isinstance(resumed.outcomes[1], Rejected)


def test_what_is_so_already_is_answered_without_an_entry(cluster: Cluster) -> None:
    """Once it is certain: the entry that made it so may be lost yet."""
    cluster.cut(1, 2)
    operate(cluster, 3, CHEAPER)
    again = operate(cluster, 3, CHEAPER, number=2)
    cluster.run()
    assert again.answer is None
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert again.answer == 0
    assert cluster.members[3].replica.log.last_index == 3


def test_a_refusal_waits_until_it_is_certain(cluster: Cluster) -> None:
    cluster.cut(1, 2)
    refused = operate(cluster, 3, Repriced("Nobody", 5))
    cluster.run()
    assert refused.answer is None
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert isinstance(refused.answer, ChangeRefused)


def test_a_leader_that_steps_down_does_not_know_what_becomes_of_it(cluster: Cluster) -> None:
    cluster.cut(3)
    changed = operate(cluster, 3, CHEAPER)
    refused = operate(cluster, 3, Repriced("Nobody", 5), number=2)
    cluster.pass_time(2 * LONG)
    assert isinstance(changed.answer, OutcomeUnknown)
    assert isinstance(refused.answer, NotLeader)


def test_one_that_does_not_lead_says_so(cluster: Cluster) -> None:
    assert isinstance(operate(cluster, 1, CHEAPER).answer, NotLeader)


def test_it_is_for_one_leadership(cluster: Cluster) -> None:
    cluster.cut(3)
    cluster.pass_time(2 * LONG)
    cluster.elect(2)
    operation = Operation(CHEAPER, Sending(term=1, life=7, number=1, expected=(), expires=(1e9,)))
    cluster.members[2].desk.operate(operation, cluster.clock.now)
    assert isinstance(operation.answer, NotLeader | type(None))
    cluster.carry_out(cluster.members[2])
    assert isinstance(operation.answer, NotLeader)


def test_it_is_taken_once_and_not_after_a_later_one(cluster: Cluster) -> None:
    operate(cluster, 3, CHEAPER, number=2)
    cluster.pass_time(2 * TIMING.heartbeat)
    for number in (1, 2):
        late = operate(cluster, 3, Repriced("GameStart", 7), number=number)
        assert isinstance(late.answer, OutcomeUnknown)
    assert price(cluster) == 5


def test_it_is_not_taken_after_its_caller_was_answered(cluster: Cluster) -> None:
    late = operate(cluster, 3, CHEAPER, left=0.0)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert isinstance(late.answer, OutcomeUnknown)
    assert price(cluster) == 1599


def test_the_next_leader_knows_what_is_halted(cluster: Cluster) -> None:
    operate(cluster, 3, Halted(("GameStart",)))
    cluster.pass_time(2 * TIMING.heartbeat)
    cluster.cut(3)
    cluster.pass_time(2 * LONG)
    cluster.elect(2)
    batch = cluster.trade(2, buy("key"))
    cluster.pass_time(2 * TIMING.heartbeat)
    assert isinstance(batch.outcomes[0], Rejected)
