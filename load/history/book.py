"""All orders in the order of their numbers, and the state of each stock after each. Pure.

The prefixes of this list are the only states of the bazaar: every answer must show one of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from twisted_bazaar.market import Side

from .records import Order, Quote, TradeCall

__all__ = ["Book", "StockBook", "Violation", "described", "lowest"]


class Violation(msgspec.Struct, frozen=True):
    """An invariant of docs/protocol.md that is broken, and the calls that show it."""

    invariant: int
    what: str
    calls: tuple[int, ...] = ()
    """Indexes of records in the section, from 0, the opening included."""

    def __str__(self) -> str:
        shown = ", ".join(str(place) for place in self.calls)
        where = f" (records {shown})" if shown else ""
        return f"invariant {self.invariant}: {self.what}{where}"


class StockBook:
    """The states of one stock: position n is the one after its first n orders."""

    def __init__(self, listed: int) -> None:
        self.numbers: list[int] = []
        self.quantities = [listed]
        self.volumes = [0]
        self.versions: dict[int, int] = {}
        """By position, where an answer showed one."""

    def add(self, order: Order) -> None:
        """Add the next order of the stock."""
        change = order.quantity if order.type is Side.SELL else -order.quantity
        self.numbers.append(order.number)
        self.quantities.append(self.quantities[-1] + change)
        self.volumes.append(self.volumes[-1] + order.quantity)

    def position_at(self, number: int) -> int:
        """The position after all orders up to `number`."""
        return bisect_right(self.numbers, number)

    def position_of(self, quote: Quote) -> int | None:
        """The position that `quote` shows, found by its volume; None: there is none."""
        found = bisect_left(self.volumes, quote.volume)
        if found == len(self.volumes) or self.volumes[found] != quote.volume:
            return None
        return found if self.quantities[found] == quote.quantity else None

    def number_at(self, position: int) -> int:
        """The last order that `position` includes; 0: none."""
        return self.numbers[position - 1] if position else 0


class Book:
    """The orders, by number and by stock, with `violations` of invariants 4, 5 and 6."""

    def __init__(self, orders: Iterable[Order], listed: Mapping[str, int]) -> None:
        self.stocks = {name: StockBook(quantity) for name, quantity in listed.items()}
        self.orders: dict[int, Order] = {}
        self.keys: dict[str, int] = {}
        """Orders by key, as far as keys are known."""
        self.violations: list[Violation] = []
        self._negative: set[str] = set()
        last = 0
        for order in orders:
            if order.number in self.orders or order.number < last:
                self._violated(4, f"order {order.number} is listed after order {last}")
                continue
            if order.number != last + 1:
                self._violated(4, f"order {order.number} follows order {last}")
            last = order.number
            self._add(order)
        self.last_number = last

    def _add(self, order: Order) -> None:
        self.orders[order.number] = order
        if order.key is not None:
            first = self.keys.setdefault(order.key, order.number)
            if first != order.number:
                what = f"key {order.key} has the orders {first} and {order.number}"
                self._violated(5, what)
        stock = self.stocks.get(order.name)
        if stock is None or order.quantity < 1:
            self._violated(6, f"order {order.number} cannot be: {described(order)}")
            return
        stock.add(order)
        if stock.quantities[-1] < 0 and order.name not in self._negative:
            self._negative.add(order.name)
            what = f"after order {order.number} {-stock.quantities[-1]} more {order.name}"
            self._violated(6, f"{what} are sold than there are")

    def check_market(self, market: Iterable[Quote]) -> None:
        """Check the market data after all orders."""
        shown = {quote.name: quote for quote in market}
        for name in sorted(shown.keys() | self.stocks.keys()):
            stock, quote = self.stocks.get(name), shown.get(name)
            if stock is None or quote is None:
                where = "in the market data" if stock is None else "among what was listed"
                self._violated(6, f"{name} is only {where}")
                continue
            wanted = stock.quantities[-1], stock.volumes[-1]
            if (quote.quantity, quote.volume) != wanted:
                self._violated(
                    6,
                    f"{name}: quantity {quote.quantity}, volume {quote.volume} in the end,"
                    f" where the orders make {wanted[0]} and {wanted[1]}",
                )

    def _violated(self, invariant: int, what: str) -> None:
        self.violations.append(Violation(invariant, what))


def lowest(values: Sequence[int], ranges: Iterable[tuple[int, int]]) -> list[int | None]:
    """The minimum of `values` in each range (first, last), both included; None: it is empty.

    One pass from right to left answers all ranges: `kept` has the places of the prefix minima of
    `values[first:]`, the last of which within the range is its minimum.
    """
    asked = sorted(enumerate(ranges), key=lambda each: -each[1][0])
    answers: list[int | None] = [None] * len(asked)
    kept: list[int] = []
    done = len(values)
    for place, (first, last) in asked:
        while done > first:
            done -= 1
            while kept and values[-kept[-1]] >= values[done]:
                kept.pop()
            # Negated, so that they ascend for bisect.
            kept.append(-done)
        if first <= last:
            answers[place] = values[-kept[bisect_left(kept, -min(last, len(values) - 1))]]
    return answers


def described(trade: Order | TradeCall) -> str:
    """Side, quantity and stock."""
    return f"{trade.type} {trade.quantity} {trade.name}"
