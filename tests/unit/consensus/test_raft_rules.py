"""Figure 2 of the Raft paper (Ongaro & Ousterhout 2014), rule by rule: followers and candidates.

Each test is named for the rule that it holds; § is the paper's section. What a leader does is
in `test_leader_rules.py`, what is not as in the paper in `test_elections.py` and the others.
"""

import msgspec
import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TIMING,
    Member,
    append,
    append_reply_with,
    entries_of,
    follower,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.messages import (
    ApplyReply,
    Fetch,
    FetchReply,
    Poll,
    Reply,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import InvariantBroken, Malformed
from twisted_bazaar.leases import Stamp

# All servers: terms (figure 2; §5.1).


@pytest.mark.parametrize(
    "message",
    [
        append(7, leader=3),
        Vote(term=7, candidate=3, last_index=0, last_term=0),
        append_reply_with(term=7, follower=3, fits=False),
        VoteReply(term=7, voter=3, granted=False),
        ApplyReply(
            term=7,
            applied=0,
            digest="",
            released=0,
            stamp=Stamp(1, 0.0),
            holds=False,
            sent=0.0,
        ),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_higher_term_in_any_message_is_adopted(message) -> None:
    """§5.1: "If RPC request or response contains term T > currentTerm: set currentTerm = T"."""
    member = follower(1, 2)
    member.step(message)
    assert member.replica.term == 7
    assert member.replica.role is Role.FOLLOWER
    assert member.storage.term == 7


@pytest.mark.parametrize(
    "message",
    [
        Poll(replica=3),
        Fetch(replica=3, after=0, digest=""),
        poll_reply_with(replica=3, term=7, last_index=9, last_term=7),
        FetchReply(replica=3, term=7, after=0, fits=True, entries=(), last_index=9, last_term=7),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_only_asks_around_raises_no_term(message) -> None:
    """PreVote (Ongaro 2014, §9.6): a replica that is cut off must not come back with a term
    that deposes. Nor is the answer to a fetch that is not waited for worth a term."""
    member = follower(1, 2)
    member.step(message)
    assert member.replica.term == 2


@pytest.mark.parametrize(
    "message",
    [
        append_reply_with(term=2, follower=2, fits=False),
        VoteReply(term=2, voter=2, granted=False),
        ApplyReply(
            term=2,
            applied=0,
            digest="",
            released=0,
            stamp=Stamp(1, 0.0),
            holds=False,
            sent=0.0,
        ),
        append(2),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_higher_term_deposes_a_leader(message) -> None:
    """§5.1: "If a candidate or leader discovers that its term is out of date, it immediately
    reverts to follower state"."""
    member = leader()
    assert (member.replica.role, member.replica.term) == (Role.LEADER, 1)
    member.step(message)
    assert (member.replica.role, member.replica.term) == (Role.FOLLOWER, 2)


@pytest.mark.parametrize("message", [append(2), VoteReply(term=2, voter=2, granted=False)])
def test_a_higher_term_ends_a_candidacy(message) -> None:
    """§5.2: a candidate that sees a higher term is a follower again."""
    member = follower()
    member.stand()
    assert (member.replica.role, member.replica.term) == (Role.CANDIDATE, 1)
    member.step(message)
    assert (member.replica.role, member.replica.term) == (Role.FOLLOWER, 2)


def test_a_term_never_goes_down() -> None:
    """Figure 2: currentTerm "increases monotonically", over a restart, too."""
    member = follower(1, term=9)
    member.step(append(3))
    member.step(Vote(term=3, candidate=2, last_index=5, last_term=3))
    assert member.replica.term == 9
    assert follower(1, term=9).replica.term == 9


# AppendEntries, the receiver's side (figure 2; §5.3).


def test_an_append_of_a_lower_term_is_rejected() -> None:
    """Figure 2, receiver rule 1. The answer names the term, so that the sender steps down; and
    no leader was heard, so that the sender cannot keep others from being elected. Nor is it an
    answer to a round: the sender may lead in this term by now, and count its rounds anew."""
    member = follower(1, 4)
    reply = member.ask(append(3, entries_of(1, 3), after=1, commit=2, round_=7))
    assert (reply.fits, reply.term) == (False, 4)
    assert (reply.index, reply.round) == (2, 0)
    assert member.storage.entries == entries_of(1, 4)
    assert member.replica.commit == 0
    assert member.replica.known_leader(member.clock.now) == 0
    assert member.ask(Vote(term=5, candidate=3, last_index=2, last_term=4)).granted


def test_an_append_that_leaves_a_gap_is_rejected() -> None:
    """Figure 2, receiver rule 2: there is no entry at prevLogIndex. The answer says how long
    the log is, so that the leader need not go back one by one (§5.3, last paragraph)."""
    member = follower(1, 1)
    reply = member.ask(append(1, entries_of(1, 1, 1, 1, 1), after=4, commit=5))
    assert (reply.fits, reply.index) == (False, 2)
    assert member.replica.log.last_index == 2
    assert member.replica.commit == 0


def test_an_append_after_an_entry_of_another_term_is_rejected() -> None:
    """Figure 2, receiver rule 2: prevLogTerm does not match. The leader may go back as far as
    to what is committed, which is in its log for certain."""
    member = follower(1, 2, 2)
    member.step(append(2, entries_of(1, 2, 2), after=3, commit=1))
    reply = member.ask(append(3, entries_of(1, 3, 3, 3), after=3, commit=3))
    assert (reply.fits, reply.index) == (False, 1)
    assert member.storage.entries == entries_of(1, 2, 2)


def test_a_conflicting_suffix_is_truncated() -> None:
    """Figure 2, receiver rules 3 and 4: same index, other term: it goes, and all after it."""
    member = follower(1, 1, 2, 2, 2)
    theirs = entries_of(1, 1, 3)
    reply = member.ask(append(3, theirs, after=1))
    assert (reply.fits, reply.index) == (True, 3)
    assert member.storage.entries == theirs


def test_a_conflict_with_the_first_entry_replaces_the_whole_log() -> None:
    """Figure 2, receiver rule 3, where there is no entry before."""
    member = follower(2, 2)
    assert member.ask(append(3, entries_of(1, 3))).index == 2
    assert member.storage.entries == entries_of(1, 3)


def test_a_shorter_append_of_the_same_entries_truncates_nothing() -> None:
    """Figure 2, receiver rule 3 says "if an existing entry conflicts": one that was overtaken
    by a later one finds more entries than it brings, and they may have been acknowledged."""
    member = follower(1, 1, 1, 1)
    log = entries_of(1, 1, 1, 1)
    reply = member.ask(append(1, log, after=1, upto=2))
    assert (reply.fits, reply.index) == (True, 2)
    assert member.storage.entries == log
    assert member.ask(append(1, log, after=1, upto=1)).index == 1
    assert member.storage.entries == log


def test_an_append_that_comes_twice_changes_nothing() -> None:
    """§5.5: "Raft RPCs are idempotent"."""
    member = follower()
    message = append(1, entries_of(1, 1, 1), commit=2)
    first, second = member.ask(message), member.ask(message)
    assert first == second
    assert member.storage.entries == entries_of(1, 1, 1)
    assert [entry.index for entry in member.committed] == [1, 2]


def test_the_commit_index_is_at_most_that_of_the_last_new_entry() -> None:
    """Figure 2, receiver rule 5: what lies beyond the append may not be the leader's."""
    member = follower(1, 1, 1, 1)
    member.step(append(2, entries_of(1, 1, 2, 2), after=0, upto=2, commit=4))
    assert member.replica.commit == 2
    member.step(append(2, entries_of(1, 1, 2, 2), after=2, commit=3))
    assert member.replica.commit == 3


def test_the_commit_index_never_goes_back() -> None:
    """Figure 2: commitIndex "increases monotonically", whatever an old append says."""
    member = follower(1, 1, 1)
    log = entries_of(1, 1, 1)
    member.step(append(1, log, after=3, commit=3))
    member.step(append(1, log, after=3, commit=1))
    member.step(append(1, log, after=0, upto=1, commit=3))
    assert member.replica.commit == 3
    assert member.committed == log


def test_clients_are_shown_only_what_is_known_to_be_committed_here() -> None:
    """A follower learns from the leader what is released, and may be behind it."""
    member = follower(1)
    message = append(1, entries_of(1, 1, 1), upto=2, commit=3)
    member.step(msgspec.structs.replace(message, released=3))
    assert member.replica.released == 2


def test_committed_entries_are_never_overwritten() -> None:
    """§5.4.3, leader completeness: a leader without a committed entry cannot be. If there is
    one, this replica stops rather than forget what a client was told."""
    member = follower(1, 1)
    member.step(append(1, entries_of(1, 1), commit=2))
    with pytest.raises(InvariantBroken, match="committed entry 2"):
        member.step(append(3, entries_of(1, 3)))
    assert member.storage.entries == entries_of(1, 1)


def test_entries_are_applied_once_and_in_order() -> None:
    """Figure 2, all servers: "If commitIndex > lastApplied: increment lastApplied, apply"."""
    member = follower()
    log = entries_of(1, 1, 1, 1)
    member.step(append(1, log, after=0, upto=3, commit=1))
    member.step(append(1, log, after=0, upto=2, commit=4))
    member.step(append(1, log, after=3, commit=4))
    assert member.committed == log


def test_entries_that_do_not_follow_are_never_taken() -> None:
    """§5.3, log matching: with another history before them, the digests of the same (index,
    term) differ. No leader can send that; who does is told so, and nothing comes of it."""
    member = follower(1)
    before = member.replica.log.last_digest
    with pytest.raises(Malformed):
        member.step(append(1, entries_of(1, 1, maker=5), after=1))
    assert (member.replica.log.last_index, member.replica.log.last_digest) == (1, before)


# Durability: "Updated on stable storage before responding to RPCs" (figure 2, state).


def test_an_append_is_acknowledged_only_after_the_write() -> None:
    """Figure 2: a follower's word for an entry is that its disk holds it."""
    member = follower()
    member.slow_disk = True
    assert member.ask(append(1, entries_of(1, 1))) is None
    assert member.storage.entries == []
    member.finish_write()
    (reply,) = member.take(Reply)
    assert (reply.message.fits, reply.message.index) == (True, 2)
    assert member.storage.entries == entries_of(1, 1)


def test_what_comes_during_a_write_is_acknowledged_after_the_next() -> None:
    """The write that is under way does not hold what came after it began."""
    member = follower()
    member.slow_disk = True
    log = entries_of(1, 1)
    assert member.ask(append(1, log, upto=1)) is None
    assert member.ask(append(1, log, after=1)) is None
    member.finish_write()
    assert [reply.message.index for reply in member.take(Reply)] == [1]
    assert member.write is not None
    member.finish_write()
    assert [reply.message.index for reply in member.take(Reply)] == [2]


def test_an_append_that_comes_twice_is_not_acknowledged_before_the_first_is_written() -> None:
    """The second brings nothing new to write, but rests on what is being written."""
    member = follower()
    member.slow_disk = True
    message = append(1, entries_of(1))
    assert member.ask(message) is None
    assert member.ask(append(1, entries_of(1), after=1)) is None
    member.finish_write()
    assert [reply.message.index for reply in member.take(Reply)] == [1, 1]


def test_even_a_rejection_waits_for_its_term_to_be_written() -> None:
    """Figure 2: the term in an answer is a promise, too."""
    member = follower(1)
    member.slow_disk = True
    assert member.ask(append(5, entries_of(1, 1, 1), after=3)) is None
    member.finish_write()
    assert member.storage.term == 5
    assert [reply.message.fits for reply in member.take(Reply)] == [False]


def test_a_vote_is_on_disk_before_it_is_given() -> None:
    """Figure 2: votedFor is persistent."""
    member = follower(1)
    member.slow_disk = True
    assert member.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)) is None
    assert member.storage.vote == 0
    member.finish_write()
    assert [reply.message.granted for reply in member.take(Reply)] == [True]
    assert (member.storage.term, member.storage.vote) == (2, 3)


def test_a_candidate_votes_for_itself_on_disk_before_it_asks_others() -> None:
    """§5.2. Else one that restarts might vote for another in a term in which it may win."""
    member = follower(1)
    member.slow_disk = True
    assert member.stand() == []
    assert (member.storage.term, member.storage.vote) == (1, 0)
    member.finish_write()
    assert {request.to for request in member.take(Vote)} == {2, 3}
    assert (member.storage.term, member.storage.vote) == (2, 1)


def test_a_candidate_wins_only_once_its_own_vote_is_written() -> None:
    """§5.2: its own vote is as binding as any other. (No answer can come before, but that is
    not for the one who counts to rely on.)"""
    member = follower(1)
    member.slow_disk = True
    member.stand()
    member.step(VoteReply(term=2, voter=2, granted=True))
    member.step(VoteReply(term=2, voter=3, granted=True))
    assert member.replica.role is Role.CANDIDATE
    member.finish_write()
    assert member.replica.role is Role.LEADER


def test_the_candidates_log_is_on_disk_before_it_asks_for_votes() -> None:
    """What a vote request says of the log must be as true after a crash."""
    member = follower()
    member.slow_disk = True
    member.step(append(1, entries_of(1, 1)))
    member.clock.now += TIMING.election_timeout
    member.stand()
    member.finish_write()
    assert member.take(Vote) == []
    member.finish_write()
    assert {request.message.last_index for request in member.take(Vote)} == {2}
    assert member.storage.entries == entries_of(1, 1)


# RequestVote, the receiver's side (figure 2; §5.2, §5.4.1).


def test_a_vote_for_a_lower_term_is_refused() -> None:
    """Figure 2, receiver rule 1."""
    member = follower(1, 4, term=6)
    reply = member.ask(Vote(term=5, candidate=2, last_index=9, last_term=4))
    assert (reply.granted, reply.term) == (False, 6)


def test_a_replica_votes_once_a_term() -> None:
    """Figure 2, receiver rule 2: first come, first served (§5.2)."""
    member = follower(1)
    assert member.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)).granted
    assert not member.ask(Vote(term=2, candidate=2, last_index=1, last_term=1)).granted
    assert member.ask(Vote(term=3, candidate=2, last_index=1, last_term=1)).granted


def test_a_vote_that_is_asked_for_twice_is_given_twice() -> None:
    """Figure 2, receiver rule 2: "votedFor is null or candidateId"; the answer may be lost."""
    member = follower(1)
    assert member.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)).granted
    assert member.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)).granted


