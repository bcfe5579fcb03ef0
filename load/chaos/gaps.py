"""The longest times without an answer: after each fault, and during those through which trades
must flow. Pure."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from load.history.records import Fault, LookupCall, TradeCall

__all__ = [
    "BACK_BOUND_SECONDS",
    "FaultRow",
    "GAP_BOUND_SECONDS",
    "LATE_BOUND_SECONDS",
    "LivenessRow",
    "OVERLAPPING",
    "calm_gap",
    "fault_rows",
    "liveness",
]

GAP_BOUND_SECONDS = 3.0
"""While a fault lasts through which trades must flow, no longer time passes without an
acknowledged trade, or without an answered lookup at each front-end: a leader is replaced, and a
catalog's lease expires, in half of it."""
LATE_BOUND_SECONDS = 0.5
"""In the second half of such a fault the median trade takes no longer: the fault has been
detected, and not each trade waits for it."""
BACK_BOUND_SECONDS = 5.0
"""Within this time after the end of a network fault a trade is acknowledged, however long the
fault lasted."""

IN_FLIGHT_SECONDS = 0.05
"""An answer that was sent before a fault began may arrive this much later."""
OVERLAPPING = "overlapping faults"
"""The name under which faults are counted that share their longest gap with others."""


class FaultRow(msgspec.Struct, frozen=True):
    """All faults of one name, with the gaps between acknowledged trades that they caused, in
    seconds."""

    what: str
    count: int
    gap_p50: float
    gap_max: float
    back_max: float
    """The longest from the end of such a fault to the next acknowledged trade."""
    lookup_gap_max: float
    """The longest time without an answered lookup, at all front-ends together."""
    slowest: float = 0.0
    """The longest from when such a fault was there and a trade was wanted, until its outcome was
    known: it shows a partition that stops while others go on."""


class LivenessRow(msgspec.Struct, frozen=True):
    """One fault through which trades must flow, while it lasted. Times are in seconds."""

    what: str
    gap: float
    """The longest time without an acknowledged trade."""
    late_p50: float | None
    """The median time of trades sent in its second half; None: none was acknowledged."""
    acknowledged: int
    lookup_gap: float
    """The longest time in which one of the front-ends answered no lookup."""
    bound: float
    """The longest gap that is allowed."""

    @property
    def alive(self) -> bool:
        late = self.late_p50 is not None and self.late_p50 <= LATE_BOUND_SECONDS
        return late and self.gap <= self.bound and self.lookup_gap <= self.bound


def fault_rows(
    faults: Sequence[Fault],
    acknowledged: Sequence[float],
    looked_up: Sequence[float],
    settled: Iterable[tuple[float, float]] = (),
) -> Sequence[FaultRow]:
    """A row for each name of a fault. `faults` are sorted by when they began, `acknowledged` and
    `looked_up` are the sorted times of answers, and `settled` has for each trade when it was first
    sent, and when its outcome was known."""
    longest, overlapping = _caused(faults, acknowledged)
    lookups, _ = _caused(faults, looked_up)
    slowest = _slowest(faults, settled)
    rows: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for place, fault in enumerate(faults):
        back = _next(acknowledged, fault.ended) - fault.ended
        found = longest[place], back, lookups[place], slowest[place]
        rows[OVERLAPPING if overlapping[place] else fault.what].append(found)
    return [_fault_row(what, found) for what, found in rows.items()]


def _fault_row(what: str, found: Sequence[tuple[float, float, float, float]]) -> FaultRow:
    gaps, backs, lookups, slowest = zip(*found, strict=True)
    return FaultRow(
        what, len(found), median(gaps), max(gaps), max(backs), max(lookups), max(slowest)
    )


def _slowest(faults: Sequence[Fault], settled: Iterable[tuple[float, float]]) -> Sequence[float]:
    """The longest that a trade took from when each fault began while it waited. The time of one
    that waited through the begin of none counts for the last fault that had begun."""
    began = [fault.began for fault in faults]
    slowest = [0.0] * len(faults)
    for sent, known in settled:
        first, end = bisect_right(began, sent), bisect_left(began, known)
        if first == end > 0:
            slowest[end - 1] = max(slowest[end - 1], known - sent)
        for place in range(first, end):
            slowest[place] = max(slowest[place], known - began[place])
    return slowest


def _caused(
    faults: Sequence[Fault], answered: Sequence[float]
) -> tuple[Sequence[float], Sequence[bool]]:
    """The longest gap between answers that each fault caused, and whether others overlapped it.

    A gap is attributed to the last fault that had begun when the gap did. If others were active
    or began during the gap, all of them overlap.
    """
    began = [fault.began for fault in faults]
    longest = [0.0] * len(faults)
    overlapping = [False] * len(faults)
    for before, after in pairwise(answered):
        owner = bisect_right(began, before + IN_FLIGHT_SECONDS) - 1
        if owner < 0 or (gap := after - max(before, began[owner])) <= longest[owner]:
            continue
        longest[owner] = gap
        others = [
            place
            for place, other in enumerate(faults)
            if place != owner and other.began < after and other.ended > before
        ]
        overlapping[owner] = bool(others)
        for place in others:
            if place > owner and after - began[place] > longest[place]:
                longest[place], overlapping[place] = after - began[place], True
    return longest, overlapping


def _next(acknowledged: Sequence[float], at: float) -> float:
    place = bisect_left(acknowledged, at)
    return acknowledged[place] if place < len(acknowledged) else at


def calm_gap(faults: Sequence[Fault], answered: Sequence[float]) -> float:
    """The longest gap between answers before the first fault."""
    until = faults[0].began if faults else answered[-1]
    calm = [each for each in answered if each <= until]
    return max((after - before for before, after in pairwise(calm)), default=0.0)


def liveness(
    faults: Iterable[Fault],
    bounds: Mapping[str, float],
    placed: Sequence[TradeCall],
    lookups: Sequence[LookupCall],
) -> Sequence[LivenessRow]:
    """A row for each of `faults` that has a bound in `bounds`: the longest gap allowed, by name."""
    by_frontend: dict[int, list[float]] = defaultdict(list)
    for each in lookups:
        by_frontend[each.via].append(each.ended)
    return [
        _row(fault, bounds[fault.what], placed, list(by_frontend.values()))
        for fault in faults
        if fault.what in bounds
    ]


def _row(
    fault: Fault,
    bound: float,
    placed: Sequence[TradeCall],
    lookups: Sequence[Sequence[float]],
) -> LivenessRow:
    during = [each for each in placed if fault.began <= each.ended <= fault.ended]
    middle = (fault.began + fault.ended) / 2
    late = [each.ended - each.sent for each in placed if middle <= each.sent <= fault.ended]
    return LivenessRow(
        fault.what,
        _longest(fault, [each.ended for each in during]),
        median(late) if late else None,
        len(during),
        max((_longest(fault, ended) for ended in lookups), default=0.0),
        bound,
    )


def _longest(fault: Fault, answered: Sequence[float]) -> float:
    """The longest gap between answers while `fault` lasted."""
    during = [each for each in answered if fault.began <= each <= fault.ended]
    return max(after - before for before, after in pairwise([fault.began, *during, fault.ended]))
