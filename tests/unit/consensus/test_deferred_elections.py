"""A replica that cannot lead now defers itself, not the others; what a front-end says of a leader
is a hint."""

import pytest

from tests.fakes.member import TICK, Member, append, entries_of, follower, leader, poll_reply_with
from twisted_bazaar.consensus.disk_latency import LONGEST_WRITE_SECONDS
from twisted_bazaar.consensus.messages import (
    CampaignReply,
    Declined,
    Fetch,
    FetchReply,
    Poll,
    Reply,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.role import Role

from .test_slow_elections import TIMEOUT, nominate, told, wait


def behind() -> Member:
    """It was nominated, and has to fetch what the others have."""
    member = follower(1)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to, term=1, last_index=9, last_term=1, nonce=poll.message.nonce
            )
        )
    return member


def test_a_candidate_that_catches_up_for_long_lets_the_next_id_try_and_goes_on() -> None:
    member = behind()
    log = entries_of(*[1] * 9)
    for after in range(1, 7):
        (fetch,) = member.take(Fetch)
        assert fetch.message.after == after
        member.step(
            FetchReply(
                replica=fetch.to,
                term=1,
                after=after,
                fits=True,
                entries=log[after : after + 1],
                last_index=9,
                last_term=1,
            )
        )
        wait(member, TIMEOUT / 5)
    assert told(member, "nomination") == CampaignReply(
        leader=0, term=1, wait=0.0, unable="it is catching up"
    )
    assert (member.replica.role, member.replica.term) == (Role.FOLLOWER, 1)
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert told(member, "again").unable, "at once, as long as something comes"
    (fetch,) = member.take(Fetch)
    member.step(
        FetchReply(
            replica=fetch.to, term=1, after=7, fits=True, entries=log[7:], last_index=9, last_term=1
        )
    )
    (fetch,) = member.take(Fetch)
    member.step(
        FetchReply(
            replica=fetch.to, term=1, after=9, fits=True, entries=(), last_index=9, last_term=1
        )
    )
    assert member.storage.entries == log
    assert member.take(Vote) == [], "it was not asked again"


def test_one_that_fetches_from_a_replica_that_hangs_asks_around_anew() -> None:
    member = behind()
    wait(member, TIMEOUT + TICK)
    assert told(member, "nomination").unable
    wait(member, TIMEOUT)
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert [poll.to for poll in member.take(Poll)] == [2, 3]


def test_one_whose_disk_hangs_leaves_it_to_those_whose_disks_do_not() -> None:
    member = follower(1)
    member.slow_disk = True
    member.step(append(1, entries_of(1, 1), after=1))
    member.clock.now += 5 * TIMEOUT
    nominate(member)
    assert told(member, "nomination").unable == "a write to its disk takes 1.5 s"
    assert member.replica.term == 1


@pytest.mark.parametrize("theirs", [0.4, 9.0])
def test_one_whose_disk_is_no_slower_than_theirs_stands(theirs: float) -> None:
    member = follower(1)
    member.slow_disk = True
    member.step(append(1, entries_of(1, 1), after=1))
    member.clock.now += 5 * TIMEOUT
    nominate(member, disk_seconds=theirs)
    assert member.replica.role is Role.CANDIDATE


def test_one_whose_disk_does_not_finish_a_write_does_not_stand_at_all() -> None:
    """Not even where it alone is left: the others may be back at any moment."""
    member = follower(1)
    member.slow_disk = True
    nominate(member, "first", disk_seconds=1.0)
    wait(member, 1.3 * LONGEST_WRITE_SECONDS)
    assert member.replica.role is Role.FOLLOWER
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert told(member, "again").unable == "its disk does not finish a write"
    member.finish_write()
    nominate(member, "well again", disk_seconds=1.0)
    assert (member.replica.role, member.replica.term) == (Role.CANDIDATE, 2)


def test_one_without_which_there_is_no_majority_stands_however_slow_its_disk() -> None:
    member = follower(1, peers=(2,))
    member.slow_disk = True
    member.step(append(1, entries_of(1, 1), after=1))
    member.clock.now += 5 * TIMEOUT
    nominate(member)
    assert member.replica.role is Role.CANDIDATE


def test_what_a_suspect_peer_says_makes_nobody_wait() -> None:
    member = follower(peers=(2, 3, 4, 5))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        if poll.to == 2:
            nonce = poll.message.nonce
            member.step(poll_reply_with(replica=2, wait=TIMEOUT, suspect=True, nonce=nonce))
        else:
            member.replica.unreachable(poll, member.clock.now)
    member.carry_out()
    assert told(member, "nomination") == CampaignReply(leader=0, term=0, wait=0.0)


# Nothing is kept of those who have given up.


def test_a_vote_that_is_not_written_in_time_is_declined() -> None:
    """The candidate has given up, and asks again: requests that wait for a disk that hangs would
    pile up."""
    member = follower()
    member.slow_disk = True
    for ask in range(5):
        member.step(Vote(term=1, candidate=3, last_index=0, last_term=0), ask)
        wait(member, TIMEOUT + TICK)
    declined = [reply.ticket for reply in member.take(Reply) if isinstance(reply.message, Declined)]
    assert declined == [0, 1, 2, 3, 4]
    member.finish_write()
    assert member.take(Reply) == []
    assert member.ask(Vote(term=1, candidate=3, last_index=0, last_term=0)) == VoteReply(
        term=1, voter=1, granted=True
    )


# A front-end's word.


def test_what_a_front_end_says_of_the_leader_changes_no_term_and_no_role() -> None:
    """Only messages of replicas do."""
    leading, following = leader(), follower(1, 1)
    for member in (leading, following):
        before = (member.replica.role, member.replica.term, member.replica.vote)
        member.replica.follow(member.clock.now)
        member.carry_out()
        assert (member.replica.role, member.replica.term, member.replica.vote) == before
        assert member.replica.known_leader(member.clock.now) in (0, member.id)


def test_one_that_hears_nobody_asks_its_peers_when_it_is_told_that_somebody_leads() -> None:
    """It may have missed something. However often it is told, it asks at a calm pace."""
    member = follower(1, 1)
    for _ in range(9):
        member.replica.follow(member.clock.now)
        member.carry_out()
        for poll in member.take(Poll):
            member.step(
                poll_reply_with(
                    replica=poll.to, term=1, last_index=2, last_term=1, nonce=poll.message.nonce
                )
            )
            asked = poll.message.nonce
    assert asked == 0
    member.step(append(1, entries_of(1, 1)))
    member.replica.follow(member.clock.now)
    member.carry_out()
    assert member.take(Poll) == [], "it hears its leader"
