"""A front-end in memory: it trades on a ledger, and fails at random."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater

from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.requests import Request
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import DEFAULT_LISTING, Listed, Side, Trade, Traded


class FakeFrontend:
    """Stands in for a `Session`; `trouble` is the probability that a call fails or is late."""

    def __init__(self, clock: Clock, random: Random, trouble: float = 0.0) -> None:
        self._clock = clock
        self._random = random
        self.trouble = trouble
        self.ledger = Ledger()
        self.ledger.apply(1, Listed(DEFAULT_LISTING))
        self.orders: list[Traded] = []
        self.requests: list[tuple[str, str, Any]] = []

    def send(self, url: str, request: Request, seconds: float) -> Deferred[Answer | Broken]:
        path = request.target
        body = None if request.body is None else msgspec.json.decode(request.body)
        key = "" if body is None else body.pop("client_order_id")
        self.requests.append((request.method, path, body))
        fails = self._random.random() < self.trouble
        fault = self._random.choice(("refused", "lost", "late", "busy")) if fails else ""
        if fault == "refused":
            return succeed(Broken("refused", served=False))
        if fault == "busy":
            return self._later(0.01, lambda: _failure(503, "no", "not_executed"))
        if fault == "lost":
            return self._later(seconds, lambda: Broken("lost"))
        result: list[Answer] = []
        served = self._random.uniform(0.0, 9.0 if fault else 0.02)
        self._clock.callLater(served, lambda: result.append(self._serve(path, body, key)))
        answered = min(seconds, served + 0.01)
        return self._later(answered, lambda: result[0] if result else Broken("late"))

    def _later(
        self, seconds: float, what: Callable[[], Answer | Broken]
    ) -> Deferred[Answer | Broken]:
        # A request that is cancelled has no answer.
        return deferLater(self._clock, seconds, what).addErrback(lambda _: Broken("cancelled"))

    def _serve(self, path: str, body: Any, key: str) -> Answer:
        if body is not None:
            return self._trade(Trade(key, body["name"], Side(body["type"]), body["quantity"]))
        if path == "/stocks":
            return _success([_stock(each) for each in self.ledger.stocks.values()])
        if path.startswith("/stocks/"):
            stock = self.ledger.stocks[path.removeprefix("/stocks/")]
            return _success(_stock(stock), {"etag": f'"c0ffee-{stock.version}"'})
        if path.startswith("/orders?"):
            after, limit = (int(part.partition("=")[2]) for part in path[8:].split("&"))
            page = self.orders[after : after + limit]
            more = after + limit < len(self.orders)
            following = page[-1].number if more else None
            return _answer(200, {"data": [_order(each) for each in page], "next": following})
        number = int(path.removeprefix("/orders/"))
        if number > len(self.orders):
            return _failure(404, "there is no such order", "no_such_order")
        return _success(_order(self.orders[number - 1]))

    def _trade(self, trade: Trade) -> Answer:
        for order in self.orders:
            if order.key == trade.key:
                if not order.fulfils(trade):
                    return _failure(422, "the key belongs to another trade")
                replayed = {"idempotent-replayed": "true"}
                return _success({"transaction_number": order.number}, replayed)
        decided = self.ledger.decide(trade)
        if not isinstance(decided, Traded):
            return _failure(409, decided.value)
        self.orders.append(decided)
        self.ledger.apply(len(self.orders) + 1, decided)
        return _success({"transaction_number": decided.number})


def _stock(stock: Any) -> dict[str, Any]:
    return {
        "name": stock.name,
        "price": stock.price / 100,
        "quantity": stock.quantity,
        "volume": stock.volume,
        "halted": stock.halted,
    }


def _order(order: Traded) -> dict[str, Any]:
    shown = {"number": order.number, "name": order.stock, "type": order.side}
    return {**shown, "quantity": order.quantity, "time": "2026-01-01T00:00:00Z"}


def _answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, msgspec.json.encode(body))


def _success(data: object, headers: Mapping[str, str] | None = None) -> Answer:
    return _answer(200, {"data": data}, headers)


def _failure(status: int, message: str, reason: str = "") -> Answer:
    return _answer(status, {"error": {"code": status, "reason": reason, "message": message}})
