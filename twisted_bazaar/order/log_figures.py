"""What a replica shows of its log, its archive, and the snapshots that it takes and gives. The
names are in docs/monitoring.md."""

from collections.abc import Callable, Mapping

from twisted_bazaar.metrics.figures import Labels, Metrics
from twisted_bazaar.storage.logfile import LogFile

__all__ = ["SnapshotFigures", "show_log"]


class SnapshotFigures:
    """Counts snapshots. It outlives a replica that begins anew with one."""

    def __init__(self) -> None:
        self.counts = {"taken": 0, "given": 0, "failed": 0}
        """`failed`: of those that were to be taken."""
        self.seconds = {"taken": 0.0, "given": 0.0}
        """From its first part to its last, of the last one; 0: there was none."""

    def ended(self, how: str, seconds: float) -> None:
        """One was taken or given as a whole, in so many seconds."""
        self.counts[how] += 1
        self.seconds[how] = seconds

    def failed(self) -> None:
        """One was begun, and is not used."""
        self.counts["failed"] += 1


def show_log(
    metrics: Metrics,
    logfile: LogFile,
    snapshots: SnapshotFigures,
    failing_seconds: Callable[[], float],
) -> None:
    """Declare the metrics. `failing_seconds`: since when segments that are to leave the log do
    not, as the archive cannot be written; 0: it can."""
    gauge = metrics.gauge

    def missing() -> int:
        return 0 if logfile.archive is None else logfile.archive.missing[0]

    def counts() -> Mapping[Labels, float]:
        return {(how,): count for how, count in snapshots.counts.items()}

    def seconds() -> Mapping[Labels, float]:
        return {(how,): took for how, took in snapshots.seconds.items()}

    gauge("bazaar_log_begins_index", "Entries before the log.", lambda: logfile.beginning.index)
    gauge(
        "bazaar_log_entries",
        "Entries in the log.",
        lambda: logfile.last_index - logfile.beginning.index,
    )
    gauge(
        "bazaar_log_bytes",
        "Bytes of the log's segments.",
        lambda: logfile.end - logfile.segments.starts[0],
    )
    gauge("bazaar_archive_missing_entries", "Entries that are not here.", missing)
    gauge("bazaar_archive_failing_seconds", "Since when nothing leaves the log.", failing_seconds)
    metrics.counted("bazaar_snapshots_total", "Snapshots.", "result", read=counts)
    metrics.gauges("bazaar_snapshot_seconds", "Of the last one.", "result", read=seconds)
