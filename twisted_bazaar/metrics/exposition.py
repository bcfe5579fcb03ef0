"""Writes metrics in the formats that Prometheus reads, by `prometheus_client`."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from twisted.logger import Logger

from .figures import Counter, Family, Gauges, Histogram, Metrics

__all__ = ["Exposition"]


class Exposition:
    """All metrics of a process: its own, and those of Python and the operating system."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Own(metrics))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def write(self, accept: str) -> tuple[bytes, bytes]:
        """The metrics as they are now, in a format that the header `Accept` allows, and the
        `Content-Type` of that."""
        try:
            return self._write(accept)
        except (TypeError, ValueError):
            # prometheus_client reads versions that clients ask for, and fails if they are none.
            return self._write("")

    def _write(self, accept: str) -> tuple[bytes, bytes]:
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type.encode("ascii")


class _Own(Collector):
    log = Logger()

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for family in self._metrics:
            if isinstance(family, Gauges):
                yield self._read(family)
            else:
                yield _shown(family)

    def _read(self, gauges: Gauges) -> Metric:
        kind = CounterMetricFamily if gauges.kind == "counter" else GaugeMetricFamily
        metric = kind(gauges.name, gauges.what, labels=gauges.labels)
        try:
            values = gauges.read()
        except Exception:
            # The others are wanted most when something is wrong.
            self.log.failure("the metric {name} cannot be read", name=gauges.name)
            return metric
        for labels, value in values.items():
            metric.add_metric(labels, value)
        return metric


def _shown(family: Family[Counter] | Family[Histogram]) -> Metric:
    if family.kind == "counter":
        counters = CounterMetricFamily(family.name, family.what, labels=family.labels)
        for labels, counter in family.values.items():
            assert isinstance(counter, Counter)
            counters.add_metric(labels, counter.value)
        return counters
    histograms = HistogramMetricFamily(family.name, family.what, labels=family.labels)
    for labels, histogram in family.values.items():
        assert isinstance(histogram, Histogram)
        bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        histograms.add_metric(labels, buckets, histogram.total)
    return histograms
