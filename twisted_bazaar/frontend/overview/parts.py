"""Puts the answer to `GET /status` together, of what replicas and catalogs say. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast

import msgspec

from twisted_bazaar.consensus.messages import FollowerLag, Status
from twisted_bazaar.rpc.catalog_status import CatalogStatus
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import CatalogState, FrontendState, ReplicaState

__all__ = [
    "Asked",
    "AskedCatalog",
    "OwnLease",
    "catalog_states",
    "frontend_states",
    "last_number",
    "leader_index",
    "problem_of",
    "replica_states",
]

_Role = Literal["leader", "candidate", "follower", "suspect", "unknown"]
_ROLES = ("leader", "candidate", "follower", "suspect")

Statuses = Mapping[int, tuple[Status | None, bool]]
"""By id, the last status of each replica, if any, and whether it answered its last ping."""


class AskedCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog said when it was asked."""

    address: Address
    reachable: bool
    status: CatalogStatus | None = None
    """None: it did not answer, or is of an earlier release."""
    leader_index: int = 0
    """The leader's last entry that was known then."""


Asked = Sequence[AskedCatalog]
"""What all catalogs said, in the order in which they are configured."""


class OwnLease(msgspec.Struct, frozen=True):
    """What a front-end knows of its own lease."""

    address: str
    """Of its internal endpoint."""
    lease_seconds: float | None
    """None: it keeps no cache, and needs no lease."""
    kept_out_seconds: float


def leader_index(statuses: Statuses, leader: int) -> int:
    """The last entry of the leader, or of any replica if none is known to lead."""
    status, _ = statuses.get(leader, (None, False))
    if status is not None:
        return status.last_index
    return max((each.last_index for each, _ in statuses.values() if each), default=0)


def last_number(statuses: Statuses) -> int:
    """The number of the last order that any replica has shown."""
    return max((each.last_number for each, _ in statuses.values() if each), default=0)


def replica_states(
    statuses: Statuses,
    addresses: Mapping[int, Address],
    leader: int,
    joining: Collection[int] = (),
) -> Sequence[ReplicaState]:
    """Every replica, by id. Those that are `joining` do not count yet."""
    last = leader_index(statuses, leader)
    leading, _ = statuses.get(leader, (None, False))
    lags = {each.replica: each for each in leading.followers} if leading else {}
    states = [
        _replica_state(replica, str(addresses[replica]), known, last, lags.get(replica))
        for replica, known in statuses.items()
    ]
    return [
        msgspec.structs.replace(each, joining=True) if each.id in joining else each
        for each in states
    ]


def _replica_state(
    replica: int,
    address: str,
    known: tuple[Status | None, bool],
    last: int,
    lag: FollowerLag | None,
) -> ReplicaState:
    """`last` is the leader's last entry, and `lag` what the leader says of this replica, if it says
    something."""
    status, reachable = known
    if status is None:
        return ReplicaState(
            id=replica,
            address=address,
            role="unknown",
            reachable=reachable,
            behind=lag.entries if lag else None,
            behind_seconds=round(lag.seconds, 3) if lag else None,
        )
    leads = reachable and status.role == "leader"
    seconds = lag.seconds if lag else 0.0 if leads else None
    return ReplicaState(
        id=replica,
        address=address,
        role=cast(_Role, status.role) if reachable and status.role in _ROLES else "unknown",
        reachable=reachable,
        term=status.term,
        last_number=status.last_number,
        last_index=status.last_index,
        behind=lag.entries if lag else max(0, last - status.last_index),
        behind_seconds=None if seconds is None else round(seconds, 3),
        disk_seconds=round(status.disk_seconds, 4),
    )


def catalog_states(catalogs: Asked) -> Sequence[CatalogState]:
    """Every catalog."""
    return [_catalog_state(each) for each in catalogs]


def _catalog_state(asked: AskedCatalog) -> CatalogState:
    status = asked.status
    if status is None:
        return CatalogState(address=str(asked.address), reachable=asked.reachable)
    return CatalogState(
        address=str(asked.address),
        reachable=asked.reachable,
        serving=status.serving,
        lease_seconds=round(status.lease_seconds, 3),
        applied_index=status.applied,
        behind=max(0, asked.leader_index - status.applied),
    )


def frontend_states(catalogs: Asked, own: OwnLease) -> Sequence[FrontendState]:
    """The front-ends that the catalog which serves knows, by address, and the one that answers."""
    serving = [each.status for each in catalogs if each.status and each.status.serving]
    known = max(serving, key=lambda status: status.lease_seconds).subscribers if serving else ()
    states = {
        each.address: FrontendState(
            address=each.address,
            is_self=each.address == own.address,
            lease_seconds=round(each.lease_seconds, 3),
            kept_out_seconds=round(each.kept_out_seconds, 3),
        )
        for each in known
    }
    if own.address not in states:
        lease = own.lease_seconds
        states[own.address] = FrontendState(
            address=own.address,
            is_self=True,
            lease_seconds=None if lease is None else round(lease, 3),
            kept_out_seconds=round(own.kept_out_seconds, 3),
        )
    return [states[address] for address in sorted(states)]


def problem_of(leader: int, catalogs: Sequence[CatalogState]) -> str | None:
    """Why trades and lookups cannot be served now, as `/readyz` says it; None: they can."""
    if not leader:
        return "no order replica leads"
    # One of an earlier release does not say whether it serves.
    if not any(each.reachable and each.serving is not False for each in catalogs):
        return "no catalog answers"
    return None
