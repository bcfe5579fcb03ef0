"""Figure 2 of the Raft paper (Ongaro & Ousterhout 2014), rule by rule: leaders."""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TIMING,
    Member,
    append,
    append_reply_with,
    disk,
    entries_of,
    follower,
    leader,
)
from twisted_bazaar.consensus.entries import GENESIS, Opened, encode_entry
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.messages import Append, AppendReply, Request
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import InvariantBroken, NotLeader


def answer(request: Request, fits: bool = True, index: int | None = None) -> AppendReply:
    """The answer of a follower that has all entries of an append, or the log up to `index` only."""
    sent: Append = request.message
    if index is None:
        index = sent.previous_index + len(sent.entries)
    return AppendReply(
        term=sent.term,
        follower=request.to,
        fits=fits,
        index=index,
        round=sent.round,
        sent=sent.sent,
    )


def acknowledge(member: Member, *followers: int) -> None:
    """These followers have all that the leader sent to them."""
    for request in member.take(Append):
        if request.to in followers:
            member.step(answer(request))


def appends_to(member: Member, peer: int) -> list[Append]:
    return [request.message for request in member.take(Append) if request.to == peer]


# What it sends.


def test_a_leader_opens_its_term_with_an_entry_of_its_own() -> None:
    """§8: "having it commit a blank no-op entry at the start of its term"."""
    member = leader(1, 2)
    opened = member.replica.log.entry_at(3)
    assert isinstance(opened.event, Opened)
    assert (opened.term, opened.event.leader, opened.event.members) == (3, 1, (1, 2, 3))
    assert member.replica.opened == 3


def test_a_leader_tells_everybody_at_once() -> None:
    """Figure 2: "Upon election: send initial … AppendEntries RPCs to each server"."""
    member = leader(1, 1)
    sent = member.take(Append)
    assert {request.to for request in sent} == {2, 3}
    for request in sent:
        assert (request.message.previous_index, request.message.previous_term) == (2, 1)
        assert [entry.index for entry in request.message.entries] == [3]


def test_an_idle_leader_is_heard_every_heartbeat() -> None:
    """Figure 2: "repeat during idle periods to prevent election timeouts". The heartbeat says
    what is committed, since followers may not have been told yet."""
    member = leader()
    acknowledge(member, 2, 3)
    member.take(Append)
    member.pass_time(TIMING.heartbeat / 2)
    assert member.take(Append) == []
    member.pass_time(TIMING.heartbeat)
    sent = member.take(Append)
    assert {request.to for request in sent} == {2, 3}
    assert all(not request.message.entries for request in sent)
    assert all(request.message.commit == 1 for request in sent)


def test_one_append_at_a_time_is_under_way_to_a_follower() -> None:
    """Not Raft's rule but ours: the next carries all that came up while this one was away."""
    member = leader()
    member.take(Append)
    for _ in range(3):
        member.replica.propose([Opened(leader=1)])
        member.carry_out()
        member.pass_time(TIMING.heartbeat)
    assert member.take(Append) == []
    member.step(append_reply_with(term=1, follower=2, index=1, sent=2 * TIMING.election_timeout))
    (sent,) = appends_to(member, 2)
    assert [entry.index for entry in sent.entries] == [2, 3, 4]


def test_an_append_that_is_lost_is_sent_again() -> None:
    """§5.3: "the leader retries AppendEntries RPCs indefinitely"; but after a pause, since a
    process that is down refuses at once and would be asked in a loop."""
    member = leader()
    (lost,) = [request for request in member.take(Append) if request.to == 2]
    member.replica.unreachable(lost, member.clock.now)
    member.carry_out()
    assert appends_to(member, 2) == []
    member.pass_time(TIMING.heartbeat)
    (again,) = appends_to(member, 2)
    assert again.entries == lost.message.entries


def test_one_append_carries_a_bounded_number_of_entries() -> None:
    """A follower that is far behind is brought up in steps."""
    member = leader()
    member.replica.propose([Opened(leader=1)] * (MAX_BATCH_ENTRIES + 5))
    acknowledge(member, 2)
    (first,) = appends_to(member, 2)
    assert [entry.index for entry in first.entries] == [*range(2, MAX_BATCH_ENTRIES + 2)]
    member.step(answer(Request(2, first)))
    (second,) = appends_to(member, 2)
    assert [entry.index for entry in second.entries] == [
        *range(MAX_BATCH_ENTRIES + 2, MAX_BATCH_ENTRIES + 7)
    ]


