"""What the answer to `GET /status` has beside, where the market has several partitions. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.frontend.partitions.numbers import shown_last
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import (
    CatalogInPartition,
    CatalogState,
    FrontendState,
    PartitionState,
    ReplicaInPartition,
    ReplicaState,
    StockMove,
)

from . import parts

__all__ = [
    "Seen",
    "catalog_states",
    "frontend_states",
    "last_number",
    "moves",
    "partition_states",
    "problem_of",
    "replica_states",
]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One partition, as of the last pings and the last answers of the catalogs."""

    leader: int
    term: int
    preferred: int
    statuses: parts.Statuses
    catalogs: parts.Asked


def last_number(seen: Sequence[Seen], partition: int) -> int:
    """The number, as clients see it, of the last order of `partition`; 0: there is none."""
    return shown_last(parts.last_number(seen[partition].statuses), partition, len(seen))


def partition_states(seen: Sequence[Seen]) -> Sequence[PartitionState]:
    """Every partition, by number."""
    return [
        PartitionState(
            partition=number,
            leader=each.leader,
            term=each.term,
            preferred=each.preferred,
            last_number=last_number(seen, number),
            last_index=parts.leader_index(each.statuses, each.leader),
        )
        for number, each in enumerate(seen)
    ]


def replica_states(
    of_first: Sequence[ReplicaState], addresses: Mapping[int, Address], seen: Sequence[Seen]
) -> Sequence[ReplicaState]:
    """Every replica, by id, with all partitions. `of_first` are those of partition 0."""
    in_each = [parts.replica_states(each.statuses, addresses, each.leader) for each in seen]
    return [
        msgspec.structs.replace(
            state,
            last_number=_shown(state.last_number, 0, len(seen)),
            partitions=[
                _in_partition(states[at], number, len(seen))
                for number, states in enumerate(in_each)
            ],
        )
        for at, state in enumerate(of_first)
    ]


def _in_partition(state: ReplicaState, partition: int, partitions: int) -> ReplicaInPartition:
    return ReplicaInPartition(
        partition=partition,
        role=state.role,
        term=state.term,
        last_number=_shown(state.last_number, partition, partitions),
        last_index=state.last_index,
        behind=state.behind,
    )


def _shown(last: int | None, partition: int, partitions: int) -> int | None:
    return None if last is None else shown_last(last, partition, partitions)


def catalog_states(
    of_first: Sequence[CatalogState], seen: Sequence[Seen]
) -> Sequence[CatalogState]:
    """Every catalog, with all partitions. It is reachable if it answered for any of them."""
    in_each = [parts.catalog_states(each.catalogs) for each in seen]
    return [
        msgspec.structs.replace(
            state,
            reachable=any(states[at].reachable for states in in_each),
            partitions=[
                CatalogInPartition(
                    partition=number,
                    serving=states[at].serving,
                    lease_seconds=states[at].lease_seconds,
                    applied_index=states[at].applied_index,
                    behind=states[at].behind,
                )
                for number, states in enumerate(in_each)
            ],
        )
        for at, state in enumerate(of_first)
    ]


def frontend_states(seen: Sequence[Seen], own: parts.OwnLease) -> Sequence[FrontendState]:
    """The front-ends that a catalog knows in any partition, by address. One holds a lease for as
    long as it does in all that know it, and is kept out for as long as it is in any."""
    states: dict[str, FrontendState] = {}
    for each in seen:
        for state in parts.frontend_states(each.catalogs, own):
            known = states.setdefault(state.address, state)
            leases = [known.lease_seconds, state.lease_seconds]
            held = [lease for lease in leases if lease is not None]
            states[state.address] = msgspec.structs.replace(
                known,
                lease_seconds=min(held, default=None),
                kept_out_seconds=max(known.kept_out_seconds, state.kept_out_seconds),
            )
    return [states[address] for address in sorted(states)]


def problem_of(seen: Sequence[Seen]) -> str | None:
    """Why trades or lookups of some partition cannot be served now, as `/readyz` says it; None:
    all can."""
    for number, each in enumerate(seen):
        if not each.leader:
            return f"no order replica leads partition {number}"
    for number, each in enumerate(seen):
        if parts.problem_of(each.leader, parts.catalog_states(each.catalogs)) is not None:
            return f"no catalog answers for partition {number}"
    return None


def moves(moved: Sequence[StockPlacement]) -> Sequence[StockMove]:
    """The stocks that were moved."""
    return [
        StockMove(stock=each.stock, partition=each.partition, arrived=each.arrived)
        for each in moved
    ]
