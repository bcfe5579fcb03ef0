"""Sends trades to the leader, batch after batch. `TradeQueue` decides which."""

from collections.abc import Callable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Overloaded
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.http.request_ids import carried
from twisted_bazaar.market import Judged, Placed, Trade
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.context import TraceContext

from .figures import TradeFigures
from .following import TradeFollowing, followed_in
from .gathering import Gathering
from .queue import Batch, Outcome, Pending, TradeQueue

__all__ = ["TradeService"]

_Ticket = Deferred[Placed | Judged]


class TradeService(Service):
    """Places trades for clients."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        timing: Timing,
        life: int,
        following: TradeFollowing | None = None,
        figures: TradeFigures | None = None,
    ) -> None:
        """`life` is a number from 1 to 2**53 - 1, another one for each start of a front-end.
        `following` is told what becomes of trades; None: nobody is. Trades count in `figures`."""
        self._figures = TradeFigures(Metrics()) if figures is None else figures
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._deadline_seconds = timing.deadline
        self._life = life
        self._following = following
        self._queue: TradeQueue[_Ticket] = TradeQueue()
        self._pump_call: IDelayedCall | None = None
        self._gathering = Gathering()
        self._expiring = LoopingCall(self._expire)
        self._expiring.clock = reactor
        self._expiry_seconds = timing.ping

    @property
    def waiting(self) -> int:
        """How many trades wait to be sent."""
        return self._queue.waiting

    def startService(self) -> None:
        super().startService()
        self._expiring.start(self._expiry_seconds)

    def stopService(self) -> None:
        super().stopService()
        self._expiring.stop()
        if self._pump_call is not None:
            self._pump_call.cancel()
            self._pump_call = None

    def place(
        self,
        trade: Trade,
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
        deadline: float | None = None,
    ) -> Deferred[Placed | Judged]:
        """Have the leader decide `trade`, which came with the request `request_id`, which is at
        `context` in a trace. Where trades wait for each other, `owner` is whose it is.

        Fails with `Rejected`, `KeyReused`, another `NotExecuted`, or `OutcomeUnknown`; at
        `deadline` on the front-end's clock, or within `timing.deadline` seconds if there is none.
        """
        answer: _Ticket = Deferred()
        if deadline is None:
            deadline = self._seconds() + self._deadline_seconds
        pending = Pending(trade, answer, deadline, request_id, owner)
        try:
            self._queue.add(pending)
        except Overloaded as full:
            self._figures.settled(full)
            return fail(full)
        if context is not None:
            pending.context = context
        if self._following is not None:
            self._following.taken(pending)
        self._pump_soon()
        return answer

    def place_together(
        self,
        trades: Sequence[Trade],
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[list[Outcome]]:
        """Have the leader decide `trades`, each by itself, in one call and one commit. Fires with
        their outcomes, in order, within `timing.deadline` seconds. The rest is as for `place`.

        Fails with `Overloaded`: then none was executed.
        """
        deadline = self._seconds() + self._deadline_seconds
        together = [
            Pending[_Ticket](trade, Deferred(), deadline, request_id, owner) for trade in trades
        ]
        try:
            self._queue.add_together(together)
        except Overloaded as full:
            for _ in together:
                self._figures.settled(full)
            return fail(full)
        for pending in together:
            pending.context = context
            if self._following is not None:
                self._following.taken(pending)
        self._pump_soon()
        return gatherResults([each.ticket.addErrback(_met) for each in together])

    def led_by(self, leader: int) -> None:
        """A ping has just found the leader."""
        self._queue.led_by(leader, self._leadership.term)
        self._pump()

    def _pump_soon(self) -> None:
        """Send the next batch when `Gathering` says. While one is under way `_go_on` sees to it."""
        queue, gathering = self._queue, self._gathering
        if queue.is_busy:
            return
        now = self._seconds()
        if gathering.is_complete(queue.waiting, now):
            self._pump()
            return
        gathering.came(now)
        if self._pump_call is None:
            # Also if it waits for none: trades of one reactor turn go in one batch.
            self._pump_after(gathering.seconds_left(queue.waiting, now))

    def _pump_after(self, seconds: float) -> None:
        self._pump_call = self._reactor.callLater(seconds, self._pump_called)

    def _pump_called(self) -> None:
        self._pump_call = None
        left = self._gathering.seconds_left(self._queue.waiting, self._seconds())
        if left > 0:
            self._pump_after(left)
        else:
            self._pump()

    def _pump(self) -> None:
        """Send what can be sent, answer what is settled."""
        leadership = self._leadership
        while (
            batch := self._queue.take(leadership.leader, leadership.term, leadership.level)
        ) is not None:
            self._send(batch)
        self._answer()

    def _answer(self) -> None:
        for pending, outcome in self._queue.take_settled():
            self._figures.settled(outcome)
            if self._following is not None:
                self._following.answered(pending, outcome)
            if isinstance(outcome, BazaarError):
                pending.ticket.errback(outcome)
            else:
                pending.ticket.callback(outcome)

    def _send(self, batch: Batch[_Ticket]) -> None:
        trades = [pending.trade for pending in batch.pending]
        now = self._seconds()
        timeout = max(0.0, batch.deadline - now)
        came = batch.pending[0].deadline - self._deadline_seconds
        self._figures.sent(len(trades), now - came)
        sending = batch.sending(self._life, now, self._leadership.clock_of(batch.leader))
        request_ids = carried(pending.request_id for pending in batch.pending)
        if self._following is not None:
            self._following.sent(batch)
        sent = self._replicas[batch.leader].trade(
            trades, sending, timeout, request_ids, followed_in(batch, self._following)
        )
        told = sent.addCallback(self._answered, batch, now).addErrback(self._lost, batch)
        told.addCallback(self._go_on, batch)

    def _answered(self, outcomes: Sequence[Outcome], batch: Batch[_Ticket], sent: float) -> None:
        self._figures.answered(self._seconds() - sent)
        if not self._queue.answered(batch, outcomes):
            self._leadership.doubt(batch.leader)

    def _lost(self, failure: Failure, batch: Batch[_Ticket]) -> None:
        if not failure.check(BazaarError):
            self.log.failure(
                "unexpected error while sending trades (request {request_ids})",
                failure,
                request_ids=carried(pending.request_id for pending in batch.pending),
            )
        if self._queue.lost(batch):
            self._leadership.doubt(batch.leader)

    def _go_on(self, _: None, batch: Batch[_Ticket]) -> None:
        waiting = self._queue.waiting
        self._answer()
        self._gathering.answered(len(batch.pending), waiting, self._seconds())
        if self._queue.waiting:
            self._pump_soon()

    def _expire(self) -> None:
        self._queue.expire(self._seconds())
        self._pump()


def _met(failure: Failure) -> BazaarError:
    """What a trade met, as its outcome."""
    failure.trap(BazaarError)
    error = failure.value
    assert isinstance(error, BazaarError)
    return error
