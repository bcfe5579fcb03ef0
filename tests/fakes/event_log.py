"""Order logs as replicas know them, for the feed of events: made quickly, and restored at will."""

import json
from typing import Any

from twisted_bazaar.frontend.events.encoding import order_event, quote_event
from twisted_bazaar.frontend.events.news import News, OrderEvent, QuoteEvent
from twisted_bazaar.market import Order, Side, Stock

STOCKS = ("A", "B", "C")


class EventLog:
    """A log whose entry 1 lists `STOCKS`; each further one is an order. Entry `n` holds order
    `n - 1`, and `made` tells apart the entries of two logs."""

    def __init__(self, made: str = "x") -> None:
        self._made = [made]
        self._stocks: list[str] = [""]

    @property
    def last_number(self) -> int:
        return len(self._made) - 1

    def trade(self, stock: str = "A", made: str = "x") -> None:
        self._made.append(made)
        self._stocks.append(stock)

    def cut_short(self, last_number: int) -> None:
        """A backup is restored, that was made when there were so many orders."""
        del self._made[last_number + 1 :]
        del self._stocks[last_number + 1 :]

    def order(self, number: int) -> Order:
        return Order(number, self._stocks[number], Side.BUY, 1, number, f"key-{number}", False, 100)

    def stock(self, name: str, upto: int) -> Stock:
        """After `upto` orders."""
        numbers = [n for n in range(1, upto + 1) if self._stocks[n] == name]
        return Stock(name, 100, 1000 - len(numbers), len(numbers), max(numbers, default=0) + 1)

    def digest(self, version: int) -> str:
        return "".join(self._made[:version]) or "none"

    def news(self, after: int, version: int, limit: int = 1000, known: int | None = None) -> News:
        """What a replica answers that knows `known` orders to be released; None: all."""
        last = self.last_number if known is None else min(known, self.last_number)
        stocks = [self.stock(name, last) for name in STOCKS]
        changed = sorted(
            (stock for stock in stocks if stock.version > version), key=lambda each: each.version
        )
        return News(
            [event(self.order(n)) for n in range(after + 1, min(last, after + limit) + 1)],
            [QuoteEvent(stock.name, quote_event(stock)) for stock in changed],
            last,
            last + 1,
            self.digest(last + 1),
            self.digest(version) if version <= last + 1 else "",
        )


def event(order: Order) -> OrderEvent:
    return OrderEvent(order.number, order.stock, order_event(order))


def events_in(data: bytes) -> list[dict[str, Any]]:
    """What a client sees of a stream: each event, with the id that it would name after it."""
    seen: list[dict[str, Any]] = []
    last_id: int | None = None
    for block in data.decode().split("\n\n"):
        found: dict[str, Any] = {}
        for line in filter(None, block.split("\n")):
            name, _, value = line.partition(": ")
            found[name] = value
        if "id" in found:
            last_id = int(found["id"])
        if "data" in found:
            seen.append({"event": found["event"], "id": last_id, **json.loads(found["data"])})
    return seen


def numbers_in(data: bytes) -> list[int]:
    """The numbers of the orders that a client sees."""
    return [each["number"] for each in events_in(data) if each["event"] == "order"]


def last_id_in(data: bytes) -> int | None:
    """What a client names when it reconnects."""
    ids = [line for line in data.decode().split("\n") if line.startswith("id: ")]
    return int(ids[-1].removeprefix("id: ")) if ids else None
