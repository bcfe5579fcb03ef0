"""A replica that may have forgotten what it said: it says nothing until it has asked all."""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TIMING,
    Member,
    append,
    append_with,
    entries_of,
    poll_reply_with,
)
from twisted_bazaar.consensus.entries import MemberInfo
from twisted_bazaar.consensus.log import MemoryStorage, Write
from twisted_bazaar.consensus.messages import (
    Append,
    CampaignReply,
    Declined,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Reply,
    Vote,
)
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import Unusable

LONG = 3 * TIMING.election_timeout
LOG = entries_of(1, 1, 2)


def suspect(peers: tuple[int, ...] = (2, 3), *, fresh: bool = False) -> Member:
    """Replica 1, which has just started on such a storage."""
    member = Member(1, peers, storage=MemoryStorage(suspect="a line is damaged", fresh=fresh))
    member.replica.start(member.clock.now)
    member.pass_time(LONG)
    return member


def answer(member: Member, replica: int, term: int, last: int = 0, **more: bool) -> None:
    """Answer the poll of `replica`, whose log is the first `last` entries of `LOG`."""
    polls = {poll.to: poll for poll in member.take(Poll)}
    member.sent += [poll for to, poll in polls.items() if to != replica]
    last_term = LOG[last - 1].term if last else 0
    nonce = polls[replica].message.nonce
    member.step(
        PollReply(
            replica=replica,
            term=term,
            last_index=last,
            last_term=last_term,
            leader=0,
            wait=0.0,
            nonce=nonce,
            **more,
        )
    )


def recall(member: Member) -> None:
    """Both others answer, and it fetches what it lacks from replica 3."""
    answer(member, 2, 2, 2)
    answer(member, 3, 2, 3)
    (fetch,) = member.take(Fetch)
    member.step(
        FetchReply(
            replica=fetch.to, term=2, after=0, fits=True, entries=LOG, last_index=3, last_term=2
        )
    )
    (fetch,) = member.take(Fetch)
    member.step(
        FetchReply(
            replica=fetch.to, term=2, after=3, fits=True, entries=(), last_index=3, last_term=2
        )
    )


def test_it_does_not_vote() -> None:
    assert not suspect().ask(Vote(term=5, candidate=2, last_index=9, last_term=4)).granted


def test_it_acknowledges_nothing() -> None:
    """Its leader is told at once that there will be no answer: nothing is kept of the request."""
    member = suspect()
    assert isinstance(member.ask(append(2, LOG)), Declined)
    assert member.replica.log.last_index == 0


def test_it_does_not_campaign() -> None:
    member = suspect()
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    assert member.replica.role is Role.SUSPECT
    assert member.replica.term == 0


def test_one_that_is_nominated_says_that_it_cannot_lead_though_others_may() -> None:
    member = suspect()
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    (reply,) = member.take(Reply)
    assert (reply.message.leader, reply.message.campaigning) == (0, False)
    assert "suspect" in reply.message.unable


def test_one_that_has_recalled_makes_all_wait_until_that_is_on_its_disk() -> None:
    """It can lead in a moment: a lower id is not to be asked in between."""
    member = suspect()
    member.slow_disk = True
    recall(member)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    (told,) = (reply.message for reply in member.take(Reply))
    assert told == CampaignReply(leader=0, term=2, wait=TIMING.heartbeat)
    while member.write is not None:
        member.finish_write()
    assert not member.replica.suspect


def test_it_is_shown_as_what_it_is_until_it_has_recalled() -> None:
    member = suspect()
    assert member.replica.role is Role.SUSPECT
    recall(member)
    assert member.replica.role is Role.FOLLOWER


def test_all_others_must_have_answered() -> None:
    """One of them may be the only one that knows what it helped to commit."""
    member = suspect()
    answer(member, 2, 2, 2)
    member.pass_time(LONG)
    assert member.take(Fetch) == []
    assert member.storage.suspect


def test_answers_to_an_earlier_life_do_not_count() -> None:
    member = suspect()
    for poll in member.take(Poll):
        member.step(
            poll_reply_with(
                replica=poll.to, term=2, last_index=3, last_term=2, nonce=poll.message.nonce + 1
            )
        )
    assert member.take(Fetch) == []


def test_it_is_trusted_once_it_has_the_furthest_log_and_the_highest_term() -> None:
    member = suspect()
    recall(member)
    assert member.storage.suspect is None
    assert (member.storage.term, member.storage.last_index) == (2, 3)
    assert member.ask(append(2, LOG, after=3)).fits


def test_the_storage_is_trusted_only_after_the_entries_are_written() -> None:
    member = suspect()
    member.slow_disk = True
    recall(member)
    assert member.storage.suspect
    assert isinstance(member.ask(append(2, LOG, after=3)), Declined)
    member.slow_disk = False
    member.finish_write()
    member.carry_out()
    assert member.storage.suspect is None


def test_it_does_not_vote_again_in_the_term_that_it_recalled() -> None:
    """It may have voted in that very term, and forgotten for whom."""
    member = suspect()
    recall(member)
    assert not member.ask(Vote(term=2, candidate=2, last_index=9, last_term=9)).granted
    assert member.ask(Vote(term=3, candidate=2, last_index=9, last_term=9)).granted


