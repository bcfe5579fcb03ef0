"""What a catalog counts and measures. The names are in docs/monitoring.md."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Protocol, Self

from twisted_bazaar.metrics.figures import Labels, Metrics
from twisted_bazaar.metrics.stages import Stage
from twisted_bazaar.rpc.catalog_status import CatalogStatus

__all__ = ["CatalogFigures", "show_catalog"]


class Shown(Protocol):
    """What is shown of a catalog in one partition."""

    def status(self) -> CatalogStatus:
        """How it is now."""

    @property
    def stocks(self) -> int:
        """How many stocks lookups show."""

    @property
    def held_lookups(self) -> int:
        """How many lookups wait."""


class CatalogFigures:
    """The figures of one catalog in one partition. Methods are called on the reactor's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._stages = stages = metrics.histograms(
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

    def another(self) -> Self:
        """Those of another partition: they count together with these."""
        other = copy(self)
        other.pushed = Stage(self._stages.of("push"))
        other._has_lease = False
        return other

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


def show_catalog(metrics: Metrics, partitions: Sequence[Shown]) -> None:
    """Declare the metrics that are read from the state of a catalog when they are wanted: of each
    of its `partitions`, by number."""
    labels = ("partition",) if len(partitions) > 1 else ()

    def gauge(name: str, what: str, read: Callable[[Shown], float]) -> None:
        def read_all() -> Mapping[Labels, float]:
            return {
                (str(number),) if labels else (): read(partition)
                for number, partition in enumerate(partitions)
            }

        metrics.gauges(name, what, *labels, read=read_all)

    gauge(
        "bazaar_catalog_applied_index",
        "The last entry applied.",
        lambda catalog: catalog.status().applied,
    )
    gauge(
        "bazaar_catalog_released_index",
        "The last entry shown.",
        lambda catalog: catalog.status().released,
    )
    gauge(
        "bazaar_catalog_lease_held",
        "Whether it holds the leader's lease.",
        lambda catalog: catalog.status().lease_seconds > 0,
    )
    gauge(
        "bazaar_catalog_subscribers",
        "Front-ends that may hold a lease of it.",
        lambda catalog: sum(each.lease_seconds > 0 for each in catalog.status().subscribers),
    )
    gauge(
        "bazaar_catalog_subscribers_kept_out",
        "Front-ends that it keeps out.",
        lambda catalog: sum(each.kept_out_seconds > 0 for each in catalog.status().subscribers),
    )
    gauge("bazaar_catalog_stocks", "Stocks that it shows.", lambda catalog: catalog.stocks)
    gauge(
        "bazaar_catalog_held_lookups",
        "Lookups that wait to learn whether an entry is committed.",
        lambda catalog: catalog.held_lookups,
    )
