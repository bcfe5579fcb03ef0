"""What a replica that was away does: it asks the others, takes over what it lacks, and gives up
what was never committed. Whatever comes late, twice or never must not matter.
"""

from tests.fakes.cluster import Cluster, buy
from tests.fakes.member import (
    TIMING,
    Member,
    append,
    disk,
    entries_of,
    follower,
    hear_of_term,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.consensus.messages import (
    Append,
    Fetch,
    FetchReply,
    Poll,
    Reply,
    Vote,
)

LONG = 1.1 * TIMING.election_timeout


def restarted(*terms: int, term: int | None = None) -> Member:
    """Replica 1, just started with this log, and what it asked still unanswered."""
    latest = max((0, *terms)) if term is None else term
    member = Member(1, (2, 3), storage=disk(latest, 0, entries_of(*terms)))
    member.replica.start(0.0)
    member.carry_out()
    return member


def fetching(member: Member, term: int, last_index: int, last_term: int) -> Fetch:
    """Replica 3 is this far, replica 2 does not answer: what is asked of replica 3."""
    for poll in member.take(Poll):
        if poll.to == 3:
            member.step(
                poll_reply_with(
                    replica=3,
                    term=term,
                    last_index=last_index,
                    last_term=last_term,
                    nonce=poll.message.nonce,
                )
            )
        else:
            member.replica.unreachable(poll, member.clock.now)
    member.carry_out()
    (request,) = member.take(Fetch)
    assert request.to == 3
    return request.message


# What is asked, and answered.


def test_a_restarted_replica_fetches_what_it_missed() -> None:
    """From the furthest that answers; the leader appends the rest, and is not needed for this."""
    cluster = Cluster()
    cluster.open_market(3)
    cluster.kill(2)
    for number in range(5):
        cluster.trade(3, buy(f"key {number}"))
        cluster.run()
    cluster.kill(3)
    cluster.start(2)
    cluster.run()
    assert cluster.members[2].storage.entries == cluster.members[1].storage.entries
    assert cluster.members[2].replica.log.last_index == 7


def test_a_wiped_disk_is_filled_in_bounded_chunks() -> None:
    """However long the history is, no message is."""
    log = entries_of(*[1] * (2 * MAX_BATCH_ENTRIES + 50))
    disks = {1: disk(1, 2, log), 2: disk(1, 2, log), 3: MemoryStorage()}
    cluster = Cluster(disks=disks, asleep=(3,))
    cluster.start(3)
    chunks = []
    while cluster.pool:
        for reply in cluster.under_way(FetchReply):
            chunks.append(len(reply.message.entries))
        cluster.deliver(cluster.pool[0])
    assert cluster.members[3].storage.entries == log
    assert max(chunks) == MAX_BATCH_ENTRIES
    assert cluster.members[3].storage.term == 1


def test_a_fetch_is_answered_with_what_follows_the_askers_history() -> None:
    member = follower(1, 1, 2)
    log = entries_of(1, 1, 2)
    reply = member.ask(Fetch(replica=2, after=1, digest=log[0].digest))
    assert (reply.fits, list(reply.entries)) == (True, log[1:])
    assert (reply.term, reply.after, reply.last_index, reply.last_term) == (2, 1, 3, 2)
    assert list(member.ask(Fetch(replica=2, after=0, digest=GENESIS)).entries) == log
    assert member.ask(Fetch(replica=2, after=3, digest=log[2].digest)).fits


def test_a_fetch_from_another_history_does_not_fit() -> None:
    """The digest names all that the asker has, not only its last entry."""
    member = follower(1, 1, 2)
    other = entries_of(1, 1, 2, 2, maker=9)
    for entry in (other[1], other[2], other[3]):
        reply = member.ask(Fetch(replica=2, after=entry.index, digest=entry.digest))
        assert (reply.fits, list(reply.entries)) == (False, [])


def test_a_resync_raises_no_term_of_its_own_but_adopts_the_sources() -> None:
    """It is no campaign."""
    member = restarted(1, 1)
    fetch = fetching(member, term=4, last_index=3, last_term=2)
    assert member.replica.term == 1
    cluster = entries_of(1)[0].digest
    assert fetch == Fetch(
        replica=1, after=2, digest=entries_of(1, 1)[1].digest, cluster=cluster, to=3, snapshots=True
    )
    member.step(
        FetchReply(
            replica=3,
            term=4,
            after=2,
            fits=True,
            entries=entries_of(1, 1, 2)[2:],
            last_index=3,
            last_term=2,
        )
    )
    member.step(
        FetchReply(replica=3, term=4, after=3, fits=True, entries=(), last_index=3, last_term=2)
    )
    assert (member.storage.term, member.storage.vote) == (4, 0)
    assert member.storage.entries == entries_of(1, 1, 2)
    assert member.take(Vote) == []


def test_a_resync_from_nobody_ends_quietly() -> None:
    """All start at once, or this one is cut off: the leader's appends will do."""
    cluster = Cluster(asleep=(1, 2))
    cluster.cut(3)
    cluster.pass_time(LONG)
    cluster.start(1)
    cluster.start(2)
    cluster.heal()
    cluster.pass_time(LONG)
    cluster.elect(2)
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.members[3].storage.entries == cluster.members[2].storage.entries != []


def test_an_append_that_fits_ends_a_resync() -> None:
    """The leader does the rest; what was asked before is answered in vain."""
    member = restarted(1)
    fetching(member, term=3, last_index=9, last_term=3)
    member.step(append(3, entries_of(1, 3), after=1))
    member.take(Fetch)
    member.step(
        FetchReply(
            replica=3,
            term=3,
            after=1,
            fits=True,
            entries=entries_of(1, 2)[1:],
            last_index=9,
            last_term=3,
        )
    )
    assert member.storage.entries == entries_of(1, 3)
    assert member.take(Fetch) == []


def test_an_append_that_does_not_fit_leaves_a_resync_alone() -> None:
    """The leader backs up while the replica fetches; either may be first."""
    log = entries_of(1, 1, 1)
    member = restarted(1)
    fetching(member, term=1, last_index=3, last_term=1)
    assert not member.ask(append(1, log, after=2)).fits
    member.step(
        FetchReply(
            replica=3, term=1, after=1, fits=True, entries=log[1:], last_index=3, last_term=1
        )
    )
    assert member.storage.entries == log


# What was never committed is given up.


def test_a_divergent_suffix_is_truncated() -> None:
    """Replica 3 led, wrote trades that no other replica has, and died; the others went on."""
    cluster = Cluster()
    cluster.open_market(3)
    cluster.cut(3)
    lost = cluster.trade(3, buy("one"), buy("two"), buy("three"))
    cluster.kill(3)
    cluster.pool.clear()
    assert lost.outcomes == [None] * 3
    assert cluster.storages[3].last_index == 5
    cluster.heal()
    cluster.pass_time(LONG)
    cluster.elect(2)
    cluster.start(3)
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.storages[3].entries == cluster.storages[2].entries
    assert cluster.storages[3].last_index == 3


def test_the_search_for_the_common_history_takes_longer_steps_each_time() -> None:
    """A divergent suffix of hundreds of entries is not gone back through one by one."""
    mine, theirs = (1,) * 100 + (2,) * 900, (1,) * 100 + (3,) * 900
    disks = {1: disk(2, 1, entries_of(*mine)), 2: disk(3, 2, entries_of(*theirs))}
    cluster = Cluster(2, disks=disks, asleep=(1,))
    cluster.start(1)
    asked = []
    while cluster.pool:
        asked += [fetch.message.after for fetch in cluster.under_way(Fetch)]
        cluster.deliver(cluster.pool[0])
    assert cluster.storages[1].entries == entries_of(*theirs)
    assert len(set(asked)) < 15


def test_a_fetch_does_not_go_back_beyond_what_is_committed() -> None:
    """Each replica that is further has all committed entries (§5.4.3)."""
    member = restarted(1, 1, 2, 2)
    member.step(append(2, entries_of(1, 1, 2, 2), after=3, upto=3, commit=3))
    member.pass_time(LONG)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    fetch = fetching(member, term=3, last_index=9, last_term=3)
    asked = [fetch.after]
    for _ in range(3):
        member.step(
            FetchReply(
                replica=3,
                term=3,
                after=asked[-1],
                fits=False,
                entries=(),
                last_index=9,
                last_term=3,
            )
        )
        asked += [request.message.after for request in member.take(Fetch)]
    assert asked == [4, 3, 3, 3]


def test_entries_that_are_there_already_are_not_truncated() -> None:
    """An answer to a question from further back brings what this replica has by now."""
    log = entries_of(1, 1, 1, 1)
    member = restarted(1, 1, 1, 1)
    fetching(member, term=1, last_index=5, last_term=1)
    member.slow_disk = True
    member.step(
        FetchReply(
            replica=3, term=1, after=1, fits=True, entries=log[1:3], last_index=5, last_term=1
        )
    )
    assert member.replica.log.last_index == 4
    assert member.write is None


# What comes late, twice or in another order.


def test_a_fetch_that_is_answered_twice_is_harmless() -> None:
    """All answers come twice, the second time after everything else."""
    log = entries_of(*[1] * 5, *[3] * (MAX_BATCH_ENTRIES + 9))
    disks = {1: disk(2, 1, entries_of(*[1] * 5, *[2] * 20)), 2: disk(3, 2, log)}
    cluster = Cluster(2, disks=disks, asleep=(1,))
    cluster.start(1)
    seen = []
    while cluster.pool:
        parcel = cluster.pool[0]
        cluster.deliver(parcel)
        if isinstance(parcel.message, FetchReply):
            cluster.deliver_copy(parcel)
            seen.append(parcel)
        assert len(seen) < 200
    for parcel in seen:
        cluster.deliver_copy(parcel)
    cluster.run()
    assert cluster.storages[1].entries == log


def test_a_late_answer_to_a_fetch_of_a_log_that_changed_is_harmless() -> None:
    """A leader replaced what this replica asked about; then, in a later campaign, the answer
    to the old question comes from the replica that is being fetched from again."""
    member = restarted(*[1] * 10)
    fetch = fetching(member, term=3, last_index=12, last_term=3)
    assert fetch.after == 10
    theirs = entries_of(*[1] * 4, 2)
    member.step(append(2, theirs, after=4))
    assert member.replica.log.last_index == 5
    member.pass_time(LONG)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    assert fetching(member, term=3, last_index=12, last_term=3).after == 5
    member.step(
        FetchReply(replica=3, term=3, after=10, fits=False, entries=(), last_index=12, last_term=3)
    )
    assert all(request.message.after <= 5 for request in member.take(Fetch))
    late = entries_of(*[1] * 10, 3, 3)[10:]
    member.step(
        FetchReply(replica=3, term=3, after=10, fits=True, entries=late, last_index=12, last_term=3)
    )
    assert all(request.message.after <= 5 for request in member.take(Fetch))
    assert member.storage.entries == theirs


def test_a_source_that_fell_back_is_left() -> None:
    """It lost what it had not written, or a leader truncated it: it has nothing to give."""
    log = entries_of(1, 1, 2)
    member = restarted(1, 1)
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to,
                term=2,
                last_index=poll.to + 2,
                last_term=2,
                nonce=poll.message.nonce,
            )
        )
    assert [request.to for request in member.take(Fetch)] == [3]
    member.step(
        FetchReply(replica=3, term=2, after=2, fits=True, entries=(), last_index=2, last_term=1)
    )
    assert [request.to for request in member.take(Fetch)] == [2]
    member.step(
        FetchReply(
            replica=2, term=2, after=2, fits=True, entries=log[2:], last_index=3, last_term=2
        )
    )
    assert member.storage.entries == log