def test_appends_do_not_wait_for_the_leaders_own_disk() -> None:
    """Ongaro 2014, §10.2.1: it writes its log while its followers write theirs."""
    member = leader()
    acknowledge(member, 2, 3)
    member.slow_disk = True
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    assert [len(request.message.entries) for request in member.take(Append)] == [1, 1]
    assert member.storage.last_index == 1


# nextIndex and matchIndex (figure 2; §5.3).


def test_a_leader_backs_up_until_the_append_fits() -> None:
    """Figure 2: "If AppendEntries fails because of log inconsistency: decrement nextIndex and
    retry", here as far as the follower says, and by one at least."""
    member = leader(1, 1, 1, 1, 1, 1)
    asked = []
    for hint in (4, 4, 9, 0):
        (request,) = [request for request in member.take(Append) if request.to == 2]
        asked.append(request.message.previous_index)
        member.step(answer(request, fits=False, index=hint))
    (request,) = [request for request in member.take(Append) if request.to == 2]
    asked.append(request.message.previous_index)
    assert asked == [6, 4, 3, 2, 0]
    assert [entry.index for entry in request.message.entries] == [1, 2, 3, 4, 5, 6, 7]


def test_a_divergent_follower_is_made_to_agree() -> None:
    """§5.3, figure 7 (f): a follower that led in two terms and committed nothing."""
    theirs = entries_of(1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3)
    member = leader(1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
    other = Member(2, (1, 3), storage=disk(3, 2, theirs))
    for _ in range(8):
        for request in member.take(Append):
            if request.to == 2:
                member.step(other.ask(request.message))
        member.pass_time(TIMING.heartbeat)
    assert other.storage.entries == member.storage.entries
    assert other.committed == member.committed
    assert [entry.term for entry in other.committed] == [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7]


def test_answers_that_come_late_or_twice_take_nothing_back() -> None:
    """§5.5: matchIndex never falls because an answer was overtaken, so what is committed once
    stays so, and the next append is right again."""
    member = leader()
    acknowledge(member, 2, 3)
    first = answer(Request(2, append(1, entries_of(1), leader=1)))
    member.replica.propose([Opened(leader=1), Opened(leader=1)])
    member.carry_out()
    acknowledge(member, 2)
    assert member.replica.commit == 3
    member.step(first)
    member.step(first)
    member.pass_time(TIMING.heartbeat)
    assert member.replica.commit == 3
    (heartbeat,) = appends_to(member, 2)
    assert heartbeat.previous_index == 3


def test_a_refusal_that_comes_late_does_no_lasting_harm() -> None:
    """It was true when it was said. What is committed stays, what is sent again fits."""
    member = leader(1, 1, 1)
    (request,) = [request for request in member.take(Append) if request.to == 2]
    refusal = answer(request, fits=False, index=1)
    member.step(refusal)
    acknowledge(member, 2)
    assert member.replica.commit == 4
    member.step(refusal)
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    acknowledge(member, 2)
    acknowledge(member, 2)
    assert member.replica.commit == 5


def test_answers_of_another_term_are_not_counted() -> None:
    """§5.1: they acknowledge what another leadership sent, be it of the same replica."""
    member = leader(1, term=4)
    member.step(append_reply_with(term=4, follower=2, index=2))
    member.step(append_reply_with(term=4, follower=3, index=2))
    assert member.replica.term == 5
    assert member.replica.commit == 0


def test_an_acknowledgement_of_what_the_leader_does_not_have_stops_it() -> None:
    """No follower can have more of this term than its leader: something is broken."""
    member = leader()
    with pytest.raises(InvariantBroken):
        member.step(append_reply_with(term=1, follower=2, index=5))


# Commitment (figure 2; §5.3, §5.4).


@pytest.mark.parametrize(("peers", "needed"), [((2,), 1), ((2, 3), 1), ((2, 3, 4, 5), 2)])
def test_what_is_on_a_majority_of_disks_is_committed(peers: tuple[int, ...], needed: int) -> None:
    """§5.3: the leader's own disk, and as many more as make it more than half."""
    member = leader(peers=peers)
    sent = member.take(Append)
    for request in sent[: needed - 1]:
        member.step(answer(request))
    assert member.replica.commit == 0
    member.step(answer(sent[needed - 1]))
    assert member.replica.commit == 1
    assert len(member.committed) == 1


def test_the_same_follower_twice_is_no_majority() -> None:
    """§5.3: replicas count, not answers."""
    member = leader(peers=(2, 3, 4, 5))
    (request,) = [request for request in member.take(Append) if request.to == 2]
    member.step(answer(request))
    member.step(answer(request))
    assert member.replica.commit == 0


def test_a_leader_counts_itself_only_once_its_disk_is_done() -> None:
    """Ongaro 2014, §10.2.1: its disk is one of the majority, its memory is not."""
    member = leader()
    acknowledge(member, 2, 3)
    member.slow_disk = True
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    acknowledge(member, 2)
    assert member.replica.commit == 1
    member.finish_write()
    assert member.replica.commit == 2


def test_followers_alone_can_commit() -> None:
    """Ongaro 2014, §10.2.1: "The leader may even commit an entry before it has been written to
    its own disk, if a majority of followers have"."""
    member = leader()
    acknowledge(member, 2, 3)
    member.slow_disk = True
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    acknowledge(member, 2, 3)
    assert member.replica.commit == 2
    assert member.storage.last_index == 1


def test_a_refusal_commits_nothing() -> None:
    """§5.3: its index is where to try again, not what is there."""
    member = leader(1)
    for request in member.take(Append):
        member.step(answer(request, fits=False, index=1))
    assert member.replica.commit == 0


def test_entries_of_earlier_terms_are_not_committed_by_counting() -> None:
    """§5.4.2: "only log entries from the leader's current term are committed by counting
    replicas"; with the first of them, all before it are."""
    member = leader(1, 2)
    sent = member.take(Append)
    member.step(answer(sent[0], index=2))
    member.step(answer(sent[1], index=2))
    assert member.replica.commit == 0
    acknowledge(member, 2)
    assert member.replica.commit == 3
    assert [entry.index for entry in member.committed] == [1, 2, 3]


def test_an_entry_on_a_majority_can_still_be_overwritten() -> None:
    """Figure 8 (d): why the rule above. S1 spread its entry of term 2 to S2 and S3 in term 4 and
    died; S5 wins with its entry of term 3. No replica may have taken the entry for committed
    (`Cluster` and `InvariantBroken` see to that)."""
    old, new = entries_of(1, 2), entries_of(1, 3)
    disks = {
        1: disk(4, 1, old), 2: disk(4, 1, old), 3: disk(4, 1, old),
        4: disk(3, 5, entries_of(1)), 5: disk(3, 5, new),
    }  # fmt: skip
    cluster = Cluster(5, disks=disks, asleep=(4, 5))
    cluster.kill(1)
    cluster.start(4)
    cluster.start(5)
    cluster.pass_time(2 * TIMING.election_timeout)
    assert cluster.members[2].storage.entries == cluster.members[3].storage.entries == old
    cluster.elect(5)
    cluster.start(1)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert all(member.storage.entries[:2] == new for member in cluster.members.values())


def test_an_entry_committed_with_one_of_the_leaders_term_stays() -> None:
    """Figure 8 (e): once S1's entry of term 4 is on a majority, S5 can no longer win, though it may
    catch up and then win."""
    old, new = entries_of(1, 2), entries_of(1, 3)
    disks = {
        1: disk(3, 1, old), 2: disk(3, 1, old), 3: disk(3, 5, entries_of(1)),
        4: disk(3, 5, entries_of(1)), 5: disk(3, 5, new),
    }  # fmt: skip
    cluster = Cluster(5, disks=disks, asleep=(4, 5))
    cluster.elect(1)
    cluster.kill(1)
    cluster.start(4)
    cluster.start(5)
    cluster.pass_time(2 * TIMING.election_timeout)
    cluster.elect(5)
    cluster.pass_time(3 * TIMING.heartbeat)
    assert all(member.storage.entries[:2] == old for member in cluster.members.values())


def test_a_leader_never_changes_its_own_log() -> None:
    """Figure 3, leader append-only: no other replica leads in its term, so none may send it entries
    in that term."""
    member = leader(1)
    before = list(member.storage.entries)
    with pytest.raises(InvariantBroken, match="leads in term 2"):
        member.step(append(2, entries_of(2), leader=3))
    assert not member.ask(append(1, entries_of(1), leader=3)).fits
    assert member.storage.entries == before


def test_what_a_leader_before_left_uncommitted_is_kept() -> None:
    """§5.4: a new leader does not sort out what was committed; it commits what it has."""
    member = leader(1, 2, 2)
    acknowledge(member, 2)
    assert member.committed[:3] == entries_of(1, 2, 2)


def test_only_a_leader_proposes_or_confirms() -> None:
    """A deposed leader learns of it at the next thing that it wants to do."""
    member = leader()
    member.step(append(2, entries_of(1), leader=3))
    with pytest.raises(NotLeader):
        member.replica.propose([Opened(leader=1)])
    with pytest.raises(NotLeader):
        member.replica.confirm()
    with pytest.raises(NotLeader):
        _ = member.replica.opened


def test_followers_learn_what_is_committed() -> None:
    """§5.3: "it includes that index in future AppendEntries RPCs (including heartbeats)"."""
    cluster = Cluster()
    cluster.elect(3)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert {member.replica.commit for member in cluster.members.values()} == {1}


def test_a_cluster_of_one_elects_itself_and_commits() -> None:
    """A majority of one: there is no peer to ask, but its disk is waited for."""
    member = follower(peers=())
    member.slow_disk = True
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    assert member.replica.role is Role.CANDIDATE
    member.finish_write()
    assert member.replica.role is Role.LEADER
    assert member.replica.commit == 0
    member.finish_write()
    assert member.replica.commit == 1
    member.pass_time(10 * TIMING.election_timeout)
    assert member.replica.role is Role.LEADER


# Reads (§8).


def test_a_round_is_confirmed_by_a_majority_that_answered_it() -> None:
    """§8: "a leader must check whether it has been deposed before processing a read-only
    request", with messages sent after the request came."""
    member = leader(peers=(2, 3, 4, 5))
    acknowledge(member, 2, 3, 4, 5)
    round_ = member.replica.confirm()
    member.carry_out()
    sent = member.take(Append)
    assert {request.message.round for request in sent} == {round_}
    member.step(answer(sent[0]))
    assert member.confirmed < round_
    member.step(answer(sent[1]))
    assert member.confirmed == round_


def test_an_append_from_before_a_round_does_not_confirm_it() -> None:
    """§8: it may have been answered before another leader was elected."""
    member = leader()
    before = member.take(Append)
    round_ = member.replica.confirm()
    member.carry_out()
    for request in before:
        member.step(answer(request))
    assert member.confirmed < round_
    acknowledge(member, 2)
    assert member.confirmed == round_


def test_even_a_refusal_for_a_gap_confirms_a_round() -> None:
    """A follower that is behind follows nevertheless: it would not vote in this term."""
    member = leader(1)
    member.take(Append)
    member.step(append_reply_with(term=2, follower=2, fits=False, sent=2 * TIMING.election_timeout))
    round_ = member.replica.confirm()
    member.carry_out()
    member.step(
        AppendReply(
            term=2, follower=2, fits=False, index=0, round=round_, sent=2 * TIMING.election_timeout
        )
    )
    assert member.confirmed == round_


def test_what_an_earlier_leadership_asked_confirms_nothing_in_this() -> None:
    """An append of replica 3's first leadership is overtaken by its second. The answer names
    the term of the second; it must not be counted as that of a round begun there."""
    cluster = Cluster()
    cluster.open_market(3)
    cluster.pass_time(TIMING.heartbeat)
    asked = cluster.ask(3)
    overtaken = cluster.under_way(Append, 3, 2)
    assert [parcel.message.round for parcel in overtaken] == [1]
    cluster.pool.clear()
    cluster.cut(3)
    cluster.pass_time(2 * TIMING.election_timeout)
    assert asked.answer is not None
    assert not isinstance(asked.answer, int)
    cluster.heal()
    cluster.elect(3)
    cluster.pass_time(2 * TIMING.heartbeat)
    cluster.deliver_copy(overtaken[0])
    cluster.run()
    cluster.cut(3)
    asked = cluster.ask(3)
    cluster.run()
    assert asked.answer is None


# Times of entries, for people.


def at_times(member: Member, *milliseconds: int) -> list[int]:
    """When the entries were made that `member` proposes while its wall clock shows these."""
    made = []
    for shown in milliseconds:
        member.replica._milliseconds = lambda shown=shown: shown
        made += [entry.at_milliseconds for entry in member.replica.propose([Opened(leader=1)])]
    return made


def test_times_never_run_backwards_while_one_leads() -> None:
    assert at_times(leader(), 5000, 4000, 5001, 0) == [5000, 5000, 5001, 5001]


def test_times_never_run_backwards_from_one_leader_to_the_next() -> None:
    """Its clock is behind; and what the one before made is read from its disk."""
    entries = [encode_entry(GENESIS, 1, 1, 9000, Opened(leader=2))]
    member = Member(1, (2, 3), storage=disk(1, 0, entries))
    member.clock.now += 2 * TIMING.election_timeout
    member.win(2, 3)
    assert member.replica.log.entry_at(2).at_milliseconds == 9000
    assert at_times(member, 8000, 9001) == [9000, 9001]
