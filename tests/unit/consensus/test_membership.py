"""Which entry a change of the members is, and who decides while it is under way."""

import pytest

from tests.fakes.histories import extend, history
from twisted_bazaar.consensus.entries import MemberInfo, Members
from twisted_bazaar.consensus.log import Log, MemoryStorage, Write
from twisted_bazaar.consensus.membership import (
    MAX_MEMBERS,
    AddMember,
    Membership,
    RemoveMember,
    first_membership,
    membership_of,
    next_members,
    promoted,
    settled,
)
from twisted_bazaar.errors import MembersRefused
from twisted_bazaar.rpc import bounds

OPTIONS = {1: "a:1", 2: "b:2", 3: "c:3"}
FIRST = first_membership(1, [2, 3], join=False)


def after(event: Members | None) -> Membership:
    assert event is not None
    return membership_of(7, event)


def test_options_name_the_first_members() -> None:
    assert FIRST.voters == FIRST.ids == FIRST.counted == (1, 2, 3)
    assert (FIRST.index, FIRST.joining, FIRST.before) == (0, (), ())


def test_a_replica_that_is_to_join_is_no_member_by_its_own_options() -> None:
    assert first_membership(4, [3, 1, 2], join=True).ids == (1, 2, 3)


def test_a_new_member_is_joining_and_the_voters_stay() -> None:
    joined = after(next_members(FIRST, AddMember(4, "d:4"), OPTIONS))
    assert (joined.voters, joined.joining, joined.before) == ((1, 2, 3), (4,), ())
    where = {member.id: member.address for member in joined.members}
    assert where == {**OPTIONS, 4: "d:4"}, "what only options knew is in the log now"


def test_while_the_voters_change_both_majorities_are_needed() -> None:
    joined = after(next_members(FIRST, AddMember(4, "d:4"), OPTIONS))
    joint = after(promoted(joined, 4))
    assert (joint.voters, joint.before) == ((1, 2, 3, 4), (1, 2, 3))
    assert joint.elects({1, 2, 4})
    assert not joint.elects({1, 2}), "no majority of the four"
    assert not joint.elects({1, 4, 5})
    two = Membership(7, (MemberInfo(1), MemberInfo(2), MemberInfo(3)), before=(1, 2))
    assert not two.elects({1, 3}), "no majority of the two before"
    assert after(settled(joint)).elects({1, 2, 4})
    assert after(settled(two)).elects({1, 3})


def test_who_is_joining_counts_for_nothing() -> None:
    joined = after(next_members(FIRST, AddMember(4, "d:4"), OPTIONS))
    assert not joined.elects({1, 4})
    assert joined.elects({1, 2})


def test_who_is_removed_counts_until_the_change_is_done() -> None:
    joint = after(next_members(FIRST, RemoveMember(3), OPTIONS))
    assert (joint.voters, joint.before, joint.ids) == ((1, 2), (1, 2, 3), (1, 2, 3))
    assert not joint.elects({1, 3})
    assert after(settled(joint)).ids == (1, 2)


def test_one_that_is_joining_is_removed_in_one_step() -> None:
    joined = after(next_members(FIRST, AddMember(4, "d:4"), OPTIONS))
    assert after(next_members(joined, RemoveMember(4), {})).before == ()


def test_a_member_gets_another_address_in_one_step() -> None:
    moved = after(next_members(FIRST, AddMember(2, "z:9"), OPTIONS))
    assert moved.members[1] == MemberInfo(2, "z:9")
    assert (moved.voters, moved.before) == ((1, 2, 3), ())


def test_what_is_so_already_is_no_entry() -> None:
    joined = after(next_members(FIRST, AddMember(4, "d:4"), OPTIONS))
    assert next_members(joined, AddMember(4, "d:4"), {}) is None
    assert next_members(FIRST, AddMember(2, "b:2"), OPTIONS) is None
    assert next_members(FIRST, RemoveMember(9), OPTIONS) is None


def test_what_cannot_be_is_refused() -> None:
    joint = after(next_members(FIRST, RemoveMember(3), OPTIONS))
    with pytest.raises(MembersRefused, match="under way"):
        next_members(joint, RemoveMember(2), {})
    with pytest.raises(MembersRefused, match="replica 2 is at b:2"):
        next_members(FIRST, AddMember(4, "b:2"), OPTIONS)
    with pytest.raises(MembersRefused, match="no replica would be left"):
        next_members(first_membership(1, [], join=False), RemoveMember(1), {})


def test_there_are_no_more_members_than_an_answer_to_a_ping_names() -> None:
    now = FIRST
    for id_ in range(4, MAX_MEMBERS + 1):
        now = after(next_members(now, AddMember(id_, f"d:{id_}"), OPTIONS))
    assert len(now.ids) == MAX_MEMBERS <= bounds.MAX_MEMBERS
    with pytest.raises(MembersRefused, match="there are 64 members, the most"):
        next_members(now, AddMember(1000, "e:1"), {})
    assert next_members(now, AddMember(1, "e:1"), {})


def test_the_newest_entry_of_the_log_counts_until_it_is_truncated() -> None:
    first, second = Members((MemberInfo(1),)), Members((MemberInfo(1), MemberInfo(2)))
    start = history(2)
    made = start + extend(start, [first])
    made += extend(made, [second, start[1].event])
    storage = MemoryStorage()
    storage.write(Write(1, 0, None, tuple(made[:-2])))
    log = Log(storage)
    index = log.last_index
    assert log.newest_members == (index, first)
    log.append(made[-2:])
    assert log.newest_members == (index + 1, second)
    assert log.newest_members is log.newest_members
    log.truncate(index)
    assert log.newest_members == (index, first)
    log.truncate(index - 1)
    assert log.newest_members is None
