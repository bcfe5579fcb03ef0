"""Learners: what a leader tells the catalogs, and how long clients' answers wait for them."""

import msgspec
import pytest

from tests.fakes.cluster import Cluster, Learner, buy
from tests.fakes.member import (
    TICK,
    TIMING,
    Member,
    append_reply_with,
    disk,
    entries_of,
    hear_of_term,
)
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.consensus.entries import GENESIS, Opened
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.leases import Stamp
from twisted_bazaar.order.desk import Placed

CATALOG = "catalog"


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads an open market; the catalog knows all of it, and holds a lease."""
    cluster = Cluster(learners=[CATALOG])
    cluster.open_market(3)
    cluster.pass_time(TIMING.lease + 2 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].applied == cluster.members[3].replica.released == 2
    assert cluster.learners[CATALOG].lease.alive(cluster.clock.now)
    return cluster


def lone_leader(*terms: int, learners: tuple[str, ...] = (CATALOG,)) -> Member:
    """Replica 1 of one, which has this log and leads the next term."""
    member = Member(1, (), learners, disk(max((0, *terms)), 0, entries_of(*terms)))
    member.clock.now += 2 * TIMING.election_timeout
    member.win()
    return member


def applies(member: Member) -> list[Apply]:
    return [request.message for request in member.take(Apply)]


def answer(message: Apply, applied: int, digest: str) -> ApplyReply:
    """What one answers that has released all that it has applied."""
    stamp = Stamp(1, message.sent)
    return ApplyReply(
        term=message.term,
        applied=applied,
        digest=digest,
        released=applied,
        stamp=stamp,
        holds=False,
        sent=message.sent,
    )


# What they are told.


def test_a_learner_learns_what_is_committed_and_nothing_else(cluster: Cluster) -> None:
    """A follower may have to give up what it was sent; a catalog's clients have seen it."""
    cluster.cut(1)
    cluster.cut(2)
    cluster.trade(3, buy("key"))
    cluster.pass_time(TIMING.heartbeat)
    assert cluster.members[3].replica.log.last_index == 3
    assert cluster.learners[CATALOG].applied == 2
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].applied == 3
    assert cluster.learners[CATALOG].ledger.stocks == cluster.members[3].desk.ledger.stocks


def test_a_learner_does_not_count_for_a_majority(cluster: Cluster) -> None:
    """No acknowledgement rests on its disk, and it has no vote."""
    cluster.kill(1)
    cluster.kill(2)
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(TIMING.election_timeout / 2)
    assert cluster.members[3].replica.role is Role.LEADER
    assert (cluster.members[3].replica.commit, batch.outcomes) == (2, [None])
    cluster.pass_time(TIMING.election_timeout)
    assert cluster.members[3].replica.role is Role.FOLLOWER


def test_a_learner_that_lost_its_state_is_sent_everything(cluster: Cluster) -> None:
    """It says how far it is, and the leader goes back to there, however far."""
    cluster.learners[CATALOG] = Learner(CATALOG)
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].applied == 2
    assert cluster.learners[CATALOG].rebuilds == 0


def test_a_learner_that_is_behind_a_new_leader_is_brought_up(cluster: Cluster) -> None:
    cluster.cut(CATALOG)
    cluster.trade(3, buy("key"), buy("another"))
    cluster.pass_time(TIMING.heartbeat)
    cluster.kill(3)
    cluster.pass_time(2 * TIMING.election_timeout)
    cluster.heal()
    cluster.elect(2)
    cluster.pass_time(3 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].applied == cluster.members[2].replica.commit == 5


def test_a_learner_is_sent_a_bounded_number_of_entries_at_once() -> None:
    """The first finds out how far it is."""
    member = lone_leader(*[1] * (MAX_BATCH_ENTRIES + 4))
    learner = Learner(CATALOG)
    sizes = []
    for _ in range(4):
        for message in applies(member):
            sizes.append(len(message.entries))
            member.step(learner.apply(message, member.clock.now))
        member.pass_time(TIMING.heartbeat)
    assert sizes == [1, MAX_BATCH_ENTRIES, 5, 0]
    assert learner.applied == MAX_BATCH_ENTRIES + 5


def test_an_idle_learner_hears_the_leader_every_heartbeat(cluster: Cluster) -> None:
    cluster.clock.now += TIMING.heartbeat
    cluster.carry_out(cluster.members[3])
    (parcel,) = cluster.under_way(Apply)
    assert not parcel.message.entries
    assert parcel.message.previous_digest == cluster.learners[CATALOG].digest


