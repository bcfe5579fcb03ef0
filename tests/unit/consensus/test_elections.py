"""How a replica comes to lead: nominated by a front-end, after it has caught up, and never while a
leader is heard. The rules that docs/protocol.md adds to Raft; Raft's own are in
`test_raft_rules.py`."""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TICK,
    TIMING,
    Member,
    append,
    append_reply_with,
    disk,
    entries_of,
    follower,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.messages import (
    CampaignReply,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Reply,
    Vote,
)
from twisted_bazaar.consensus.role import Role

LONG = TIMING.election_timeout + TICK
"""Just longer than an election timeout, after which a leader that is not heard counts for none."""


def roles(cluster: Cluster) -> dict[int, Role]:
    return {id: member.replica.role for id, member in sorted(cluster.members.items())}


# A replica campaigns only when nominated, and never while a leader is heard.


def test_nobody_campaigns_unless_told_to() -> None:
    """The front-ends nominate; time alone starts no election."""
    cluster = Cluster()
    cluster.pass_time(5 * TIMING.election_timeout)
    assert set(roles(cluster).values()) == {Role.FOLLOWER}
    assert {member.replica.term for member in cluster.members.values()} == {0}


def test_a_campaign_is_refused_while_a_leader_is_heard() -> None:
    """The answer names the leader, and how long to wait until another nomination can help. The term
    stays as it is, so that the refusal disturbs no other replica."""
    cluster = Cluster()
    cluster.elect(2)
    cluster.pass_time(TIMING.heartbeat)
    cluster.nominate(3)
    answer = cluster.answers["nomination"]
    assert (answer.leader, answer.term) == (2, 1)
    assert 0 < answer.wait <= TIMING.election_timeout
    cluster.pass_time(LONG)
    assert roles(cluster) == {1: Role.FOLLOWER, 2: Role.LEADER, 3: Role.FOLLOWER}
    assert {member.replica.term for member in cluster.members.values()} == {1}


def test_a_leader_that_is_told_to_campaign_says_that_it_leads() -> None:
    member = leader()
    member.take(Reply)
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    assert member.take(Reply) == [Reply("again", CampaignReply(leader=1, term=1, wait=0.0))]
    assert member.replica.term == 1


def test_a_vote_is_refused_while_a_leader_is_heard() -> None:
    """The other half of the guard: the candidate's term is not even adopted, or one replica that
    was cut off could depose a leader that works."""
    member = follower()
    member.step(append(1, entries_of(1)))
    vote = Vote(term=5, candidate=3, last_index=9, last_term=4)
    assert not member.ask(vote).granted
    assert member.replica.term == 1
    member.pass_time(LONG)
    assert member.ask(vote).granted
    assert member.replica.term == 5


def test_a_leader_does_not_vote() -> None:
    """It hears itself. Only CheckQuorum, or a higher term in an answer, makes it step down."""
    member = leader()
    assert not member.ask(Vote(term=5, candidate=3, last_index=9, last_term=4)).granted
    assert (member.replica.role, member.replica.term) == (Role.LEADER, 1)


def test_leadership_is_sticky() -> None:
    """Replica 3 comes back with a higher id than the leader's: it follows."""
    cluster = Cluster(disks={id: disk(1, entries=entries_of(1)) for id in (1, 2, 3)}, asleep=(3,))
    cluster.elect(2)
    cluster.start(3)
    cluster.pass_time(LONG)
    cluster.nominate(3)
    cluster.pass_time(LONG)
    assert roles(cluster) == {1: Role.FOLLOWER, 2: Role.LEADER, 3: Role.FOLLOWER}
    assert cluster.answers["nomination"].leader == 2


def test_who_hears_no_leader_is_told_by_the_others_who_do() -> None:
    """PreVote (Ongaro 2014, §9.6): replica 3 does not hear the leader, but the others do. It raises
    no term, so that it does no harm when it is heard again."""
    cluster = Cluster()
    cluster.elect(2)
    cluster.cuts = {(2, 3)}
    cluster.pass_time(LONG)
    assert cluster.members[3].replica.known_leader(cluster.clock.now) == 0
    cluster.nominate(3)
    cluster.run()
    answer = cluster.answers["nomination"]
    assert (answer.leader, answer.term) == (2, 1)
    assert answer.wait > 0
    cluster.heal()
    cluster.pass_time(LONG)
    assert roles(cluster) == {1: Role.FOLLOWER, 2: Role.LEADER, 3: Role.FOLLOWER}


def test_a_campaign_needs_a_majority_that_would_vote() -> None:
    """PreVote: two of five answer, with the candidate three. One of them hears a leader."""
    member = follower(peers=(2, 3, 4, 5))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        if poll.to in (2, 3):
            heard = poll.to == 3
            member.step(
                poll_reply_with(
                    replica=poll.to, leader=4 if heard else 0, wait=0.2 if heard else 0.0
                )
            )
        else:
            member.replica.unreachable(poll, member.clock.now)
    member.carry_out()
    assert member.take(Reply) == [Reply("nomination", CampaignReply(leader=4, term=0, wait=0.2))]
    assert (member.replica.role, member.replica.term) == (Role.FOLLOWER, 0)


