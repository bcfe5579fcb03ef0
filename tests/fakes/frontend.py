"""A front-end in memory: it trades on a ledger, and fails at random."""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock, deferLater
from twisted.web.http_headers import Headers

from load.client.http import NoAnswer, NotSent, Reply
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

    def get(self, url: str, timeout: float) -> Deferred[Reply]:
        return self._call("GET", url, None, "", timeout)

    def post(
        self, url: str, body: object, headers: Mapping[str, str], timeout: float
    ) -> Deferred[Reply]:
        return self._call("POST", url, body, headers["Idempotency-Key"], timeout)

    def _call(self, method: str, url: str, body: Any, key: str, timeout: float) -> Deferred[Reply]:
        path = url.removeprefix("http://front")
        self.requests.append((method, path, body))
        fails = self._random.random() < self.trouble
        fault = self._random.choice(("refused", "lost", "late", "busy")) if fails else ""
        if fault == "refused":
            return fail(NotSent("refused"))
        if fault == "busy":
            return self._later(0.01, lambda: _failure(503, "no", "not_executed"))
        if fault == "lost":
            return self._later(timeout, lambda: _raise(NoAnswer("lost")))
        result: list[Reply] = []
        served = self._random.uniform(0.0, 9.0 if fault else 0.02)
        self._clock.callLater(served, lambda: result.append(self._serve(path, body, key)))
        answered = min(timeout, served + 0.01)
        return self._later(answered, lambda: result[0] if result else _raise(NoAnswer("late")))

    def _later(self, seconds: float, what: Any) -> Deferred[Reply]:
        return deferLater(self._clock, seconds, what)

    def _serve(self, path: str, body: Any, key: str) -> Reply:
        if body is not None:
            return self._trade(Trade(key, body["name"], Side(body["type"]), body["quantity"]))
        if path == "/stocks":
            return _success([_stock(each) for each in self.ledger.stocks.values()])
        if path.startswith("/stocks/"):
            stock = self.ledger.stocks[path.removeprefix("/stocks/")]
            return _success(_stock(stock), {b"ETag": b'"c0ffee-%d"' % stock.version})
        if path.startswith("/orders?"):
            after, limit = (int(part.partition("=")[2]) for part in path[8:].split("&"))
            page = self.orders[after : after + limit]
            more = after + limit < len(self.orders)
            following = page[-1].number if more else None
            return _answer(200, {"data": [_order(each) for each in page], "next": following})
        number = int(path.removeprefix("/orders/"))
        if number > len(self.orders):
            return _failure(404, "there is no such order")
        return _success(_order(self.orders[number - 1]))

    def _trade(self, trade: Trade) -> Reply:
        for order in self.orders:
            if order.key == trade.key:
                if not order.fulfils(trade):
                    return _failure(422, "the key belongs to another trade")
                replayed = {b"Idempotent-Replayed": b"true"}
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


def _answer(status: int, body: object, headers: Mapping[bytes, bytes] | None = None) -> Reply:
    given = Headers({name: [value] for name, value in (headers or {}).items()})
    return Reply(status, given, msgspec.json.encode(body))


def _success(data: object, headers: Mapping[bytes, bytes] | None = None) -> Reply:
    return _answer(200, {"data": data}, headers)


def _failure(status: int, message: str, reason: str = "") -> Reply:
    return _answer(status, {"error": {"code": status, "reason": reason, "message": message}})


def _raise(error: Exception) -> Reply:
    raise error
