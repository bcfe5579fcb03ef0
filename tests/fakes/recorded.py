"""Histories of a correct bazaar, made by a sequential model.

Every call takes effect at one instant between when it was sent and when it ended; the client may
have given up a call of unknown outcome before that. Calls overlap at random.
"""

from random import Random

from load.history.records import (
    Closing,
    LookupCall,
    MarketCall,
    Opening,
    Order,
    OrderCall,
    PageCall,
    Quote,
    Record,
    TradeCall,
    Verdict,
)
from twisted_bazaar.market import Side

LISTED = {"Fish": 6, "Boar": 20, "Whale": 3}
PAGE = 4


class Model:
    """A market that executes one call after the other, and the clients that record them."""

    def __init__(self, random: Random, *, keys: bool, overlap: float = 1.0) -> None:
        """`keys`: whether the orders of the closing have keys; `overlap`: a factor of how long
        calls take, where one takes effect each second."""
        self._random = random
        self._shows_keys = keys
        self._overlap = overlap
        self.now = 1000.0
        self.orders: list[Order] = []
        self._quantities = dict(LISTED)
        self._volumes = dict.fromkeys(LISTED, 0)
        self._versions = dict.fromkeys(LISTED, 2)
        self._index = 2
        self._keys: dict[str, Order] = {}
        self._used: list[TradeCall] = []
        self.calls: list[Record] = []

    def records(self, calls: int) -> list[Record]:
        """A section with `calls` calls."""
        steps = [self.trade] * 8 + [self.lookup] * 5 + [self.again] * 3 + [self.order] * 2
        steps += [self.market, self.page, self.new_leader]
        for _ in range(calls):
            self._random.choice(steps)()
        # A history is sorted by when calls ended.
        self.calls.sort(key=lambda call: getattr(call, "ended", 0.0))
        opening = Opening(at=0.0, listed=dict(LISTED))
        shown = [
            order
            if self._shows_keys
            else Order(order.number, order.name, order.type, order.quantity)
            for order in self.orders
        ]
        market = tuple(map(self._quote, LISTED))
        closing = Closing(at=self.now + 9.0, orders=tuple(shown), market=market)
        return [opening, *self.calls, closing]

    def new_leader(self) -> None:
        self._index += 1

    def trade(self) -> None:
        key = f"key-{len(self._used)}"
        side = Side.BUY if self._random.random() < 0.7 else Side.SELL
        quantity = self._random.choice((1, 1, 2, 3, 8))
        self._place(key, self._name(), side, quantity)

    def again(self) -> None:
        """Send a used key again, perhaps for another trade."""
        if self._used:
            used = self._random.choice(self._used)
            more = self._random.random() < 0.2
            self._place(used.key, used.name, used.type, used.quantity + more)

    def _place(self, key: str, name: str, side: Side, quantity: int) -> None:
        sent, ended = self._span()
        fate = self._random.random()
        verdict, number, replayed = Verdict.NOT_EXECUTED, None, False
        if fate < 0.95:
            verdict, number, replayed = self._execute(key, name, side, quantity)
        if fate > 0.8 and fate < 0.97:
            # The client gave up, perhaps before the trade was executed.
            ended = self._random.uniform(sent, ended)
            verdict, number, replayed = Verdict.UNKNOWN, None, False
        call = TradeCall(
            client=1, sent=sent, ended=ended, key=key, name=name, type=side,
            quantity=quantity, verdict=verdict, number=number, replayed=replayed,
        )  # fmt: skip
        self._used.append(call)
        self.calls.append(call)

    def _execute(
        self, key: str, name: str, side: Side, quantity: int
    ) -> tuple[Verdict, int | None, bool]:
        known = self._keys.get(key)
        if known is not None:
            if (known.name, known.type, known.quantity) == (name, side, quantity):
                return Verdict.PLACED, known.number, True
            return Verdict.REUSED, None, False
        change = quantity if side is Side.SELL else -quantity
        if self._quantities[name] + change < 0:
            return Verdict.REJECTED, None, False
        order = Order(len(self.orders) + 1, name, side, quantity, key)
        self.orders.append(order)
        self._keys[key] = order
        self._quantities[name] += change
        self._volumes[name] += quantity
        self._index += 1
        self._versions[name] = self._index
        return Verdict.PLACED, order.number, False

    def lookup(self) -> None:
        sent, ended = self._span()
        name = self._name()
        found = self._quote(name)
        if self._random.random() < 0.05:
            self.calls.append(LookupCall(client=1, sent=sent, ended=ended, name=name, status=503))
        else:
            self.calls.append(
                LookupCall(client=1, sent=sent, ended=ended, name=name, status=200, found=found)
            )

    def market(self) -> None:
        sent, ended = self._span()
        quotes = tuple(
            Quote(quote.name, quote.price, quote.quantity, quote.volume)
            for quote in map(self._quote, LISTED)
        )
        self.calls.append(MarketCall(client=1, sent=sent, ended=ended, status=200, found=quotes))

    def order(self) -> None:
        sent, ended = self._span()
        number = self._random.randint(1, len(self.orders) + 2)
        found = self._shown(self.orders[number - 1]) if number <= len(self.orders) else None
        status = 404 if found is None else 200
        self.calls.append(
            OrderCall(client=1, sent=sent, ended=ended, status=status, number=number, found=found)
        )

    def page(self) -> None:
        sent, ended = self._span()
        after = self._random.randint(0, len(self.orders) + 1)
        found = tuple(map(self._shown, self.orders[after : after + PAGE]))
        more = after + PAGE < len(self.orders)
        self.calls.append(
            PageCall(
                client=1, sent=sent, ended=ended, status=200, after=after, limit=PAGE,
                found=found, next=found[-1].number if more else None,
            )
        )  # fmt: skip

    def _span(self) -> tuple[float, float]:
        """When a call that takes effect now is sent and ends."""
        self.now += 1.0
        return tuple(  # type: ignore[return-value]
            self.now + sign * self._random.random() ** 3 * self._overlap for sign in (-8, 8)
        )

    def _name(self) -> str:
        return self._random.choice(list(LISTED))

    def _quote(self, name: str) -> Quote:
        return Quote(name, 1.0, self._quantities[name], self._volumes[name], self._versions[name])

    @staticmethod
    def _shown(order: Order) -> Order:
        return Order(order.number, order.name, order.type, order.quantity)
