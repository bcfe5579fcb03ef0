"""What is known of the entries before a log's beginning."""

from tests.fakes.histories import extend, order
from twisted_bazaar.consensus.beginning import after
from twisted_bazaar.consensus.entries import MemberInfo, Members, Opened
from twisted_bazaar.consensus.identity import never_members


def members(*ids: int, before: tuple[int, ...] = ()) -> Members:
    return Members(tuple(map(MemberInfo, ids)), before)


def test_it_knows_who_is_a_member_and_who_ever_was() -> None:
    """Options name replicas that were removed, until their supervisor is told."""
    events = [members(1, 2, 3), members(1, 2, 3, 4), members(1, 2, 3, 5), members(1, 2, 5)]
    made = extend([], [Opened(leader=3, members=(1, 2, 3)), *events, order(1), members(1, 2, 9)])
    memberships = [(each.index, each.event) for each in made if isinstance(each.event, Members)]
    begins = after(made[5], number=1, cluster="c", openings=(), memberships=memberships, prices={})
    known = begins.memberships
    assert known[-1] == (5, members(1, 2, 5))
    assert [index for index, _ in known] == [3, 4, 5]
    assert never_members([2, 3, 4, 5], (), known) is None
    assert never_members([9], (), known) is not None
