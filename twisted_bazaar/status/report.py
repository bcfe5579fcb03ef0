"""The answer to `GET /status`. Pure.

Times are seconds. What is not known is None: a process that does not answer says nothing, and one
of an earlier release not everything.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from twisted_bazaar.metrics.figures import LATENCY_SECONDS

__all__ = [
    "CatalogInPartition",
    "CatalogState",
    "ClusterStatus",
    "Durations",
    "Figures",
    "FrontendState",
    "LookupCounts",
    "PartitionState",
    "ReplicaInPartition",
    "ReplicaState",
    "StockMove",
    "TradeCounts",
]

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class FrontendState(msgspec.Struct, frozen=True, kw_only=True):
    """A front-end, as the catalog that serves knows it."""

    address: Annotated[str, msgspec.Meta(description="Of its internal endpoint.")]
    is_self: Annotated[bool, msgspec.Meta(description="Whether it is the one that answers.")] = (
        msgspec.field(name="self")
    )
    lease_seconds: Annotated[
        Seconds | None,
        msgspec.Meta(
            description="For how long it may show what it has cached; null: it keeps no cache."
        ),
    ]
    kept_out_seconds: Annotated[
        Seconds,
        msgspec.Meta(
            description="For how long it gets no lease, as it has repeatedly delayed trades."
        ),
    ]


class CatalogInPartition(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog in one partition. Fields are those of `CatalogState`."""

    partition: Count
    serving: bool | None = None
    lease_seconds: Seconds | None = None
    applied_index: Count | None = None
    behind: Count | None = None


