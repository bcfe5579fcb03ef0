"""What operators are shown of the members."""

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.entries import MemberInfo
from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.frontend.operations.members import MembersShown
from twisted_bazaar.frontend.upstream.members import Members
from twisted_bazaar.runtime.address import Address

AT = "127.0.0.1:700{}"


class Statuses:
    statuses: Any = {1: (None, False), 4: (None, False)}
    leader = 1


@pytest.mark.parametrize(("before", "settled"), [((), True), ((1,), False)])
def test_a_change_is_under_way_while_those_that_count_change_not_while_one_joins(
    before: tuple[int, ...], settled: bool
) -> None:
    """One that never joins must not hold up what operators do next."""
    members = Members({1: Address.parse(AT.format(1))})
    status = Status(
        replica=1,
        role="leader",
        term=1,
        leader=1,
        last_index=5,
        last_number=0,
        digest="",
        cluster="c",
        members_index=5,
        roster=(MemberInfo(1, AT.format(1)), MemberInfo(4, AT.format(4), joining=True)),
        before=before,
    )
    members.heard(status, is_certain=True)
    statuses: Any = Statuses()
    bodies: list[bytes] = []
    shown: Deferred[bytes] = MembersShown(members, statuses).body()
    shown.addCallback(bodies.append)
    data = msgspec.json.decode(bodies[0])["data"]
    assert data["settled"] is settled
    assert [(each["member"], each["joining"]) for each in data["members"]] == [
        (1, False),
        (4, True),
    ]
