"""The trading desk: one order a key, numbers without a gap, and no answer before its time."""

import pytest

from tests.fakes.cluster import Cluster, Parcel, buy, sell
from tests.fakes.member import TICK, TIMING
from twisted_bazaar.consensus.messages import Append, AppendReply
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import KeyReused, NotLeader, Rejected
from twisted_bazaar.market import Rejection, Side, Trade, Traded
from twisted_bazaar.order.desk import Batch, Known, Outcome, Placed, TradingDesk

LONG = TIMING.election_timeout + TICK


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads a market of ten stocks, 100 shares of each."""
    cluster = Cluster()
    cluster.open_market(3)
    return cluster


def new(number: int) -> Placed:
    return Placed(number, replayed=False, price=1599)


def again(number: int) -> Placed:
    return Placed(number, replayed=True, price=1599)


def traded(cluster: Cluster, id: int, *trades: Trade) -> list[Outcome | None]:
    """The outcomes of a batch that nothing disturbs."""
    batch = cluster.trade(id, *trades)
    cluster.pass_time(TIMING.heartbeat)
    return batch.outcomes


def reasons(outcomes: list[Outcome | None]) -> list[object]:
    """What was refused why, and None for each that was not."""
    return [each.rejection if isinstance(each, Rejected) else None for each in outcomes]


def acknowledgements(parcel: Parcel) -> bool:
    return isinstance(parcel.message, AppendReply)


def change_leader(cluster: Cluster, old: int, new: int) -> None:
    """The old leader is cut off, and another one elected."""
    cluster.cut(old)
    cluster.pass_time(LONG)
    cluster.pass_time(LONG)
    cluster.elect(new)


def numbers(cluster: Cluster) -> list[int]:
    """The numbers of all orders, which every replica must have alike."""
    logs = [
        [entry.event.number for entry in member.committed if isinstance(entry.event, Traded)]
        for member in cluster.members.values()
    ]
    assert all(log == logs[0] for log in logs)
    return logs[0]


# Orders.


def test_orders_are_numbered_from_one(cluster: Cluster) -> None:
    assert traded(cluster, 3, buy("a"), sell("b"), buy("c")) == [new(1), new(2), new(3)]
    assert traded(cluster, 3, buy("d")) == [new(4)]
    assert numbers(cluster) == [1, 2, 3, 4]


def test_an_order_is_answered_only_once_it_is_committed(cluster: Cluster) -> None:
    """And not before: what is on the leader's disk alone may be lost."""
    batch = cluster.trade(3, buy("key"))
    cluster.run(leave=acknowledgements)
    assert cluster.members[3].storage.last_index == 3
    assert batch.outcomes == [None]
    assert cluster.members[3].desk.released_number == 0
    cluster.run()
    assert batch.outcomes == [new(1)]
    assert cluster.members[3].desk.released_number == 1


def test_a_batch_is_settled_once_all_of_it_is_answered(cluster: Cluster) -> None:
    desk = cluster.members[3].desk
    batch = cluster.trade(3, buy("a"), buy("b", 1000))
    cluster.run(leave=acknowledgements)
    assert desk.take_settled() == []
    cluster.pass_time(TIMING.heartbeat)
    assert desk.take_settled() == [batch]
    assert desk.take_settled() == []


@pytest.mark.parametrize("id", [3, 2])
def test_an_empty_batch_is_settled_at_once(cluster: Cluster, id: int) -> None:
    """Also by a replica that does not lead: there is nothing to decide."""
    batch = cluster.trade(id)
    assert cluster.members[id].desk.take_settled() == [batch]


def test_every_replica_has_the_same_ledger(cluster: Cluster) -> None:
    traded(cluster, 3, buy("a", 30), sell("b", 5), buy("c", 200), buy("d", 7, "RomanCo"))
    cluster.pass_time(2 * TIMING.heartbeat)
    ledgers = [member.desk.ledger for member in cluster.members.values()]
    assert all(ledger.stocks == ledgers[0].stocks for ledger in ledgers)
    stock = ledgers[0].stocks["GameStart"]
    assert (stock.quantity, stock.volume, stock.version) == (75, 35, 4)
    assert [ledger.last_number for ledger in ledgers] == [3, 3, 3]


