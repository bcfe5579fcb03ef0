"""Elections where something is slow, or cannot lead: disks, long logs, and a front-end's word.
How one goes where nothing is, is in `test_elections.py`.
"""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TICK,
    TIMING,
    Member,
    append,
    append_reply_with,
    entries_of,
    follower,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.disk_latency import LONGEST_WRITE_SECONDS
from twisted_bazaar.consensus.messages import (
    Append,
    CampaignReply,
    Poll,
    PollReply,
    Reply,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.role import Role

TIMEOUT = TIMING.election_timeout


def told(member: Member, ticket: object) -> CampaignReply:
    """What those who nominated `member` with this ticket are told."""
    (reply,) = (reply.message for reply in member.take(Reply) if reply.ticket == ticket)
    return reply


def nominate(member: Member, ticket: object = "nomination", **more: float) -> None:
    """Ask it to campaign, with all peers willing and none further."""
    member.replica.campaign(ticket, member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        reply = PollReply(
            replica=poll.to,
            term=0,
            last_index=0,
            last_term=0,
            leader=0,
            wait=0.0,
            nonce=poll.message.nonce,
            **more,
        )
        member.step(reply)


def wait(member: Member, seconds: float) -> None:
    """Time passes, tick by tick."""
    until = member.clock.now + seconds
    while member.clock.now < until:
        member.pass_time(min(TICK, until - member.clock.now))


# A candidate asks again, and keeps what it has won.


def test_a_vote_is_asked_for_only_once_its_own_is_on_disk() -> None:
    member = follower()
    member.slow_disk = True
    nominate(member)
    assert member.take(Vote) == []
    member.finish_write()
    assert [request.to for request in member.take(Vote)] == [2, 3]


def test_a_voter_that_does_not_answer_in_time_is_asked_again_in_the_same_term() -> None:
    member = follower(1, peers=(2, 3, 4, 5))
    asked = member.stand()
    member.step(VoteReply(term=2, voter=2, granted=True))
    for request in asked[1:]:
        member.replica.unreachable(request, member.clock.now)
    assert member.take(Vote) == [], "not at once: it may be gone"
    member.pass_time(TIMING.heartbeat)
    again = member.take(Vote)
    assert [request.to for request in again] == [3, 4, 5]
    assert {request.message.term for request in again} == {asked[0].message.term}
    member.step(VoteReply(term=2, voter=3, granted=True))
    assert member.replica.role is Role.LEADER


@pytest.mark.parametrize("behind", [0, 1])
def test_one_that_refused_is_asked_again(behind: int) -> None:
    """It may have heard a leader a moment ago, and then it has not taken up the term either."""
    member = follower()
    member.stand()
    member.step(VoteReply(term=member.replica.term - behind, voter=2, granted=False))
    member.pass_time(TIMING.heartbeat)
    assert [request.to for request in member.take(Vote)] == [2]


def test_a_candidate_that_is_nominated_again_goes_on_in_the_same_term_with_its_votes() -> None:
    member = follower(1, peers=(2, 3, 4, 5))
    member.stand()
    member.step(VoteReply(term=2, voter=2, granted=True))
    wait(member, TIMEOUT + 2 * TICK)
    assert told(member, "nomination") == CampaignReply(leader=0, term=2, wait=0.0)
    member.step(VoteReply(term=2, voter=3, granted=True))
    assert member.replica.role is Role.FOLLOWER, "it was not nominated since"
    nominate(member, "again")
    assert (member.replica.role, member.replica.term) == (Role.LEADER, 2)


def test_a_candidate_that_was_refused_stands_in_the_next_term() -> None:
    """The votes of this term may be split for good, as the third replica may be down."""
    member = follower(1, peers=(2, 3))
    member.stand()
    term = member.replica.term
    member.step(VoteReply(term=term, voter=2, granted=False))
    wait(member, TIMEOUT + 2 * TICK)
    nominate(member, "again")
    assert (member.replica.role, member.replica.term) == (Role.CANDIDATE, term + 1)


def test_votes_are_worth_nothing_in_another_term() -> None:
    member = follower(peers=(2, 3, 4, 5))
    member.stand()
    member.step(VoteReply(term=1, voter=2, granted=True))
    member.step(VoteReply(term=1, voter=3, granted=False))
    member.step(VoteReply(term=2, voter=4, granted=False))
    nominate(member, "again")
    assert member.replica.term == 3
    member.step(VoteReply(term=1, voter=5, granted=True))
    member.step(VoteReply(term=3, voter=5, granted=True))
    assert member.replica.role is Role.CANDIDATE


def test_votes_are_worth_nothing_with_another_log() -> None:
    """They were given to the log that it had: what it has fetched since, none of them saw."""
    member = follower(1, 1, peers=(2, 3, 4, 5))
    nominate(member)
    member.step(VoteReply(term=2, voter=2, granted=True))
    wait(member, TIMEOUT + 2 * TICK)
    member.replica.log.truncate(1)
    nominate(member, "again")
    assert member.replica.term == 3


def test_the_votes_of_an_earlier_life_are_gone() -> None:
    """It cannot know which log they were given to."""
    member = follower()
    member.stand()
    life = Member(1, (2, 3), storage=member.storage, clock=member.clock)
    life.clock.now += 2 * TIMEOUT
    nominate(life)
    assert life.replica.term == 2


def test_who_has_led_does_not_lead_again_in_that_term() -> None:
    member = leader()
    wait(member, 2 * TIMEOUT)
    assert member.replica.role is Role.FOLLOWER
    nominate(member)
    assert member.replica.term == 2


# Patience grows with what the disks show.


def test_a_candidate_is_patient_as_long_as_the_voters_disks_are_slow() -> None:
    member = follower()
    nominate(member, disk_seconds=1.0)
    wait(member, TIMEOUT + 1.9)
    assert member.replica.role is Role.CANDIDATE
    wait(member, 0.2)
    assert member.replica.role is Role.FOLLOWER


def test_a_candidate_is_patient_as_long_as_its_own_disk_is_slow() -> None:
    member = follower()
    member.slow_disk = True
    nominate(member)
    wait(member, TIMEOUT - TICK)
    member.finish_write()
    wait(member, 1.9 * TIMEOUT)
    assert member.replica.role is Role.CANDIDATE
    wait(member, TIMEOUT)
    assert member.replica.role is Role.FOLLOWER


def test_patience_has_an_end() -> None:
    member = follower()
    nominate(member, disk_seconds=1000.0)
    wait(member, TIMEOUT + 3 * LONGEST_WRITE_SECONDS)
    assert member.replica.role is Role.FOLLOWER


def test_only_the_disks_of_those_whose_votes_are_needed_count() -> None:
    """Two of five may hang."""
    member = follower(1, peers=(2, 3, 4, 5))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        slow = 9.0 if poll.to > 3 else 0.0
        nonce = poll.message.nonce
        member.step(poll_reply_with(replica=poll.to, nonce=nonce, disk_seconds=slow))
    wait(member, TIMEOUT + 2 * TICK)
    assert member.replica.role is Role.FOLLOWER


def test_those_who_nominated_are_told_that_it_goes_on() -> None:
    """Within an election timeout, however long the disks take: they would give it up for dead."""
    member = follower(1)
    nominate(member, "first", disk_seconds=1.0)
    wait(member, TIMEOUT / 2)
    nominate(member, "second")
    wait(member, TIMEOUT / 2 + TICK)
    going_on = CampaignReply(leader=0, term=2, wait=TIMING.heartbeat, campaigning=True)
    assert told(member, "first") == going_on
    wait(member, TIMEOUT / 2 + TICK)
    assert told(member, "second") == going_on
    nominate(member, "third")
    member.step(VoteReply(term=2, voter=2, granted=True))
    assert told(member, "third") == CampaignReply(leader=1, term=2, wait=0.0)


# A vote that was given is given time.


def poll_of(member: Member) -> PollReply:
    reply = member.ask(Poll(replica=2))
    assert isinstance(reply, PollReply)
    return reply


def test_who_has_voted_encourages_nobody_else_while_its_vote_is_written_and_as_long_again() -> None:
    member = follower()
    member.slow_disk = True
    member.step(Vote(term=1, candidate=3, last_index=0, last_term=0))
    member.clock.now += 1.0
    assert poll_of(member).wait == TIMING.heartbeat, "ask again soon"
    member.finish_write()
    member.clock.now += 0.9
    assert poll_of(member).wait > 0
    member.clock.now += 0.2
    assert poll_of(member).wait == 0


def test_who_has_voted_still_encourages_the_one_that_it_voted_for() -> None:
    """It may be nominated again, and ask again for the vote that it has."""
    member = follower()
    member.slow_disk = True
    member.step(Vote(term=1, candidate=3, last_index=0, last_term=0))
    assert member.ask(Poll(replica=2)).wait > 0
    assert member.ask(Poll(replica=3)).wait == 0


def test_it_votes_nevertheless_for_who_asks_in_a_higher_term() -> None:
    """As in figure 2: that candidate was willing before, and has a majority that was."""
    member = follower()
    member.slow_disk = True
    member.step(Vote(term=1, candidate=3, last_index=0, last_term=0))
    member.step(Vote(term=2, candidate=2, last_index=0, last_term=0), "second")
    member.finish_write()
    member.finish_write()
    replies = {reply.ticket: reply.message for reply in member.take(Reply)}
    assert replies["second"] == VoteReply(term=2, voter=1, granted=True)


def test_a_vote_that_is_never_written_binds_no_longer_than_a_slow_one() -> None:
    member = follower()
    member.slow_disk = True
    member.step(Vote(term=1, candidate=3, last_index=0, last_term=0))
    member.clock.now += 2.5 * LONGEST_WRITE_SECONDS
    assert poll_of(member).wait == 0


def test_a_vote_that_waits_for_a_write_under_way_is_given_the_time_of_both() -> None:
    member = follower()
    member.slow_disk = True
    member.step(Vote(term=1, candidate=3, last_index=0, last_term=0))
    member.clock.now += 1.9 * LONGEST_WRITE_SECONDS
    assert poll_of(member).wait == TIMING.heartbeat
    member.finish_write()
    member.clock.now += 1.8 * LONGEST_WRITE_SECONDS
    assert poll_of(member).wait == TIMING.heartbeat, "the other votes may take as long"


def test_a_candidate_encourages_nobody_else() -> None:
    member = follower()
    member.stand()
    assert poll_of(member).wait == TIMING.heartbeat
    wait(member, TIMEOUT + 2 * TICK)
    assert poll_of(member).wait == 0


# A leader is heard while its followers write.


def test_a_follower_answers_while_it_writes_for_what_it_had_before() -> None:
    member = follower(1)
    member.slow_disk = True
    log = entries_of(1, 2, 2)
    member.step(append(2, log, after=1, round_=7), "append")
    wait(member, TIMING.heartbeat / 2)
    assert member.take(Reply) == []
    wait(member, TIMING.heartbeat)
    assert member.take(Reply) == [
        Reply(
            "append",
            append_reply_with(term=2, follower=1, index=1, round=7, taken=3),
        )
    ]
    member.finish_write()
    assert member.take(Reply) == [], "each request is answered once"
    member.slow_disk = False
    assert member.ask(append(2, log, after=3)) == append_reply_with(term=2, follower=1, index=3)


def test_a_leader_keeps_its_place_with_followers_that_write_for_seconds() -> None:
    cluster = Cluster()
    cluster.elect(3)
    for id in (1, 2):
        cluster.members[id].slow_disk = True
    cluster.members[3].replica.propose([cluster.members[3].storage.entries[0].event])
    cluster.pass_time(10 * TIMEOUT)
    assert cluster.members[3].replica.role is Role.LEADER
    assert cluster.members[3].replica.commit == 1, "but commits nothing by their word"
    for id in (1, 2):
        cluster.members[id].finish_write()
        cluster.carry_out(cluster.members[id])
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.members[3].replica.commit == 2


def test_what_is_being_written_is_not_sent_again() -> None:
    member = leader(peers=(2,))
    (request,) = member.take(Append)
    member.step(append_reply_with(term=1, follower=2, sent=request.message.sent, taken=1))
    member.pass_time(TIMING.heartbeat)
    (heartbeat,) = member.take(Append)
    assert (heartbeat.message.previous_index, heartbeat.message.entries) == (1, ())
    assert member.replica.commit == 0
    member.step(append_reply_with(term=1, follower=2, index=1, sent=heartbeat.message.sent))
    assert member.replica.commit == 1