def test_a_campaign_without_a_majority_ends_at_once() -> None:
    """Cut off: it does not even try, and its term stays as it is."""
    cluster = Cluster()
    cluster.cut(3)
    cluster.nominate(3)
    cluster.run()
    assert cluster.answers["nomination"] == CampaignReply(leader=0, term=0, wait=0.0)
    assert cluster.members[3].replica.term == 0


def test_who_does_not_answer_is_waited_for_one_heartbeat() -> None:
    """It may be the furthest of all; but it may as well be gone."""
    cluster = Cluster(disks={id: disk(1, entries=entries_of(1)) for id in (1, 2, 3)})
    cluster.nominate(3)
    (silent,) = cluster.under_way(Poll, to=1)
    cluster.run(leave=lambda parcel: parcel is silent)
    assert cluster.members[3].replica.role is Role.FOLLOWER
    cluster.pass_time(TIMING.heartbeat, leave=lambda parcel: parcel is silent)
    assert cluster.members[3].replica.role is Role.LEADER


def test_a_replica_that_just_started_neither_votes_nor_campaigns() -> None:
    """It has forgotten which leader it heard, and promised with that not to vote."""
    member = Member(1, (2, 3))
    vote = Vote(term=1, candidate=2, last_index=0, last_term=0)
    assert not member.ask(vote).granted
    member.replica.campaign("too early", member.clock.now)
    member.carry_out()
    ((reply),) = member.take(Reply)
    assert reply.message == CampaignReply(leader=0, term=0, wait=TIMING.election_timeout)
    assert member.ask(Poll(replica=2)).wait == TIMING.election_timeout
    member.pass_time(TIMING.election_timeout)
    assert member.ask(Poll(replica=2)).wait == 0
    assert member.ask(vote).granted


def test_a_poll_tells_who_is_heard_and_until_when() -> None:
    member = follower(1)
    member.step(append(2, entries_of(1, 2), after=1, leader=3))
    member.pass_time(TIMING.heartbeat)
    reply = member.ask(Poll(replica=2))
    assert (reply.term, reply.last_index, reply.last_term, reply.leader) == (2, 2, 2, 3)
    assert reply.wait == pytest.approx(TIMING.election_timeout - TIMING.heartbeat)
    member.pass_time(TIMING.election_timeout)
    reply = member.ask(Poll(replica=2))
    assert (reply.leader, reply.wait) == (0, 0)


# CheckQuorum (Ongaro 2014, §6.2).


def test_a_leader_that_hears_no_majority_steps_down() -> None:
    """Else front-ends would go on calling it, and the others could elect no leader."""
    cluster = Cluster()
    cluster.elect(3)
    cluster.cut(3)
    cluster.pass_time(TIMING.election_timeout / 2)
    assert roles(cluster)[3] is Role.LEADER
    cluster.pass_time(TIMING.election_timeout)
    assert roles(cluster)[3] is Role.FOLLOWER
    assert cluster.members[3].replica.known_leader(cluster.clock.now) == 0
    assert cluster.members[3].replica.term == 1


def test_a_leader_that_is_heard_but_does_not_hear_steps_down() -> None:
    """A one-way cut: its heartbeats arrive and keep the others from voting, so it must step
    down."""
    cluster = Cluster()
    cluster.elect(3)
    cluster.cut(3, outbound=False)
    cluster.pass_time(2 * LONG)
    assert roles(cluster)[3] is Role.FOLLOWER
    cluster.nominate(2)
    cluster.pass_time(TIMING.heartbeat)
    assert roles(cluster)[2] is Role.LEADER


def test_a_leader_keeps_its_place_with_a_majority() -> None:
    cluster = Cluster(5)
    cluster.elect(5)
    cluster.kill(1)
    cluster.kill(2)
    cluster.pass_time(3 * LONG)
    assert roles(cluster)[5] is Role.LEADER


def test_what_a_majority_answered_counts_from_when_it_was_asked() -> None:
    """An answer that took long proves nothing of the time since."""
    member = leader()
    asked = member.clock.now
    member.sent.clear()
    member.pass_time(TIMING.election_timeout)
    member.step(append_reply_with(term=1, follower=2, index=1, sent=asked))
    member.pass_time(TICK)
    assert member.replica.role is Role.FOLLOWER


def test_a_new_leader_has_time_to_hear_from_the_others() -> None:
    """It heard of a majority when it won."""
    member = leader()
    member.pass_time(TIMING.election_timeout)
    assert member.replica.role is Role.LEADER
    member.pass_time(TICK)
    assert member.replica.role is Role.FOLLOWER


# A candidate catches up first.


