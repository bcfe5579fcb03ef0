"""A leader that is asked to add or remove replicas, and a replica that is added or removed."""

import msgspec
import pytest

from tests.fakes.histories import extend
from tests.fakes.member import (
    TICK,
    TIMING,
    Clock,
    Member,
    append,
    append_reply_with,
    disk,
    entries_of,
    follower,
    leader,
    poll_reply_with,
)
from twisted_bazaar.consensus.entries import MemberInfo, Members
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.consensus.membership import AddMember, RemoveMember
from twisted_bazaar.consensus.messages import LEVEL, Append, Fetch, Poll
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import MembersRefused, NotLeader, Unusable

THREE = (MemberInfo(1, "a"), MemberInfo(2, "b"), MemberInfo(3, "c"))
FOUR = MemberInfo(4, "d")


def acknowledge(member: Member, *followers: int) -> None:
    """These take what they are being sent, and have it on their disks."""
    requests = member.take(Append)
    member.sent += [request for request in requests if request.to not in followers]
    for request in requests:
        if request.to in followers:
            sent = request.message
            reply = append_reply_with(
                term=member.replica.term,
                follower=request.to,
                index=sent.previous_index + len(sent.entries),
                sent=sent.sent,
                round=sent.round,
            )
            member.step(reply)


def settle(member: Member, *followers: int) -> None:
    """These acknowledge all that they are sent, for more than a heartbeat."""
    for _ in range(5):
        acknowledge(member, *followers)
        member.pass_time(TICK)


def working(*levels: int) -> Member:
    """Replica 1 leads 2 and 3, and knows what they understand."""
    member = leader()
    acknowledge(member, 2, 3)
    for replica, level in zip((2, 3), levels or (LEVEL, LEVEL), strict=True):
        member.step(poll_reply_with(replica=replica, level=level))
    return member


def change(member: Member, asked: AddMember | RemoveMember, based_on: int | None = None) -> int:
    index = member.replica.change_members(asked, member.clock.now, based_on)
    member.carry_out()
    return index


def newest(member: Member) -> Members:
    found = member.replica.log.newest_members
    assert found is not None
    return found[1]


def test_only_a_leader_changes_the_members_once_it_knows_what_is_committed() -> None:
    with pytest.raises(NotLeader):
        change(follower(1), RemoveMember(3))
    member = leader()
    for replica in (2, 3):
        member.step(poll_reply_with(replica=replica, level=LEVEL))
    with pytest.raises(MembersRefused, match="does not know yet what is committed"):
        change(member, RemoveMember(3))


def test_the_members_are_asked_of_which_release_they_are() -> None:
    member = leader()
    acknowledge(member, 2, 3)
    member.replica._levels.clear()
    with pytest.raises(MembersRefused, match="ask again"):
        change(member, RemoveMember(3))
    member.carry_out()
    assert [poll.to for poll in member.take(Poll)] == [2, 3]
    for replica in (2, 3):
        member.step(poll_reply_with(replica=replica, level=LEVEL))
    assert change(member, RemoveMember(3)) == member.replica.log.last_index


def test_a_member_of_an_earlier_release_could_not_read_the_entry() -> None:
    with pytest.raises(MembersRefused, match="replica 2 is of an earlier release"):
        change(working(1, LEVEL), AddMember(4, "d"))
    assert change(working(LEVEL, 1), RemoveMember(3)), "it is to go"


def test_one_that_is_dead_is_removed_and_not_the_one_that_is_needed() -> None:
    member = working()
    for _ in range(4):
        settle(member, 2)
    with pytest.raises(MembersRefused, match="too few would be left: of these, 3 do not answer"):
        change(member, RemoveMember(2))
    assert change(member, RemoveMember(3))


def test_what_was_asked_of_other_members_changes_nothing() -> None:
    member = working()
    with pytest.raises(MembersRefused, match="changed meanwhile"):
        change(member, RemoveMember(3), based_on=7)
    assert change(member, RemoveMember(3), based_on=0)


def test_a_change_of_the_voters_is_committed_by_both_majorities_and_ended_then() -> None:
    member = working()
    index = change(member, RemoveMember(3))
    assert newest(member).before == (1, 2, 3)
    with pytest.raises(MembersRefused, match="under way"):
        change(member, AddMember(4, "d"))
    acknowledge(member, 3)
    assert member.replica.commit < index, "1 and 3 are no majority of 1 and 2"
    member.pass_time(TICK)
    acknowledge(member, 2)
    assert member.replica.commit == index
    assert not member.replica.membership_settled
    member.pass_time(TICK)
    assert newest(member) == Members((MemberInfo(1), MemberInfo(2)))
    acknowledge(member, 2)
    assert member.replica.membership_settled


