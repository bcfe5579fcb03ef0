"""Clients that trade, look up and read orders at random, and record what they are told.

Most look at the same few stocks, or at one that somebody has just traded, and through different
front-ends: so what one of them shows, and another must not show any more, is soon seen.

A careful client sends a trade whose outcome it does not learn again under the same key, until
it knows; these do so too, at whatever front-end answers. Now and then one is less careful: it
gives up early, sends a key once more although it knows the answer, or uses one for two trades.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater

from load.client.api import Caller
from load.client.http import Session
from load.history.records import History, TradeCall, Verdict
from twisted_bazaar.market import Side
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Clients", "connections"]

PATIENT_SECONDS = 8.0
"""More than the bazaar's deadline for a trade: an answer is on its way."""
HASTY_SECONDS = (0.2, 1.0)
"""Less than it: the same key is then sent while its trade is still under way."""
RETRY_SECONDS = 0.05
WATCHERS = 3
"""For each front-end. While it stands still, each of them has one lookup waiting there."""
POPULAR = 3
"""Stocks that are looked at more than others."""
SETTLE_SECONDS = 15.0
"""How long clients that are told to stop go on asking what became of their last trade."""


def connections(count: int) -> int:
    """How many calls to one front-end may be under way, where there are `count` clients."""
    return 1 + WATCHERS + count


class Memory:
    """What all clients know together, so that one can ask for what another was told."""

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
    ) -> None:
        """Client n asks the front-ends `urls`, its own most of the time. For each front-end
        there are more that do nothing but trade there (one), or nothing but look up (three):
        they tell whether that is possible, while others may wait for something else. `seed`
        decides what they ask, and the `think_seconds` on average between calls how much."""
        self._memory = memory = Memory()
        traders, watchers = [_Trader] * len(urls), [_Watcher] * WATCHERS * len(urls)
        kinds = [*traders, *watchers, *[_Client] * count]
        self._clients = [
            kind(
                reactor,
                Caller(session, seconds, urls, history, number),
                Random(f"{seed}-{number}"),
                memory,
                stocks,
                home=number % len(urls),
                think_seconds=think_seconds * kind.pace,
            )
            for number, kind in enumerate(kinds, 1)
        ]
        self._reactor = reactor
        self._running: list[Deferred[None]] = []

    @property
    def placed_at(self) -> float:
        """When the last trade that was acknowledged had been sent."""
        return self._memory.placed_at

    def start(self) -> None:
        self._running = [Deferred.fromCoroutine(each.run()) for each in self._clients]

    async def stop(self) -> None:
        """Have every client finish its trade; what is not known in time stays unknown."""
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
    """One client."""

    pace = 1.0
    """How much longer than others it thinks."""

    def __init__(
        self,
        reactor: Reactor,
        caller: Caller,
        random: Random,
        memory: Memory,
        stocks: Sequence[str],
        *,
        home: int,
        think_seconds: float,
    ) -> None:
        self._reactor = reactor
        self._call = caller
        self._random = random
        self._memory = memory
        self._stocks = stocks
        self._home = home
        self._think_seconds = think_seconds
        self._keys = 0
        self.stopping = False
        """The call that is under way is the last, but for what settles its outcome."""
        self.leaving = False
        """Nothing more is asked."""
        steps = self._mix()
        self._steps, self._weights = list(steps), list(steps.values())

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        """What it does, and how often, compared with the rest."""
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
        """The front-end to ask: mostly the same, as one that is asked in turn hides more."""
        return self._any() if self._random.random() < 0.1 else self._home

    def _any(self) -> int:
        return self._random.randrange(self._call.frontends)

    def _patience(self) -> float:
        return self._haste() if self._random.random() < 0.15 else PATIENT_SECONDS

    def _haste(self) -> float:
        return self._random.uniform(*HASTY_SECONDS)

    async def _failed(self) -> None:
        """There was no answer worth having: next time somewhere else, and not at once."""
        self._home = (self._home + 1) % self._call.frontends
        await self._pause(RETRY_SECONDS)

    async def _lookup(self) -> None:
        call = await self._call.lookup(self._via(), self._name(), self._patience())
        if call.found is None:
            await self._failed()

    def _name(self) -> str:
        popular = self._random.random() < 0.6
        return self._random.choice(self._stocks[:POPULAR] if popular else self._stocks)

    async def _market(self) -> None:
        if not (await self._call.market(self._via(), self._patience())).found:
            await self._failed()

    async def _order(self) -> None:
        known = self._memory.numbers
        number = self._random.choice(known) if known else 1
        if self._random.random() < 0.1:
            # One that may just be coming, or that nobody has thought of.
            number = max(known, default=0) + self._random.choice((1, 2, 1000))
        call = await self._call.order(self._via(), number, self._patience())
        if call.status not in (200, 404):
            await self._failed()

    async def _page(self) -> None:
        last = max(self._memory.numbers, default=0)
        after = max(0, last - self._random.choice((0, 5, 100, last)))
        limit = self._random.choice((1, 10, 100))
        call = await self._call.page(self._via(), after, limit, self._patience())
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
        """Send a key once more whose order is known."""
        if self._memory.trades:
            old = self._random.choice(self._memory.trades)
            await self._settle(old.key, old.name, old.type, old.quantity)

    async def _reuse(self) -> None:
        """Use the key of an order for another trade."""
        if self._memory.trades:
            old = self._random.choice(self._memory.trades)
            await self._settle(old.key, old.name, old.type, old.quantity + 1)

    async def _settle(self, key: str, name: str, side: Side, quantity: int) -> None:
        """Trade, and go on until the outcome is known; rarely, leave it unknown."""
        while True:
            call = await self._call.trade(self._via(), key, name, side, quantity, self._patience())
            if call.verdict is Verdict.PLACED and call.number is not None:
                self._memory.numbers.append(call.number)
                self._memory.trades.append(call)
                self._memory.placed_at = max(self._memory.placed_at, call.sent)
                await self._placed(name)
            if self.leaving or call.verdict not in (Verdict.UNKNOWN, Verdict.NOT_EXECUTED):
                return
            await self._failed()
            if self._random.random() < 0.03:
                return

    async def _placed(self, name: str) -> None:
        """A trade of this stock was acknowledged. Now and then, see what any front-end shows."""
        if self._random.random() < 0.3:
            await self._call.lookup(self._any(), name, self._haste())


class _Trader(_Client):
    """Trades, and does nothing else, always at the same front-end."""

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        return {self._trade: 1}

    def _via(self) -> int:
        return self._home

    async def _failed(self) -> None:
        await self._pause(RETRY_SECONDS)

    async def _placed(self, name: str) -> None:
        pass


class _Watcher(_Client):
    """Looks up, and does nothing else, always at the same front-end. It never waits for long:
    so when one that stood still goes on, it has been asked what others have changed since."""

    pace = 15.0

    def _mix(self) -> Mapping[Callable[[], Awaitable[None]], int]:
        return {self._lookup: 1}

    def _via(self) -> int:
        return self._home

    def _patience(self) -> float:
        return self._haste()

    async def _failed(self) -> None:
        await self._pause(RETRY_SECONDS)

    def _name(self) -> str:
        traded = self._memory.trades
        if traded and self._random.random() < 0.3:
            return traded[-1].name
        return super()._name()
