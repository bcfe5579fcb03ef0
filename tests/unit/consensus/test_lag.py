"""A leader tells as many peers at once as a majority needs, and the others a little later; and a
catalog that an entry is committed with the next one, where trades follow quickly."""

from collections.abc import Sequence

import pytest

from tests.fakes.cluster import Cluster, buy
from tests.fakes.member import TICK, TIMING, Member, append_reply_with, disk, entries_of
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.messages import Append, Request

CATALOG = "catalog"
LAG = 0.005


def leading(peers: Sequence[int] = (2, 3)) -> Member:
    """Replica 1 leads, and all peers have its log, which ends with entry 2."""
    member = Member(1, peers, storage=disk(1, 0, entries_of(1)), lag=LAG)
    member.clock.now += 2 * TIMING.election_timeout
    member.win(*peers)
    while requests := member.take(Append):
        for request in requests:
            acknowledge(member, request)
    assert member.replica.commit == 2
    return member


def acknowledge(member: Member, request: Request) -> None:
    message = request.message
    assert isinstance(message, Append)
    index = message.previous_index + len(message.entries)
    reply = append_reply_with(
        term=member.replica.term,
        follower=request.to,
        index=index,
        round=message.round,
        sent=message.sent,
    )
    member.step(reply)


def propose(member: Member) -> None:
    member.replica.propose([Opened(leader=1)])
    member.carry_out()


def wake(member: Member) -> None:
    """The owner asks `ready` when `wake_at` says so."""
    at = member.replica.wake_at
    assert at is not None
    member.clock.now = max(member.clock.now, at)
    member.carry_out()


@pytest.mark.parametrize(("peers", "at_once"), [((2, 3), 1), ((2, 3, 4, 5), 2)])
def test_as_many_as_a_majority_needs_are_told_at_once(peers: tuple[int, ...], at_once: int) -> None:
    member = leading(peers)
    propose(member)
    told = member.take(Append)
    assert len(told) == at_once
    for request in told:
        acknowledge(member, request)
    assert member.replica.commit == 3
    assert member.take(Append) == []
    wake(member)
    late = member.take(Append)
    assert {request.to for request in (*told, *late)} == set(peers)
    assert member.replica.wake_at is None


def test_the_others_are_told_of_all_that_came_up_meanwhile() -> None:
    member = leading()
    for _ in range(4):
        propose(member)
        for request in member.take(Append):
            acknowledge(member, request)
        member.clock.now += LAG / 5
    wake(member)
    (request,) = member.take(Append)
    assert isinstance(request.message, Append)
    assert [entry.index for entry in request.message.entries] == [3, 4, 5, 6]


def test_where_the_first_is_late_all_are_told() -> None:
    member = leading()
    propose(member)
    (first,) = member.take(Append)
    wake(member)
    (second,) = member.take(Append)
    acknowledge(member, second)
    assert member.replica.commit == 3
    member.clock.now += TICK
    propose(member)
    (third,) = member.take(Append)
    assert third.to == second.to != first.to, "at once: the first has not answered yet"


def test_one_that_does_not_answer_costs_the_others_nothing() -> None:
    member = leading()
    propose(member)
    (first,) = member.take(Append)
    member.replica.unreachable(first, member.clock.now)
    member.carry_out()
    (second,) = member.take(Append)
    acknowledge(member, second)
    assert member.replica.commit == 3
    propose(member)
    assert [request.to for request in member.take(Append)] == [second.to]


def test_heartbeats_go_to_all_as_before() -> None:
    member = leading()
    member.pass_time(TIMING.heartbeat + TICK)
    assert {request.to for request in member.take(Append)} == {2, 3}


# What a catalog is told of a commit.


@pytest.fixture
def busy() -> Cluster:
    """Replica 3 leads, and the last of its trades, entry 4, came right after the one before."""
    cluster = Cluster(learners=[CATALOG])
    cluster.open_market(3)
    cluster.pass_time(TIMING.lease + 2 * TIMING.heartbeat)
    for key in ("first", "second"):
        cluster.trade(3, buy(key))
        cluster.run()
    assert cluster.members[3].replica.released == 4
    return cluster


def test_where_trades_follow_quickly_a_commit_is_told_with_the_next(busy: Cluster) -> None:
    learner, leader = busy.learners[CATALOG], busy.members[3]
    assert learner.applied == 3
    busy.trade(3, buy("third"))
    busy.run(leave=lambda parcel: parcel.to in (1, 2))
    assert (learner.applied, learner.projection.tip) == (4, 5)
    assert leader.replica.commit == 4


def test_a_commit_is_told_alone_if_no_trade_follows_in_time(busy: Cluster) -> None:
    learner, leader = busy.learners[CATALOG], busy.members[3]
    wake(leader)
    busy.carry_out(leader)
    busy.run()
    assert learner.applied == 4
    assert leader.replica.wake_at is None


@pytest.mark.parametrize(
    ("took", "waits"), [(0.0, 0.002), (0.002, 0.004), (0.004, 0.005), (0.006, None)]
)
def test_a_commit_waits_twice_as_long_as_the_last_trade_took_to_follow(
    busy: Cluster, took: float, waits: float | None
) -> None:
    """But two milliseconds at least, and five at most."""
    leader = busy.members[3]
    wake(leader)
    busy.carry_out(leader)
    busy.run()
    busy.pass_time(TICK)
    for key in ("third", "fourth"):
        busy.trade(3, buy(key))
        busy.run()
        busy.clock.now += took
    busy.trade(3, buy("fifth"))
    busy.run()
    told = busy.learners[CATALOG].applied
    if waits is None:
        assert told == leader.replica.commit
    else:
        assert told == leader.replica.commit - 1
        assert leader.replica.wake_at == pytest.approx(busy.clock.now + waits)


def test_where_trades_are_rare_a_commit_is_told_at_once(busy: Cluster) -> None:
    learner = busy.learners[CATALOG]
    busy.pass_time(0.1)
    for key in ("third", "fourth"):
        busy.trade(3, buy(key))
        busy.run()
        assert learner.applied == busy.members[3].replica.commit
        busy.pass_time(0.1)
