"""How a nomination ends: who nominated is told, and at most one of those nominated leads."""

from collections import Counter

from tests.fakes.cluster import Cluster, buy
from tests.fakes.member import (
    TICK,
    TIMING,
    Member,
    append,
    disk,
    entries_of,
    follower,
    poll_reply_with,
)
from twisted_bazaar.consensus.messages import (
    CampaignReply,
    Fetch,
    FetchReply,
    Poll,
    Reply,
    Vote,
)
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import OutcomeUnknown

LONG = TIMING.election_timeout + TICK


def roles(cluster: Cluster) -> dict[int, Role]:
    return {id: member.replica.role for id, member in sorted(cluster.members.items())}


def test_everybody_who_nominated_is_told_the_end() -> None:
    """Two front-ends nominate the same replica, one while it asks around already."""
    cluster = Cluster()
    cluster.nominate(3, "first")
    cluster.nominate(3, "second")
    cluster.pass_time(TIMING.heartbeat)
    won = CampaignReply(leader=3, term=1, wait=0.0)
    assert cluster.answers == {"first": won, "second": won}


def test_two_nominated_at_once_make_one_leader() -> None:
    """Two front-ends see the network differently. One may win, or none; asking again helps."""
    cluster = Cluster()
    cluster.nominate(3, "of the first")
    cluster.nominate(2, "of the second")
    cluster.pass_time(2 * LONG)
    assert cluster.answers.keys() == {"of the first", "of the second"}
    if Role.LEADER not in roles(cluster).values():
        cluster.elect(3)
    assert Counter(roles(cluster).values()) == {Role.FOLLOWER: 2, Role.LEADER: 1}


def test_a_candidate_gives_up_after_an_election_timeout() -> None:
    """Its vote requests, or the votes, are lost. It says so, and can be asked again."""
    member = follower()
    member.stand()
    member.pass_time(TIMING.election_timeout)
    assert member.replica.role is Role.CANDIDATE
    member.pass_time(TICK)
    assert member.replica.role is Role.FOLLOWER
    assert member.take(Reply) == [Reply("nomination", CampaignReply(leader=0, term=1, wait=0.0))]
    member.win(2, 3)
    assert member.replica.role is Role.LEADER


def test_a_campaign_that_ends_without_a_winner_names_no_leader() -> None:
    """The leader of the term before is gone. To name it would end the front-ends' search."""
    member = follower()
    member.step(append(1, entries_of(1), leader=3))
    member.pass_time(LONG)
    member.take(Reply)
    member.stand()
    member.pass_time(LONG)
    assert member.take(Reply) == [Reply("nomination", CampaignReply(leader=0, term=2, wait=0.0))]


def test_a_campaign_ends_when_another_is_voted_for() -> None:
    """It asks around for itself, and is asked for its vote meanwhile: the other is ahead."""
    member = follower()
    member.replica.campaign("nomination", member.clock.now)
    assert member.ask(Vote(term=1, candidate=3, last_index=0, last_term=0)).granted
    assert member.replica.role is Role.FOLLOWER
    for poll in member.take(Poll):
        member.step(poll_reply_with(replica=poll.to, nonce=poll.message.nonce))
    assert member.take(Vote) == []


def test_a_campaign_ends_when_a_leader_is_heard() -> None:
    member = follower()
    member.replica.campaign("nomination", member.clock.now)
    member.step(append(1, entries_of(1), leader=3), "append")
    replies = {reply.ticket: reply.message for reply in member.take(Reply)}
    assert replies["nomination"] == CampaignReply(leader=3, term=1, wait=0.0)


def test_a_nomination_during_a_resync_takes_over() -> None:
    """What the resync asked is answered late, and then of no use."""
    log = entries_of(1, 1, 2)
    member = Member(1, (2, 3), storage=disk(1, 0, log[:1]))
    member.replica.start(0.0)
    member.carry_out()
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to, term=2, last_index=3, last_term=2, nonce=poll.message.nonce
            )
        )
    (resync,) = member.take(Fetch)
    member.pass_time(LONG)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    late = FetchReply(
        replica=resync.to, term=2, after=1, fits=True, entries=log[1:], last_index=3, last_term=2
    )
    member.step(late)
    assert member.replica.log.last_index == 1
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to, term=2, last_index=3, last_term=2, nonce=poll.message.nonce
            )
        )
    (fetch,) = member.take(Fetch)
    member.step(late)
    assert member.storage.entries == log
    assert [request.message.after for request in member.take(Fetch)] == [3]
    member.step(
        FetchReply(
            replica=fetch.to, term=2, after=3, fits=True, entries=(), last_index=3, last_term=2
        )
    )
    assert {request.message.last_index for request in member.take(Vote)} == {3}


def test_a_deposed_leader_answers_what_it_holds() -> None:
    """By CheckQuorum, too, not only by a higher term: no caller waits for the next leader."""
    cluster = Cluster()
    cluster.open_market(3)
    cluster.cut(3)
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(2 * LONG)
    assert isinstance(batch.outcomes[0], OutcomeUnknown)


def test_five_elect_after_two_die() -> None:
    cluster = Cluster(5)
    cluster.elect(5)
    cluster.kill(5)
    cluster.kill(4)
    cluster.pass_time(LONG)
    cluster.nominate(3)
    cluster.pass_time(TIMING.heartbeat)
    assert roles(cluster) == {1: Role.FOLLOWER, 2: Role.FOLLOWER, 3: Role.LEADER}


def test_no_campaign_succeeds_without_a_majority_alive() -> None:
    cluster = Cluster(5)
    cluster.elect(5)
    for id in (5, 4, 3):
        cluster.kill(id)
    cluster.pass_time(LONG)
    cluster.nominate(2)
    cluster.pass_time(LONG)
    assert roles(cluster) == {1: Role.FOLLOWER, 2: Role.FOLLOWER}
    assert {member.replica.term for member in cluster.members.values()} == {1}
