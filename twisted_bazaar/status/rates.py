"""What a front-end has done between two answers to `GET /status`. Pure."""

from collections.abc import Sequence

import msgspec

from .report import Figures

__all__ = ["Rates", "quantile", "rates"]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in a span of time."""

    seconds: float
    """The length of the span."""
    requests: float
    """A second."""
    lookups: float
    """Of single stocks, a second."""
    orders: float
    """Placed, a second."""
    hit_rate: float | None
    """The share of lookups that the cache answered, from 0 to 1; None: there were none."""
    lookup_seconds: tuple[float, float] | None
    """The median and the 99th percentile of lookups; None: there were none."""
    trade_seconds: tuple[float, float] | None
    """The same of trades."""


def rates(now: Figures, before: Figures | None = None) -> Rates:
    """What was done between `before` and `now`; without `before`, or if the front-end was started
    again since, what was done since it started."""
    if before is None or now.uptime_seconds < before.uptime_seconds:
        before = Figures(uptime_seconds=0.0)
    seconds = now.uptime_seconds - before.uptime_seconds
    hits = now.lookups.hit - before.lookups.hit
    lookups = hits + sum(
        getattr(now.lookups, name) - getattr(before.lookups, name) for name in ("miss", "off")
    )
    return Rates(
        seconds=seconds,
        requests=_per_second(now.requests - before.requests, seconds),
        lookups=_per_second(lookups, seconds),
        orders=_per_second(now.trades.placed - before.trades.placed, seconds),
        hit_rate=hits / lookups if lookups else None,
        lookup_seconds=_percentiles(now, now.seconds.lookup, before.seconds.lookup),
        trade_seconds=_percentiles(now, now.seconds.trade, before.seconds.trade),
    )


def _per_second(count: float, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _percentiles(
    now: Figures, counts: Sequence[int], before: Sequence[int]
) -> tuple[float, float] | None:
    # A front-end of another release may have other buckets, but not while it runs.
    new = [late - early for late, early in zip(counts, before, strict=False)]
    if sum(new) <= 0:
        return None
    bounds = now.seconds.bounds
    return quantile(bounds, new, 0.5), quantile(bounds, new, 0.99)


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The value that a `share` of the values, from 0 to 1, does not exceed. `bounds` and `counts`
    are a histogram's, with a value in it; within a bucket, values count as evenly spread. Of what
    is beyond the last bound, it is that bound."""
    rank = share * sum(counts)
    low = 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and rank <= count:
            return low + (bound - low) * rank / count
        rank -= count
        low = bound
    return low
