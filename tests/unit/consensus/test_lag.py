"""A leader tells as many peers at once as a majority needs, and the others a little later."""

from collections.abc import Sequence

import pytest

from tests.fakes.member import TICK, TIMING, Member, append_reply_with, disk, entries_of
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.messages import Append, Request

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
