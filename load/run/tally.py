"""Counts and latencies of the calls of a run, by kind. Pure."""

from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from load.history.records import SOURCES, Call, LookupCall, OrderCall, TradeCall, Verdict

from .latencies import Latencies

__all__ = ["Failed", "KindRow", "Measured", "Tally", "is_error"]


class KindRow(msgspec.Struct, frozen=True):
    """The figures of one kind of call, as they are shown."""

    kind: str
    count: int
    errors: int
    rate: float
    """Calls that succeeded, a second."""
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Failed(msgspec.Struct, frozen=True):
    """Failed calls of one kind with one status."""

    kind: str
    status: int
    """0: there was no answer."""
    count: int
    message: str
    """Of the first of them."""


class Measured:
    """All calls of one kind."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        """Of all calls, failed ones included: else a call without an answer would improve them."""
        self.errors = 0
        self.began = float("inf")
        self.ended = float("-inf")

    @property
    def count(self) -> int:
        return self.latencies.count

    @property
    def seconds(self) -> float:
        """From the start of the first call to the end of the last."""
        return max(0.0, self.ended - self.began)

    @property
    def rate(self) -> float:
        """Calls that succeeded, a second."""
        return (self.count - self.errors) / self.seconds if self.seconds else 0.0

    def record(self, since: float, ended: float, error: bool) -> None:
        """Record a call whose latency counts from `since`."""
        self.latencies.record(ended - since)
        self.errors += error
        self.began = min(self.began, since)
        self.ended = max(self.ended, ended)

    def add(self, other: "Measured") -> Self:
        self.latencies.add(other.latencies)
        self.errors += other.errors
        self.began = min(self.began, other.began)
        self.ended = max(self.ended, other.ended)
        return self

    def within(self, other: "Measured") -> Self:
        """Compute the rate over the time of `other`."""
        self.began, self.ended = other.began, other.ended
        return self

    def row(self, kind: str) -> KindRow:
        times = self.latencies
        shown = [times.mean, *(times.percentile(each) for each in (50, 90, 99, 99.9)), times.max]
        return KindRow(
            kind, self.count, self.errors, self.rate, *(round(each * 1000, 3) for each in shown)
        )


class Tally:
    """The calls of all clients."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], Measured] = {}
        self._failed: dict[tuple[str, int], Failed] = {}

    def add(self, call: Call, since: float) -> None:
        """Record `call`, whose latency counts from `since`."""
        kind = str(call.__struct_config__.tag)
        error = is_error(call)
        key = kind, call.source if isinstance(call, LookupCall) else ""
        measured = self._measured.get(key)
        if measured is None:
            measured = self._measured[key] = Measured()
        measured.record(since, call.ended, error)
        if error:
            alike = kind, call.status
            failed = self._failed.get(alike) or Failed(*alike, 0, call.message)
            self._failed[alike] = msgspec.structs.replace(failed, count=failed.count + 1)

    @property
    def failed(self) -> Iterable[Failed]:
        """Failed calls by kind and status, the most frequent first."""
        return sorted(self._failed.values(), key=lambda each: -each.count)

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """The numbers of calls and of errors of each kind."""
        counts: dict[str, tuple[int, int]] = {}
        for (kind, _), each in self._measured.items():
            count, errors = counts.get(kind, (0, 0))
            counts[kind] = count + each.count, errors + each.errors
        return counts

    def kinds(self) -> Mapping[str, Measured]:
        """The figures by kind: `all` are lookups and trades; `hit`, `miss` and `off` are lookups
        by `X-Cache`; `order` are the queries of remembered orders. A kind without calls is left
        out.

        The rates of lookups and trades are over the time that both took together.
        """
        everything = self._sum("lookup", "trade")
        kinds = {"all": everything, "lookup": self._sum("lookup").within(everything)}
        for source in SOURCES:
            one = self._measured.get(("lookup", source)) or Measured()
            kinds[source] = Measured().add(one).within(everything)
        kinds["trade"] = self._sum("trade").within(everything)
        kinds["order"] = self._sum("order")
        return {kind: each for kind, each in kinds.items() if each.count}

    def _sum(self, *kinds: str) -> Measured:
        total = Measured()
        for (kind, _), each in self._measured.items():
            if kind in kinds:
                total.add(each)
        return total


def is_error(call: Call) -> bool:
    """Whether a call was not answered as a working bazaar answers it. A rejected trade is no
    error, nor is a query of an order that is missing, which `Remembered` judges."""
    match call:
        case TradeCall():
            return call.verdict not in (Verdict.PLACED, Verdict.REJECTED)
        case LookupCall():
            return call.found is None
        case OrderCall():
            return call.found is None and call.status != 404
    return call.status != 200 or bool(call.message)
