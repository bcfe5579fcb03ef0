"""What is measured, and the ratios that have a bound. Pure."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from statistics import median

import msgspec

__all__ = ["Judged", "Row", "Sample", "Samples", "Subject", "judge", "rows"]


class Subject(StrEnum):
    """What a request asks for, and of which server."""

    KLEIN_GET = "bare Klein GET"
    KLEIN_POST = "bare Klein POST"
    GRPC = "bare gRPC call"
    CACHED = "lookups, cache on"
    UNCACHED = "lookups, cache off"
    TRADES = "trades"
    ORDINARY = "FastAPI, PostgreSQL"


class Sample(msgspec.Struct, frozen=True):
    """The figures of one stretch of load."""

    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    errors: int
    """Requests without an answer of 200."""
    cpu_us: Mapping[str, float] = {}
    """CPU time for each answer, by process, in microseconds."""


Samples = Mapping[tuple[Subject, int], Sequence[Sample]]
"""By subject and number of connections, one for each round."""


class Row(msgspec.Struct, frozen=True):
    """The medians of all rounds."""

    subject: Subject
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: Mapping[str, float]


class Judged(msgspec.Struct, frozen=True):
    """A figure, and its bound."""

    name: str
    value: float
    bound: float
    at_most: bool = False
    """Whether `bound` is the highest allowed value; else it is the lowest."""
    unit: str = ""

    @property
    def held(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def rows(samples: Samples) -> Sequence[Row]:
    """The rows, in the order in which they were measured."""
    return [_row(subject, connections, taken)
            for (subject, connections), taken in samples.items() if taken]  # fmt: skip


def _row(subject: Subject, connections: int, taken: Sequence[Sample]) -> Row:
    processes = {name: None for each in taken for name in each.cpu_us}
    return Row(
        subject,
        connections,
        median(each.rate for each in taken),
        median(each.p50_ms for each in taken),
        median(each.p99_ms for each in taken),
        sum(each.errors for each in taken),
        {name: median(each.cpu_us.get(name, 0.0) for each in taken) for name in processes},
    )


def judge(samples: Samples) -> Sequence[Judged]:
    """The ratios with their bounds. Each is the median of the ratios within a round, as what slows
    the whole machine down slows both sides."""
    bounds = [
        (Subject.CACHED, Subject.KLEIN_GET, 32, 2.0),
        (Subject.TRADES, Subject.KLEIN_POST, 32, 0.55),
        (Subject.TRADES, Subject.KLEIN_POST, 128, 0.70),
        (Subject.TRADES, Subject.ORDINARY, 1, 0.6),
        (Subject.TRADES, Subject.ORDINARY, 5, 1.0),
        (Subject.TRADES, Subject.ORDINARY, 32, 2.7),
        (Subject.TRADES, Subject.ORDINARY, 128, 4.0),
    ]
    judged = []
    for ours, bare, connections, bound in bounds:
        ratio = _ratio(samples, ours, bare, connections, lambda each: each.rate)
        if ratio is not None:
            name = f"{ours} / {bare}, {connections} connections"
            judged.append(Judged(name, ratio, bound))
    ratio = _ratio(samples, Subject.TRADES, Subject.GRPC, 1, lambda each: each.p50_ms)
    if ratio is not None:
        name = f"{Subject.TRADES} / {Subject.GRPC}, p50, 1 connection"
        judged.append(Judged(name, ratio, 6.0, at_most=True))
    return judged


def _ratio(
    samples: Samples,
    ours: Subject,
    bare: Subject,
    connections: int,
    figure: Callable[[Sample], float],
) -> float | None:
    one_side, other_side = samples.get((ours, connections)), samples.get((bare, connections))
    if not one_side or not other_side:
        return None
    pairs = zip(one_side, other_side, strict=True)
    ratios = [figure(one) / figure(other) for one, other in pairs if figure(other)]
    return median(ratios) if ratios else None
