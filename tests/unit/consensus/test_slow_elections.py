"""Elections where something is slow, or cannot lead: disks, long logs, and a front-end's word.
How one goes where nothing is, is in `test_elections.py`.
"""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import TICK, TIMING, Member, append, entries_of, follower, leader
from twisted_bazaar.consensus.disk_latency import LONGEST_WRITE_SECONDS
from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    CampaignReply,
    Declined,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Reply,
    Vote,
    VoteReply,
)

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
        reply = PollReply(poll.to, 0, 0, 0, 0, 0.0, nonce=poll.message.nonce, **more)
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
    member.step(VoteReply(2, 2, True))
    for request in asked[1:]:
        member.replica.unreachable(request, member.clock.now)
    assert member.take(Vote) == [], "not at once: it may be gone"
    member.pass_time(TIMING.heartbeat)
    again = member.take(Vote)
    assert [request.to for request in again] == [3, 4, 5]
    assert {request.message.term for request in again} == {asked[0].message.term}
    member.step(VoteReply(2, 3, True))
    assert member.replica.role == "leader"


def test_one_that_refused_is_asked_again() -> None:
    """It may have heard a leader a moment ago."""
    member = follower()
    member.stand()
    member.step(VoteReply(1, 2, False))
    member.pass_time(TIMING.heartbeat)
    assert [request.to for request in member.take(Vote)] == [2]


def test_a_candidate_that_is_nominated_again_goes_on_in_the_same_term_with_its_votes() -> None:
    member = follower(1, peers=(2, 3, 4, 5))
    member.stand()
    member.step(VoteReply(2, 2, True))
    wait(member, TIMEOUT + 2 * TICK)
    assert told(member, "nomination") == CampaignReply(0, 2, 0.0)
    member.step(VoteReply(2, 3, True))
    assert member.replica.role == "follower", "nobody has asked it to lead since"
    nominate(member, "again")
    assert (member.replica.role, member.replica.term) == ("leader", 2)


def test_votes_are_worth_nothing_in_another_term() -> None:
    member = follower(peers=(2, 3, 4, 5))
    member.stand()
    member.step(VoteReply(1, 2, True))
    member.step(VoteReply(1, 3, False))
    member.step(VoteReply(2, 4, False))
    nominate(member, "again")
    assert member.replica.term == 3
    member.step(VoteReply(1, 5, True))
    member.step(VoteReply(3, 5, True))
    assert member.replica.role == "candidate"


def test_votes_are_worth_nothing_with_another_log() -> None:
    """They were given to the log that it had: what it has fetched since, none of them saw."""
    member = follower(1, 1, peers=(2, 3, 4, 5))
    nominate(member)
    member.step(VoteReply(2, 2, True))
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
    assert member.replica.role == "follower"
    nominate(member)
    assert member.replica.term == 2


# Patience grows with what the disks show.


def test_a_candidate_is_patient_as_long_as_the_voters_disks_are_slow() -> None:
    member = follower()
    nominate(member, disk_seconds=1.0)
    wait(member, TIMEOUT + 1.9)
    assert member.replica.role == "candidate"
    wait(member, 0.2)
    assert member.replica.role == "follower"


def test_a_candidate_is_patient_as_long_as_its_own_disk_is_slow() -> None:
    member = follower()
    member.slow_disk = True
    nominate(member)
    wait(member, TIMEOUT - TICK)
    member.finish_write()
    wait(member, 1.9 * TIMEOUT)
    assert member.replica.role == "candidate"
    wait(member, TIMEOUT)
    assert member.replica.role == "follower"


def test_patience_has_an_end() -> None:
    member = follower()
    nominate(member, disk_seconds=1000.0)
    wait(member, TIMEOUT + 3 * LONGEST_WRITE_SECONDS)
    assert member.replica.role == "follower"


def test_only_the_disks_of_those_whose_votes_are_needed_count() -> None:
    """Two of five may hang."""
    member = follower(1, peers=(2, 3, 4, 5))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        slow = 9.0 if poll.to > 3 else 0.0
        nonce = poll.message.nonce
        member.step(PollReply(poll.to, 0, 0, 0, 0, 0.0, nonce=nonce, disk_seconds=slow))
    wait(member, TIMEOUT + 2 * TICK)
    assert member.replica.role == "follower"


