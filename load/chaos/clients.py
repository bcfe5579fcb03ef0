"""Clients that trade, look up and read orders at random, and record every answer.

Most lookups are of the same few stocks, or of one that was just traded, at different front-ends:
a front-end that shows what another has already replaced is found soon.

A client sends a trade of unknown outcome again under the same key, at any front-end, until it
knows the outcome. At random it is less careful: it gives up early, repeats a key whose order it
knows, or uses a key for two trades.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater

from load.client.api import Caller
from load.history.records import History, TradeCall, Verdict
from twisted_bazaar.client.deferreds import Deferreds
from twisted_bazaar.client.session import Session
from twisted_bazaar.market import Side
from twisted_bazaar.partitions import local_number, order_number, partition_of
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Clients", "connections"]

ANSWER_SECONDS = 8.0
"""More than the bazaar's deadline for a trade, so that it answers in time."""
SHORT_ANSWER_SECONDS = (0.2, 1.0)
"""Less than that deadline: the key is sent again while its trade is still under way."""
RETRY_SECONDS = 0.05
LOOKUP_CLIENTS = 3
"""For each front-end. While it is paused, each of them has one lookup waiting there."""
PATIENT_CLIENTS = 2
POPULAR = 3
"""How many stocks are looked up more often than the others."""
SETTLE_SECONDS = 15.0
"""How long clients that stop go on sending a last trade of unknown outcome."""


def connections(count: int) -> int:
    """How many calls to one front-end `count` clients can have under way."""
    return 1 + LOOKUP_CLIENTS + PATIENT_CLIENTS + count


class Shared:
    """What all clients know, so that one can ask for what was acknowledged to another."""

    def __init__(self) -> None:
        self.numbers: deque[int] = deque(maxlen=1000)
        self.trades: deque[TradeCall] = deque(maxlen=200)
        self.placed_at = 0.0


