"""What is wrong with a bazaar, by its status."""

from tests.fakes.cluster_status import (
    catalog_state,
    cluster_status,
    frontend_state,
    partitioned_status,
    replica_state,
)
from twisted_bazaar.status.judgement import (
    FAR_BEHIND_ENTRIES,
    FAR_BEHIND_SECONDS,
    Condition,
    Judgement,
    judge,
)
from twisted_bazaar.status.report import CatalogInPartition, CatalogState, ClusterStatus


def with_replica(**changed: object) -> ClusterStatus:
    return cluster_status(
        replicas=[replica_state(1, **changed), replica_state(2), replica_state(3)]
    )


def impaired(*findings: str) -> Judgement:
    return Judgement(Condition.IMPAIRED, [*findings])


def test_a_bazaar_in_which_all_answer_is_well() -> None:
    assert judge(cluster_status()) == Judgement(Condition.WELL, [])


def test_a_replica_that_does_not_answer_is_wrong_and_trades_go_on() -> None:
    assert judge(with_replica(reachable=False)) == impaired("replica 1 does not answer")


def test_a_suspect_replica_is_wrong() -> None:
    assert judge(with_replica(role="suspect")) == impaired(
        "replica 1 is suspect: it may lack what it has acknowledged"
    )


def test_a_replica_that_lags_for_long_is_wrong_however_few_entries_it_lacks() -> None:
    lags = with_replica(behind=1, behind_seconds=FAR_BEHIND_SECONDS + 1)
    assert judge(lags) == impaired("replica 1 is 1 entries behind, for 3 s")
    busy = with_replica(behind=10 * FAR_BEHIND_ENTRIES, behind_seconds=FAR_BEHIND_SECONDS)
    assert judge(busy).condition is Condition.WELL


def test_without_a_time_it_is_far_behind_by_its_entries() -> None:
    """The leader may be of an earlier release."""
    lags = with_replica(behind=FAR_BEHIND_ENTRIES + 1, behind_seconds=None)
    assert judge(lags) == impaired("replica 1 is 4097 entries behind")
    near = with_replica(behind=FAR_BEHIND_ENTRIES, behind_seconds=None)
    assert judge(near).condition is Condition.WELL


def test_without_a_leader_no_trade_is_possible() -> None:
    down = cluster_status(
        leader=0,
        replicas=[replica_state(1, reachable=False), *(replica_state(id) for id in (2, 3))],
    )
    assert judge(down) == Judgement(
        Condition.DOWN, ["no order replica leads", "replica 1 does not answer"]
    )


def test_a_standby_catalog_that_does_not_answer_is_wrong() -> None:
    silent = catalog_state(address="127.0.0.1:7009", reachable=False, serving=None)
    assert judge(cluster_status(catalogs=[catalog_state(), silent])) == impaired(
        "catalog 127.0.0.1:7009 does not answer"
    )


def test_without_a_catalog_trades_go_on() -> None:
    standby = catalog_state(serving=False)
    assert judge(cluster_status(catalogs=[standby])) == impaired("no catalog answers lookups")
    silent = catalog_state(reachable=False, serving=None)
    assert judge(cluster_status(catalogs=[silent])) == impaired(
        "catalog 127.0.0.1:7000 does not answer", "no catalog answers lookups"
    )


def test_a_catalog_of_an_earlier_release_may_serve() -> None:
    assert judge(cluster_status(catalogs=[catalog_state(serving=None)])).condition is Condition.WELL


def test_a_catalog_that_is_far_behind_is_wrong() -> None:
    behind = catalog_state(behind=FAR_BEHIND_ENTRIES + 1)
    assert judge(cluster_status(catalogs=[behind])) == impaired(
        "catalog 127.0.0.1:7000 is 4097 entries behind"
    )


def test_a_front_end_that_is_kept_out_is_wrong_and_one_without_a_lease_is_not() -> None:
    kept_out = frontend_state(kept_out_seconds=2.4)
    assert judge(cluster_status(frontends=[kept_out])) == impaired(
        "front-end 127.0.0.1:7010 is kept out for 2 s"
    )
    uncached = frontend_state(lease_seconds=None)
    assert judge(cluster_status(frontends=[uncached])).condition is Condition.WELL


def test_of_several_partitions_all_must_be_led_and_shown() -> None:
    assert judge(partitioned_status()) == Judgement(Condition.WELL, [])
    assert judge(partitioned_status((0, 2))) == impaired("no order replica leads partition 0")
    assert judge(partitioned_status((0, 0))) == Judgement(
        Condition.DOWN, ["no order replica leads"]
    )


def test_a_partition_that_no_catalog_answers_for_is_wrong() -> None:
    def catalog(*serves: bool) -> CatalogState:
        return catalog_state(
            partitions=[CatalogInPartition(partition=n, serving=s) for n, s in enumerate(serves)]
        )

    one_each = partitioned_status(catalogs=[catalog(True, False), catalog(False, True)])
    assert judge(one_each).condition is Condition.WELL
    neither = partitioned_status(catalogs=[catalog(True, False), catalog(False, False)])
    assert judge(neither) == impaired("no catalog answers lookups of partition 1")
    silent = partitioned_status(catalogs=[catalog_state(reachable=False)])
    assert "no catalog answers lookups" in judge(silent).findings


def test_a_replica_that_is_joining_may_lack_much_and_must_answer() -> None:
    assert judge(with_replica(joining=True, role="suspect", behind=10**6)) == Judgement(
        Condition.WELL, []
    )
    assert judge(with_replica(joining=True, reachable=False)) == impaired(
        "replica 1 does not answer"
    )