def test_a_new_leader_tells_learners_nothing_before_it_committed_an_entry_of_its_own() -> None:
    """Until then it does not know all that is committed (§5.4.2, §8), and a catalog that came
    as far as it knows would be taken for current."""
    member = Member(1, (2, 3), (CATALOG,), disk(1, 0, entries_of(1, 1, 1)))
    member.clock.now += 2 * TIMING.election_timeout
    member.win(2)
    member.pass_time(TIMING.heartbeat)
    assert applies(member) == []
    member.step(append_reply_with(term=2, follower=2, index=4, sent=member.clock.now))
    (message,) = applies(member)
    assert (message.commit, [entry.index for entry in message.entries]) == (4, [4])
    assert message.history == message.entries[0].digest, "no other leadership has this entry"


# Learners of another history.


@pytest.mark.parametrize("theirs", [(1, 1, 1, 1, 1, 1, 1, 1), (1, 3), (3,)])
def test_a_learner_of_another_history_is_told_to_rebuild(theirs: tuple[int, ...]) -> None:
    """It is ahead of a leader's log, or has other entries: every committed entry is in the
    log of a leader (§5.4.3), so what it has comes from a log that was lost."""
    member = lone_leader(1, 1, 2)
    learner = Learner(CATALOG)
    last = entries_of(*theirs)[-1]
    learner.projection.position = Position(last.index, last.digest)
    for _ in range(4):
        for message in applies(member):
            member.step(learner.apply(message, member.clock.now))
        member.pass_time(TIMING.heartbeat)
    assert learner.rebuilds == 1
    assert (learner.applied, learner.digest) == (4, member.replica.log.last_digest)


def test_a_rebuild_begins_at_the_beginning_and_is_said_once() -> None:
    member = lone_leader(1, 1)
    (message,) = applies(member)
    member.step(answer(message, 3, "of another history"))
    member.pass_time(TIMING.heartbeat)
    (message,) = applies(member)
    assert (message.rebuild, message.previous_index, len(message.entries)) == (True, 0, 3)
    assert message.previous_digest == GENESIS
    member.step(answer(message, 3, member.replica.log.last_digest))
    member.pass_time(TIMING.heartbeat)
    (message,) = applies(member)
    assert not message.rebuild


def test_no_answer_waits_for_a_learner_of_another_history() -> None:
    """It holds no lease that this leader gave: it has to forget what it shows. Here it answers,
    and does not, for longer than a lease."""
    member = lone_leader(1, 1)
    for _ in range(round(TIMING.lease / TIMING.heartbeat) + 1):
        for message in applies(member):
            member.step(answer(message, 3, "of another history"))
        member.pass_time(TIMING.heartbeat)
    assert member.replica.released == 3
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    assert member.replica.released == member.replica.commit == 4


def test_a_learner_that_heard_a_later_leader_deposes(cluster: Cluster) -> None:
    """It is not told to rebuild for being ahead: this leader is behind."""
    learner = cluster.learners[CATALOG]
    learner.projection.position = Position(44, "from a later leader", term=9)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert learner.rebuilds == 0
    assert cluster.members[3].replica.role is Role.FOLLOWER
    assert cluster.members[3].replica.term == 9


# What is proposed.


def test_the_lease_holder_hears_of_an_entry_before_it_is_committed(cluster: Cluster) -> None:
    learner, leader = cluster.learners[CATALOG], cluster.members[3].replica
    batch = cluster.trade(3, buy("key"))
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    assert (leader.commit, learner.applied, learner.projection.tip) == (2, 2, 3)
    assert batch.outcomes == [None], "cleared is not enough"
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


def test_a_catalog_hears_of_a_commit_at_once(cluster: Cluster) -> None:
    """Lookups wait for that: no time passes here."""
    cluster.trade(3, buy("key"))
    cluster.run()
    assert cluster.learners[CATALOG].applied == cluster.members[3].replica.commit == 3


def test_a_catalog_hears_of_a_commit_while_another_entry_is_being_cleared(
    cluster: Cluster,
) -> None:
    """Its answer to what was proposed since may take a heartbeat."""
    learner, leader = cluster.learners[CATALOG], cluster.members[3].replica
    first = cluster.trade(3, buy("first"))
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    cluster.trade(3, buy("second"))
    cluster.run(leave=lambda p: p.to in (1, 2) or isinstance(p.message, ApplyReply))
    assert learner.projection.tip == 4
    cluster.run(leave=lambda parcel: isinstance(parcel.message, ApplyReply))
    assert first.outcomes == [Placed(1, replayed=False, price=1599)]
    assert leader.released == learner.applied == 3


def test_a_standby_hears_of_what_is_committed_only() -> None:
    cluster = Cluster(learners=(CATALOG, "standby"))
    cluster.open_market(3)
    cluster.pass_time(3 * TIMING.lease)
    cluster.trade(3, buy("key"))
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    tips = sorted(learner.projection.tip for learner in cluster.learners.values())
    assert tips == [2, 3]
    cluster.run()
    assert {learner.applied for learner in cluster.learners.values()} == {3}


