"""The platform's reference workload: look up a random stock, trade it with some probability,
and so on.

Each client has its own connection, and one call under way at a time. It remembers every order
that was acknowledged to it, and before it ends it queries each of them and compares.
"""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from load.client.api import Caller
from load.history.records import Call, History, Verdict
from load.history.remembered import Remembered, RememberedOrder
from twisted_bazaar.client.session import Session
from twisted_bazaar.market import Side
from twisted_bazaar.runtime.reactor import Reactor

from .mix import Mix
from .schedule import Schedule, counted_from
from .tally import Tally

__all__ = ["Workload"]

ANSWER_SECONDS = 8.0
"""More than the bazaar's deadline for a trade, so that it answers in time."""
RETRY_SECONDS = 0.05
"""A client waits this long after a call without an answer."""
SETTLE_SECONDS = 10.0
"""How long a client queries a remembered order again that gets no answer."""
CATCH_UP_SECONDS = 10.0
"""How long after their time clients send requests that were due within it."""

C = TypeVar("C", bound=Call)


class Workload:
    """All clients of a run."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        mix: Mix,
        url: str,
        stocks: Sequence[str],
        history: History,
        *,
        seed: str,
        token: str,
        connect: Callable[[], Session],
    ) -> None:
        """`connect` makes a session of one connection. `seed` decides what the clients ask for.
        `token` is new in each run, and so are the keys of trades: those of an earlier run would
        be answered with its orders."""
        self.tally = Tally()
        self.remembered = Remembered()
        self.left_early = False
        """Whether the run was cancelled."""
        self.placed = 0
        self.rejected = 0
        self.reactor = reactor
        self.seconds = seconds
        self.mix = mix
        self.stocks = stocks
        self.schedule: Schedule | None = None
        self.until = float("inf")
        self.unsent = 0
        """Requests of an open loop that were due and never sent."""
        self._trading = mix.clients
        self._clients = [
            _Client(
                self,
                Random(f"{seed}-{number}"),
                f"run-{token}-{number}",
                [connect() for _ in range(2 if mix.separate else 1)],
                lambda connection, number=number: Caller(  # type: ignore[misc]
                    connection, seconds, [url], history, number
                ),
            )
            for number in range(1, mix.clients + 1)
        ]
        self._running: list[Deferred[None]] = []

    def run(self) -> Deferred[None]:
        """Start all clients. Fires when the last has ended. Cancelling it ends them at once."""
        begin, mix = self.seconds(), self.mix
        if mix.seconds is not None:
            self.until = begin + mix.seconds
        if mix.rate is not None:
            give_up = self.until + CATCH_UP_SECONDS
            self.schedule = Schedule(mix.rate, begin, self.until, give_up)
        done: Deferred[None] = Deferred(lambda _: self._leave())
        self._running = [Deferred.fromCoroutine(each.run()) for each in self._clients]
        all_left = DeferredList(self._running, fireOnOneErrback=True, consumeErrors=True)
        all_left.addCallbacks(self._finished, self._failed, (done,), {}, (done,))
        return done

    def stopped_trading(self) -> None:
        """Called by each client, once."""
        self._trading -= 1
        if not self._trading and self.schedule is not None and self.mix.seconds is not None:
            self.unsent = self.schedule.left(self.seconds())

    def _finished(self, _: object, done: Deferred[None]) -> None:
        # A cancelled Deferred has its result already.
        if not self.left_early:
            done.callback(None)

    def _failed(self, failure: Failure, done: Deferred[None]) -> None:
        first = failure.value
        assert isinstance(first, FirstError)
        self._leave()
        if not done.called:
            done.errback(first.subFailure)

    def _leave(self) -> None:
        self.left_early = True
        for running in self._running:
            running.cancel()


class _Client:
    """One client: a loop of lookups and trades, then the comparison of its orders."""

    def __init__(
        self,
        workload: Workload,
        random: Random,
        keys: str,
        connections: Sequence[Session],
        caller: Callable[[Session], Caller],
    ) -> None:
        """Lookups go over the first of `connections`, trades over the last."""
        self._workload = workload
        self._mix = workload.mix
        self._seconds = workload.seconds
        self._random = random
        self._keys = keys
        self._connections = connections
        self._calls = [caller(each) for each in connections]
        self._orders: list[RememberedOrder] = []
        self._iterations = 0

    async def run(self) -> None:
        workload = self._workload
        try:
            try:
                while self._goes_on() and await self._iterate():
                    pass
            finally:
                workload.stopped_trading()
            await self._compare()
        except CancelledError:
            if not workload.left_early:
                raise
        finally:
            for connection in self._connections:
                await connection.close()

    def _goes_on(self) -> bool:
        if self._mix.iterations is not None:
            return self._iterations < self._mix.iterations
        # In an open loop the schedule says when to stop.
        return self._mix.rate is not None or self._seconds() < self._workload.until

    async def _iterate(self) -> bool:
        """Look up, and perhaps trade; False: the time is over."""
        random, mix = self._random, self._mix
        # All values are drawn each time, so that answers do not change what is asked for later.
        name = random.choice(self._workload.stocks)
        trades = random.random() < mix.share
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        if mix.side != "both":
            side = Side(mix.side)
        quantity = random.randint(mix.least, mix.most)
        self._iterations += 1
        look_up = self._calls[0].lookup
        call = await self._paced(lambda: look_up(0, name, ANSWER_SECONDS))
        if call is None:
            return False
        left = call.found.quantity if call.found is not None else 0
        # A stock that has run out can only be sold.
        if trades and call.found is not None and (left > 0 or side is Side.SELL):
            return await self._trade(name, side, quantity)
        return True

    async def _trade(self, name: str, side: Side, quantity: int) -> bool:
        key, trade = f"{self._keys}-{self._iterations}", self._calls[-1].trade
        call = await self._paced(lambda: trade(0, key, name, side, quantity, ANSWER_SECONDS))
        if call is None:
            return False
        if call.verdict is Verdict.PLACED:
            self._workload.placed += 1
            self._orders.append(self._workload.remembered.acknowledge(call))
        elif call.verdict is Verdict.REJECTED:
            self._workload.rejected += 1
        return True

    async def _paced(self, ask: Callable[[], Awaitable[C]]) -> C | None:
        """Make a call when it is due, and record its latency; None: the time is over."""
        schedule = self._workload.schedule
        if schedule is None:
            call = await ask()
            await self._record(call, call.sent)
            return call
        free = self._seconds()
        due = schedule.take(free)
        if due is None:
            return None
        if due > free:
            await deferLater(self._workload.reactor, due - free)
        call = await ask()
        await self._record(call, counted_from(due, free, call.sent))
        return call

    async def _record(self, call: Call, since: float) -> None:
        if self._workload.left_early:
            # The call was cancelled here, which is no failure of the server.
            raise CancelledError()
        self._workload.tally.add(call, since)
        if call.status == 0 and self._workload.schedule is None:
            await self._pause()

    async def _pause(self) -> None:
        await deferLater(self._workload.reactor, RETRY_SECONDS)

    async def _compare(self) -> None:
        """Query each order that was acknowledged to this client, until one gets no answer."""
        remembered = self._workload.remembered
        give_up = None
        for order in self._orders:
            while True:
                call = await self._calls[0].order(0, order.number, ANSWER_SECONDS)
                await self._record(call, call.sent)
                if remembered.compare(order, call):
                    give_up = None
                    break
                now = self._seconds()
                give_up = give_up or now + SETTLE_SECONDS
                if now >= give_up:
                    return
                await self._pause()
