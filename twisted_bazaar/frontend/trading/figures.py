"""Counts trades by what became of them, and how long batches take. Pure."""

from twisted_bazaar.errors import BazaarError, KeyReused, OutcomeUnknown, Rejected
from twisted_bazaar.market import Judged, Placed
from twisted_bazaar.metrics.figures import BATCH_SIZES, Metrics

__all__ = ["TradeFigures"]


class TradeFigures:
    """The figures of the trades of one front-end."""

    def __init__(self, metrics: Metrics) -> None:
        outcomes = metrics.counters(
            "bazaar_trades_total", "Trades that were settled, by what became of them.", "outcome"
        )
        self.placed = outcomes.of("placed")
        self.replayed = outcomes.of("replayed")
        self.judged = outcomes.of("judged")
        self.refused = outcomes.of("refused")
        self.not_executed = outcomes.of("not_executed")
        self.unknown = outcomes.of("unknown")
        self._batch_sizes = metrics.histogram(
            "bazaar_trade_batch_size", "Trades that are sent together.", BATCH_SIZES
        )
        stages = metrics.histograms(
            "bazaar_trade_stage_seconds", "How long a batch of trades takes in a stage.", "stage"
        )
        self._queue = stages.of("queue")
        self._send = stages.of("send")

    def settled(self, outcome: Placed | Judged | BazaarError) -> None:
        """A trade is settled. Every trade passes here."""
        if isinstance(outcome, Placed):
            counter = self.replayed if outcome.replayed else self.placed
        elif isinstance(outcome, Judged):
            counter = self.judged
        elif isinstance(outcome, Rejected | KeyReused):
            counter = self.refused
        elif isinstance(outcome, OutcomeUnknown):
            counter = self.unknown
        else:
            counter = self.not_executed
        counter.value += 1

    def sent(self, trades: int, waited: float) -> None:
        """So many trades were sent together, the first of which came `waited` seconds before."""
        self._batch_sizes.observe(trades)
        self._queue.observe(waited)

    def answered(self, seconds: float) -> None:
        """The leader answered a batch, so long after it was sent."""
        self._send.observe(seconds)