def test_a_catalog_that_takes_no_proposals_is_not_sent_them_again_and_again(
    cluster: Cluster,
) -> None:
    """It is of an earlier release: it learns what is committed, and trades wait for that."""
    cluster.learners[CATALOG].takes_proposals = False
    batch = cluster.trade(3, buy("key"))
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    assert cluster.learners[CATALOG].projection.tip == 2
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]
    assert cluster.learners[CATALOG].applied == 3


def test_what_a_catalog_takes_in_two_messages_it_is_sent_in_two(cluster: Cluster) -> None:
    leader = cluster.members[3]
    leader.replica.propose([Opened(leader=3)] * (MAX_BATCH_ENTRIES + 5))
    cluster.carry_out(leader)
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    assert cluster.learners[CATALOG].projection.tip == cluster.members[3].replica.log.last_index


# How long answers wait for them. Who gets a lease is in `test_leases.py`.


def test_an_answer_waits_until_the_learner_has_cleared_it(cluster: Cluster) -> None:
    """Committed is not enough: no lookup may show the older quantity afterwards."""
    batch = cluster.trade(3, buy("key"))
    cluster.run(leave=lambda parcel: isinstance(parcel.message, ApplyReply))
    assert cluster.learners[CATALOG].projection.tip == cluster.members[3].replica.commit == 3
    assert batch.outcomes == [None]
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


def test_what_a_learner_has_applied_and_not_released_is_not_shown_yet(cluster: Cluster) -> None:
    """One of its front-ends may still show the older quantity."""
    cluster.learners[CATALOG].releases = 2
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(3 * TIMING.lease)
    assert cluster.learners[CATALOG].applied == 3
    assert batch.outcomes == [None]
    cluster.learners[CATALOG].releases = 3
    cluster.pass_time(2 * TIMING.heartbeat)
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


def test_a_dead_learner_delays_answers_by_one_lease_once(cluster: Cluster) -> None:
    """It may show what it has as long as its lease lasts, so that long is waited, no longer."""
    cluster.cut(CATALOG)
    first = cluster.trade(3, buy("first"))
    cluster.pass_time(TIMING.lease - 2 * TIMING.heartbeat)
    assert first.outcomes == [None]
    cluster.pass_time(3 * TIMING.heartbeat)
    assert first.outcomes == [Placed(1, replayed=False, price=1599)]
    second = cluster.trade(3, buy("second"))
    cluster.run()
    assert second.outcomes == [Placed(2, replayed=False, price=1599)]


def test_a_learner_that_comes_back_is_waited_for_again(cluster: Cluster) -> None:
    cluster.cut(CATALOG)
    cluster.pass_time(2 * TIMING.lease)
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    cluster.cut(CATALOG)
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(TIMING.heartbeat)
    assert (cluster.members[3].replica.commit, batch.outcomes) == (3, [None])


def test_no_answer_waits_for_one_that_holds_no_lease() -> None:
    """Only one does; the others stand by, and clients are shown nothing by them."""
    cluster = Cluster(learners=["reader", "standby"])
    cluster.open_market(3)
    cluster.cut("standby")
    cluster.pass_time(TIMING.lease + 2 * TIMING.heartbeat)
    cluster.heal()
    cluster.pass_time(TIMING.lease)
    cluster.cut("standby")
    batch = cluster.trade(3, buy("key"))
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]
    cluster.cuts.clear()
    cluster.cut("reader")
    batch = cluster.trade(3, buy("another"))
    cluster.pass_time(TIMING.lease / 2)
    assert cluster.learners["standby"].applied == 4
    assert batch.outcomes == [None]


def test_a_new_leader_waits_for_the_slowest_of_all_learners() -> None:
    """For one lease, as it does not know which of them holds one."""
    cluster = Cluster(learners=["here", "gone"])
    cluster.cut("gone")
    cluster.open_market(3)
    assert cluster.learners["here"].applied == cluster.members[3].replica.commit == 2
    cluster.pass_time(TIMING.lease / 2)
    assert cluster.members[3].replica.released == 0
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.members[3].replica.released == 2


def test_a_new_leader_waits_for_the_learners_of_the_one_before() -> None:
    """It does not know which of them hold a lease, so it waits for all, for one lease."""
    cluster = Cluster(learners=[CATALOG])
    cluster.open_market(3)
    cluster.pass_time(2 * TIMING.lease)
    cluster.cut(CATALOG, 3)
    cluster.pass_time(2 * TIMING.election_timeout)
    cluster.nominate(2)
    cluster.pass_time(TIMING.heartbeat)
    won = cluster.clock.now
    batch = cluster.trade(2, buy("key"))
    cluster.pass_time(TIMING.lease - 2 * TIMING.heartbeat)
    assert cluster.members[2].replica.commit == 4
    assert batch.outcomes == [None]
    cluster.pass_time(won + TIMING.lease + TICK - cluster.clock.now)
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