def test_a_vote_survives_a_restart() -> None:
    """Figure 2: persistent state. A restart must not make two votes of one."""
    first = follower(1)
    assert first.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)).granted
    second = Member(1, (2, 3), storage=first.storage)
    second.clock.now = 2 * TIMING.election_timeout
    assert not second.ask(Vote(term=2, candidate=2, last_index=1, last_term=1)).granted
    assert second.ask(Vote(term=2, candidate=3, last_index=1, last_term=1)).granted


def test_a_candidate_does_not_vote_for_another_in_its_term() -> None:
    """§5.2: it has voted for itself."""
    member = follower(1)
    member.stand()
    assert not member.ask(Vote(term=2, candidate=3, last_index=9, last_term=1)).granted
    assert member.replica.role is Role.CANDIDATE


@pytest.mark.parametrize(
    ("last_term", "last_index", "granted"),
    [
        (1, 9, False),  # longer, but of an older term
        (2, 2, False),  # same term, but shorter
        (2, 3, True),  # the same
        (2, 4, True),  # same term, and longer
        (3, 1, True),  # shorter, but of a newer term
    ],
)
def test_a_vote_goes_only_to_a_log_that_is_as_up_to_date(
    last_term: int, last_index: int, granted: bool
) -> None:
    """§5.4.1: by the last entry's term, then by the length."""
    member = follower(1, 2, 2)
    reply = member.ask(Vote(term=9, candidate=2, last_index=last_index, last_term=last_term))
    assert reply.granted is granted
    assert reply.term == 9
    assert member.storage.vote == (2 if granted else 0)