def behind(*theirs: int, mine: tuple[int, ...] = (1,), term: int = 1) -> Cluster:
    """Replica 3 has the log `mine`, replicas 1 and 2 have `theirs`."""
    log = entries_of(*theirs)
    disks = {1: disk(max(theirs), 1, log), 2: disk(max(theirs), 1, log)}
    disks[3] = disk(term, 0, entries_of(*mine, maker=0))
    cluster = Cluster(disks=disks, asleep=(3,))
    cluster.start(3)
    # What it was to fetch when it started is lost.
    cluster.pool.clear()
    cluster.members[3].replica.step(append(term, leader=1), cluster.clock.now, "append")
    cluster.carry_out(cluster.members[3])
    cluster.pool.clear()
    cluster.pass_time(LONG)
    assert cluster.members[3].storage.entries == entries_of(*mine)
    return cluster


def test_a_candidate_that_is_behind_fetches_and_wins() -> None:
    """Raft lets only an up-to-date replica win (§5.4.1). So that the highest id can, it becomes
    up to date first."""
    cluster = behind(1, 1, 2, 2)
    cluster.elect(3)
    entries = cluster.members[3].storage.entries
    assert entries[:4] == entries_of(1, 1, 2, 2)
    assert cluster.answers["nomination"] == CampaignReply(leader=3, term=3, wait=0.0)


def test_a_candidate_fetches_from_the_furthest() -> None:
    """By the last term, then by the last index, as in §5.4.1."""
    logs = {1: (1, 1, 1, 1, 1), 2: (1, 1, 2), 3: (1, 1, 2, 2), 4: (1,)}
    member = follower(1, peers=tuple(logs))
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        log = logs[poll.to]
        member.step(
            poll_reply_with(
                replica=poll.to,
                term=2,
                last_index=len(log),
                last_term=log[-1],
                nonce=poll.message.nonce,
            )
        )
    assert [request.to for request in member.take(Fetch)] == [3]
    assert member.replica.term == 1


def test_a_candidates_divergent_suffix_is_truncated() -> None:
    """What it has that the furthest has not was never committed (§5.4.3)."""
    cluster = behind(1, 1, 3, 3, mine=(1, 1, 2, 2, 2, 2, 2), term=2)
    cluster.elect(3)
    entries = cluster.members[3].storage.entries
    assert [entry.term for entry in entries] == [1, 1, 3, 3, 4]
    assert entries[:4] == entries_of(1, 1, 3, 3)


def test_the_term_of_a_fetch_is_adopted_before_its_entries() -> None:
    """Else the leader that was deposed in that term could overwrite them: this replica would
    still take its appends."""
    member = follower(1)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to, term=3, last_index=2, last_term=3, nonce=poll.message.nonce
            )
        )
    (fetch,) = member.take(Fetch)
    log = entries_of(1, 3)
    member.slow_disk = True
    member.step(
        FetchReply(
            replica=fetch.to, term=3, after=1, fits=True, entries=log[1:], last_index=2, last_term=3
        )
    )
    assert member.replica.term == 3
    assert member.write is not None
    assert (member.write.term, member.write.entries) == (3, tuple(log[1:]))
    member.slow_disk = False
    member.finish_write()
    assert not member.ask(append(1, entries_of(1, 1), after=1)).fits
    assert member.storage.entries == log


def test_the_source_of_a_fetch_dies_midway() -> None:
    """The candidate goes on with the next, or with what it has."""
    cluster = behind(1, 1, 2, 2)
    cluster.nominate(3)
    for poll in cluster.under_way(Poll):
        cluster.deliver(poll)
    for reply in cluster.under_way(PollReply):
        cluster.deliver(reply)
    (fetch,) = cluster.under_way(Fetch)
    cluster.kill(fetch.to)
    cluster.pass_time(TIMING.heartbeat)
    assert roles(cluster)[3] is Role.LEADER
    assert cluster.members[3].storage.entries[:4] == entries_of(1, 1, 2, 2)


def test_who_cannot_catch_up_does_not_win() -> None:
    """The only peer that it could fetch from, and win with, is gone: no term is raised in vain."""
    cluster = behind(1, 1, 2, 2)
    cluster.kill(1)
    cluster.nominate(3)
    for kind in (Poll, PollReply):
        for parcel in cluster.under_way(kind):
            cluster.deliver(parcel)
    assert cluster.under_way(Fetch, to=2)
    cluster.cut(2)
    cluster.run()
    assert cluster.answers["nomination"] == CampaignReply(leader=0, term=1, wait=0.0)
    assert cluster.members[3].replica.term == 1


def test_the_highest_id_wins_whatever_its_log() -> None:
    for id in (1, 2, 3):
        cluster = behind(1, 1, 2, 2, mine=(1, 1), term=1)
        cluster.elect(id)
        cluster.pass_time(3 * TIMING.heartbeat)
        logs = [member.storage.entries for member in cluster.members.values()]
        assert logs[0] == logs[1] == logs[2]
        assert logs[0][:4] == entries_of(1, 1, 2, 2)
