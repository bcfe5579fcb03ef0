"""Strangers are refused, their answers count as none, and each is logged once."""

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import (
    TIMING,
    append,
    append_reply_with,
    append_with,
    disk,
    entries_of,
    follower,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.identity import Identity, members_fit, not_meant
from twisted_bazaar.consensus.log import Log
from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    Fetch,
    Poll,
    PollReply,
    Request,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import Unusable

OURS, THEIRS = "a" * 16, "b" * 16
LOG = Log(disk(2, 0, entries_of(1, 2)))
EMPTY = Log(disk())


def poll_reply(replica: int = 2, cluster: str = OURS, **changes: object) -> PollReply:
    fields: dict[str, object] = {"last_index": 2, "last_term": 2}
    fields |= {"cluster": cluster, "members": (1, 2, 3)} | changes
    fields |= {"replica": replica, "term": 2, "leader": 0, "wait": 0.0}
    return PollReply(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (append(2, leader=2), None),
        (
            append_with(term=2, leader=2, cluster=THEIRS, to=1),
            "of cluster a",
        ),
        (
            append_with(term=2, leader=2, cluster=OURS, to=3),
            "this is replica 1, not",
        ),
        (
            append_with(term=2, leader=4, to=1),
            "none of the other members",
        ),
        # An entry that this replica lacks may have added it.
        (append_with(term=2, leader=4, cluster=OURS, to=1), None),
        (
            Vote(term=3, candidate=4, last_index=3, last_term=2, cluster=OURS, to=1),
            "none of the other members",
        ),
        (
            Vote(
                term=3,
                candidate=4,
                last_index=3,
                last_term=2,
                cluster=OURS,
                to=1,
                members=(1, 2, 3, 4),
                members_index=3,
            ),
            None,
        ),
        (
            Fetch(replica=4, after=0, digest="", cluster=OURS, to=1),
            "none of the other members",
        ),
        (
            append_with(term=2, leader=1, cluster=OURS, to=1),
            "none of the other members",
        ),
        (
            append_with(
                term=2, leader=2, previous_index=2, previous_term=2, previous_digest="1" * 32
            ),
            "another history",
        ),
        (
            append_with(
                term=2, leader=2, previous_index=2, previous_term=1, previous_digest="1" * 32
            ),
            None,
        ),
        (
            Vote(term=3, candidate=2, last_index=2, last_term=2, cluster=THEIRS, to=1),
            "of cluster a",
        ),
        (
            Vote(
                term=3, candidate=2, last_index=2, last_term=2, cluster=OURS, to=1, members=(1, 2)
            ),
            "counts 1, 2 as members",
        ),
        (
            Vote(
                term=3, candidate=2, last_index=2, last_term=2, cluster=OURS, last_digest="1" * 32
            ),
            "another history",
        ),
        (
            Vote(
                term=3,
                candidate=2,
                last_index=2,
                last_term=2,
                cluster=OURS,
                to=1,
                members=(1, 2, 3),
            ),
            None,
        ),
        (Fetch(replica=2, after=0, digest="", cluster=THEIRS, to=1), "of cluster a"),
        (Fetch(replica=2, after=0, digest="", cluster=OURS, to=2), "not replica 2"),
        (Poll(replica=9, to=3), "not replica 3"),
        (Poll(replica=9, to=1), None),
    ],
)
def test_a_request_of_a_stranger_or_for_another_is_refused(message: Poll, why: str | None) -> None:
    refusal = Identity(1, (2, 3)).refusal(message, OURS, LOG)
    assert refusal is None if why is None else why in (refusal or "")


def test_who_is_of_no_cluster_yet_takes_nothing_of_one() -> None:
    """It would act for a member that may have acknowledged more than it has."""
    message = append_with(term=2, leader=2, cluster=OURS, to=1)
    assert "none yet" in (Identity(1, (2, 3)).refusal(message, "", EMPTY) or "")


def test_the_first_election_may_name_the_cluster() -> None:
    assert (
        Identity(1, (2, 3)).refusal(
            Vote(term=1, candidate=2, last_index=0, last_term=0, cluster=OURS, to=1), THEIRS, EMPTY
        )
        is None
    )


@pytest.mark.parametrize(
    "reply",
    [
        append_reply_with(term=2, follower=3, index=2),
        VoteReply(term=2, voter=3, granted=True),
    ],
)
def test_an_answer_of_another_replica_is_named(reply: AppendReply) -> None:
    mistake = Identity(1, (2, 3)).mistake(2, reply, OURS, LOG)
    assert mistake == "what answers at the address of replica 2 is replica 3"


