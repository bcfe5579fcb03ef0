"""A stage over time: the rate and latency of answers, and the faults. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from load.history.records import Call, Fault, LookupCall, Record, TradeCall

from .figures import outcome, percentile

__all__ = ["Marked", "Moment", "Timeline", "fault_kind", "timeline"]

STEP_SECONDS = 0.5
MOST_STEPS = 200


class Moment(msgspec.Struct, frozen=True):
    """An interval. Latencies are of the calls that ended in it, answered or not; None: no call
    did."""

    at: float
    """Its middle, in seconds from the first call."""
    trades: float
    """Served a second: an order or a rejection."""
    lookups: float
    trade_p50_ms: float | None
    trade_max_ms: float | None
    lookup_p50_ms: float | None
    lookup_max_ms: float | None


class Marked(msgspec.Struct, frozen=True):
    """A fault, in seconds from the first call."""

    what: str
    kind: str
    """One of `BAND_KINDS` of `load.report.plot`."""
    names: Sequence[str]
    """The processes that it was injected into."""
    began: float
    ended: float


class Timeline(msgspec.Struct, frozen=True):
    """A whole stage."""

    step: float = 0.0
    """The length of a moment, in seconds."""
    moments: Sequence[Moment] = ()
    faults: Sequence[Marked] = ()


def timeline(records: Iterable[Record]) -> Timeline:
    """The timeline of a section: moments of half a second, at most `MOST_STEPS` of them."""
    records = list(records)
    calls = [each for each in records if isinstance(each, TradeCall | LookupCall)]
    faults = sorted((r for r in records if isinstance(r, Fault)), key=lambda fault: fault.began)
    times = [each for call in records if isinstance(call, Call) for each in (call.sent, call.ended)]
    if not times:
        return Timeline()
    begin, whole = min(times), max(times) - min(times)
    count = min(max(1, int(whole / STEP_SECONDS)), MOST_STEPS)
    step = whole / count or STEP_SECONDS
    trades: list[list[Call]] = [[] for _ in range(count)]
    lookups: list[list[Call]] = [[] for _ in range(count)]
    for call in calls:
        place = min(count - 1, int((call.ended - begin) / step))
        (trades if isinstance(call, TradeCall) else lookups)[place].append(call)
    return Timeline(
        step,
        [
            _moment((n + 0.5) * step, step, *each)
            for n, each in enumerate(zip(trades, lookups, strict=True))
        ],
        [
            Marked(
                fault.what,
                fault_kind(fault.what),
                fault.names,
                fault.began - begin,
                fault.ended - begin,
            )
            for fault in faults
        ],
    )


def _moment(at: float, step: float, trades: Sequence[Call], lookups: Sequence[Call]) -> Moment:
    return Moment(
        at, _served(trades) / step, _served(lookups) / step, *_latency(trades), *_latency(lookups)
    )


def _served(calls: Iterable[Call]) -> int:
    return sum(outcome(call) == "served" for call in calls)


def _latency(calls: Iterable[Call]) -> tuple[float | None, float | None]:
    took = sorted((call.ended - call.sent) * 1000 for call in calls)
    return (percentile(took, 50), took[-1]) if took else (None, None)


def fault_kind(what: str) -> str:
    """The kind of band for a fault with this name."""
    first = what.partition(" ")[0]
    if first in ("kill", "pause", "mix", "slow", "fill", "switch"):
        return first
    if " folder of " in what:
        return "folder"
    if " leads to " in what or " lead to " in what:
        return "astray"
    if first in ("flush", "old"):
        return "spoil"
    return "down" if what.endswith((" down", " down for good")) else "cut"