def test_numbers_have_no_gap_over_leader_changes(cluster: Cluster) -> None:
    """Whatever becomes of what a deposed leader had not committed: its numbers are given again,
    or its orders were taken over by the next."""
    for turn in range(6):
        old, next_ = (3, 2) if turn % 2 == 0 else (2, 3)
        traded(cluster, old, buy(f"committed {turn}"))
        if turn % 3 == 0:
            cluster.cut(old)
        cluster.trade(old, buy(f"in doubt {turn}"), buy(f"in doubt, too {turn}"))
        cluster.run(leave=acknowledgements)
        cluster.pool.clear()
        change_leader(cluster, old, next_)
        cluster.heal()
        cluster.pass_time(2 * TIMING.heartbeat)
    made = numbers(cluster)
    assert made == [*range(1, len(made) + 1)]
    assert 6 <= len(made) <= 18


def test_nothing_is_sold_twice_in_one_batch(cluster: Cluster) -> None:
    """Hundreds of clients want the last hundred shares."""
    outcomes = traded(cluster, 3, *(buy(f"key {number}") for number in range(300)))
    assert outcomes[:100] == [new(number + 1) for number in range(100)]
    assert reasons(outcomes[100:]) == [Rejection.NOT_ENOUGH_SHARES] * 200
    assert cluster.members[3].desk.ledger.stocks["GameStart"].quantity == 0


def test_nothing_is_sold_twice_in_many_batches(cluster: Cluster) -> None:
    """Each is judged on what those before it, still under way, leave."""
    batches = [cluster.trade(3, buy(f"key {number}")) for number in range(300)]
    cluster.pass_time(TIMING.heartbeat)
    outcomes = [outcome for batch in batches for outcome in batch.outcomes]
    assert sum(isinstance(outcome, Placed) for outcome in outcomes) == 100
    assert reasons(outcomes).count(Rejection.NOT_ENOUGH_SHARES) == 200
    assert cluster.members[3].desk.ledger.stocks["GameStart"].quantity == 0
    cluster.pass_time(2 * TIMING.heartbeat)
    assert numbers(cluster) == [*range(1, 101)]


def test_shares_that_come_back_can_be_bought_in_the_same_batch(cluster: Cluster) -> None:
    """Trades are judged one after the other, each after those before it."""
    outcomes = traded(cluster, 3, buy("a", 100), buy("b", 1), sell("c", 1), buy("d", 1))
    assert outcomes[0::2] == [new(1), new(2)]
    assert reasons(outcomes) == [None, Rejection.NOT_ENOUGH_SHARES, None, None]
    assert outcomes[3] == new(3)


# Keys: the cases in which the index on disk matters are further below.


def test_the_same_key_and_trade_is_the_same_order(cluster: Cluster) -> None:
    assert traded(cluster, 3, buy("key", 2)) == [new(1)]
    assert traded(cluster, 3, buy("key", 2)) == [again(1)]
    assert cluster.members[3].desk.ledger.stocks["GameStart"].quantity == 98


def test_the_same_key_twice_in_a_batch_is_one_order(cluster: Cluster) -> None:
    outcomes = traded(cluster, 3, buy("key"), buy("key"), buy("key", 2))
    assert outcomes[:2] == [new(1), again(1)]
    assert isinstance(outcomes[2], KeyReused)
    assert numbers(cluster) == [1]


@pytest.mark.parametrize(
    "other", [buy("key", 3), sell("key", 2), buy("key", 2, "RomanCo"), buy("key", 2, "none")]
)
def test_a_key_of_another_trade_is_refused(cluster: Cluster, other: Trade) -> None:
    """Whether that one would have been an order or not."""
    traded(cluster, 3, buy("key", 2))
    (outcome,) = traded(cluster, 3, other)
    assert isinstance(outcome, KeyReused)
    assert numbers(cluster) == [1]


def test_a_key_that_is_under_way_is_answered_with_its_order(cluster: Cluster) -> None:
    """And as late: the first may still be lost."""
    first, second = cluster.trade(3, buy("key")), cluster.trade(3, buy("key"))
    third = cluster.trade(3, buy("key", 7))
    cluster.run(leave=acknowledgements)
    assert first.outcomes == second.outcomes == third.outcomes == [None]
    cluster.pass_time(TIMING.heartbeat)
    assert (first.outcomes, second.outcomes) == ([new(1)], [again(1)])
    assert isinstance(third.outcomes[0], KeyReused)