class Clients:
    """`count` clients, each with one call under way at a time, until `stop`."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        session: Session,
        urls: Sequence[str],
        stocks: Sequence[str],
        history: History,
        *,
        count: int,
        seed: str,
        think_seconds: float = 0.004,
        partitions: int = 1,
    ) -> None:
        """`count` clients make all kinds of calls, each mostly at one of the front-ends `urls`;
        `PATIENT_CLIENTS` trade as a program does with `twisted_bazaar.client`, at any of them.
        For each front-end, one more client only trades there, and `LOOKUP_CLIENTS` only look up:
        they show whether that is possible while other clients wait. `seed` decides what they
        ask. The time between two calls of a client is exponentially distributed, with mean
        `think_seconds`."""
        self._shared = shared = Shared()
        trading = [_TradingClient] * len(urls)
        looking_up = [_LookupClient] * LOOKUP_CLIENTS * len(urls)
        kinds = [*trading, *looking_up, *[_Client] * count, *[_PatientClient] * PATIENT_CLIENTS]
        self._clients = [
            kind(
                reactor,
                Caller(session, seconds, urls, history, number),
                Random(f"{seed}-{number}"),
                shared,
                stocks,
                bazaar=Deferreds(
                    reactor, *urls, random=Random(f"{seed}-{number}-pauses"), session=session
                ),
                home=number % len(urls),
                think_seconds=think_seconds * kind.pace,
                partitions=partitions,
            )
            for number, kind in enumerate(kinds, 1)
        ]
        self._reactor = reactor
        self._running: list[Deferred[None]] = []

    @property
    def placed_at(self) -> float:
        """When the last trade that was acknowledged had been sent."""
        return self._shared.placed_at

    def start(self) -> None:
        self._running = [Deferred.fromCoroutine(each.run()) for each in self._clients]

    async def stop(self) -> None:
        """Return when every client has ended. Each first settles its trade, for `SETTLE_SECONDS`
        at most."""
        for each in self._clients:
            each.stopping = True
        ended = DeferredList(self._running, fireOnOneErrback=True, consumeErrors=True)
        late = self._reactor.callLater(SETTLE_SECONDS, self._give_up)
        try:
            await ended
        finally:
            if late.active():
                late.cancel()

    def _give_up(self) -> None:
        for each, running in zip(self._clients, self._running, strict=True):
            each.leaving = True
            running.cancel()


class _Client:
    """A client that makes all kinds of calls."""

    pace = 1.0
    """A factor of the time between its calls."""

    def __init__(
        self,
        reactor: Reactor,
        caller: Caller,
        random: Random,
        shared: Shared,
        stocks: Sequence[str],
        *,
        bazaar: Deferreds,
        home: int,
        think_seconds: float,
        partitions: int = 1,
    ) -> None:
        self._reactor = reactor
        self._call = caller
        self._random = random
        self._shared = shared
        self._stocks = stocks
        self._bazaar = bazaar
        self._home = home
        self._think_seconds = think_seconds
        self._partitions = partitions
        self._keys = 0
        self.stopping = False
        """No new call is begun, but for those that settle the last trade."""
        self.leaving = False
        """No call is begun."""
        steps = self._mix()
        self._steps, self._weights = list(steps), list(steps.values())

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        """The kinds of calls, with their weights."""
        return {
            self._lookup: 26,
            self._trade: 40,
            self._order: 12,
            self._market: 3,
            self._page: 3,
            self._trade_again: 4,
            self._reuse: 2,
        }

    async def run(self) -> None:
        try:
            while not self.stopping:
                (step,) = self._random.choices(self._steps, self._weights)
                await step()
                await self._pause(self._random.expovariate(1 / self._think_seconds))
        except CancelledError:
            pass

    async def _pause(self, seconds: float) -> None:
        await deferLater(self._reactor, seconds)

    def _via(self) -> int:
        """The front-end for the next call: mostly the same, as taking turns hides the faults of
        one of them."""
        return self._any() if self._random.random() < 0.1 else self._home

    def _any(self) -> int:
        return self._random.randrange(self._call.frontends)

    def _timeout(self) -> float:
        return self._short_timeout() if self._random.random() < 0.15 else ANSWER_SECONDS

    def _short_timeout(self) -> float:
        return self._random.uniform(*SHORT_ANSWER_SECONDS)

    async def _failed(self) -> None:
        """After a failed call: wait, and use another front-end."""
        self._home = (self._home + 1) % self._call.frontends
        await self._pause(RETRY_SECONDS)

    async def _lookup(self) -> None:
        call = await self._call.lookup(self._via(), self._name(), self._timeout())
        if call.found is None:
            await self._failed()

    def _name(self) -> str:
        popular = self._random.random() < 0.6
        return self._random.choice(self._stocks[:POPULAR] if popular else self._stocks)

    async def _market(self) -> None:
        if not (await self._call.market(self._via(), self._timeout())).found:
            await self._failed()

    async def _order(self) -> None:
        known = self._shared.numbers
        number = self._random.choice(known) if known else 1
        if self._random.random() < 0.1:
            # One that may just be placed, or one far beyond the last.
            number = max(known, default=0) + self._random.choice((1, 2, 1000))
        call = await self._call.order(self._via(), number, self._timeout())
        if call.status not in (200, 404):
            await self._failed()

    async def _page(self) -> None:
        last = max(self._shared.numbers, default=0)
        partition = None
        if self._partitions > 1:
            known = self._random.choice(self._shared.numbers or [0])
            partition = partition_of(known, self._partitions)
            last = local_number(known, self._partitions)
        after = max(0, last - self._random.choice((0, 5, 100, last)))
        if partition is not None and after:
            after = order_number(after, partition, self._partitions)
        limit = self._random.choice((1, 10, 100))
        call = await self._call.page(self._via(), after, limit, self._timeout(), partition)
        if call.status != 200:
            await self._failed()

    async def _trade(self) -> None:
        self._keys += 1
        key = f"load-{self._random.getrandbits(48):012x}-{self._keys}"
        # Buying a little more than selling, and much now and then: shares run out.
        side = Side.BUY if self._random.random() < 0.52 else Side.SELL
        many = self._random.random() < 0.06
        quantity = self._random.randint(30, 120) if many else self._random.randint(1, 3)
        await self._settle(key, self._random.choice(self._stocks), side, quantity)

    async def _trade_again(self) -> None:
        """Repeat a trade whose order is known."""
        if self._shared.trades:
            old = self._random.choice(self._shared.trades)
            await self._settle(old.key, old.name, old.type, old.quantity)

    async def _reuse(self) -> None:
        """Use the key of an order for another trade."""
        if self._shared.trades:
            old = self._random.choice(self._shared.trades)
            await self._settle(old.key, old.name, old.type, old.quantity + 1)

    async def _settle(self, key: str, name: str, side: Side, quantity: int) -> None:
        """Send a trade until its outcome is known; with a small probability, leave it unknown."""
        while True:
            call = await self._call.trade(self._via(), key, name, side, quantity, self._timeout())
            if self._remember(call):
                await self._placed(name)
            if self.leaving or call.verdict not in (Verdict.UNKNOWN, Verdict.NOT_EXECUTED):
                return
            await self._failed()
            if self._random.random() < 0.03:
                return

    def _remember(self, call: TradeCall) -> bool:
        """Whether it was placed."""
        if call.number is None:
            return False
        self._shared.numbers.append(call.number)
        self._shared.trades.append(call)
        self._shared.placed_at = max(self._shared.placed_at, call.sent)
        return True

    async def _placed(self, name: str) -> None:
        """After a trade of this stock: sometimes look it up, at any front-end."""
        if self._random.random() < 0.3:
            await self._call.lookup(self._any(), name, self._short_timeout())


class _TradingClient(_Client):
    """A client that only trades, always at the same front-end."""

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        return {self._trade: 1}

    def _via(self) -> int:
        return self._home

    async def _failed(self) -> None:
        await self._pause(RETRY_SECONDS)

    async def _placed(self, name: str) -> None:
        pass


class _PatientClient(_Client):
    """A client that only trades, at any front-end, and does not end a trade before its outcome is
    known, or its deadline is over."""

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        return {self._trade: 1}

    async def _settle(self, key: str, name: str, side: Side, quantity: int) -> None:
        call = await self._call.settled_trade(self._bazaar, key, name, side, quantity)
        self._remember(call)


class _LookupClient(_Client):
    """A client that only looks up, always at the same front-end, with short timeouts: when a
    paused front-end wakes, lookups of what was traded since are already waiting."""

    pace = 15.0

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        return {self._lookup: 1}

    def _via(self) -> int:
        return self._home

    def _timeout(self) -> float:
        return self._short_timeout()

    async def _failed(self) -> None:
        await self._pause(RETRY_SECONDS)

    def _name(self) -> str:
        traded = self._shared.trades
        if traded and self._random.random() < 0.3:
            return traded[-1].name
        return super()._name()
