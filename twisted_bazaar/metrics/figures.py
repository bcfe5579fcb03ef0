"""Counters, gauges and histograms, in families that share a name and differ in labels. Pure.

They are plain numbers without locks: all of them are touched on the reactor's thread only. To add
to one costs a tenth of what it does in `prometheus_client`, which takes a lock each time.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Literal, TypeAlias, TypeVar

import attrs

__all__ = [
    "BATCH_SIZES",
    "LATENCY_SECONDS",
    "Counter",
    "Family",
    "Gauges",
    "Histogram",
    "Labels",
    "Metrics",
    "Value",
]

LATENCY_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Upper bounds of the buckets of a duration, in seconds: a cached lookup takes 0.1 ms, and a client
waits for 5 s."""

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the buckets of what is sent together."""

_NAME = re.compile(r"bazaar(_[a-z]+)+")
_RESERVED = ("_total", "_count", "_sum", "_bucket", "_created")
"""Ends of names that mean a certain kind of metric."""
_NO_BASE_UNITS = ("_milliseconds", "_microseconds", "_minutes", "_kilobytes", "_percent")

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

Labels: TypeAlias = tuple[str, ...]
"""The values of a family's labels, in the order in which it names them."""


class Counter:
    """A number that only grows. `value` is added to directly."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class Histogram:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the inclusive upper bounds of the buckets, ascending; one more bucket holds
        what is above the last."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count `value`."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


Value = TypeVar("Value", Counter, Histogram)


class Family(Generic[Value]):
    """The counters, or the histograms, of one name: one for each combination of labels.

    The labels must come from a bounded set: each combination is kept for ever.
    """

    def __init__(
        self, name: str, what: str, kind: Kind, labels: Sequence[str], make: Callable[[], Value]
    ) -> None:
        self.name = name
        self.kind = kind
        self.what = what
        """A sentence for readers."""
        self.labels = tuple(labels)
        """The names of the labels."""
        self.values: dict[Labels, Value] = {}
        self._make: Callable[[], Value] = make
        if not labels:
            self.values[()] = make()

    def of(self, *labels: str) -> Value:
        """The one with these values of the labels. Hot paths keep it."""
        value = self.values.get(labels)
        if value is None:
            assert len(labels) == len(self.labels), f"{self.name} has the labels {self.labels}"
            value = self.values[labels] = self._make()
        return value


@attrs.frozen
class Gauges:
    """Numbers that go up and down. They are read when somebody asks, so they cost nothing else."""

    name: str
    what: str
    labels: tuple[str, ...]
    read: Callable[[], Mapping[Labels, float]]
    kind: Kind
    """`counter`: what is read only grows, and is counted elsewhere."""


class Metrics:
    """The families of one process, by name. Each name is declared once.

    Names begin with `bazaar_`, and those of what is measured end in its base unit: seconds, bytes,
    or what is counted. Those of counters, and no others, end in `_total`.
    """

    def __init__(self) -> None:
        self._families: dict[str, Family[Counter] | Family[Histogram] | Gauges] = {}

    def counters(self, name: str, what: str, *labels: str) -> Family[Counter]:
        """A new family of counters. `name` ends in `_total`."""
        family = Family(name, what, "counter", labels, Counter)
        self._add(family)
        return family

    def counter(self, name: str, what: str) -> Counter:
        """A counter without labels. `name` ends in `_total`."""
        return self.counters(name, what).of()

    def histograms(
        self, name: str, what: str, *labels: str, bounds: Sequence[float] = LATENCY_SECONDS
    ) -> Family[Histogram]:
        """A new family of histograms with buckets up to `bounds`."""
        assert list(bounds) == sorted(set(bounds)), f"{name}: bounds ascend"
        family = Family(name, what, "histogram", labels, lambda: Histogram(bounds))
        self._add(family)
        return family

    def histogram(
        self, name: str, what: str, bounds: Sequence[float] = LATENCY_SECONDS
    ) -> Histogram:
        """A histogram without labels."""
        return self.histograms(name, what, bounds=bounds).of()

    def gauges(
        self, name: str, what: str, *labels: str, read: Callable[[], Mapping[Labels, float]]
    ) -> None:
        """What `read` returns when the metrics are read, by the values of `labels`."""
        self._add(Gauges(name, what, labels, read, "gauge"))

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """What `read` returns when the metrics are read."""
        self.gauges(name, what, read=lambda: {(): read()})

    def counted(
        self, name: str, what: str, *labels: str, read: Callable[[], Mapping[Labels, float]]
    ) -> None:
        """As `gauges`, of what only grows. `name` ends in `_total`."""
        self._add(Gauges(name, what, labels, read, "counter"))

    def __iter__(self) -> Iterator[Family[Counter] | Family[Histogram] | Gauges]:
        return iter(self._families.values())

    def _add(self, family: Family[Counter] | Family[Histogram] | Gauges) -> None:
        name = family.name
        assert name not in self._families, f"{name} is declared twice"
        assert _NAME.fullmatch(name), f"{name} is no name of a metric"
        stem = name.removesuffix("_total") if family.kind == "counter" else name
        assert (stem != name) is (family.kind == "counter"), f"{name} is a {family.kind}"
        assert not stem.endswith((*_RESERVED, *_NO_BASE_UNITS)), f"{name} ends as another kind does"
        self._families[name] = family