def test_who_is_joining_is_sent_the_log_and_does_not_count() -> None:
    member = working()
    index = change(member, AddMember(4, "d"))
    assert dict(member.replica.neighbours) == {2: "", 3: "", 4: "d"}
    acknowledge(member, 4)
    assert member.replica.commit < index, "it does not count"


def test_who_is_joining_counts_once_it_has_caught_up() -> None:
    member = working()
    change(member, AddMember(4, "d"))
    settle(member, 2, 3)
    assert member.replica.membership.joining == (4,), "it has nothing yet"
    settle(member, 2, 3, 4)
    settle(member, 2, 3, 4)
    assert member.replica.membership.voters == (1, 2, 3, 4)
    assert member.replica.membership_settled


def test_a_leader_that_is_removed_does_not_count_itself_and_leaves_in_the_end() -> None:
    member = working()
    index = change(member, RemoveMember(1))
    acknowledge(member, 2)
    assert member.replica.commit < index, "2 of 2 and 3 is no majority"
    member.pass_time(TICK)
    acknowledge(member, 3)
    assert member.replica.commit == index
    settle(member, 2, 3)
    assert member.replica.leads, "the others are to hear that it is done"

    def wait() -> None:
        for _ in range(20):
            settle(member, 2, 3)

    with pytest.raises(Unusable, match="replica 1 is no member"):
        wait()
    assert member.replica.role is Role.FOLLOWER


def test_a_follower_that_was_removed_stops_when_that_is_certain() -> None:
    log = entries_of(1)
    log += extend(log, [Members(THREE[1:])])
    member = Member(1, (2, 3), storage=disk(1, 0, log))
    member.pass_time(TICK)
    member.step(append(1, log, after=2, commit=1), "append")
    member.pass_time(TICK)
    member.step(append(1, log, after=2, commit=2), "append")
    with pytest.raises(Unusable, match="since entry 2: it was removed"):
        member.pass_time(TICK)


def test_a_replica_is_told_by_others_that_it_was_removed() -> None:
    member = follower(1)
    told = {"members_index": 5, "roster": THREE[1:], "level": LEVEL}
    member.step(poll_reply_with(replica=2, **told))
    with pytest.raises(Unusable, match="since entry 5"):
        member.step(poll_reply_with(replica=2, settled=True, **told))


def joining() -> Member:
    """Replica 4, with a new folder, is to join 1, of which alone it knows."""
    member = Member.__new__(Member)
    clock = Clock()
    storage = MemoryStorage(suspect="new", fresh=True)
    Member.__init__(member, 4, (1,), storage=storage, clock=clock)
    member.replica = Replica(
        replica=4,
        peers=(1,),
        learners=(),
        storage=storage,
        applied=0,
        timing=TIMING,
        milliseconds=lambda: 0,
        now=clock.now,
        names=lambda: "named-by-4",
        join=True,
    )
    member.replica.start(clock.now)
    member.carry_out()
    return member


def answer(member: Member, replica: int, roster: tuple[MemberInfo, ...]) -> None:
    polls = {poll.to: poll for poll in member.take(Poll)}
    member.sent += [poll for to, poll in polls.items() if to != replica]
    member.step(
        poll_reply_with(
            replica=replica,
            nonce=polls[replica].message.nonce,
            term=1,
            last_index=1,
            last_term=1,
            cluster="c",
            members_index=1,
            roster=roster,
        )
    )


def test_a_replica_that_is_to_join_waits_until_it_is_a_member_and_asks_all_then() -> None:
    member = joining()
    answer(member, 1, THREE)
    assert set(member.replica.neighbours) == {1, 2, 3}, "of 2 and 3 it was told"
    assert member.replica.neighbours[3] == "c"
    member.pass_time(TIMING.election_timeout)
    for replica in (2, 3):
        answer(member, replica, THREE)
    assert not member.take(Fetch), "it is no member"
    member.pass_time(10 * TIMING.heartbeat)
    answer(member, 1, (*THREE, msgspec.structs.replace(FOUR, joining=True)))
    (fetch,) = member.take(Fetch)
    assert (fetch.to, fetch.message.after) == (1, 0), "all three have answered"
    assert member.replica.suspect, "until it has all of it on its disk"


def test_a_replica_that_is_to_join_founds_no_cluster() -> None:
    member = joining()
    for _ in range(10):
        for poll in member.take(Poll):
            member.step(poll_reply_with(replica=poll.to, nonce=poll.message.nonce, suspect=True))
        member.pass_time(TIMING.election_timeout)
    assert member.replica.suspect
    member.replica.campaign("nomination", member.clock.now)  # type: ignore[arg-type]
    member.carry_out()
    assert member.replica.role is Role.SUSPECT
