"""Histories of a correct bazaar, made by a sequential model.

Every call takes effect at one instant between when it was sent and when it ended; the client may
have given up a call of unknown outcome before that. Calls overlap at random.
"""

from datetime import UTC, datetime
from random import Random
from typing import Any

from msgspec.structs import replace

from load.history.keys import asked
from load.history.records import (
    Change,
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
PRICES = {"Fish": 20.5, "Boar": 34.0, "Whale": 0.07}
WALL = 1_790_000_000_000
"""What the wall clock shows at 0."""
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
        self._prices = dict(PRICES)
        self._halted: set[str] = set()
        self._index = 2
        self._keys: dict[str, Order] = {}
        self._used: list[TradeCall] = []
        self.calls: list[Record] = []

    def records(self, calls: int) -> list[Record]:
        """A section with `calls` calls."""
        steps = [self.trade] * 8 + [self.lookup] * 5 + [self.again] * 3 + [self.order] * 2
        steps += [self.market, self.page, self.new_leader, self.change]
        for _ in range(calls):
            self._random.choice(steps)()
        # A history is sorted by when calls ended.
        self.calls.sort(key=lambda call: getattr(call, "ended", 0.0))
        opening = Opening(at=0.0, listed=dict(LISTED), prices=dict(PRICES), wall=WALL)
        shown = [
            order if self._shows_keys else replace(order, key=None, client_order_id=None)
            for order in self.orders
        ]
        market = tuple(map(self._quote, LISTED))
        closing = Closing(at=self.now + 9.0, orders=tuple(shown), market=market)
        return [opening, *self.calls, closing]

    def new_leader(self) -> None:
        self._index += 1

    def change(self) -> None:
        """A stock changes its price, or is halted or resumed."""
        sent, ended = self._span()
        name = self._name()
        if self._random.random() < 0.5:
            price = round(self._prices[name] * self._random.choice((0.5, 1.0, 2.0)) + 0.01, 2)
            change = Change(client=2, sent=sent, ended=ended, name=name, price=price)
        else:
            # It is resumed soon, so that there is something to trade.
            halted = name not in self._halted and self._random.random() < 0.4
            change = Change(client=2, sent=sent, ended=ended, name=name, halted=halted)
        done, told = self._random.random() < 0.95, self._random.random() < 0.8
        if done:
            self._index += 1
            self._versions[name] = self._index
            self._prices[name] = change.price or self._prices[name]
            if change.halted is not None:
                (self._halted.add if change.halted else self._halted.discard)(name)
        self.calls.append(replace(change, status=200 if done and told else 503))

    def trade(self) -> None:
        key = f"key-{len(self._used)}"
        side = Side.BUY if self._random.random() < 0.7 else Side.SELL
        quantity = self._random.choice((1, 1, 2, 3, 8))
        name = self._name()
        limit, valid_until = None, None
        if self._random.random() < 0.3:
            limit = round(self._prices[name] + self._random.choice((-0.01, 0.0, 0.01)), 2)
        if self._random.random() < 0.2:
            valid_until = self._milliseconds() + self._random.choice((-30_000, -1, 0, 1, 30_000))
        validate = self._random.random() < 0.1
        self._place(key, name, side, quantity, limit, valid_until, validate)

    def again(self) -> None:
        """Send a used key again, perhaps for another trade."""
        if self._used:
            used = self._random.choice(self._used)
            more = self._random.random() < 0.2
            limit = used.limit_price
            if self._random.random() < 0.1:
                limit = 1000.0
            self._place(used.key, used.name, used.type, used.quantity + more, limit)

    def _milliseconds(self) -> int:
        return WALL + round(self.now * 1000)

    def _place(
        self,
        key: str,
        name: str,
        side: Side,
        quantity: int,
        limit: float | None = None,
        valid_until: int | None = None,
        validate: bool = False,
    ) -> None:
        sent, ended = self._span()
        call = TradeCall(
            client=1, sent=sent, ended=ended, key=key, name=name, type=side, quantity=quantity,
            verdict=Verdict.NOT_EXECUTED, limit_price=limit, valid_until=valid_until,
            validate=validate,
        )  # fmt: skip
        fate = self._random.random()
        answered = replace(call, **self._execute(call)) if fate < 0.95 else call
        if fate > 0.8 and fate < 0.97:
            # The client gave up, perhaps before the trade was executed.
            ended = self._random.uniform(sent, ended)
            answered = replace(call, ended=ended, verdict=Verdict.UNKNOWN)
        self._used.append(answered)
        self.calls.append(answered)

    def _execute(self, call: TradeCall) -> dict[str, Any]:
        """What is answered."""
        name, price = call.name, self._prices[call.name]
        known = self._keys.get(call.key)
        if known is not None:
            if asked(known) != asked(call):
                return {"verdict": Verdict.REUSED}
            placed = {"number": known.number, "price": known.price, "replayed": True}
            return {"verdict": Verdict.PLACED, **placed}
        if call.valid_until is not None and self._milliseconds() > call.valid_until:
            return {"verdict": Verdict.REJECTED, "reason": "expired"}
        if name in self._halted:
            return {"verdict": Verdict.REJECTED, "reason": "halted"}
        limit, side, quantity = call.limit_price, call.type, call.quantity
        if limit is not None and (price > limit if side is Side.BUY else price < limit):
            return {"verdict": Verdict.REJECTED, "reason": "price_out_of_bounds"}
        change = quantity if side is Side.SELL else -quantity
        if self._quantities[name] + change < 0:
            return {"verdict": Verdict.REJECTED, "reason": "not_enough_shares"}
        if call.validate:
            return {"verdict": Verdict.JUDGED, "price": price}
        taken = datetime.fromtimestamp(self._milliseconds() / 1000, UTC)
        order = Order(
            len(self.orders) + 1, name, side, quantity, call.key, price, limit, call.key,
            taken.isoformat(timespec="milliseconds"),
        )  # fmt: skip
        self.orders.append(order)
        self._keys[call.key] = order
        self._quantities[name] += change
        self._volumes[name] += quantity
        self._index += 1
        self._versions[name] = self._index
        return {"verdict": Verdict.PLACED, "number": order.number, "price": price}

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
        quotes = tuple(replace(quote, version=None) for quote in map(self._quote, LISTED))
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
        return Quote(
            name,
            self._prices[name],
            self._quantities[name],
            self._volumes[name],
            self._versions[name],
            name in self._halted,
        )

    @staticmethod
    def _shown(order: Order) -> Order:
        return replace(order, key=None)