def test_one_that_asks_is_asked_again_until_it_answers() -> None:
    member = suspect()
    for poll in member.take(Poll):
        member.replica.unreachable(poll, member.clock.now)
    member.pass_time(TIMING.heartbeat * 2)
    recall(member)
    assert member.storage.suspect is None


def test_two_that_may_have_forgotten_stop_and_say_so() -> None:
    member = suspect()
    answer(member, 3, 2, 3)
    answer(member, 2, 0, suspect=True)
    with pytest.raises(Unusable, match="a line is damaged.*: 2;"):
        member.pass_time(10.0)


def test_one_that_was_suspect_and_has_recalled_by_now_does_not_count_as_suspect() -> None:
    member = suspect()
    answer(member, 3, 2, 3)
    answer(member, 2, 0, suspect=True)
    member.pass_time(TIMING.heartbeat * 2)
    answer(member, 2, 2, 3)
    assert member.take(Fetch) != []


def test_a_cluster_is_new_if_all_of_it_is() -> None:
    member = suspect(fresh=True)
    answer(member, 2, 0, suspect=True)
    assert member.storage.suspect
    answer(member, 3, 0)
    assert member.storage.suspect is None


def test_a_new_replica_has_no_term_by_a_front_ends_word() -> None:
    """The others could not tell it from one that has something to forget."""
    member = suspect(fresh=True)
    for trusted in (False, True):
        if trusted:
            answer(member, 2, 0)
            answer(member, 3, 0)
        member.replica.follow(member.clock.now)
        member.carry_out()
        polled = member.ask(Poll(replica=2))
        assert (polled.term, polled.suspect) == (0, not trusted)


def test_one_that_is_damaged_makes_no_new_cluster_with_empty_ones() -> None:
    member = suspect()
    answer(member, 2, 0, suspect=True)
    answer(member, 3, 0, suspect=True)
    with pytest.raises(Unusable):
        member.pass_time(10.0)


def test_a_single_replica_that_is_damaged_has_nobody_to_ask() -> None:
    member = suspect(())
    with pytest.raises(Unusable, match="none"):
        member.pass_time(10.0)


def test_the_first_leader_ever_needs_all() -> None:
    """From then on, one whose storage is fresh has lost it."""
    member = Member(1, (2, 3))
    member.pass_time(LONG)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    answer(member, 2, 0)
    member.pass_time(LONG)
    assert member.take(Vote) == []


def test_one_that_may_found_a_cluster_has_all_wait_until_it_is_known_that_there_is_one() -> None:
    """The highest id leads first. In a new cluster a lower one could not lead any sooner."""
    member = suspect(fresh=True)
    member.replica.campaign("nomination", member.clock.now)
    member.carry_out()
    (reply,) = member.take(Reply)
    assert reply.message == CampaignReply(leader=0, term=0, wait=TIMING.heartbeat)
    answer(member, 2, 1)
    member.replica.campaign("again", member.clock.now)
    member.carry_out()
    (reply,) = member.take(Reply)
    assert "suspect" in reply.message.unable


def test_a_copy_without_an_entry_takes_the_name_that_the_others_have() -> None:
    cluster = Cluster()
    cluster.elect(3)
    cluster.pass_time(LONG)
    cluster.kill(1)
    copy = MemoryStorage(suspect="it is a copy", copied=True)
    copy.write(Write(term=1, vote=2, cluster="0" * 16, truncate=None, entries=(), trusted=False))
    cluster.storages[1] = copy
    restored = cluster.start(1)
    cluster.pass_time(LONG)
    assert restored.replica.cluster == cluster.members[3].replica.cluster
    assert restored.replica.role is Role.FOLLOWER
    assert restored.replica.log.last_index == cluster.members[3].replica.log.last_index


REQUESTS = [append_with(term=7, leader=5, cluster="c"), Poll(replica=5, nonce=1, to=1)]
"""Of a leader, and of one that cannot lead without the vote of the suspect."""


@pytest.mark.parametrize("request_", REQUESTS, ids=["append", "poll"])
def test_a_peer_that_is_not_known_is_asked_who_the_members_are(request_: Append | Poll) -> None:
    """All that the log and the options of the suspect name may have been replaced."""
    member = suspect()
    answer = member.ask(request_)
    assert answer == Declined("it is suspect") or isinstance(answer, PollReply)
    (poll,) = [poll for poll in member.take(Poll) if poll.to == 5]
    assert 5 in member.replica.neighbours
    roster = (MemberInfo(4, "d:1"), MemberInfo(5, "e:1"), MemberInfo(1, "a:1", joining=True))
    member.step(
        poll_reply_with(
            replica=5,
            nonce=poll.message.nonce,
            term=7,
            last_index=9,
            last_term=7,
            members_index=8,
            roster=roster,
        )
    )
    assert {poll.to for poll in member.take(Poll)} == {4, 5}
    assert set(member.replica.neighbours) >= {4, 5}


@pytest.mark.parametrize("request_", REQUESTS, ids=["append", "poll"])
def test_a_peer_that_is_not_known_is_asked_again_when_it_sends_again(
    request_: Append | Poll,
) -> None:
    member = suspect()
    for _ in range(2):
        member.ask(request_)
        (poll,) = [poll for poll in member.take(Poll) if poll.to == 5]
        member.ask(request_)
        assert not [poll for poll in member.take(Poll) if poll.to == 5]
        member.replica.unreachable(poll, member.clock.now)
