"""The figures of a trial: what its history amounts to. Pure."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from .calls import EXPECTED
from .history import Call, Fault, Record, TradeCall, Verdict

__all__ = ["FaultRow", "Figures", "LivenessRow", "OperationRow", "figures", "percentile"]

GAP_BOUND_SECONDS = 3.0
"""While a fault lasts that must be traded through, some trade is acknowledged this often: a
leader is replaced, and a catalog's lease runs out, within half of it."""
LATE_BOUND_SECONDS = 0.5
"""Half-way through such a fault a trade takes no longer than this on average: what had to be
noticed was, and is not waited for each time."""

IN_FLIGHT_SECONDS = 0.05
"""An answer that was on its way when a fault began may come so much later."""
MINGLED = "one upon another"
"""What is shown of a fault that began before the bazaar had recovered from others."""


BACK_BOUND_SECONDS = 5.0
"""When a cut has ended, or what was down is back, trades are acknowledged within this time,
however long it lasted."""


class OperationRow(msgspec.Struct, frozen=True):
    """All calls of one kind."""

    kind: str
    calls: int
    served: int
    """Answered as a bazaar that is well would: an order, a rejection, a stock, 404."""
    refused: int
    """Certainly not done: 503, or never sent."""
    unknown: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class FaultRow(msgspec.Struct, frozen=True):
    """All faults of one kind, and for how long no trade was acknowledged then."""

    what: str
    count: int
    gap_p50: float
    gap_max: float
    back_max: float
    """The longest from the end of such a fault to the next acknowledged trade."""


class LivenessRow(msgspec.Struct, frozen=True):
    """One fault that had to be traded through, while it lasted."""

    what: str
    gap: float
    """The longest time without an acknowledged trade."""
    late_p50: float | None
    """What a trade took that was sent in the second half; None: none was acknowledged."""
    acknowledged: int

    @property
    def alive(self) -> bool:
        late = self.late_p50 is not None and self.late_p50 <= LATE_BOUND_SECONDS
        return late and self.gap <= GAP_BOUND_SECONDS


class Figures(msgspec.Struct, frozen=True):
    """What a page of figures shows of the history."""

    seconds: float
    operations: Sequence[OperationRow]
    faults: Sequence[FaultRow]
    calm_gap: float
    """The longest time without an acknowledged trade while nothing had been done for long."""
    liveness: Sequence[LivenessRow]
    unknown: int
    """Trades whose call told nothing of their outcome."""
    resent: int
    """Keys that were sent more than once."""
    left_unknown: int
    """Trades of which no client ever learnt whether they are orders."""
    keys: int
    """Trades, however often they were sent."""
    slowest: float
    """The longest from when a trade was first sent until its outcome was known."""
    unexpected: Mapping[str, int]
    """Answers that a bazaar must not give, by status."""