class CatalogState(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog, as it described itself within the last second."""

    address: str
    reachable: Annotated[
        bool, msgspec.Meta(description="Whether it answered within half a second.")
    ]
    serving: Annotated[
        bool | None,
        msgspec.Meta(description="Whether it answers lookups; null: it does not say."),
    ] = None
    lease_seconds: Annotated[
        Seconds | None, msgspec.Meta(description="For how long its lease of the leader lasts.")
    ] = None
    applied_index: Annotated[
        Count | None, msgspec.Meta(description="The last entry that it has applied.")
    ] = None
    behind: Annotated[
        Count | None, msgspec.Meta(description="Entries that the leader had beyond that.")
    ] = None
    partitions: Annotated[
        Sequence[CatalogInPartition] | msgspec.UnsetType,
        msgspec.Meta(
            description="Each partition. What is above is of partition 0. Absent: there is one."
        ),
    ] = msgspec.UNSET


class ReplicaInPartition(msgspec.Struct, frozen=True, kw_only=True):
    """An order replica in one partition. Fields are those of `ReplicaState`."""

    partition: Count
    role: str
    term: Count | None = None
    last_number: Count | None = None
    last_index: Count | None = None
    behind: Count | None = None


class ReplicaState(msgspec.Struct, frozen=True, kw_only=True):
    """An order replica, as it described itself last."""

    id: int
    address: str
    role: Annotated[
        Literal["leader", "candidate", "follower", "suspect", "unknown"],
        msgspec.Meta(
            description="`suspect` is one that may lack what it has acknowledged, `unknown` one "
            "that does not answer."
        ),
    ]
    reachable: Annotated[
        bool,
        msgspec.Meta(
            description="Whether it answered its last ping. If not, the rest is from an earlier "
            "one; null: it never has."
        ),
    ]
    term: Count | None = None
    last_number: Annotated[
        Count | None, msgspec.Meta(description="Of the last order that it knows to be committed.")
    ] = None
    last_index: Annotated[
        Count | None, msgspec.Meta(description="Of the last entry that it knows to be committed.")
    ] = None
    behind: Annotated[
        Count | None, msgspec.Meta(description="Entries that the leader has beyond that.")
    ] = None
    behind_seconds: Annotated[
        Seconds | None,
        msgspec.Meta(description="For how long there have been entries that it lacks."),
    ] = None
    disk_seconds: Annotated[
        Seconds | None, msgspec.Meta(description="How long a write to its disk takes.")
    ] = None
    joining: Annotated[
        bool | msgspec.UnsetType,
        msgspec.Meta(
            description="Whether it is sent the log, and does not count yet. Absent: it counts."
        ),
    ] = msgspec.UNSET
    partitions: Annotated[
        Sequence[ReplicaInPartition] | msgspec.UnsetType,
        msgspec.Meta(
            description="Each partition. What is above is of partition 0. Absent: there is one."
        ),
    ] = msgspec.UNSET


class PartitionState(msgspec.Struct, frozen=True, kw_only=True):
    """A partition of the market."""

    partition: Count
    leader: Annotated[
        int, msgspec.Meta(description="The id of the replica that leads it; 0: none is known to.")
    ]
    term: Annotated[int, msgspec.Meta(description="Of that leader; 0: none is known.")]
    preferred: Annotated[
        int,
        msgspec.Meta(description="The replica that an operator wants to lead; 0: the usual one."),
    ]
    last_number: Annotated[int, msgspec.Meta(description="Of its last order; 0: there is none.")]
    last_index: Annotated[int, msgspec.Meta(description="Of its last entry.")]


class StockMove(msgspec.Struct, frozen=True, kw_only=True):
    """A stock that was moved, perhaps back since."""

    stock: str
    partition: Annotated[Count, msgspec.Meta(description="Where it is, or goes.")]
    arrived: Annotated[bool, msgspec.Meta(description="Whether it is there.")]


class LookupCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Lookups by what answered them."""

    hit: Annotated[Count, msgspec.Meta(description="The cache.")] = 0
    miss: Annotated[Count, msgspec.Meta(description="A catalog or the leader.")] = 0
    off: Annotated[Count, msgspec.Meta(description="The same, while nothing may be cached.")] = 0


class TradeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Trades by outcome."""

    placed: Annotated[Count, msgspec.Meta(description="They made an order.")] = 0
    replayed: Annotated[Count, msgspec.Meta(description="Their order was there.")] = 0
    judged: Annotated[Count, msgspec.Meta(description="They were to be judged only.")] = 0
    refused: Annotated[Count, msgspec.Meta(description="By the rules of the market.")] = 0
    not_executed: Annotated[Count, msgspec.Meta(description="They may be sent again.")] = 0
    unknown: Annotated[Count, msgspec.Meta(description="Their outcome is not known.")] = 0


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long requests took, in buckets."""

    bounds: Annotated[
        Sequence[float],
        msgspec.Meta(description="Inclusive upper bounds of the buckets, in seconds, ascending."),
    ] = LATENCY_SECONDS
    lookup: Annotated[
        Sequence[Count],
        msgspec.Meta(description="`GET /stocks/<name>`, a bucket more than there are bounds."),
    ] = (0,) * (len(LATENCY_SECONDS) + 1)
    trade: Annotated[
        Sequence[Count], msgspec.Meta(description="`POST /orders`, in the same buckets.")
    ] = (0,) * (len(LATENCY_SECONDS) + 1)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the front-end that answers has counted since it started. Readers take differences."""

    uptime_seconds: Annotated[
        Seconds, msgspec.Meta(description="It goes back when the front-end is started again.")
    ]
    requests: Count = 0
    failures: Annotated[
        Count,
        msgspec.Meta(description="Requests answered with 500 to 599, but for those of `/readyz`."),
    ] = 0
    lookups: LookupCounts = LookupCounts()
    trades: TradeCounts = TradeCounts()
    streams: Annotated[Count, msgspec.Meta(description="Streams of events, open now.")] = 0
    connections: Annotated[Count, msgspec.Meta(description="Of clients, open now.")] = 0
    seconds: Durations = Durations()


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole bazaar, as one front-end knows it."""

    version: Annotated[str, msgspec.Meta(description="Of the front-end that answers.")]
    time: Annotated[
        str,
        msgspec.Meta(
            description="On its clock: UTC, to the millisecond.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    ready: Annotated[
        bool, msgspec.Meta(description="Whether a leader is known and a catalog answers lookups.")
    ]
    problem: Annotated[str | None, msgspec.Meta(description="Why it is not; null: it is.")]
    notice: Annotated[
        str | None,
        msgspec.Meta(description="What operators should know of the front-end that answers."),
    ]
    leader: Annotated[
        int, msgspec.Meta(description="The id of the replica that leads; 0: none is known to.")
    ]
    term: Annotated[int, msgspec.Meta(description="Of that leader; 0: none is known.")]
    last_number: Annotated[int, msgspec.Meta(description="Of the last order.")]
    frontends: Sequence[FrontendState]
    catalogs: Sequence[CatalogState]
    replicas: Sequence[ReplicaState]
    figures: Figures
    partitions: Annotated[
        Sequence[PartitionState] | msgspec.UnsetType,
        msgspec.Meta(
            description="Each partition. `leader`, `term` and `last_number` above are those of "
            "partition 0. Absent: there is one."
        ),
    ] = msgspec.UNSET
    moved: Annotated[
        Sequence[StockMove] | msgspec.UnsetType,
        msgspec.Meta(description="The stocks that were moved. Absent: there is one partition."),
    ] = msgspec.UNSET
