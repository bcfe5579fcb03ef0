"""The metrics of a member that are read from its state when they are wanted. The names are in
docs/monitoring.md."""

from collections.abc import Callable, Mapping, Sequence

from twisted_bazaar.metrics.figures import Labels, Metrics

from .member import Member
from .node import PartitionNode

__all__ = ["show_member"]


def show_member(metrics: Metrics, member: Member, seconds: Callable[[], float]) -> None:
    """Declare the metrics that are read from the state of `member` when they are wanted."""

    def by_partition(
        read: Callable[[PartitionNode], float],
    ) -> Callable[[], Mapping[Labels, float]]:
        return lambda: {(str(node.partition),): read(node) for node in member.nodes}

    def gauges(name: str, what: str, read: Callable[[PartitionNode], float]) -> None:
        metrics.gauges(name, what, "partition", read=by_partition(read))

    def led() -> Sequence[PartitionNode]:
        return [node for node in member.nodes if node.tenure.leads]

    def catalog_lag() -> Mapping[Labels, float]:
        return {
            (str(node.partition), catalog): lag
            for node in led()
            for catalog, lag in node.tenure.catalog_lags().items()
        }

    def kept_out() -> Mapping[Labels, float]:
        return {
            (str(node.partition),): len(node.tenure.backoff.kept_out(seconds()))
            for node in led()
            if node.tenure.backoff is not None
        }

    gauges("bazaar_partition_leads", "1 if it leads.", lambda node: node.tenure.leads)
    gauges("bazaar_partition_term", "The highest term seen.", lambda node: node.tenure.term)
    gauges(
        "bazaar_partition_last_index",
        "The last entry that is committed, or was seen.",
        lambda node: node.status().last_index,
    )
    gauges(
        "bazaar_partition_released_index",
        "The last released entry.",
        lambda node: node.released.index,
    )
    gauges("bazaar_partition_last_number", "The last order.", lambda node: node.known_number)
    metrics.counted(
        "bazaar_partition_claims_total",
        "How often it became the leader.",
        "partition",
        read=by_partition(lambda node: node.tenure.elections_won),
    )
    metrics.gauges(
        "bazaar_partition_catalog_lag_entries",
        "Entries that a catalog has not cleared; of a leader.",
        "partition",
        "catalog",
        read=catalog_lag,
    )
    metrics.gauges(
        "bazaar_partition_catalogs_kept_out",
        "Catalogs that the leader keeps out.",
        "partition",
        read=kept_out,
    )
    metrics.gauge(
        "bazaar_engine_silent_seconds",
        "Since the engine said last where the logs end.",
        lambda: member.silent_seconds,
    )
    metrics.gauge(
        "bazaar_watches",
        "Calls that wait for news.",
        lambda: sum(node.waiting_watches for node in member.nodes),
    )
