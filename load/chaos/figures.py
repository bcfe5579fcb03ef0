"""The figures of a stage, from its history. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Literal

import msgspec

from load.client.api import EXPECTED
from load.history.records import (
    SOURCES,
    Call,
    Fault,
    LookupCall,
    Record,
    TradeCall,
    Verdict,
)

from .gaps import FaultRow, LivenessRow, calm_gap, fault_rows, liveness

__all__ = ["Figures", "LookupRow", "OperationRow", "Outcome", "figures", "outcome", "percentile"]

ANSWERED = {200, 404}
"""The statuses that answer a lookup."""

Outcome = Literal["served", "refused", "unknown"]


class OperationRow(msgspec.Struct, frozen=True):
    """All calls of one kind."""

    kind: str
    calls: int
    served: int
    """Answered as a working bazaar does: an order, a rejection, a stock, 404."""
    refused: int
    """Not executed: 503, or never sent."""
    unknown: int
    """Without an answer, or with one that leaves the outcome open."""
    p50_ms: float
    p99_ms: float
    max_ms: float


class LookupRow(msgspec.Struct, frozen=True):
    """The answered lookups with one value of `X-Cache`."""

    source: str
    answered: int
    share: float
    """Of all answered lookups, 0 to 1: the hit rate, where the source is `hit`."""
    p50_ms: float
    p99_ms: float
    max_ms: float


class Figures(msgspec.Struct, frozen=True):
    """What the page shows of the history."""

    seconds: float
    operations: Sequence[OperationRow]
    lookups: Sequence[LookupRow]
    faults: Sequence[FaultRow]
    calm_gap: float
    """The longest time without an acknowledged trade before the first fault."""
    calm_lookup_gap: float
    """The longest time without an answered lookup before the first fault."""
    liveness: Sequence[LivenessRow]
    unknown: int
    """Calls to trade that left the outcome unknown."""
    resent: int
    """Keys that were sent more than once."""
    left_unknown: int
    """Keys of which no client ever learnt whether they have an order."""
    keys: int
    """The distinct keys of all trades."""
    slowest: float
    """The longest time from when a trade was first sent until its outcome was known."""
    unexpected: Mapping[str, int]
    """Counts of answers that a bazaar must not give, by status."""


def figures(records: Iterable[Record], bounds: Mapping[str, float] | None = None) -> Figures:
    """The figures of a section of a history. `bounds` has the faults through which trades must
    flow, each with the longest time without an answer, in seconds, that is allowed."""
    records = list(records)
    calls = [each for each in records if isinstance(each, Call)]
    trades = [each for each in calls if isinstance(each, TradeCall)]
    injected = sorted((r for r in records if isinstance(r, Fault)), key=lambda fault: fault.began)
    faults = [each for each in injected if not each.is_wanted]
    wanted = [
        msgspec.structs.replace(each, what=f"{each.what}, under faults")
        for each in injected
        if each.is_wanted
    ]
    placed = sorted(
        (each for each in trades if each.verdict is Verdict.PLACED), key=lambda each: each.ended
    )
    lookups = sorted(
        (each for each in calls if isinstance(each, LookupCall) and each.status in ANSWERED),
        key=lambda each: each.ended,
    )
    times = [each.sent for each in calls] + [each.ended for each in calls]
    begin, end = min(times, default=0.0), max(times, default=0.0)
    acknowledged = [begin, *(each.ended for each in placed), end]
    looked_up = [begin, *(each.ended for each in lookups), end]
    by_key: dict[str, list[TradeCall]] = defaultdict(list)
    for trade in trades:
        by_key[trade.key].append(trade)
    known = {key: _known(sent) for key, sent in by_key.items()}
    first = {key: min(each.sent for each in sent) for key, sent in by_key.items()}
    settled = [(first[key], first[key] + took) for key, took in known.items() if took is not None]
    unexpected = Counter(str(each.status) for each in calls if each.status not in EXPECTED)
    unexpected += Counter("200, malformed" for c in calls if c.status == 200 and c.message)
    return Figures(
        seconds=end - begin,
        operations=_operations(calls),
        lookups=_lookups(lookups),
        faults=[
            *fault_rows(faults, acknowledged, looked_up, settled),
            # Those have faults meanwhile, and would overlap all of them.
            *fault_rows(wanted, acknowledged, looked_up, settled),
        ],
        calm_gap=calm_gap(faults, acknowledged),
        calm_lookup_gap=calm_gap(faults, looked_up),
        liveness=liveness(faults, bounds or {}, placed, lookups),
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


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The least value that `percent` of them, 0 to 100, do not exceed; 0 if there are none."""
    rank = ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1] if ordered else 0.0


def _operations(calls: Sequence[Call]) -> Sequence[OperationRow]:
    by_kind: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_kind[str(call.__struct_config__.tag)].append(call)
    rows = []
    for kind in sorted(by_kind, key=lambda kind: -len(by_kind[kind])):
        took = sorted((each.ended - each.sent) * 1000 for each in by_kind[kind])
        outcomes = Counter(map(outcome, by_kind[kind]))
        rows.append(
            OperationRow(
                kind,
                len(took),
                outcomes["served"],
                outcomes["refused"],
                outcomes["unknown"],
                percentile(took, 50),
                percentile(took, 99),
                took[-1],
            )
        )
    return rows


def _lookups(lookups: Iterable[LookupCall]) -> Sequence[LookupRow]:
    """A row for each source; lookups that were recorded without one are left out."""
    by_source: dict[str, list[float]] = defaultdict(list)
    for each in lookups:
        if each.source:
            by_source[each.source].append((each.ended - each.sent) * 1000)
    whole = sum(map(len, by_source.values()))
    rows = []
    for source in sorted(by_source, key=(*SOURCES, *sorted(by_source)).index):
        took = sorted(by_source[source])
        rows.append(
            LookupRow(
                source,
                len(took),
                len(took) / whole,
                percentile(took, 50),
                percentile(took, 99),
                took[-1],
            )
        )
    return rows


def outcome(call: Call) -> Outcome:
    """The outcome of `call`, as `OperationRow` defines it."""
    if isinstance(call, TradeCall):
        if call.verdict is Verdict.UNKNOWN:
            return "unknown"
        return "refused" if call.verdict is Verdict.NOT_EXECUTED else "served"
    if call.status == 0:
        return "unknown"
    return "refused" if call.status == 503 else "served"


def _known(sent: Sequence[TradeCall]) -> float | None:
    """The time until the outcome of a trade was known; None: it never was."""
    unclear = (Verdict.UNKNOWN, Verdict.NOT_EXECUTED)
    ended = [each.ended for each in sent if each.verdict not in unclear]
    return min(ended) - min(each.sent for each in sent) if ended else None
