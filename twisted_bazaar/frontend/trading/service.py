"""Carries trades to the leader, batch after batch; `queue.TradeQueue` says which."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Overloaded
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.market import Placed, Trade
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .queue import Batch, Pending, TradeQueue

__all__ = ["Trading"]

_GATHER_SECONDS = 0.001
"""Clients that were just answered together ask again within a moment. The next batch waits so
long for them: else it would go out at once with the few that came before, and leave most behind
for the one after. With 32 clients that makes a third more trades a second."""


class Trading(Service):
    """The front-end's way to trade."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        timing: Timing,
        life: int,
    ) -> None:
        """`life` is a number from 1 to 2**53 - 1 that no start of a front-end had before."""
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._patience = timing.deadline
        self._life = life
        self._queue = TradeQueue()
        self._pump_call: Any = None
        """Due as soon as something can be sent."""
        self._gather_until = float("-inf")
        self._expiring = LoopingCall(self._expire)
        self._expiring.clock = reactor
        self._expiry_seconds = timing.ping

    def startService(self) -> None:
        super().startService()
        self._expiring.start(self._expiry_seconds)

    def stopService(self) -> None:
        super().stopService()
        self._expiring.stop()
        if self._pump_call is not None:
            self._pump_call.cancel()
            self._pump_call = None

    def place(self, trade: Trade) -> Deferred[Placed]:
        """Have the leader decide `trade`.

        Fails with `Rejected`, `KeyReused`, another `NotExecuted`, or `OutcomeUnknown`, at the
        client deadline at the latest.
        """
        answer: Deferred[Placed] = Deferred()
        try:
            self._queue.add(Pending(trade, answer, self._seconds() + self._patience))
        except Overloaded as full:
            return fail(full)
        # What comes in the same turn of the reactor goes in the same batch.
        self._pump_soon()
        return answer

    def led_by(self, leader: int) -> None:
        """The heartbeat has just heard the leader."""
        self._queue.led_by(leader, self._leadership.term)
        self._pump()

    def _pump_soon(self) -> None:
        if self._pump_call is None:
            wait = max(0.0, self._gather_until - self._seconds())
            self._pump_call = self._reactor.callLater(wait, self._pump_called)

    def _pump_called(self) -> None:
        self._pump_call = None
        if self._seconds() < self._gather_until:
            self._pump_soon()
        else:
            self._pump()

    def _pump(self) -> None:
        """Send what can be sent, answer what is settled."""
        leadership = self._leadership
        while (batch := self._queue.take(leadership.leader, leadership.term)) is not None:
            self._send(batch)
        self._answer()

    def _answer(self) -> None:
        for pending, outcome in self._queue.take_settled():
            ticket = pending.ticket
            assert isinstance(ticket, Deferred)
            if isinstance(outcome, Placed):
                ticket.callback(outcome)
            else:
                ticket.errback(outcome)

    def _send(self, batch: Batch) -> None:
        trades = [pending.trade for pending in batch.pending]
        now = self._seconds()
        timeout = max(0.0, batch.deadline - now)

        def answered(outcomes: Sequence[Placed | BazaarError]) -> None:
            if not self._queue.answered(batch, outcomes):
                self._leadership.doubt(batch.leader)

        def lost(failure: Failure) -> None:
            if not failure.check(BazaarError):
                self.log.failure("a batch met a failure that nobody foresaw", failure)
            if self._queue.lost(batch):
                self._leadership.doubt(batch.leader)

        def go_on(_: None) -> None:
            if len(batch.pending) > 1:
                self._gather_until = self._seconds() + _GATHER_SECONDS
            self._answer()
            self._pump_soon()

        sending = batch.sending(self._life, now, self._leadership.clock_of(batch.leader))
        sent = self._replicas[batch.leader].trade(trades, sending, timeout)
        sent.addCallbacks(answered, lost).addCallback(go_on)

    def _expire(self) -> None:
        self._queue.expire(self._seconds())
        self._pump()
