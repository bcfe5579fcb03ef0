"""What an order replica counts and measures. The names are in docs/monitoring.md."""

from collections.abc import Callable, Mapping

from twisted_bazaar.consensus.messages import Append, PeerRequest
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.metrics.figures import BATCH_SIZES, Labels, Metrics
from twisted_bazaar.metrics.stages import Stage

from .desk import TradingDesk
from .watches import Watches

__all__ = ["OrderFigures", "show_replica"]


class OrderFigures:
    """The figures of one replica. Methods are called on the reactor's thread."""

    def __init__(self, metrics: Metrics, replica: Replica) -> None:
        self._replica = replica
        stages = metrics.histograms(
            "bazaar_trade_stage_seconds", "How long a batch of trades takes in a stage.", "stage"
        )
        self._decide = stages.of("decide")
        self._fsync = stages.of("fsync")
        self._replicate = Stage(stages.of("replicate"))
        self._apply = Stage(stages.of("apply"))
        self._answer = Stage(stages.of("answer"))
        self._term = 0
        """That of the last batch that proposed entries."""
        self._batch_trades = metrics.histogram(
            "bazaar_order_batch_trades", "Trades that came together.", BATCH_SIZES
        )
        self._append_entries = metrics.histogram(
            "bazaar_append_entries", "Entries of an append to a follower, if any.", BATCH_SIZES
        )
        self._disk_write = metrics.histogram(
            "bazaar_disk_write_seconds", "A write of the order log, until it is durable."
        )

    def decided(self, trades: int, first_index: int, now: float, took: float) -> None:
        """So many trades that came together are decided by `now`, in `took` seconds, with looking
        their keys up. The entries from `first_index` on are theirs, if there are any."""
        self._batch_trades.observe(trades)
        self._decide.observe(took)
        if (index := self._replica.log.last_index) >= first_index:
            if self._replica.term != self._term:
                self.came_to(0, now)
                self._term = self._replica.term
            for stage in (self._replicate, self._apply, self._answer):
                stage.began(index, now)

    @property
    def waiting(self) -> bool:
        """Whether there is a batch that `came_to` is about."""
        return bool(self._answer.waiting)

    def came_to(self, released: int, now: float) -> None:
        """Something may have been committed or cleared, and what is up to `released` is
        answered."""
        replica = self._replica
        if not replica.leads or replica.term != self._term:
            for stage in (self._replicate, self._apply, self._answer):
                stage.clear()
            return
        self._replicate.reached(replica.commit, now)
        self._apply.reached(replica.cleared, now)
        # Released without a catalog that had to clear it.
        self._apply.passed(released)
        self._answer.reached(released, now)

    def sent(self, request: PeerRequest) -> None:
        """`request` was sent."""
        if isinstance(request, Append) and (entries := len(request.entries)):
            self._append_entries.observe(entries)

    def wrote(self, seconds: float) -> None:
        """A write of the log took so long."""
        self._disk_write.observe(seconds)
        if self._replica.leads:
            self._fsync.observe(seconds)


def show_replica(
    metrics: Metrics,
    replica: Replica,
    desk: TradingDesk,
    watches: Watches,
    seconds: Callable[[], float],
) -> None:
    """Declare the metrics that are read from the state of `replica` and its desk when they are
    wanted. `seconds` is the clock of both."""
    gauge = metrics.gauge

    def roles() -> Mapping[Labels, float]:
        return {(role.value,): role is replica.role for role in Role}

    def elections() -> Mapping[Labels, float]:
        return {("started",): replica.elections_started, ("won",): replica.elections_won}

    def lag_entries() -> Mapping[Labels, float]:
        return {(str(lag.replica),): lag.entries for lag in replica.follower_lags(seconds())}

    def lag_seconds() -> Mapping[Labels, float]:
        return {(str(lag.replica),): lag.seconds for lag in replica.follower_lags(seconds())}

    def members() -> Mapping[Labels, float]:
        known = replica.membership
        return {("voter",): len(known.voters), ("joining",): len(known.joining)}

    def catalog_lag() -> Mapping[Labels, float]:
        return {(catalog,): lag for catalog, lag in replica.catalog_lags().items()}

    def kept_out() -> Mapping[Labels, float]:
        return {} if replica.backoff is None else {(): len(replica.backoff.kept_out(seconds()))}

    metrics.gauges("bazaar_raft_role", "1 for the role of the replica.", "role", read=roles)
    gauge("bazaar_raft_term", "The highest term it has seen.", lambda: replica.term)
    gauge("bazaar_raft_last_index", "The last entry of its log.", lambda: replica.log.last_index)
    gauge("bazaar_raft_commit_index", "The last committed entry.", lambda: replica.commit)
    gauge("bazaar_raft_released_index", "The last released entry.", lambda: replica.released)
    gauge("bazaar_raft_suspect", "Whether it may lack votes.", lambda: replica.suspect)
    metrics.counted("bazaar_raft_elections_total", "Its candidacies.", "result", read=elections)
    metrics.gauges(
        "bazaar_raft_members",
        "Members by its log, those that count and those that are joining.",
        "state",
        read=members,
    )
    metrics.gauges(
        "bazaar_raft_follower_lag_entries",
        "Entries that a follower has not acknowledged; of a leader.",
        "peer",
        read=lag_entries,
    )
    metrics.gauges(
        "bazaar_raft_follower_lag_seconds",
        "Since when a follower lacks the first of these; of a leader.",
        "peer",
        read=lag_seconds,
    )
    metrics.gauges(
        "bazaar_catalog_lag_entries",
        "Entries that a catalog has not cleared; of a leader.",
        "catalog",
        read=catalog_lag,
    )
    metrics.gauges("bazaar_catalog_kept_out", "Catalogs that the leader keeps out.", read=kept_out)
    gauge("bazaar_orders_last_number", "The last committed order.", lambda: desk.ledger.last_number)
    gauge("bazaar_index_lag_entries", "Committed entries not indexed.", lambda: desk.index_lag)
    gauge("bazaar_watches", "Calls that wait for news.", lambda: len(watches))
