"""Which replicas a front-end calls, and where, as the log's members change."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tests.fakes.replicas import follows
from twisted_bazaar.consensus.entries import MemberInfo
from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.frontend.upstream.live_clients import LiveClients
from twisted_bazaar.frontend.upstream.members import Members
from twisted_bazaar.runtime.address import Address

GIVEN = {1: Address("a", 1), 2: Address("b", 2), 3: Address("c", 3)}
BOTH = {**GIVEN, 4: Address("d", 4)}


def says(
    members: Mapping[int, Address],
    index: int,
    joining: tuple[int, ...] = (),
    before: tuple[int, ...] = (),
    cluster: str = "ours",
) -> Status:
    """A replica says that these are the members by entry `index`."""
    return msgspec.structs.replace(
        follows(1),
        cluster=cluster,
        roster=tuple(
            MemberInfo(replica, str(at), replica in joining) for replica, at in members.items()
        ),
        members_index=index,
        before=before,
    )


def test_without_an_entry_the_members_are_those_of_the_options() -> None:
    members = Members(GIVEN)
    assert not members.heard(follows(1), True)
    assert dict(members) == GIVEN
    assert list(members.voters) == [1, 2, 3]


def test_the_members_of_the_latest_entry_count() -> None:
    members = Members(GIVEN)
    assert members.heard(says(BOTH, 7, joining=(4,)), True)
    assert dict(members) == BOTH
    assert (set(members.voters), set(members.joining)) == ({1, 2, 3}, {4})
    assert members.heard(says(BOTH, 9), True)
    assert not members.joining
    assert not members.heard(says(GIVEN, 8), True), "an older answer came late"
    assert dict(members) == BOTH


def test_one_that_is_to_leave_is_called_until_the_change_is_done() -> None:
    """It may lead until then."""
    members = Members(GIVEN)
    rest = {1: GIVEN[1], 2: GIVEN[2]}
    members.heard(says(rest, 7, before=(1, 2, 3)), True)
    assert dict(members) == GIVEN
    assert members.heard(says(rest, 8), True)
    assert dict(members) == rest


def test_before_a_majority_named_its_cluster_one_address_leads_to_no_other_bazaar() -> None:
    """It may be of another bazaar, whose replicas are elsewhere."""
    members = Members(GIVEN)
    other = {1: GIVEN[1], 2: Address("x", 2), 3: Address("x", 3)}
    assert not members.heard(says(other, 7), False)
    assert dict(members) == GIVEN
    assert members.heard(says(other, 7), True)


def test_one_replica_of_old_options_leads_to_all_members() -> None:
    members = Members(GIVEN)
    now = {3: GIVEN[3], 4: Address("d", 4), 5: Address("e", 5)}
    assert members.heard(says(now, 30), False)
    assert dict(members) == now


def test_a_bazaar_that_was_restored_has_other_entries() -> None:
    members = Members(GIVEN)
    members.heard(says(BOTH, 30), True)
    assert members.heard(says(GIVEN, 2, cluster="restored"), True)
    assert dict(members) == GIVEN


def test_an_address_of_the_options_gives_way_where_nothing_answers() -> None:
    members = Members(GIVEN)
    moved = {**GIVEN, 1: Address("z", 1)}
    members.heard(says(moved, 7), True)
    assert members[1] == GIVEN[1], "the options may know better: ports change"
    assert [members.unanswered(1) for _ in range(4)] == [False] * 4
    members.answered(1)
    assert [members.unanswered(1) for _ in range(5)] == [*[False] * 4, True]
    assert members[1] == Address("z", 1)
    assert [members.unanswered(1) for _ in range(5)] == [*[False] * 4, True]
    assert members[1] == GIVEN[1], "and back"
    assert not any(members.unanswered(2) for _ in range(20)), "it has one address"


def test_an_address_that_changes_in_the_log_is_called_at_once() -> None:
    members = Members(GIVEN)
    members.heard(says(GIVEN, 7), True)
    assert members.heard(says({**GIVEN, 1: Address("z", 1)}, 9), True)
    assert members[1] == Address("z", 1)


def test_clients_are_of_the_members() -> None:
    members = Members(GIVEN)
    made: list[tuple[int, Address]] = []

    def make(replica: int, at: Address) -> Any:
        made.append((replica, at))
        return len(made)

    clients = LiveClients(members, make)
    assert (clients[1], clients[1]) == (1, 1)
    members.heard(says(BOTH, 7), True)
    assert list(clients) == [1, 2, 3, 4]
    assert clients[4] == 2
    members.heard(says(GIVEN, 8), True)
    assert 4 not in clients
    assert clients[4] == 2, "whoever is about to ask it may"
    members.heard(says(BOTH, 9), True)
    assert clients[4] == 3, "the channel of the one before is closed"
    assert made == [(1, GIVEN[1]), (4, BOTH[4]), (4, BOTH[4])]
