"""What a catalog counts and measures. The names are in docs/monitoring.md."""

from collections.abc import Callable

from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.stages import Stage
from twisted_bazaar.rpc.catalog_status import CatalogStatus

__all__ = ["CatalogFigures", "show_catalog"]


class CatalogFigures:
    """The figures of one catalog. Methods are called on the reactor's thread."""

    def __init__(self, metrics: Metrics) -> None:
        stages = metrics.histograms(
            "bazaar_trade_stage_seconds", "How long a batch of trades takes in a stage.", "stage"
        )
        self.pushed = Stage(stages.of("push"))
        """From an entry until no front-end shows anything older."""
        self.save = stages.of("save")
        pushes = metrics.counters("bazaar_catalog_pushes_total", "Pushes to front-ends.", "result")
        self.acknowledged = pushes.of("acknowledged")
        self.failed = pushes.of("failed")
        self._lease_losses = metrics.counter(
            "bazaar_catalog_lease_losses_total", "How often its lease ran out."
        )
        self._has_lease = False

    def has_entries(self, before: int, tip: int, now: float) -> None:
        """The last entry that the catalog has is `tip`; it was `before`."""
        if tip > before:
            self.pushed.began(tip, now)
        elif tip < before:
            self.pushed.clear()

    def has_lease(self, held: bool) -> None:
        """Whether the catalog holds the leader's lease now."""
        if self._has_lease and not held:
            self._lease_losses.value += 1
        self._has_lease = held


def show_catalog(
    metrics: Metrics,
    status: Callable[[], CatalogStatus],
    stocks: Callable[[], int],
    held_lookups: Callable[[], int],
) -> None:
    """Declare the metrics that are read from the state of a catalog when they are wanted. `stocks`
    returns how many it shows, `held_lookups` how many lookups wait."""
    gauge = metrics.gauge
    gauge("bazaar_catalog_applied_index", "The last entry applied.", lambda: status().applied)
    gauge("bazaar_catalog_released_index", "The last entry shown.", lambda: status().released)
    gauge(
        "bazaar_catalog_lease_held",
        "Whether it holds the leader's lease.",
        lambda: status().lease_seconds > 0,
    )
    gauge(
        "bazaar_catalog_subscribers",
        "Front-ends that may hold a lease of it.",
        lambda: sum(each.lease_seconds > 0 for each in status().subscribers),
    )
    gauge(
        "bazaar_catalog_subscribers_kept_out",
        "Front-ends that it keeps out.",
        lambda: sum(each.kept_out_seconds > 0 for each in status().subscribers),
    )
    gauge("bazaar_catalog_stocks", "Stocks that it shows.", stocks)
    gauge(
        "bazaar_catalog_held_lookups",
        "Lookups that wait to learn whether an entry is committed.",
        held_lookups,
    )
