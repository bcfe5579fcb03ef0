"""Latencies in an HDR histogram: any percentile of any number of them, to 0.1 %. Pure."""

from hdrh.histogram import HdrHistogram

__all__ = ["Latencies"]

MICROSECONDS = 1_000_000
LONGEST_SECONDS = 3600.0
"""Longer latencies are recorded as this."""
DIGITS = 3


class Latencies:
    """Latencies in seconds, with a resolution of a microsecond."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, int(LONGEST_SECONDS) * MICROSECONDS, DIGITS)
        self.count = 0
        self.total = 0.0
        self.max = 0.0

    def record(self, seconds: float) -> None:
        # The histogram would silently ignore a value out of its range.
        within = min(max(seconds, 0.0), LONGEST_SECONDS)
        self._histogram.record_value(round(within * MICROSECONDS))
        self.count += 1
        self.total += within
        self.max = max(self.max, within)

    def add(self, others: "Latencies") -> None:
        """Record all `others` as well."""
        self._histogram.add(others._histogram)
        self.count += others.count
        self.total += others.total
        self.max = max(self.max, others.max)

    @property
    def mean(self) -> float:
        """The arithmetic mean; 0 if there are none, like any percentile."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The least value that `percent` of them, 0 to 100, do not exceed."""
        value = float(self._histogram.get_value_at_percentile(percent))
        # The histogram returns the end of a bucket, which may exceed the maximum.
        return min(value / MICROSECONDS, self.max)
