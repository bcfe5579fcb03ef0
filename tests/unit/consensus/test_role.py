"""The roles of a replica: each change that the table has is made somewhere, and no other is."""

from itertools import permutations

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.member import TIMING, Member, follower, hear_of_term, leader
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.consensus.role import TRANSITIONS, Role, check_transition
from twisted_bazaar.errors import InvariantBroken


def made_by(member: Member) -> list[Role]:
    """The role of `member` now, and each that it takes from here on."""
    roles = [member.replica.role]
    become = member.replica._become

    def _become(role: Role) -> None:
        become(role)
        roles.append(role)

    member.replica._become = _become  # type: ignore[method-assign]
    return roles


def recalls() -> list[Role]:
    disks = {3: MemoryStorage(suspect="a line is damaged")}
    cluster = Cluster(3, disks=disks, asleep=(1, 2))
    roles = made_by(cluster.members[3])
    for peer in (1, 2):
        cluster.start(peer)
    cluster.pass_time(1.0)
    return roles


def hears_of_a_higher_term() -> list[Role]:
    member = follower(1)
    roles = made_by(member)
    member.win(2)
    hear_of_term(member, 9)
    return roles


def loses_touch() -> list[Role]:
    member = follower(1)
    roles = made_by(member)
    member.win(2)
    member.pass_time(2 * TIMING.election_timeout)
    return roles


def stands_in_vain() -> list[Role]:
    member = follower(1)
    roles = made_by(member)
    member.stand()
    member.pass_time(2 * TIMING.election_timeout)
    return roles


@pytest.mark.parametrize(
    ("life", "roles"),
    [
        (recalls, [Role.SUSPECT, Role.FOLLOWER]),
        (
            hears_of_a_higher_term,
            [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER, Role.FOLLOWER],
        ),
        (loses_touch, [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER, Role.FOLLOWER]),
        (stands_in_vain, [Role.FOLLOWER, Role.CANDIDATE, Role.FOLLOWER]),
    ],
)
def test_each_change_of_the_table_is_made(life, roles) -> None:
    assert life() == roles


@pytest.mark.parametrize("change", [*permutations(Role, 2)])
def test_a_change_that_the_table_lacks_breaks_an_invariant(change: tuple[Role, Role]) -> None:
    if change in TRANSITIONS:
        check_transition(*change)
        return
    with pytest.raises(InvariantBroken, match="cannot become"):
        check_transition(*change)


def test_a_replica_refuses_a_change_that_the_table_lacks() -> None:
    member = leader(1)
    with pytest.raises(InvariantBroken, match="a leader cannot become a candidate"):
        member.replica._become(Role.CANDIDATE)
    assert member.replica.leads