def test_a_released_order_is_answered_again_at_once(cluster: Cluster) -> None:
    """It cannot change, though another replica leads by now."""
    traded(cluster, 3, buy("key"))
    cluster.cut(3)
    assert cluster.trade(3, buy("key")).outcomes == [again(1)]


def test_the_key_of_a_rejected_trade_stays_free(cluster: Cluster) -> None:
    (outcome,) = traded(cluster, 3, buy("key", 101))
    assert isinstance(outcome, Rejected)
    traded(cluster, 3, sell("more", 1))
    assert traded(cluster, 3, buy("key", 101)) == [new(2)]


def test_a_key_outlives_the_leader_that_committed_it(cluster: Cluster) -> None:
    traded(cluster, 3, buy("key"))
    change_leader(cluster, 3, 2)
    assert traded(cluster, 2, buy("key"), buy("another")) == [again(1), new(2)]


def test_a_key_outlives_a_leader_that_did_not_live_to_commit_it(cluster: Cluster) -> None:
    """The followers wrote the entry, their acknowledgements were lost. The next leader has it
    in its log, so the client that asks again gets that order, and not a second one."""
    cluster.trade(3, buy("key"))
    cluster.run(leave=acknowledgements)
    cluster.pool.clear()
    assert cluster.storages[2].last_index == 3
    cluster.cut(3)
    cluster.pass_time(LONG)
    cluster.nominate(2)
    cluster.run(leave=lambda parcel: isinstance(parcel.message, Append))
    cluster.pass_time(TIMING.heartbeat, leave=acknowledgements)
    assert cluster.members[2].replica.role is Role.LEADER
    assert cluster.members[2].replica.commit == 2
    early = cluster.trade(2, buy("key"))
    assert isinstance(early.outcomes[0], NotLeader)
    cluster.pass_time(TIMING.heartbeat)
    assert traded(cluster, 2, buy("key")) == [again(1)]
    assert cluster.members[2].desk.ledger.last_number == 1


def test_the_key_of_an_order_that_was_lost_is_free(cluster: Cluster) -> None:
    """Only the deposed leader had it. It gives it up, and does not remember it when it leads
    again and is asked."""
    cluster.cut(3)
    cluster.trade(3, buy("lost", 5), buy("kept", 5))
    change_leader(cluster, 3, 2)
    assert traded(cluster, 2, buy("kept", 6)) == [new(1)]
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    change_leader(cluster, 2, 3)
    outcomes = traded(cluster, 3, buy("lost", 7), buy("kept", 6), buy("kept", 5))
    assert outcomes[:2] == [new(2), again(1)]
    assert isinstance(outcomes[2], KeyReused)


# Keys, and the index on disk.


def index(desk: TradingDesk, upto: int) -> list[int]:
    """The index takes in what it lacks up to `upto`: the numbers of these orders."""
    update = desk.to_index(upto)
    if update is None:
        return []
    desk.indexed(update.entries[-1].index)
    return [entry.event.number for entry in update.entries if isinstance(entry.event, Traded)]


def test_what_is_indexed_is_forgotten_with_the_next_call(cluster: Cluster) -> None:
    """A batch whose keys are being looked up may have seen the index as it was before."""
    desk = cluster.members[3].desk
    traded(cluster, 3, buy("a"), buy("b"))
    assert index(desk, upto=3) == [1]
    assert desk.remembers(1) is not None
    assert index(desk, upto=4) == [2]
    assert desk.remembers(1) is None
    entry = desk.remembers(2)
    assert entry is not None
    assert entry.event == Traded(2, "b", "GameStart", Side.BUY, 1, 1599)


def test_released_orders_are_remembered_until_the_index_has_them(cluster: Cluster) -> None:
    desk = cluster.members[3].desk
    traded(cluster, 3, *(buy(key) for key in "abcde"))

    def recent(after: int, upto: int, descending: bool = False) -> list[int]:
        events = [entry.event for entry in desk.recent(after, upto, descending)]
        return [event.number for event in events if isinstance(event, Traded)]

    assert recent(0, 5) == recent(0, 5, True) == [1, 2, 3, 4, 5]
    assert (recent(2, 4), recent(4, 4), recent(9, 5)) == ([3, 4], [], [])
    index(desk, upto=4)
    index(desk, upto=5)
    assert recent(0, 5) == [3, 4, 5]
    assert desk.with_key("b") is None
    entry = desk.with_key("c")
    assert entry is not None
    assert entry == desk.remembers(3)
    assert (desk.remembers_all_after(4), desk.remembers_all_after(3)) == (True, False)


