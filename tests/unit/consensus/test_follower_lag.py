"""A leader knows how far each follower is behind, in entries and in seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.member import TIMING, Member, append_reply_with, disk, entries_of
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.lag import MAX_MOMENTS, ProposalTimes
from twisted_bazaar.consensus.messages import Append, Request


def leading() -> Member:
    """Replica 1 leads, and no peer has answered an append. Its log ends with entry 3, its own."""
    member = Member(1, (2, 3), storage=disk(1, 0, entries_of(1, 1)))
    member.clock.now += 2 * TIMING.election_timeout
    member.win(2, 3)
    return member


def appends(member: Member) -> dict[int, Request]:
    return {request.to: request for request in member.take(Append)}


def acknowledge(member: Member, request: Request, fits: bool = True, index: int = -1) -> None:
    message = request.message
    assert isinstance(message, Append)
    last = message.previous_index + len(message.entries)
    reply = append_reply_with(
        term=member.replica.term,
        follower=request.to,
        fits=fits,
        index=last if index < 0 else index,
        sent=message.sent,
    )
    member.step(reply)


def propose(member: Member, count: int = 1) -> None:
    member.replica.propose([Opened(leader=1)] * count)
    member.carry_out()


def lags(member: Member) -> dict[int, tuple[int, float]]:
    now = member.clock.now
    return {
        each.replica: (each.entries, pytest.approx(each.seconds))
        for each in member.replica.follower_lags(now)
    }


def test_a_follower_that_has_everything_is_not_behind() -> None:
    member = leading()
    for request in appends(member).values():
        acknowledge(member, request)
    member.clock.now += 5
    assert lags(member) == {2: (0, 0.0), 3: (0, 0.0)}


def test_a_follower_is_behind_since_the_first_entry_was_proposed_that_it_lacks() -> None:
    member = leading()
    for request in appends(member).values():
        acknowledge(member, request)
    member.clock.now += 5
    propose(member, 2)
    requests = appends(member)
    member.clock.now += 1
    propose(member)
    member.clock.now += 0.5
    assert lags(member) == {2: (3, 1.5), 3: (3, 1.5)}
    acknowledge(member, requests[2])
    assert lags(member) == {2: (1, 0.5), 3: (3, 1.5)}
    acknowledge(member, appends(member)[2])
    assert lags(member) == {2: (0, 0.0), 3: (3, 1.5)}


def test_one_that_has_not_answered_lacks_what_this_leader_proposed() -> None:
    """Whether it has the entries of earlier leaders is not known yet."""
    member = leading()
    member.clock.now += 0.2
    assert lags(member) == {2: (1, 0.2), 3: (1, 0.2)}


def test_one_whose_log_is_shorter_lacks_the_rest_since_the_leadership_began() -> None:
    member = leading()
    acknowledge(member, appends(member)[2], fits=False, index=0)
    member.clock.now += 0.2
    assert lags(member) == {2: (3, 0.2), 3: (1, 0.2)}


def test_only_a_leader_says_how_far_the_others_are_behind() -> None:
    assert Member(1, (2, 3)).replica.follower_lags(0.0) == ()
    member = leading()
    member.pass_time(2 * TIMING.election_timeout)
    assert not member.replica.leads
    assert member.replica.follower_lags(member.clock.now) == ()


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.01, 2.0)), min_size=1, max_size=60))
def test_each_entry_has_its_own_time(batches: list[tuple[int, float]]) -> None:
    times, now, last = ProposalTimes(7, 100.0), 100.0, 7
    expected = dict.fromkeys(range(1, 8), 100.0)
    for count, seconds in batches:
        now += seconds
        expected |= dict.fromkeys(range(last + 1, last + count + 1), now)
        last += count
        times.reached(last, now)
    for index, at in expected.items():
        assert times.proposed_at(index) == pytest.approx(at, abs=0.0101)
        times.forget(index - 1)
        assert times.proposed_at(index) == pytest.approx(at, abs=0.0101)


def test_many_batches_are_remembered_in_little_space() -> None:
    """A follower that is down keeps the time of the first entry that it lacks; the others are
    never said to be later than they were."""
    times = ProposalTimes(0, 0.0)
    times.reached(1, 1.0)
    times.forget(0)
    for index in range(2, 20_000):
        times.reached(index, float(index))
        assert len(times._moments) <= MAX_MOMENTS
    assert times.proposed_at(1) == 1.0
    for index in range(1, 20_000):
        assert times.proposed_at(index) <= index
    assert times.proposed_at(19_999) == 19_999
