"""Changes of the members, as they cross the network."""

import pytest

from twisted_bazaar.consensus.entries import MemberInfo
from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember
from twisted_bazaar.errors import Malformed, MembersRefused
from twisted_bazaar.rpc import bounds
from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.members import (
    base_from_wire,
    ids_from_wire,
    member_change_from_wire,
    member_change_to_wire,
    members_changed_from_wire,
    members_from_wire,
    members_to_wire,
)

Member, Request = order_pb2.Member, order_pb2.ChangeMembersRequest
TOO_MANY = bounds.MAX_MEMBERS + 1


@pytest.mark.parametrize("change", [AddMember(4, "order-4:7004"), RemoveMember(1)])
def test_a_change_crosses_the_network(change: MembersChange) -> None:
    for base in (None, 0, 830):
        wire = member_change_to_wire(change, base, 3)
        assert wire.to == 3
        assert member_change_from_wire(wire) == change
        assert base_from_wire(wire) == base


@pytest.mark.parametrize(
    "wire",
    [
        Request(),
        Request(add=Member(id=4)),
        Request(add=Member(address="a:1")),
        Request(add=Member(id=-1, address="a:1")),
        Request(add=Member(id=4, address="nowhere")),
        Request(remove=-1),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(wire: order_pb2.ChangeMembersRequest) -> None:
    with pytest.raises(Malformed):
        member_change_from_wire(wire)


def test_what_a_change_is_based_on_is_an_entry() -> None:
    with pytest.raises(Malformed):
        base_from_wire(Request(remove=1, based_on=-1))


def test_members_cross_the_network() -> None:
    members = (MemberInfo(1), MemberInfo(4, "[::1]:7004", joining=True))
    assert members_from_wire(members_to_wire(members)) == members
    for wrong in ([Member(id=1, address="x")], [Member(id=-1)], [Member(id=1)] * TOO_MANY):
        with pytest.raises(Malformed):
            members_from_wire(wrong)
    for ids in ([-1], [1] * TOO_MANY):
        with pytest.raises(Malformed):
            ids_from_wire(ids)


def test_what_came_of_a_change_is_told() -> None:
    Reply = order_pb2.ChangeMembersReply  # noqa: N806
    assert members_changed_from_wire(Reply(index=830)) == 830
    for final in (True, False):
        with pytest.raises(MembersRefused, match="why") as refused:
            members_changed_from_wire(Reply(refusal="why", final=final))
        assert refused.value.is_final is final
    with pytest.raises(Malformed):
        members_changed_from_wire(Reply(index=-1))
