"""Clients: they trade, look up and read, and remember what they were told."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted_bazaar.errors import BazaarError, KeyReused, NotExecuted, Rejected
from twisted_bazaar.frontend.cache.quotes import LookupResult
from twisted_bazaar.market import DEFAULT_LISTING, Judged, Order, Placed, Side, Trade
from twisted_bazaar.order_keys import scoped

from .frontends import FrontendMember
from .members import TIMING
from .truth import Truth
from .world import Process, World, milliseconds

__all__ = ["Client"]

PRICES = {listing.name: listing.price for listing in DEFAULT_LISTING}


class Client(Process):
    """A client: trades, sends keys again, reads, and checks the bazaar against what it was told."""

    def __init__(
        self, world: World, name: str, frontends: Sequence[FrontendMember], truth: Truth
    ) -> None:
        super().__init__(world, name)
        self._frontends = frontends
        self._truth = truth
        self._count = 0
        self._placed: list[Trade] = []
        self._free: list[str] = []
        """Keys of what was refused: they may be used again."""
        self._used: dict[str, set[int]] = {}
        """By key: the quantities of its trades. Each has another one, so that it is known which
        of them was executed."""
        self._given_up: list[Trade] = []
        """Trades of which it was never told what became of them."""
        self._cuts = 0
        self.idle = False
        """Begin nothing new."""
        self.waiting = 0
        """Calls that were not answered yet."""

    def use(self, frontends: Sequence[FrontendMember]) -> None:
        """Go to these front-ends only."""
        self._frontends = frontends

    def started(self) -> None:
        self._next()

    def _next(self) -> None:
        if self.idle:
            return
        random = self.world.random
        self.later(random.expovariate(1 / 0.04), self._act)

    def _act(self) -> None:
        random = self.world.random
        self._forget_what_is_lost()
        frontend = random.choice(self._frontends)
        kind = random.random()
        if not frontend.alive or frontend.paused:
            self._next()
        elif kind < 0.45:
            self._trade(frontend, self._new_trade())
        elif kind < 0.53 and self._placed:
            # Mostly a late one, whose key is on its way into the index.
            self._trade(frontend, random.choice(self._placed[-3:] * 3 + self._placed), True)
        elif kind < 0.56 and self._placed:
            trade = random.choice(self._placed)
            other = Trade(trade.key, trade.stock, trade.side, trade.quantity + 1000)
            self._trade(frontend, other)
        elif kind < 0.59 and self._given_up:
            self._trade(frontend, random.choice(self._given_up), True)
        elif kind < 0.7:
            self._read(frontend)
        else:
            self._look_up(frontend)

    def _forget_what_is_lost(self) -> None:
        """All logs were restored from copies: some orders are gone, and clients know that."""
        if self._cuts != self._truth.cuts:
            self._cuts = self._truth.cuts
            self._placed = [trade for trade in self._placed if trade.key in self._truth.keys]

    def _new_trade(self) -> Trade:
        random = self.world.random
        if self._free and self.world.aside.random() < 0.2:
            key = self._free.pop()
        else:
            self._count += 1
            # All clients use the same keys, each as its own.
            key = scoped(self.name, f"key-{self._count}")
        stock = self._stock()
        side = Side.BUY if random.random() < 0.6 else Side.SELL
        quantity = random.choice((1, 2, 5, 30))
        used = self._used.setdefault(key, set())
        while quantity in used:
            quantity += 1
        used.add(quantity)
        trade = Trade(key, stock, side, quantity, *self._conditions(stock))
        self._truth.sent(trade)
        return trade

    def _conditions(self, stock: str) -> tuple[bool, int | None, int | None, bool]:
        """Whether a front-end made the key; a limit, a time, and whether the trade is to be
        validated only."""
        # Draws that change nothing else.
        aside = self.world.aside
        made = aside.random() < 0.3
        limit = valid_until = None
        if aside.random() < 0.3:
            limit = PRICES.get(stock, 100) + aside.choice((-10, -1, 0, 0, 1, 10))
        if aside.random() < 0.3:
            # Wall clocks differ by seconds.
            valid_until = milliseconds(self.world.now + aside.uniform(-3.0, 5.0))
        return made, limit, valid_until, aside.random() < 0.05

    def _never(self, trade: Trade) -> None:
        """The client was told that `trade` was refused, and does not send it again."""
        self._free.append(trade.key)
        if trade in self._given_up:
            self._given_up.remove(trade)

    def _trade(self, frontend: FrontendMember, trade: Trade, known: bool = False) -> None:
        """Place `trade`; `known`: it was sent before, and may have its order already."""
        truth = self._truth
        number_before, index_before = truth.acknowledged_number, truth.acknowledged_index
        tries = [2]
        cuts = truth.cuts
        self.waiting += 1

        def answered(outcome: Any) -> None:
            match outcome:
                case _ if cuts != truth.cuts:
                    truth.counts["unknown"] += 1
                case Placed():
                    seen = known or outcome.replayed or tries[0] < 2
                    truth.placed(trade, outcome, number_before, seen)
                    self._placed.append(trade)
                case Judged():
                    truth.judged(trade, outcome.price, index_before)
                    self._never(trade)
                case Rejected():
                    calls = 2 if known else 3 - tries[0]
                    truth.rejected(trade, outcome.rejection, index_before, calls)
                    self._never(trade)
                case KeyReused():
                    truth.key_reused(trade)
                case NotExecuted() if tries[0] == 2 and not known:
                    truth.not_executed(trade)
                    self._never(trade)
                case _:
                    truth.counts["unknown"] += 1
                    tries[0] -= 1
                    other = self.world.random.choice(self._frontends)
                    if tries[0] and other.alive:
                        send(other)
                        return
                    if trade not in self._given_up:
                        self._given_up.append(trade)
            self.waiting -= 1
            self._next()

        def send(frontend: FrontendMember) -> None:
            guarded = self.in_this_life(once(answered))
            # A front-end that dies takes its connections with it.
            self.later(TIMING.deadline + 1, guarded, BazaarError("no answer"))
            frontend.in_this_life(frontend.place)(trade, guarded)

        send(frontend)

    def _look_up(self, frontend: FrontendMember) -> None:
        truth = self._truth
        name = self._stock()
        least = truth.seen_version(name)
        cuts = truth.cuts
        self.waiting += 1

        def answered(found: LookupResult | BazaarError) -> None:
            self.waiting -= 1
            if not isinstance(found, BazaarError) and cuts == truth.cuts:
                truth.looked_up(name, found, least)
            self._next()

        guarded = self.in_this_life(once(answered))
        self.later(TIMING.deadline, guarded, BazaarError("no answer"))
        frontend.in_this_life(frontend.lookup)(name, guarded)

    def _stock(self) -> str:
        random = self.world.random
        return random.choice(DEFAULT_LISTING[:3]).name if random.random() < 0.97 else "Nobody"

    def _read(self, frontend: FrontendMember) -> None:
        truth = self._truth
        last = truth.acknowledged_number
        random = self.world.random
        # Some replica may not have heard of the newest order; the one after it may exist without
        # any client knowing.
        number = random.choice((last or 1, last or 1, last + 1, random.randint(1, last + 2)))
        cuts = truth.cuts
        self.waiting += 1

        def answered(found: Order | BazaarError | None) -> None:
            self.waiting -= 1
            if not isinstance(found, BazaarError) and cuts == truth.cuts:
                truth.read(number, found, last)
            self._next()

        guarded = self.in_this_life(once(answered))
        self.later(TIMING.deadline, guarded, BazaarError("no answer"))
        frontend.in_this_life(frontend.get_order)(number, guarded)


def once(call: Callable[[Any], None]) -> Callable[[Any], None]:
    """`call`, the first time only."""
    called = [False]

    def first(argument: Any) -> None:
        if not called[0]:
            called[0] = True
            call(argument)

    return first
