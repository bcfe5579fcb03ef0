"""The JSON bodies of answers. Pure.

Prices are exact decimals of two digits; no price passes through a float.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from twisted_bazaar.market import MAX_SHARES, Order, Side, Stock

__all__ = [
    "error",
    "joined",
    "order",
    "orders",
    "placed",
    "ready",
    "shown_stock",
    "stock",
    "stocks",
    "success",
]


class _Stock(msgspec.Struct):
    name: str
    price: msgspec.Raw
    quantity: int
    volume: int


class _Order(msgspec.Struct):
    number: int
    name: str
    type: Side
    quantity: int
    time: str


class _Page(msgspec.Struct):
    data: list[_Order]
    next: int | None


_encode = msgspec.json.Encoder().encode


def success(data: object) -> bytes:
    """The body that holds `data`, which msgspec must be able to encode."""
    return b'{"data":%b}' % _encode(data)


def ready(notice: str | None) -> bytes:
    """The body of `/readyz`; `notice` is what operators should know although it is ready."""
    return success("ready") if notice is None else _encode({"data": "ready", "notice": notice})


def error(code: int, reason: str, message: str) -> bytes:
    """The body of a failure: HTTP status, a word for programs, and a message for people."""
    return _encode({"error": {"code": code, "reason": reason, "message": message}})


def stock(found: Stock) -> bytes:
    """The body that shows one stock."""
    return success(_shown_stock(found))


def shown_stock(found: Stock) -> bytes:
    """One stock as `stocks` shows it."""
    return _encode(_shown_stock(found))


def stocks(found: Iterable[Stock]) -> bytes:
    """The body that shows several stocks."""
    return joined(map(shown_stock, found))


def joined(shown: Iterable[bytes]) -> bytes:
    """The body of `stocks`, from the results of `shown_stock`."""
    return b'{"data":[%b]}' % b",".join(shown)


def placed(number: int) -> bytes:
    """The body that answers a trade with the number of its order."""
    return b'{"data":{"transaction_number":%d}}' % number


def order(found: Order) -> bytes:
    """The body that shows one order."""
    return success(_shown_order(found))


def orders(found: Sequence[Order], limit: int) -> bytes:
    """The body that shows the first `limit` of these orders. `next` is the number of the last, if
    there are more; else null."""
    page = found[:limit]
    after = page[-1].number if len(found) > limit else None
    return _encode(_Page([_shown_order(each) for each in page], after))


def _shown_stock(found: Stock) -> _Stock:
    price = msgspec.Raw(b"%d.%02d" % divmod(found.price, 100))
    # Volumes grow beyond the integers that every JSON reader keeps; the number shown does not.
    return _Stock(found.name, price, found.quantity, min(found.volume, MAX_SHARES))


def _shown_order(found: Order) -> _Order:
    seconds, milliseconds = divmod(found.at_milliseconds, 1000)
    taken = datetime.fromtimestamp(seconds, UTC)
    time = f"{taken:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
    return _Order(found.number, found.stock, found.side, found.quantity, time)
