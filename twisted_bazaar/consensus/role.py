"""The roles of a replica, and every change from one to another. Pure."""

from collections.abc import Mapping
from enum import Enum

from twisted_bazaar.errors import InvariantBroken

__all__ = ["TRANSITIONS", "Role", "check_transition"]


class Role(Enum):
    """What a replica is, as `Status.role` says it. It starts as a suspect or as a follower."""

    SUSPECT = "suspect"
    """Its storage may lack votes or entries that it acknowledged. It neither votes, acknowledges
    nor campaigns."""
    FOLLOWER = "follower"
    """It votes, acknowledges, and may canvass before it stands."""
    CANDIDATE = "candidate"
    """It asks for votes in its term."""
    LEADER = "leader"
    """It was elected in its term. At most one replica is, in each term (invariant 1)."""


TRANSITIONS: Mapping[tuple[Role, Role], str] = {
    (Role.SUSPECT, Role.FOLLOWER): "what it had forgotten is on its disk (`Replica.written`)",
    (Role.FOLLOWER, Role.CANDIDATE): "it was nominated and may win (`Nominee._stand`)",
    (Role.CANDIDATE, Role.LEADER): "the votes suffice (`Replica._lead`)",
    (Role.CANDIDATE, Role.FOLLOWER): (
        "its time is up, it votes for another, another leads, or there is a higher term "
        "(`Nominee._give_up_campaign`)"
    ),
    (Role.LEADER, Role.FOLLOWER): (
        "there is a higher term (`Voter._adopt`), or no majority was heard for an election "
        "timeout (`Replica.tick`)"
    ),
}
"""By (from, to): when the change is made, and where. There is no other."""


def check_transition(before: Role, after: Role) -> None:
    """Raises `InvariantBroken` if a replica must not go from `before` to `after`."""
    if (before, after) not in TRANSITIONS:
        raise InvariantBroken(f"a {before.value} cannot become a {after.value}")
