"""Shows the members of the log to operators."""

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.overview.parts import replica_states
from twisted_bazaar.frontend.upstream.members import Members
from twisted_bazaar.http import answers

__all__ = ["MembersShown"]


class _Member(msgspec.Struct):
    member: int
    address: str
    joining: bool
    leaving: bool
    """It is no member any longer once the change under way is done."""
    reachable: bool
    role: str
    behind: int | None
    """Entries that it lacks; None: not known."""


class _Shown(msgspec.Struct):
    index: int
    """Of the entry that says who they are; 0: options do."""
    leader: int
    settled: bool
    """Whether no change of those that count is under way."""
    members: Sequence[_Member]


class MembersShown:
    """The members, as of the last pings."""

    def __init__(self, members: Members, leadership: Leadership) -> None:
        self._members = members
        self._leadership = leadership

    def body(self) -> Deferred[bytes]:
        """The body that shows all."""
        members, leadership = self._members, self._leadership
        states = replica_states(leadership.statuses, members, leadership.leader)
        shown = [
            _Member(
                member=each.id,
                address=str(members.named(each.id)),
                joining=each.id in members.joining,
                leaving=each.id in members.leaving,
                reachable=each.reachable,
                role=each.role,
                behind=each.behind,
            )
            for each in states
        ]
        settled = not members.before
        return succeed(answers.success(_Shown(members.index, leadership.leader, settled, shown)))