def figures(records: Iterable[Record], lively: Iterable[str] = ()) -> Figures:
    """The figures of a section; `lively` names the faults that had to be traded through."""
    records = list(records)
    calls = [each for each in records if isinstance(each, Call)]
    trades = [each for each in calls if isinstance(each, TradeCall)]
    faults = sorted((r for r in records if isinstance(r, Fault)), key=lambda fault: fault.began)
    placed = sorted(
        (each for each in trades if each.verdict is Verdict.PLACED), key=lambda each: each.ended
    )
    times = [each.sent for each in calls] + [each.ended for each in calls]
    begin, end = min(times, default=0.0), max(times, default=0.0)
    acknowledged = [begin, *(each.ended for each in placed), end]
    by_key: dict[str, list[TradeCall]] = defaultdict(list)
    for trade in trades:
        by_key[trade.key].append(trade)
    known = {key: _known(sent) for key, sent in by_key.items()}
    lively = set(lively)
    unexpected = Counter(str(each.status) for each in calls if each.status not in EXPECTED)
    unexpected += Counter("200, malformed" for c in calls if c.status == 200 and c.message)
    return Figures(
        seconds=end - begin,
        operations=_operations(calls),
        faults=_faults(faults, acknowledged),
        calm_gap=_calm_gap(faults, acknowledged),
        liveness=[_liveness(fault, placed) for fault in faults if fault.what in lively],
        unknown=sum(each.verdict is Verdict.UNKNOWN for each in trades),
        resent=sum(len(sent) > 1 for sent in by_key.values()),
        left_unknown=sum(
            known[key] is None and any(each.verdict is Verdict.UNKNOWN for each in sent)
            for key, sent in by_key.items()
        ),
        keys=len(by_key),
        slowest=max((took for took in known.values() if took is not None), default=0.0),
        unexpected=dict(sorted(unexpected.items())),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that `share` of them do not exceed; 0 if there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _operations(calls: Sequence[Call]) -> Sequence[OperationRow]:
    by_kind: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_kind[str(call.__struct_config__.tag)].append(call)
    rows = []
    for kind in sorted(by_kind, key=lambda kind: -len(by_kind[kind])):
        took = sorted((each.ended - each.sent) * 1000 for each in by_kind[kind])
        fates = Counter(map(_fate, by_kind[kind]))
        rows.append(
            OperationRow(
                kind,
                len(took),
                fates["served"],
                fates["refused"],
                fates["unknown"],
                percentile(took, 0.5),
                percentile(took, 0.99),
                took[-1],
            )
        )
    return rows


def _fate(call: Call) -> str:
    if isinstance(call, TradeCall):
        if call.verdict is Verdict.UNKNOWN:
            return "unknown"
        return "refused" if call.verdict is Verdict.NOT_EXECUTED else "served"
    if call.status == 0:
        return "unknown"
    return "refused" if call.status == 503 else "served"


def _known(sent: Sequence[TradeCall]) -> float | None:
    """How long it took until the outcome of a trade was known; None: it never was."""
    unclear = (Verdict.UNKNOWN, Verdict.NOT_EXECUTED)
    ended = [each.ended for each in sent if each.verdict not in unclear]
    return min(ended) - min(each.sent for each in sent) if ended else None


def _faults(faults: Sequence[Fault], acknowledged: Sequence[float]) -> Sequence[FaultRow]:
    """By kind of fault, the longest time without an acknowledgement that each one brought.

    Such a gap is the work of the last fault that had begun when it did; if others went on or
    began during the gap, it is nobody's alone.
    """
    began = [fault.began for fault in faults]
    longest = [0.0] * len(faults)
    mingled = [False] * len(faults)
    for before, after in pairwise(acknowledged):
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
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for fault, gap, shared in zip(faults, longest, mingled, strict=True):
        back = _next(acknowledged, fault.ended) - fault.ended
        rows[MINGLED if shared else fault.what].append((gap, back))
    return [
        FaultRow(
            what,
            len(found),
            median(gap for gap, _ in found),
            max(gap for gap, _ in found),
            max(back for _, back in found),
        )
        for what, found in rows.items()
    ]


def _next(acknowledged: Sequence[float], at: float) -> float:
    place = bisect_left(acknowledged, at)
    return acknowledged[place] if place < len(acknowledged) else at


def _calm_gap(faults: Sequence[Fault], acknowledged: Sequence[float]) -> float:
    until = faults[0].began if faults else acknowledged[-1]
    calm = [each for each in acknowledged if each <= until]
    return max((after - before for before, after in pairwise(calm)), default=0.0)


def _liveness(fault: Fault, placed: Sequence[TradeCall]) -> LivenessRow:
    during = [each.ended for each in placed if fault.began <= each.ended <= fault.ended]
    gap = max(after - before for before, after in pairwise([fault.began, *during, fault.ended]))
    middle = (fault.began + fault.ended) / 2
    late = [each.ended - each.sent for each in placed if middle <= each.sent <= fault.ended]
    return LivenessRow(fault.what, gap, median(late) if late else None, len(during))