def test_who_is_refused_for_its_log_leaves_the_vote_free() -> None:
    """Figure 2, receiver rule 2: only a vote that is given is spent."""
    member = follower(1, 2)
    assert not member.ask(Vote(term=3, candidate=2, last_index=1, last_term=1)).granted
    assert member.ask(Vote(term=3, candidate=3, last_index=2, last_term=2)).granted


# Candidates (figure 2; §5.2).


def test_an_append_of_its_own_term_makes_a_candidate_follow() -> None:
    """Figure 2: "If AppendEntries RPC received from new leader: convert to follower"."""
    member = follower()
    member.stand()
    assert member.ask(append(1, entries_of(1))).fits
    assert member.replica.role is Role.FOLLOWER
    assert member.replica.known_leader(member.clock.now) == 2


def test_an_append_of_a_lower_term_does_not_end_a_candidacy() -> None:
    """§5.2: "If the term in the RPC is smaller …, the candidate rejects the RPC"."""
    member = follower(3)
    member.stand()
    assert not member.ask(append(3, entries_of(3))).fits
    assert member.replica.role is Role.CANDIDATE


def test_votes_of_a_majority_win() -> None:
    """§5.2: three of five, its own included."""
    member = follower(1, peers=(2, 3, 4, 5))
    member.win(2)
    assert member.replica.role is Role.CANDIDATE
    member.step(VoteReply(term=2, voter=4, granted=True))
    assert member.replica.role is Role.LEADER


