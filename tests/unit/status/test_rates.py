"""What a front-end has done between two answers."""

from collections.abc import Sequence

import pytest

from twisted_bazaar.metrics.figures import LATENCY_SECONDS, Histogram
from twisted_bazaar.status.rates import quantile, rates
from twisted_bazaar.status.report import Durations, Figures, LookupCounts, TradeCounts


def buckets(*seconds: float) -> Sequence[int]:
    histogram = Histogram(LATENCY_SECONDS)
    for each in seconds:
        histogram.observe(each)
    return histogram.counts


EARLY = Figures(
    uptime_seconds=10.0,
    requests=100,
    lookups=LookupCounts(hit=50, miss=10, off=0),
    trades=TradeCounts(placed=40),
    seconds=Durations(lookup=buckets(*[4.0] * 60), trade=buckets(*[4.0] * 40)),
)
LATE = Figures(
    uptime_seconds=12.0,
    requests=108,
    lookups=LookupCounts(hit=53, miss=11, off=0),
    trades=TradeCounts(placed=44),
    seconds=Durations(
        lookup=buckets(*[4.0] * 60, *[0.0004] * 4), trade=buckets(*[4.0] * 40, *[0.008] * 4)
    ),
)


def test_they_are_of_what_came_between_the_two_and_of_nothing_before() -> None:
    done = rates(LATE, EARLY)
    assert (done.seconds, done.requests, done.lookups, done.orders) == (2.0, 4.0, 2.0, 2.0)
    assert done.hit_rate == 0.75
    assert done.lookup_seconds is not None
    assert done.trade_seconds is not None
    assert 0.00025 < done.lookup_seconds[0] < done.lookup_seconds[1] <= 0.0005
    assert 0.005 < done.trade_seconds[0] < done.trade_seconds[1] <= 0.01


@pytest.mark.parametrize("before", [None, Figures(uptime_seconds=13.0, requests=5000)])
def test_after_a_restart_they_are_since_the_start(before: Figures | None) -> None:
    done = rates(LATE, before)
    assert (done.seconds, done.requests) == (12.0, 9.0)


def test_where_nothing_happened_nothing_is_known() -> None:
    done = rates(LATE, LATE)
    assert (done.requests, done.hit_rate, done.lookup_seconds, done.trade_seconds) == (
        *(0.0, None),
        *(None, None),
    )


def test_a_quantile_lies_in_the_bucket_of_its_value() -> None:
    assert quantile((1.0, 2.0, 4.0), (0, 10, 0, 0), 0.5) == 1.5
    assert quantile((1.0, 2.0, 4.0), (5, 0, 5, 0), 0.99) == pytest.approx(3.96)
    assert quantile((1.0, 2.0, 4.0), (0, 0, 0, 3), 0.5) == 4.0
