"""Counts what the cache is good for, and what it costs to keep it true. Pure."""

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.metrics.figures import Metrics

from .quotes import LookupResult, Source

__all__ = ["CacheFigures"]

_HIT, _MISS = Source.HIT, Source.MISS


class CacheFigures:
    """The figures of the lookups of one front-end, and of the pushes to it."""

    def __init__(self, metrics: Metrics) -> None:
        results = metrics.counters(
            "bazaar_cache_lookups_total",
            "Lookups that were answered, by what the cache had.",
            "result",
        )
        self.hit = results.of("hit")
        self.miss = results.of("miss")
        self.off = results.of("off")
        self.invalidations = metrics.counter(
            "bazaar_cache_invalidations_total", "Stocks whose quotes pushes made out of date."
        )
        pushes = metrics.counters(
            "bazaar_cache_pushes_total", "Pushes from catalogs, by what became of them.", "result"
        )
        self.taken = pushes.of("taken")
        self.refused = pushes.of("refused")
        self.lease_losses = metrics.counter(
            "bazaar_frontend_lease_losses_total", "Times that this front-end lost its lease."
        )

    def looked_up(self, result: LookupResult | BazaarError) -> None:
        """A lookup is answered. Every lookup passes here."""
        if isinstance(result, LookupResult):
            source = result.source
            counter = self.hit if source is _HIT else self.miss if source is _MISS else self.off
            counter.value += 1