def test_a_key_whose_order_is_not_released_has_none_yet(cluster: Cluster) -> None:
    desk = cluster.members[3].desk
    desk.decide(Batch([buy("a")]), Known({}, 99), cluster.clock.now)
    assert desk.with_key("a") is None
    cluster.carry_out(cluster.members[3])
    cluster.run()
    assert desk.with_key("a") is not None


def test_many_orders_that_the_index_lacks_are_handed_out_a_part_at_a_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = cluster.members[3].desk
    traded(cluster, 3, *(buy(key) for key in "abcde"))
    monkeypatch.setattr("twisted_bazaar.order.desk._MOST_RECENT", 2)
    assert desk.recent(1, 5, False) == [desk.remembers(2), desk.remembers(3)]
    assert desk.recent(1, 5, True) == [desk.remembers(4), desk.remembers(5)]


def test_the_index_gets_what_follows_from_the_entries_too(cluster: Cluster) -> None:
    desk = cluster.members[3].desk
    traded(cluster, 3, buy("a"), buy("b", 2, "RomanCo"), buy("c"))
    index(desk, upto=2)
    update = desk.to_index(4)
    assert update is not None
    assert [entry.index for entry in update.entries] == [3, 4]
    assert {stock.name: stock.quantity for stock in update.stocks} == {
        "GameStart": 99,
        "RomanCo": 98,
    }
    assert update.last_number == 2


def test_there_is_nothing_to_index_twice(cluster: Cluster) -> None:
    desk = cluster.members[3].desk
    traded(cluster, 3, buy("a"))
    assert index(desk, upto=3) == [1]
    assert desk.to_index(3) is None
    assert desk.to_index(0) is None


@pytest.fixture
def forgetful(cluster: Cluster) -> Cluster:
    """Like `cluster`; the leader made order 1 for the key `old`, and forgot it."""
    traded(cluster, 3, buy("old"))
    desk = cluster.members[3].desk
    index(desk, upto=3)
    traded(cluster, 3, buy("recent"))
    index(desk, upto=4)
    assert desk.remembers(1) is None
    return cluster


OLD = Traded(1, "old", "GameStart", Side.BUY, 1)


def test_a_forgotten_key_is_known_from_the_index(forgetful: Cluster) -> None:
    leading = forgetful.members[3]
    batch = Batch([buy("old"), buy("old", 2), buy("recent"), buy("fresh")])
    assert leading.desk.decide(batch, Known({"old": OLD}, 3), forgetful.clock.now)
    forgetful.carry_out(leading)
    forgetful.run()
    forgetful.pass_time(TIMING.heartbeat)
    assert batch.outcomes[0] == again(1)
    assert isinstance(batch.outcomes[1], KeyReused)
    assert batch.outcomes[2:] == [again(2), new(3)]


def test_a_look_up_that_is_too_old_decides_nothing(forgetful: Cluster) -> None:
    """It saw the index before the order was in it, and the desk has forgotten it since: to
    decide on it would sell twice."""
    leading = forgetful.members[3]
    last = leading.replica.log.last_index
    batch = Batch([buy("fresh"), buy("old")])
    assert not leading.desk.decide(batch, Known({}, 2), forgetful.clock.now)
    assert batch.outcomes == [None, None]
    assert leading.replica.log.last_index == last
    assert leading.desk.decide(batch, Known({"old": OLD}, 4), forgetful.clock.now)
    forgetful.carry_out(leading)
    forgetful.run()
    assert batch.outcomes == [new(3), again(1)]


def test_a_key_is_forgotten_over_a_leader_change_only_if_indexed(forgetful: Cluster) -> None:
    """Replica 2 has indexed nothing, so it knows all keys by itself."""
    change_leader(forgetful, 3, 2)
    assert traded(forgetful, 2, buy("old"), buy("recent")) == [again(1), again(2)]
    forgetful.heal()
    change_leader(forgetful, 2, 3)
    assert not forgetful.members[3].desk.decide(Batch([buy("old")]), Known({}, 2), 0.0)
    known = Known({"old": OLD}, 3)
    batch = Batch([buy("old"), buy("recent")])
    assert forgetful.members[3].desk.decide(batch, known, forgetful.clock.now)
    assert batch.outcomes == [again(1), again(2)]
