"""Decides what is wrong with a bazaar, by the answer to `GET /status`. Pure."""

from collections.abc import Iterator, Sequence
from enum import Enum

import msgspec

from .report import ClusterStatus, ReplicaState

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
    if not status.leader:
        return Judgement(Condition.DOWN, ["no order replica leads", *findings])
    return Judgement(Condition.IMPAIRED if findings else Condition.WELL, findings)


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
    # One of an earlier release does not say whether it serves.
    if not any(each.reachable and each.serving is not False for each in status.catalogs):
        yield "no catalog answers lookups"
    for frontend in status.frontends:
        if frontend.kept_out_seconds > 0:
            left = frontend.kept_out_seconds
            yield f"front-end {frontend.address} is kept out for {left:.0f} s"


def _wrong_with(replica: ReplicaState) -> str:
    if not replica.reachable:
        return "does not answer"
    if replica.role == "suspect":
        return "is suspect: it may lack what it has acknowledged"
    if is_far_behind(replica.behind, replica.behind_seconds):
        seconds = replica.behind_seconds
        since = "" if seconds is None else f", for {seconds:.0f} s"
        return f"is {replica.behind} entries behind{since}"
    return ""
