"""Decides what is wrong with a bazaar, by the answer to `GET /status`. Pure."""

from collections.abc import Iterator, Sequence
from enum import Enum

import msgspec

from .report import CatalogState, ClusterStatus, ReplicaState

__all__ = [
    "FAR_BEHIND_ENTRIES",
    "FAR_BEHIND_SECONDS",
    "Condition",
    "Judgement",
    "is_far_behind",
    "judge",
]

FAR_BEHIND_SECONDS = 2.0
"""A replica that has lacked entries for so long is far behind. Under load, each lacks some."""
FAR_BEHIND_ENTRIES = 4096
"""The same, where it is not known for how long. The leader keeps as many in memory; what is before
them it reads from its disk."""


class Condition(Enum):
    """How a bazaar is."""

    WELL = "well"
    IMPAIRED = "impaired"
    """It works, but something is wrong."""
    DOWN = "down"
    """No trade is possible."""


class Judgement(msgspec.Struct, frozen=True):
    """What is wrong."""

    condition: Condition
    findings: Sequence[str]
    """What is wrong, a phrase each, the worst first; empty: nothing."""


def judge(status: ClusterStatus) -> Judgement:
    """What is wrong with the bazaar that `status` shows."""
    findings = [*_findings(status)]
    without_leader = [*_without_leader(status)]
    if without_leader:
        condition = Condition.IMPAIRED if _any_leads(status) else Condition.DOWN
        return Judgement(condition, [*without_leader, *findings])
    return Judgement(Condition.IMPAIRED if findings else Condition.WELL, findings)


def _any_leads(status: ClusterStatus) -> bool:
    """Whether trades are possible, be it in some partitions only."""
    partitions = status.partitions or ()
    return bool(status.leader) or any(each.leader for each in partitions)


def _without_leader(status: ClusterStatus) -> Iterator[str]:
    if not _any_leads(status):
        yield "no order replica leads"
        return
    for each in status.partitions or ():
        if not each.leader:
            yield f"no order replica leads partition {each.partition}"


def is_far_behind(behind: int | None, behind_seconds: float | None) -> bool:
    """Whether a process that lacks so many entries, for so long, is far behind."""
    if behind_seconds is not None:
        return behind_seconds > FAR_BEHIND_SECONDS
    return behind is not None and behind > FAR_BEHIND_ENTRIES


def _findings(status: ClusterStatus) -> Iterator[str]:
    for replica in status.replicas:
        wrong = _wrong_with(replica)
        if wrong:
            yield f"replica {replica.id} {wrong}"
    for catalog in status.catalogs:
        if not catalog.reachable:
            yield f"catalog {catalog.address} does not answer"
        elif is_far_behind(catalog.behind, None):
            yield f"catalog {catalog.address} is {catalog.behind} entries behind"
    yield from _without_catalog(status.catalogs)
    for frontend in status.frontends:
        if frontend.kept_out_seconds > 0:
            left = frontend.kept_out_seconds
            yield f"front-end {frontend.address} is kept out for {left:.0f} s"


def _without_catalog(catalogs: Sequence[CatalogState]) -> Iterator[str]:
    # One of an earlier release does not say whether it serves.
    served = [
        {part.partition for part in each.partitions or () if part.serving is not False}
        for each in catalogs
        if each.reachable
    ]
    known = {part.partition for each in catalogs for part in each.partitions or ()}
    if known and served:
        yield from (
            f"no catalog answers lookups of partition {partition}"
            for partition in sorted(known.difference(*served))
        )
    elif not any(each.reachable and each.serving is not False for each in catalogs):
        yield "no catalog answers lookups"


def _wrong_with(replica: ReplicaState) -> str:
    if not replica.reachable:
        return "does not answer"
    if replica.joining is True:
        return ""  # It has yet to fetch the log, and counts for nothing.
    if replica.role == "suspect":
        return "is suspect: it may lack what it has acknowledged"
    if is_far_behind(replica.behind, replica.behind_seconds):
        seconds = replica.behind_seconds
        since = "" if seconds is None else f", for {seconds:.0f} s"
        return f"is {replica.behind} entries behind{since}"
    return ""