def test_what_was_fetched_is_no_acknowledgement() -> None:
    """A replica counts for what is committed only through the appends that it acknowledged."""
    cluster = Cluster()
    leader = cluster.elect(3)
    cluster.cuts = {(3, 1), (1, 3), (3, 2), (2, 3)}
    leader.replica.propose(leader.replica.log.entry_at(1).event for _ in range(3))
    cluster.carry_out(leader)
    cluster.pool.clear()
    cluster.kill(2)
    cluster.cuts = {(3, 1), (1, 3)}
    cluster.start(2)
    for _ in range(20):
        for parcel in list(cluster.pool):
            appends = isinstance(parcel.call.request.message, Append)
            cluster.drop(parcel) if appends else cluster.deliver(parcel)
    assert cluster.storages[2].last_index == 4
    assert leader.replica.commit == 1


# Acknowledgements that a crash, or a new leader, makes untrue.


def test_what_was_not_written_is_lost_with_the_process() -> None:
    """And was not acknowledged."""
    first = follower(1)
    first.slow_disk = True
    assert first.ask(append(1, entries_of(1, 1, 1), after=1)) is None
    assert Member(1, (2, 3), storage=first.storage).replica.log.last_index == 1


def test_an_acknowledgement_is_not_given_once_its_entries_are_truncated_unwritten() -> None:
    """Entry 2 of term 1 is accepted while the disk is busy with entry 1, and before it is
    written at all a leader of term 2 puts another in its place. The write that follows is
    what the acknowledgement waited for; but it no longer holds what was to be acknowledged."""
    member = follower()
    member.slow_disk = True
    old, new = entries_of(1, 1), entries_of(1, 2)
    member.step(append(1, old, upto=1), "first")
    member.step(append(1, old, after=1, round_=7), "old")
    member.step(append(2, new, after=1, leader=3), "new")
    member.finish_write()
    assert [reply.ticket for reply in member.take(Reply)] == ["first"]
    member.finish_write()
    replies = {reply.ticket: reply.message for reply in member.take(Reply)}
    assert member.storage.entries == new
    assert (replies["old"].fits, replies["old"].term) == (False, 2)
    assert (replies["old"].index, replies["old"].round) == (2, 0)
    assert (replies["new"].fits, replies["new"].index) == (True, 2)


