"""The status of a bazaar that is well, and of one that is not."""

from typing import Any

from twisted_bazaar.status.report import (
    CatalogInPartition,
    CatalogState,
    ClusterStatus,
    Figures,
    FrontendState,
    PartitionState,
    ReplicaInPartition,
    ReplicaState,
    StockMove,
)


def replica_state(id: int, **changed: Any) -> ReplicaState:
    """A replica that is well, but for what is `changed`."""
    known: dict[str, Any] = {
        "id": id,
        "address": f"127.0.0.1:700{id}",
        "role": "leader" if id == 3 else "follower",
        "reachable": True,
        "term": 4,
        "last_number": 812,
        "last_index": 830,
        "behind": 0,
        "behind_seconds": 0.0,
        "disk_seconds": 0.004,
    }
    return ReplicaState(**{**known, **changed})


def catalog_state(**changed: Any) -> CatalogState:
    """A catalog that serves, but for what is `changed`."""
    known: dict[str, Any] = {
        "address": "127.0.0.1:7000",
        "reachable": True,
        "serving": True,
        "lease_seconds": 0.8,
        "applied_index": 830,
        "behind": 0,
    }
    return CatalogState(**{**known, **changed})


def frontend_state(**changed: Any) -> FrontendState:
    """A front-end that holds a lease, but for what is `changed`."""
    known: dict[str, Any] = {
        "address": "127.0.0.1:7010",
        "is_self": True,
        "lease_seconds": 0.93,
        "kept_out_seconds": 0.0,
    }
    return FrontendState(**{**known, **changed})


def cluster_status(**changed: Any) -> ClusterStatus:
    """A bazaar that is well, but for what is `changed`."""
    known: dict[str, Any] = {
        "version": "0.1.0",
        "time": "2026-11-28T07:30:00.000Z",
        "ready": True,
        "problem": None,
        "notice": None,
        "leader": 3,
        "term": 4,
        "last_number": 812,
        "frontends": [frontend_state()],
        "catalogs": [catalog_state()],
        "replicas": [replica_state(id) for id in (1, 2, 3)],
        "figures": Figures(uptime_seconds=31.2),
    }
    return ClusterStatus(**{**known, **changed})


def partition_state(partition: int, leader: int = 3, **changed: Any) -> PartitionState:
    """A partition that is led, but for what is `changed`."""
    known: dict[str, Any] = {
        "partition": partition,
        "leader": leader,
        "term": 4,
        "preferred": 0,
        "last_number": 812_000 + partition,
        "last_index": 830,
    }
    return PartitionState(**{**known, **changed})


def partitioned_status(leaders: tuple[int, ...] = (3, 2), **changed: Any) -> ClusterStatus:
    """A bazaar of several partitions that is well, but for what is `changed`."""
    serving = [CatalogInPartition(partition=each, serving=True) for each in range(len(leaders))]
    known: dict[str, Any] = {
        "leader": leaders[0],
        "partitions": [partition_state(*each) for each in enumerate(leaders)],
        "moved": [StockMove(stock="[b]FishCo", partition=1, arrived=False)],
        "catalogs": [catalog_state(partitions=serving)],
        "replicas": [
            replica_state(
                id,
                partitions=[
                    ReplicaInPartition(partition=each, role="leader" if id == led else "follower")
                    for each, led in enumerate(leaders)
                ],
            )
            for id in (1, 2, 3)
        ],
    }
    return cluster_status(**{**known, **changed})
