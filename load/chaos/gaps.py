"""For how long nobody was answered: after each fault, and while those last that must be lived
through. Pure."""

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
    "MINGLED",
    "calm_gap",
    "fault_rows",
    "liveness",
]

GAP_BOUND_SECONDS = 3.0
"""While a fault lasts that must be traded through, some trade is acknowledged this often, and
every front-end answers some lookup: a leader is replaced, and a catalog's lease runs out,
within half of it."""
LATE_BOUND_SECONDS = 0.5
"""Half-way through such a fault a trade takes no longer than this on average: what had to be
noticed was, and is not waited for each time."""
BACK_BOUND_SECONDS = 5.0
"""When a cut has ended, or what was down is back, trades are acknowledged within this time,
however long it lasted."""

IN_FLIGHT_SECONDS = 0.05
"""An answer that was on its way when a fault began may come so much later."""
MINGLED = "one upon another"
"""What is shown of a fault that began before the bazaar had recovered from others."""


class FaultRow(msgspec.Struct, frozen=True):
    """All faults of one kind, and for how long no trade was acknowledged then."""

    what: str
    count: int
    gap_p50: float
    gap_max: float
    back_max: float
    """The longest from the end of such a fault to the next acknowledged trade."""
    lookup_gap_max: float
    """The longest time without any lookup answered."""


class LivenessRow(msgspec.Struct, frozen=True):
    """One fault that had to be lived through, while it lasted."""

    what: str
    gap: float
    """The longest time without an acknowledged trade."""
    late_p50: float | None
    """What a trade took that was sent in the second half; None: none was acknowledged."""
    acknowledged: int
    lookup_gap: float
    """The longest time in which some front-end answered no lookup."""
    bound: float
    """How long a gap may be."""

    @property
    def alive(self) -> bool:
        late = self.late_p50 is not None and self.late_p50 <= LATE_BOUND_SECONDS
        return late and self.gap <= self.bound and self.lookup_gap <= self.bound


def fault_rows(
    faults: Sequence[Fault], acknowledged: Sequence[float], looked_up: Sequence[float]
) -> Sequence[FaultRow]:
    """By kind of fault, the longest times without an answer that each one brought. All are
    sorted by when they began, or when an answer came."""
    longest, mingled = _brought(faults, acknowledged)
    lookups, _ = _brought(faults, looked_up)
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for fault, gap, shared, lookup in zip(faults, longest, mingled, lookups, strict=True):
        back = _next(acknowledged, fault.ended) - fault.ended
        rows[MINGLED if shared else fault.what].append((gap, back, lookup))
    return [
        FaultRow(
            what,
            len(found),
            median(gap for gap, _, _ in found),
            max(gap for gap, _, _ in found),
            max(back for _, back, _ in found),
            max(lookup for _, _, lookup in found),
        )
        for what, found in rows.items()
    ]


def _brought(
    faults: Sequence[Fault], answered: Sequence[float]
) -> tuple[Sequence[float], Sequence[bool]]:
    """The longest time without an answer that each fault brought, and whether others had a part.

    Such a gap is the work of the last fault that had begun when it did; if others went on or
    began during the gap, it is nobody's alone.
    """
    began = [fault.began for fault in faults]
    longest = [0.0] * len(faults)
    mingled = [False] * len(faults)
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
        mingled[owner] = bool(others)
        for place in others:
            if place > owner and after - began[place] > longest[place]:
                longest[place], mingled[place] = after - began[place], True
    return longest, mingled


def _next(acknowledged: Sequence[float], at: float) -> float:
    place = bisect_left(acknowledged, at)
    return acknowledged[place] if place < len(acknowledged) else at


def calm_gap(faults: Sequence[Fault], answered: Sequence[float]) -> float:
    """The longest time without an answer before the first fault."""
    until = faults[0].began if faults else answered[-1]
    calm = [each for each in answered if each <= until]
    return max((after - before for before, after in pairwise(calm)), default=0.0)


def liveness(
    faults: Iterable[Fault],
    bounds: Mapping[str, float],
    placed: Sequence[TradeCall],
    lookups: Sequence[LookupCall],
) -> Sequence[LivenessRow]:
    """Those of `faults` that had to be lived through; `bounds` says how long a gap may be then."""
    by_frontend: dict[int, list[float]] = defaultdict(list)
    for each in lookups:
        by_frontend[each.via].append(each.ended)
    return [
        _lived(fault, bounds[fault.what], placed, list(by_frontend.values()))
        for fault in faults
        if fault.what in bounds
    ]


def _lived(
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
    """The longest time without an answer while `fault` lasted."""
    during = [each for each in answered if fault.began <= each <= fault.ended]
    return max(after - before for before, after in pairwise([fault.began, *during, fault.ended]))
