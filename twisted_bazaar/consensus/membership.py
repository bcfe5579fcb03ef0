"""Who is a member of the cluster, and how that changes: joint consensus (Raft §6). Pure.

The newest `members` entry of a replica's log is in force for it, committed or not; before there is
any, what the options say is. A change of the voters is two entries: in the first, decisions need a
majority of the voters before and one of the voters after; once it is committed, the second drops
the voters before. Each change waits until the one before is done.

A replica is *joining* until its log is nearly the leader's: it is sent the log, is not counted and
is not nominated.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from twisted_bazaar.errors import MembersRefused

from .entries import MemberInfo, Members
from .progress import majority

__all__ = [
    "MAX_MEMBERS",
    "REMOVED",
    "AddMember",
    "MembersChange",
    "Membership",
    "RemoveMember",
    "first_membership",
    "membership_of",
    "next_members",
    "promoted",
    "removed",
    "settled",
]


MAX_MEMBERS = 64
"""Those that are joining or leaving included. Each is named in every answer to a ping."""


class AddMember(msgspec.Struct, frozen=True):
    """Let replica `id`, which is at `address`, join; or, of a member: it is at `address` now."""

    id: int
    address: str


class RemoveMember(msgspec.Struct, frozen=True):
    """Replica `id` is no member."""

    id: int


MembersChange = AddMember | RemoveMember


class Membership(msgspec.Struct, frozen=True):
    """The members, as an entry of the log, or the options, say."""

    index: int
    """Of that entry; 0: the options."""
    members: tuple[MemberInfo, ...]
    """Ascending by id."""
    before: tuple[int, ...] = ()
    """The voters before a change that is under way, ascending; empty: none is."""

    @property
    def voters(self) -> tuple[int, ...]:
        """The ids of the members that count, ascending."""
        return tuple(member.id for member in self.members if not member.joining)

    @property
    def joining(self) -> tuple[int, ...]:
        """The ids of the members that do not count yet, ascending."""
        return tuple(member.id for member in self.members if member.joining)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all members, and of the voters before, ascending."""
        return tuple(sorted({member.id for member in self.members} | set(self.before)))

    @property
    def counted(self) -> tuple[int, ...]:
        """The ids of all whose word counts: the voters and the voters before, ascending."""
        return tuple(sorted({*self.voters, *self.before}))

    def located(self, options: Mapping[int, str]) -> tuple[MemberInfo, ...]:
        """The members; where the log does not say where they are, at the addresses of the
        `options`."""
        return tuple(
            msgspec.structs.replace(member, address=member.address or options.get(member.id, ""))
            for member in self.members
        )

    def elects(self, ids: Collection[int]) -> bool:
        """Whether `ids` have a majority of the voters, and of the voters before, if there are."""
        return all(
            sum(voter in ids for voter in voters) >= majority(len(voters))
            for voters in (self.voters, self.before or self.voters)
        )


def first_membership(replica: int, peers: Iterable[int], join: bool) -> Membership:
    """What the options say: `replica` and its `peers`, or, if it is to join them, these alone."""
    ids = sorted({*peers} if join else {replica, *peers})
    return Membership(0, tuple(MemberInfo(id) for id in ids))


def membership_of(index: int, event: Members) -> Membership:
    """What entry `index` says."""
    return Membership(index, event.members, event.before)


def next_members(
    now: Membership, change: MembersChange, options: Mapping[int, str]
) -> Members | None:
    """The entry that begins `change`; None: it is so already. Raises `MembersRefused`.

    `options` are the addresses of members that no entry names.
    """
    members = {member.id: member for member in now.located(options)}
    if isinstance(change, AddMember):
        known = members.get(change.id)
        if known is not None and known.address == change.address:
            return None
        there = [id for id, member in members.items() if member.address == change.address]
        if there:
            raise MembersRefused(f"replica {there[0]} is at {change.address}", is_final=True)
        if known is None and len(now.ids) >= MAX_MEMBERS:
            raise MembersRefused(f"there are {MAX_MEMBERS} members, the most", is_final=True)
        joining = known is None or known.joining
        members[change.id] = MemberInfo(change.id, change.address, joining)
    else:
        if change.id not in members:
            return None
        del members[change.id]
    return _changed(now, members.values())


def promoted(now: Membership, replica: int) -> Members:
    """The entry with which `replica`, which is joining, begins to count."""
    return _changed(
        now,
        [
            msgspec.structs.replace(member, joining=False) if member.id == replica else member
            for member in now.members
        ],
    )


def settled(now: Membership) -> Members:
    """The entry that ends the change under way."""
    return Members(now.members)


REMOVED = "it was removed"
"""The last words of `removed`."""


def removed(replica: int, index: int) -> str:
    """Why `replica`, which no longer is a member as entry `index` says, must stop."""
    return f"replica {replica} is no member of the cluster since entry {index}: it was removed"


def _changed(now: Membership, members: Iterable[MemberInfo]) -> Members:
    if now.before:
        raise MembersRefused("another change of the members is under way")
    after = Membership(0, tuple(sorted(members, key=lambda member: member.id)))
    if not after.voters:
        raise MembersRefused("no replica would be left that counts", is_final=True)
    return Members(after.members, () if after.voters == now.voters else now.voters)