def test_one_stranger_is_named_and_more_stop_this_replica() -> None:
    """For one wrong address no replica has to stop; if most differ, this folder is wrong."""
    identity = Identity(1, (2, 3))
    mistake = identity.mistake(2, poll_reply(2, THEIRS), OURS, LOG)
    assert mistake is not None
    assert THEIRS in mistake
    with pytest.raises(Unusable, match=f"replicas 2, 3 are of cluster {THEIRS}, not {OURS}"):
        identity.mistake(3, poll_reply(3, THEIRS), OURS, LOG)


def test_one_that_is_itself_again_no_longer_counts() -> None:
    identity = Identity(1, (2, 3))
    assert identity.mistake(2, poll_reply(2, THEIRS), OURS, LOG)
    assert identity.mistake(2, poll_reply(2), OURS, LOG) is None
    assert identity.mistake(3, poll_reply(3, THEIRS), OURS, LOG)


def test_a_replica_that_is_no_member_stops_and_says_so() -> None:
    identity = Identity(1, (2, 3, 4))
    identity.mistake(2, poll_reply(2), OURS, LOG)
    identity.mistake(3, poll_reply(3), OURS, LOG)
    with pytest.raises(Unusable, match="with members 1, 2, 3, not 1, 2, 3, 4"):
        identity.mistake(4, poll_reply(4), OURS, LOG)


def test_a_copy_that_went_its_own_way_is_a_stranger() -> None:
    """Of the same name and as long, but an entry of one leader is another one there."""
    reply = poll_reply(2, last_digest="1" * 32)
    assert "another history" in (Identity(1, (2, 3)).mistake(2, reply, OURS, LOG) or "")


def test_two_names_are_not_joined_at_once() -> None:
    identity = Identity(1, (2, 3))
    assert identity.mistake(2, poll_reply(2, OURS), "", EMPTY) is None
    assert "and replica 2 of" in (identity.mistake(3, poll_reply(3, THEIRS), "", EMPTY) or "")


def test_options_that_name_other_members_do_not_fit() -> None:
    assert members_fit((), (1,)) is None
    assert members_fit((1, 2, 3), (3, 1, 2)) is None
    assert members_fit((1, 2, 3), (1,)) == "the log is of a cluster with replicas 1, 2, 3, not 1"


def test_a_front_end_that_names_another_is_refused() -> None:
    assert not_meant(1, OURS, 0, "") is None
    assert not_meant(1, OURS, 1, OURS) is None
    assert not_meant(1, OURS, 2, OURS) == "this is replica 1, not replica 2"
    assert not_meant(1, "", 1, OURS) == f"this is a replica of cluster (none yet), not {OURS}"


# What the protocol makes of it.


def test_an_answer_of_another_is_as_good_as_none() -> None:
    """The other's acknowledgement is none of this follower's, which is asked again."""
    member = leader(1)
    (request,) = (request for request in member.take(Append) if request.to == 2)
    reply = append_reply_with(term=2, follower=3, index=2, sent=request.message.sent)
    mistake = member.replica.answered(request, reply, member.clock.now)
    assert mistake is not None
    assert member.replica.commit == 0
    member.pass_time(2 * TIMING.heartbeat)
    assert 2 in [request.to for request in member.take(Append)]


def test_an_answer_of_nobody_in_the_cluster_does_no_harm() -> None:
    member = leader(1)
    for request in member.take(Append):
        reply = append_reply_with(term=2, follower=9, index=2, sent=request.message.sent)
        assert member.replica.answered(request, reply, member.clock.now)
    assert member.replica.role is Role.LEADER


def test_who_recalls_takes_no_other_for_the_one_it_asked() -> None:
    storage = disk()
    storage.suspect = "wiped"
    member = follower()
    member.replica.start(member.clock.now)
    member.carry_out()
    request = next(request for request in member.take(Poll) if request.to == 2)
    reply = poll_reply_with(replica=3, term=1, nonce=request.message.nonce)
    assert member.replica.answered(Request(2, request.message), reply, member.clock.now)


def test_all_of_a_new_cluster_have_its_name_before_its_first_entry() -> None:
    cluster = Cluster()
    leads = cluster.elect(3)
    opened = leads.storage.entries[0].event
    assert isinstance(opened, Opened)
    assert opened.members == (1, 2, 3)
    assert {member.replica.cluster for member in cluster.members.values()} == {opened.cluster}