def test_a_vote_that_comes_twice_counts_once() -> None:
    """§5.2: a majority of replicas, not of messages."""
    member = follower(peers=(2, 3, 4, 5))
    member.win(2, 2, 2)
    assert member.replica.role is Role.CANDIDATE


def test_refusals_and_votes_of_an_earlier_term_do_not_count() -> None:
    """§5.2: "for the same term"."""
    member = follower(term=4)
    member.stand()
    member.step(VoteReply(term=5, voter=2, granted=False))
    member.step(VoteReply(term=4, voter=3, granted=True))
    assert (member.replica.term, member.replica.role) == (5, Role.CANDIDATE)


def test_a_late_vote_makes_nobody_lead_who_has_given_up() -> None:
    """§5.2: in that term another may lead by now."""
    member = follower()
    member.stand()
    member.step(append(1, entries_of(1), leader=3))
    member.step(VoteReply(term=1, voter=2, granted=True))
    member.step(VoteReply(term=1, voter=3, granted=True))
    assert member.replica.role is Role.FOLLOWER


def test_of_two_candidates_at_once_one_wins_at_most() -> None:
    """§5.2, election safety; the cluster checks that no term has two leaders."""
    cluster = Cluster()
    cluster.nominate(3)
    cluster.nominate(2)
    cluster.pass_time(2 * TIMING.election_timeout)
    assert sum(member.replica.leads for member in cluster.members.values()) <= 1