def test_an_acknowledgement_of_what_is_on_disk_is_given_though_the_term_moved_on() -> None:
    """It was accepted in its term, and written: the next leader has it, if it was needed."""
    member = follower()
    member.slow_disk = True
    member.step(append(1, entries_of(1)), "old")
    assert member.write is not None
    hear_of_term(member, 2)
    member.finish_write()
    replies = {reply.ticket: reply.message for reply in member.take(Reply)}
    assert (replies["old"].fits, replies["old"].term, replies["old"].index) == (True, 1, 1)


def test_what_is_acknowledged_and_then_fetched_away_is_sent_again() -> None:
    """A replica acknowledges old entries, the first chunk of a long log, to the leader of term
    3, and restarts. The leader is not heard just then, and the replica takes over a log whose
    last term is later: so it no longer has what it acknowledged. That is safe, for nothing of
    the leader's own term is among it; but the leader must take notice, and begin anew."""
    long = MAX_BATCH_ENTRIES + 50
    leading = leader(*[1] * long, term=2)
    life = Member(2, (1, 3), storage=disk(2, 1, entries_of(1)))
    for _ in range(2):
        (request,) = [request for request in leading.take(Append) if request.to == 2]
        leading.step(life.ask(request.message))
    assert life.storage.last_index == 1 + MAX_BATCH_ENTRIES
    (lost,) = [request for request in leading.take(Append) if request.to == 2]
    leading.replica.unreachable(lost, leading.clock.now)

    life = Member(2, (1, 3), storage=life.storage)
    life.replica.start(0.0)
    life.carry_out()
    theirs = entries_of(1, 2)
    for poll in life.take(Poll):
        if poll.to == 3:
            life.step(poll_reply_with(replica=3, term=2, last_index=2, last_term=2))
        else:
            life.replica.unreachable(poll, 0.0)
    life.carry_out()
    while fetches := life.take(Fetch):
        asked = fetches[0].message.after
        life.step(
            FetchReply(
                replica=3,
                term=2,
                after=asked,
                fits=asked < 2,
                entries=theirs[asked:],
                last_index=2,
                last_term=2,
            )
        )
    assert life.storage.entries == theirs
    assert life.storage.term == 3

    for _ in range(9):
        for request in leading.take(Append):
            if request.to == 2:
                leading.step(life.ask(request.message))
        leading.pass_time(TIMING.heartbeat)
    assert life.storage.entries == leading.storage.entries
    assert leading.replica.commit == long + 1


def test_a_snapshot_that_is_lost_late_gives_up_no_other() -> None:
    """By then the replica may want that of another peer."""
    member = follower(1, 1)
    member.replica.snapshot_from = 3
    member.replica.snapshot_lost(2, member.clock.now)
    assert member.replica.snapshot_from == 3
    member.replica.snapshot_lost(3, member.clock.now)
    assert member.replica.snapshot_from == 0