def test_those_who_nominated_are_told_that_it_goes_on() -> None:
    """Within an election timeout, however long the disks take: they would give it up for dead."""
    member = follower(1)
    nominate(member, "first", disk_seconds=1.0)
    wait(member, TIMEOUT / 2)
    nominate(member, "second")
    wait(member, TIMEOUT / 2 + TICK)
    going_on = CampaignReply(0, 2, TIMING.heartbeat, campaigning=True)
    assert told(member, "first") == going_on
    wait(member, TIMEOUT / 2 + TICK)
    assert told(member, "second") == going_on
    nominate(member, "third")
    member.step(VoteReply(2, 2, True))
    assert told(member, "third") == CampaignReply(1, 2, 0.0)


# A vote that was given is given time.


def poll_of(member: Member) -> PollReply:
    reply = member.ask(Poll(2))
    assert isinstance(reply, PollReply)
    return reply


def test_who_has_voted_encourages_nobody_else_while_its_vote_is_written_and_as_long_again() -> None:
    member = follower()
    member.slow_disk = True
    member.step(Vote(1, 3, 0, 0))
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
    member.step(Vote(1, 3, 0, 0))
    assert member.ask(Poll(2)).wait > 0
    assert member.ask(Poll(3)).wait == 0


def test_it_votes_nevertheless_for_who_asks_in_a_higher_term() -> None:
    """As in figure 2: that candidate was willing before, and has a majority that was."""
    member = follower()
    member.slow_disk = True
    member.step(Vote(1, 3, 0, 0))
    member.step(Vote(2, 2, 0, 0), "second")
    member.finish_write()
    member.finish_write()
    replies = {reply.ticket: reply.message for reply in member.take(Reply)}
    assert replies["second"] == VoteReply(2, 1, True)


def test_a_vote_that_is_never_written_binds_no_longer_than_a_slow_one() -> None:
    member = follower()
    member.slow_disk = True
    member.step(Vote(1, 3, 0, 0))
    member.clock.now += 1.5 * LONGEST_WRITE_SECONDS
    assert poll_of(member).wait == 0


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
    assert member.take(Reply) == [Reply("append", AppendReply(2, 1, True, 1, 7, 0.0, 3))]
    member.finish_write()
    assert member.take(Reply) == [], "each request is answered once"
    member.slow_disk = False
    assert member.ask(append(2, log, after=3)) == AppendReply(2, 1, True, 3, 0, 0.0)


def test_a_leader_keeps_its_place_with_followers_that_write_for_seconds() -> None:
    cluster = Cluster()
    cluster.elect(3)
    for id in (1, 2):
        cluster.members[id].slow_disk = True
    cluster.members[3].replica.propose([cluster.members[3].storage.entries[0].event])
    cluster.pass_time(10 * TIMEOUT)
    assert cluster.members[3].replica.role == "leader"
    assert cluster.members[3].replica.commit == 1, "but commits nothing by their word"
    for id in (1, 2):
        cluster.members[id].finish_write()
        cluster.carry_out(cluster.members[id])
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.members[3].replica.commit == 2


def test_what_is_being_written_is_not_sent_again() -> None:
    member = leader(peers=(2,))
    (request,) = member.take(Append)
    member.step(AppendReply(1, 2, True, 0, 0, request.message.sent, 1))
    member.pass_time(TIMING.heartbeat)
    (heartbeat,) = member.take(Append)
    assert (heartbeat.message.previous_index, heartbeat.message.entries) == (1, ())
    assert member.replica.commit == 0
    member.step(AppendReply(1, 2, True, 1, 0, heartbeat.message.sent))
    assert member.replica.commit == 1


# Who cannot lead now defers itself, not the others.


def behind() -> Member:
    """It was nominated, and has to fetch what the others have."""
    member = follower(1)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        member.step(PollReply(poll.to, 1, 9, 1, 0, 0.0, nonce=poll.message.nonce))
    return member