def test_a_learner_that_must_begin_anew_takes_nothing_back() -> None:
    """What clients have seen stays seen."""
    member = lone_leader(1, 1)
    (message,) = applies(member)
    member.step(answer(message, 3, member.replica.log.last_digest))
    assert member.replica.released == 3
    member.step(answer(message, 0, GENESIS))
    assert member.replica.released == 3


def test_followers_learn_what_is_released(cluster: Cluster) -> None:
    """They answer for released orders, too, and the next leader begins with what it knows."""
    cluster.cut(CATALOG)
    cluster.trade(3, buy("key"))
    cluster.pass_time(2 * TIMING.heartbeat)
    assert {member.replica.commit for member in cluster.members.values()} == {3}
    assert {member.replica.released for member in cluster.members.values()} == {2}
    cluster.pass_time(TIMING.lease + TIMING.heartbeat)
    assert {member.replica.released for member in cluster.members.values()} == {3}
    assert {member.desk.released_number for member in cluster.members.values()} == {1}


def test_an_apply_that_is_lost_is_sent_again(cluster: Cluster) -> None:
    """After a pause, as appends are."""
    cluster.cut(CATALOG)
    cluster.trade(3, buy("key"))
    cluster.run()
    assert cluster.under_way(Apply) == []
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].applied == 3


def test_answers_that_come_late_or_twice_release_nothing_that_is_not_applied() -> None:
    """An answer of an earlier life of the learner counts for what it said, and no more."""
    member = lone_leader(1)
    learner = Learner(CATALOG)
    seen = []
    while not learner.lease.alive(member.clock.now):
        for message in applies(member):
            seen.append(learner.apply(message, member.clock.now))
            member.step(seen[-1])
        member.pass_time(TIMING.heartbeat)
    assert member.replica.released == 2
    member.replica.propose([Opened(leader=1)])
    member.carry_out()
    for reply in seen:
        member.step(reply)
    assert (member.replica.commit, member.replica.released) == (3, 2)
    stale = msgspec.structs.replace(seen[-1], term=0)
    member.step(stale)
    assert member.replica.role is Role.LEADER


# What is released where no replica leads.


def test_a_follower_that_hears_no_leader_releases_nothing_for_four_leases(
    cluster: Cluster,
) -> None:
    """What it knows to be committed has come to all who may show something by then, or their
    leases have run out."""
    cluster.learners[CATALOG].releases = 2
    cluster.trade(3, buy("key"))
    cluster.pass_time(2 * TIMING.heartbeat)
    cluster.cut(1)
    cluster.pass_time(4 * TIMING.lease - TIMING.heartbeat)
    assert (cluster.members[1].replica.commit, cluster.members[1].replica.released) == (3, 2)
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.members[1].replica.released == 3
    assert cluster.members[1].desk.released_number == 1


def test_one_that_led_counts_from_when_it_led_last(cluster: Cluster) -> None:
    """However long ago it is that it heard another: what it committed a moment ago may be shown
    nowhere yet."""
    leading = cluster.members[3]
    cluster.pass_time(4 * TIMING.lease)
    cluster.learners[CATALOG].releases = 2
    cluster.trade(3, buy("key"))
    cluster.run()
    hear_of_term(leading, leading.replica.term + 1)
    cluster.cut(3)
    cluster.pass_time(4 * TIMING.lease - TIMING.heartbeat)
    assert (leading.replica.role, leading.replica.commit) == (Role.FOLLOWER, 3)
    assert leading.replica.released == 2
    cluster.pass_time(2 * TIMING.heartbeat)
    assert leading.replica.released == 3


def test_one_that_leads_again_holds_back_what_it_held_back_before(cluster: Cluster) -> None:
    """A client that asks again with its key is not answered before the catalog shows it."""
    leading = cluster.members[3]
    cluster.pass_time(4 * TIMING.lease)
    cluster.learners[CATALOG].releases = 2
    cluster.trade(3, buy("key"))
    cluster.run()
    cluster.cut(3)
    cluster.pass_time(TIMING.election_timeout + 2 * TICK)
    assert leading.replica.role is Role.FOLLOWER
    cluster.heal()
    cluster.elect(3)
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.learners[CATALOG].lease.alive(cluster.clock.now)
    assert batch.outcomes == [None]
    cluster.learners[CATALOG].releases = 4
    cluster.pass_time(2 * TIMING.heartbeat)
    assert batch.outcomes == [Placed(1, replayed=True, price=1599)]
