"""The parts of the answer to `GET /status`, of what replicas and catalogs say."""

from typing import Any

from msgspec import UNSET

from twisted_bazaar.consensus.messages import FollowerLag, Status
from twisted_bazaar.frontend.overview.parts import (
    AskedCatalog,
    OwnLease,
    catalog_states,
    frontend_states,
    last_number,
    leader_index,
    problem_of,
    replica_states,
)
from twisted_bazaar.rpc.catalog_status import CatalogStatus, SubscriberStatus
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import CatalogState, FrontendState, ReplicaState

ADDRESSES = {replica: Address("127.0.0.1", 7000 + replica) for replica in (1, 2, 3)}
CATALOG = Address("127.0.0.1", 7000)
OWN = OwnLease("127.0.0.1:7010", 0.51234, 0.0)


def status(replica: int, role: str = "follower", index: int = 830, **more: Any) -> Status:
    return Status(
        replica=replica,
        role=role,
        term=4,
        leader=3,
        last_index=index,
        last_number=index - 18,
        digest="",
        disk_seconds=0.00412345,
        **more,
    )


LEADER = status(3, "leader", followers=(FollowerLag(replica=1, entries=7, seconds=1.23456),))


def asked(**said: Any) -> AskedCatalog:
    known: dict[str, Any] = {"applied": 825, "released": 825, "lease_seconds": 0.87654}
    return AskedCatalog(
        address=CATALOG,
        reachable=True,
        status=CatalogStatus(**{**known, "serving": True, **said}),
        leader_index=830,
    )


def test_a_replica_is_as_it_described_itself_last() -> None:
    [first, second, third] = replica_states(
        {1: (status(1, index=820), True), 2: (None, False), 3: (LEADER, True)}, ADDRESSES, 3
    )
    assert first == ReplicaState(
        id=1,
        address="127.0.0.1:7001",
        role="follower",
        reachable=True,
        term=4,
        last_number=802,
        last_index=820,
        behind=7,
        behind_seconds=1.235,
        disk_seconds=0.0041,
    ), "the leader knows better what it lacks than what it knew to be committed"
    assert second == ReplicaState(id=2, address="127.0.0.1:7002", role="unknown", reachable=False)
    assert (third.role, third.behind, third.behind_seconds) == ("leader", 0, 0.0)


def test_of_one_that_does_not_answer_the_rest_is_the_last_that_was_known() -> None:
    statuses = {1: (status(1, index=820), False), 2: (None, False), 3: (LEADER, True)}
    first, *_ = replica_states(statuses, ADDRESSES, 3)
    assert (first.role, first.reachable, first.last_index) == ("unknown", False, 820)


def test_under_a_leader_of_an_earlier_release_it_is_behind_by_what_it_knows_to_be_committed() -> (
    None
):
    statuses = {1: (status(1, index=820), True), 3: (status(3, "leader"), True)}
    first, _ = replica_states(statuses, ADDRESSES, 3)
    assert (first.behind, first.behind_seconds) == (10, None)


def test_without_a_leader_all_are_compared_with_the_one_that_has_most() -> None:
    statuses = {1: (status(1, index=820), True), 2: (status(2), True), 3: (None, False)}
    assert leader_index(statuses, 0) == 830
    assert [each.behind for each in replica_states(statuses, ADDRESSES, 0)] == [10, 0, None]
    assert last_number(statuses) == 812


def test_a_catalog_says_how_it_is() -> None:
    assert catalog_states([asked()]) == [
        CatalogState(
            address="127.0.0.1:7000",
            reachable=True,
            serving=True,
            lease_seconds=0.877,
            applied_index=825,
            behind=5,
        )
    ]
    [ahead] = catalog_states([asked(applied=831)])
    assert ahead.behind == 0, "the last ping is older than its answer"


def test_of_a_catalog_that_says_nothing_nothing_is_known() -> None:
    silent = AskedCatalog(address=CATALOG, reachable=False)
    assert catalog_states([silent]) == [CatalogState(address="127.0.0.1:7000", reachable=False)]


def test_front_ends_are_those_that_the_serving_catalog_knows() -> None:
    standby = asked(serving=False, subscribers=[SubscriberStatus(address="127.0.0.1:1")])
    serving = asked(
        subscribers=[
            SubscriberStatus(address="127.0.0.1:7009", kept_out_seconds=2.0),
            SubscriberStatus(address="127.0.0.1:7010", lease_seconds=0.93456),
        ]
    )
    assert frontend_states([standby, serving], OWN) == [
        FrontendState(
            address="127.0.0.1:7009", is_self=False, lease_seconds=0.0, kept_out_seconds=2.0
        ),
        FrontendState(
            address="127.0.0.1:7010", is_self=True, lease_seconds=0.935, kept_out_seconds=0.0
        ),
    ]


def test_the_one_that_answers_is_always_among_them_by_what_it_knows_itself() -> None:
    [own] = frontend_states([AskedCatalog(address=CATALOG, reachable=False)], OWN)
    assert (own.is_self, own.lease_seconds) == (True, 0.512)
    [uncached] = frontend_states([asked()], OwnLease("127.0.0.1:7010", None, 0.0))
    assert (uncached.is_self, uncached.lease_seconds) == (True, None)


def test_it_is_ready_when_a_replica_leads_and_a_catalog_serves() -> None:
    serves, stands_by = catalog_states([asked(), asked(serving=False)])
    early = CatalogState(address="127.0.0.1:7000", reachable=True)
    silent = CatalogState(address="127.0.0.1:7000", reachable=False)
    assert problem_of(3, [stands_by, serves]) is None
    assert problem_of(3, [early]) is None, "one of an earlier release does not say"
    assert problem_of(3, [stands_by, silent]) == "no catalog answers"
    assert problem_of(0, [serves]) == "no order replica leads"


def test_a_replica_that_does_not_count_yet_is_joining() -> None:
    statuses = {1: (status(1, index=820), True), 3: (LEADER, True)}
    first, second = replica_states(statuses, ADDRESSES, 3, joining=(1,))
    assert (first.joining, second.joining) == (True, UNSET)
