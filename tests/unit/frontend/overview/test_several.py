"""What `GET /status` says of several partitions."""

from typing import Any

import msgspec

from tests.fakes.replicas import follows, leads
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.frontend.overview import parts, several
from twisted_bazaar.rpc.catalog_status import CatalogStatus, SubscriberStatus
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import StockMove

ADDRESSES = {2: Address("m", 2), 3: Address("m", 3)}
CATALOG = Address("c", 1)
OWN = parts.OwnLease("f:1", 0.4, 0.0)


def asked(serving: bool = True, reachable: bool = True, *known: SubscriberStatus) -> Any:
    said = CatalogStatus(
        applied=5, released=5, lease_seconds=0.8, serving=serving, subscribers=known
    )
    return [
        parts.AskedCatalog(
            address=CATALOG,
            reachable=reachable,
            status=said if reachable else None,
            leader_index=7,
        )
    ]


def seen(leader: int, last: int, catalogs: Any = None) -> several.Seen:
    """A partition that `leader` leads, whose last order is number `last` there."""
    statuses = {
        id: (
            msgspec.structs.replace(
                leads(id) if id == leader else follows(id), last_number=last, last_index=last + 2
            ),
            True,
        )
        for id in (2, 3)
    }
    return several.Seen(
        leader=leader, term=4, preferred=2, statuses=statuses, catalogs=catalogs or asked()
    )


BOTH = [seen(3, 7), seen(2, 0)]


def test_each_partition_has_its_leader_and_the_numbers_that_clients_see() -> None:
    first, second = several.partition_states(BOTH)
    assert (first.partition, first.leader, first.last_number, first.last_index) == (0, 3, 7000, 9)
    assert (second.partition, second.leader, second.last_number) == (1, 2, 0)
    assert second.preferred == 2


def test_a_member_has_a_role_in_each_partition() -> None:
    of_first = parts.replica_states(BOTH[0].statuses, ADDRESSES, 3)
    second, third = several.replica_states(of_first, ADDRESSES, BOTH)
    assert [each.role for each in second.partitions or ()] == ["follower", "leader"]
    assert [each.role for each in third.partitions or ()] == ["leader", "follower"]
    assert third.last_number == 7000


def test_a_catalog_is_reachable_if_it_answers_for_any_partition() -> None:
    both = [seen(3, 7, asked(reachable=False)), seen(2, 0, asked(serving=False))]
    [catalog] = several.catalog_states(parts.catalog_states(both[0].catalogs), both)
    assert catalog.reachable
    assert [each.serving for each in catalog.partitions or ()] == [None, False]


def test_a_front_end_is_kept_out_if_it_is_in_any_partition() -> None:
    def known(lease: float, kept_out: float) -> Any:
        subscriber = SubscriberStatus(address="f:2", lease_seconds=lease, kept_out_seconds=kept_out)
        return asked(True, True, subscriber)

    states = several.frontend_states(
        [seen(3, 7, known(0.9, 0.0)), seen(2, 0, known(0.0, 3.0))], OWN
    )
    own, other = states
    assert (own.is_self, own.lease_seconds) == (True, 0.4)
    assert (other.address, other.lease_seconds, other.kept_out_seconds) == ("f:2", 0.0, 3.0)


def test_a_problem_names_its_partition_and_leaders_come_first() -> None:
    assert several.problem_of(BOTH) is None
    unanswered = [seen(3, 7, asked(serving=False)), seen(2, 0)]
    assert several.problem_of(unanswered) == "no catalog answers for partition 0"
    leaderless = [unanswered[0], seen(0, 0)]
    assert several.problem_of(leaderless) == "no order replica leads partition 1"


def test_moves_are_shown() -> None:
    placed = StockPlacement(stock="A", partition=1, arrived=False)
    assert several.moves([placed]) == [StockMove(stock="A", partition=1, arrived=False)]
