"""What a member of a bazaar with an engine counts and measures. The names are in
docs/monitoring.md."""

from collections.abc import Mapping

from twisted_bazaar.engine.calls import Append, Beat, Call, Claim, Load
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.metrics.figures import BATCH_SIZES, Metrics
from twisted_bazaar.metrics.stages import Stage

__all__ = ["MemberFigures", "PartitionFigures"]

_CALLS: Mapping[type[Call], str] = {
    Load: "load",
    Claim: "claim",
    Append: "append",
    Beat: "beat",
}
_RESULTS = "done", "lost", "refused", "unknown"


class MemberFigures:
    """The figures of one member. Methods are called on the reactor's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self.stages = metrics.histograms(
            "bazaar_trade_stage_seconds", "How long a batch of trades takes in a stage.", "stage"
        )
        self.batch_trades = metrics.histogram(
            "bazaar_order_batch_trades", "Trades that came together.", BATCH_SIZES
        )
        self._entries = metrics.histogram(
            "bazaar_engine_append_entries", "Entries of an append to the engine.", BATCH_SIZES
        )
        seconds = metrics.histograms(
            "bazaar_engine_call_seconds", "A call of a leader to the engine.", "call"
        )
        results = metrics.counters(
            "bazaar_engine_calls_total", "Calls of a leader to the engine.", "call", "result"
        )
        self._seconds = {call: seconds.of(name) for call, name in _CALLS.items()}
        self._results = {
            (call, result): results.of(name, result)
            for call, name in _CALLS.items()
            for result in _RESULTS
        }

    def wrote(self, call: Call, seconds: float, result: str) -> None:
        """See `writing.Wrote`."""
        self._seconds[type(call)].observe(seconds)
        self._results[type(call), result].value += 1
        if isinstance(call, Append) and result == "done":
            self._entries.observe(len(call.batch.entries))


class PartitionFigures:
    """How long the batches of one partition take. Methods are called on the reactor's thread."""

    def __init__(self, figures: MemberFigures) -> None:
        stages = figures.stages
        self._batch_trades = figures.batch_trades
        self._decide = stages.of("decide")
        self._replicate = Stage(stages.of("replicate"))
        self._apply = Stage(stages.of("apply"))
        self._answer = Stage(stages.of("answer"))
        self._term = 0
        """That of the last batch that proposed entries."""

    def decided(self, tenure: Tenure, trades: int, seconds: float, before: int, now: float) -> None:
        """So many trades were decided in so many seconds. The log ended at entry `before`."""
        self._batch_trades.observe(trades)
        self._decide.observe(seconds)
        if (index := tenure.log.last_index) > before:
            if tenure.term != self._term:
                self._clear()
                self._term = tenure.term
            for stage in (self._replicate, self._apply, self._answer):
                stage.began(index, now)

    @property
    def waiting(self) -> bool:
        """Whether there is a batch that `came_to` is about."""
        return bool(self._answer.waiting)

    def came_to(self, tenure: Tenure, released: int, now: float) -> None:
        """Something may have been committed or cleared, and what is up to `released` is
        answered."""
        if not tenure.leads or tenure.term != self._term:
            self._clear()
            return
        self._replicate.reached(tenure.commit, now)
        self._apply.reached(tenure.cleared, now)
        # Released without a catalog that had to clear it.
        self._apply.passed(released)
        self._answer.reached(released, now)

    def _clear(self) -> None:
        for stage in (self._replicate, self._apply, self._answer):
            stage.clear()
