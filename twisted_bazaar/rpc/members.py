"""Members, and changes of them, as protobuf messages. Pure."""

from collections.abc import Sequence

from twisted_bazaar.consensus.entries import MemberInfo
from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember
from twisted_bazaar.errors import Malformed, MembersRefused
from twisted_bazaar.runtime.address import Address

from . import bounds
from .bazaar.v1 import order_pb2

__all__ = [
    "base_from_wire",
    "ids_from_wire",
    "member_change_from_wire",
    "member_change_to_wire",
    "members_changed_from_wire",
    "members_from_wire",
    "members_to_wire",
]


def members_to_wire(members: Sequence[MemberInfo]) -> Sequence[order_pb2.Member]:
    """The messages that say who the members are."""
    return [
        order_pb2.Member(id=each.id, address=each.address, joining=each.joining) for each in members
    ]


def members_from_wire(wire: Sequence[order_pb2.Member]) -> tuple[MemberInfo, ...]:
    """The inverse of `members_to_wire`. Raises `Malformed`."""
    bounds.check_count("members", len(wire), bounds.MAX_MEMBERS)
    return tuple(_member_from_wire(each) for each in wire)


def _member_from_wire(wire: order_pb2.Member) -> MemberInfo:
    bounds.check_integer("member", wire.id, bounds.MAX_ID)
    if wire.address:
        try:
            Address.parse(wire.address)
        except ValueError as why:
            raise Malformed(f"the address of member {wire.id} {why}") from None
    return MemberInfo(wire.id, wire.address, wire.joining)


def ids_from_wire(ids: Sequence[int]) -> tuple[int, ...]:
    """The ids of some members. Raises `Malformed`."""
    bounds.check_count("members", len(ids), bounds.MAX_MEMBERS)
    for member in ids:
        bounds.check_integer("member", member, bounds.MAX_ID)
    return tuple(ids)


def member_change_to_wire(
    change: MembersChange, based_on: int | None, to: int
) -> order_pb2.ChangeMembersRequest:
    """The request for `change` of the members that entry `based_on` says, for replica `to`."""
    if isinstance(change, AddMember):
        member = order_pb2.Member(id=change.id, address=change.address)
        return order_pb2.ChangeMembersRequest(add=member, based_on=based_on, to=to)
    return order_pb2.ChangeMembersRequest(remove=change.id, based_on=based_on, to=to)


def base_from_wire(wire: order_pb2.ChangeMembersRequest) -> int | None:
    """Of which members a change is; None: of whichever there are. Raises `Malformed`."""
    if not wire.HasField("based_on"):
        return None
    bounds.check_integer("based_on", wire.based_on)
    return wire.based_on


def member_change_from_wire(wire: order_pb2.ChangeMembersRequest) -> MembersChange:
    """The inverse of `member_change_to_wire`. Raises `Malformed`."""
    if wire.HasField("add"):
        member = _member_from_wire(wire.add)
        if not member.id or not member.address:
            raise Malformed("a member without id or address")
        return AddMember(member.id, member.address)
    if not wire.HasField("remove"):
        raise Malformed("a change of the members that names none")
    bounds.check_integer("member", wire.remove, bounds.MAX_ID)
    return RemoveMember(wire.remove)


def members_changed_from_wire(wire: order_pb2.ChangeMembersReply) -> int:
    """The entry that begins the change; 0: it is so already. Raises `MembersRefused`."""
    if wire.refusal:
        bounds.check_text("refusal", wire.refusal, bounds.MAX_REFUSAL)
        raise MembersRefused(wire.refusal, is_final=wire.final)
    bounds.check_integer("index", wire.index)
    return wire.index