def test_a_candidate_that_catches_up_for_long_lets_the_next_id_try_and_goes_on() -> None:
    member = behind()
    log = entries_of(*[1] * 9)
    for after in range(1, 7):
        (fetch,) = member.take(Fetch)
        assert fetch.message.after == after
        member.step(FetchReply(fetch.to, 1, after, True, log[after : after + 1], 9, 1))
        wait(member, TIMEOUT / 5)
    assert told(member, "nomination") == CampaignReply(0, 1, 0.0, "it is catching up")
    assert (member.replica.role, member.replica.term) == ("follower", 1)
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert told(member, "again").unable, "at once, as long as something comes"
    (fetch,) = member.take(Fetch)
    member.step(FetchReply(fetch.to, 1, 7, True, log[7:], 9, 1))
    (fetch,) = member.take(Fetch)
    member.step(FetchReply(fetch.to, 1, 9, True, (), 9, 1))
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
    assert member.replica.role == "candidate"


def test_one_whose_disk_does_not_finish_a_write_does_not_stand_at_all() -> None:
    """Not even where it alone is left: the others may be back at any moment."""
    member = follower(1)
    member.slow_disk = True
    nominate(member, "first", disk_seconds=1.0)
    wait(member, 1.3 * LONGEST_WRITE_SECONDS)
    assert member.replica.role == "follower"
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert told(member, "again").unable == "its disk does not finish a write"
    member.finish_write()
    nominate(member, "well again", disk_seconds=1.0)
    assert (member.replica.role, member.replica.term) == ("candidate", 2)


def test_one_without_which_there_is_no_majority_stands_however_slow_its_disk() -> None:
    member = follower(1, peers=(2,))
    member.slow_disk = True
    member.step(append(1, entries_of(1, 1), after=1))
    member.clock.now += 5 * TIMEOUT
    nominate(member)
    assert member.replica.role == "candidate"


def test_what_a_suspect_peer_says_makes_nobody_wait() -> None:
    member = follower(peers=(2, 3, 4, 5))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        if poll.to == 2:
            nonce = poll.message.nonce
            member.step(PollReply(2, 0, 0, 0, 0, TIMEOUT, suspect=True, nonce=nonce))
        else:
            member.replica.unreachable(poll, member.clock.now)
    member.carry_out()
    assert told(member, "nomination") == CampaignReply(0, 0, 0.0)


# Nothing is kept of those who have given up.


def test_a_vote_that_is_not_written_in_time_is_declined() -> None:
    """Who asked has given up, and asks again: what waited for a disk that hangs would pile up."""
    member = follower()
    member.slow_disk = True
    for ask in range(5):
        member.step(Vote(1, 3, 0, 0), ask)
        wait(member, TIMEOUT + TICK)
    declined = [reply.ticket for reply in member.take(Reply) if isinstance(reply.message, Declined)]
    assert declined == [0, 1, 2, 3, 4]
    member.finish_write()
    assert member.take(Reply) == []
    assert member.ask(Vote(1, 3, 0, 0)) == VoteReply(1, 1, True)


# A front-end's word.


def test_what_a_front_end_says_of_the_leader_changes_no_term_and_no_role() -> None:
    """Only what replicas tell one another does."""
    leading, following = leader(), follower(1, 1)
    for member in (leading, following):
        before = (member.replica.role, member.replica.term, member.replica.vote)
        member.replica.follow(member.clock.now)
        member.carry_out()
        assert (member.replica.role, member.replica.term, member.replica.vote) == before
        assert member.replica.leader(member.clock.now) in (0, member.id)


def test_one_that_hears_nobody_asks_its_peers_when_it_is_told_that_somebody_leads() -> None:
    """It may have missed something. However often it is told, it asks at a calm pace."""
    member = follower(1, 1)
    for _ in range(9):
        member.replica.follow(member.clock.now)
        member.carry_out()
        for poll in member.take(Poll):
            member.step(PollReply(poll.to, 1, 2, 1, 0, 0.0, nonce=poll.message.nonce))
            asked = poll.message.nonce
    assert asked == 0
    member.step(append(1, entries_of(1, 1)))
    member.replica.follow(member.clock.now)
    member.carry_out()
    assert member.take(Poll) == [], "it hears its leader"
