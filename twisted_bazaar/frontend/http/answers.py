"""What clients are answered: values of the market as the bytes of a JSON body. Pure.

Prices leave as exact decimals of two digits; no sum ever passes through a float.
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
    """The body of an answer that holds `data`, whatever msgspec can encode."""
    return b'{"data":%b}' % _encode(data)


def ready(notice: str | None) -> bytes:
    """The body that says so, and what else there is to know."""
    return success("ready") if notice is None else _encode({"data": "ready", "notice": notice})


def error(code: int, reason: str, message: str) -> bytes:
    """The body of every failure: its status, a word for programs, and words for a person."""
    return _encode({"error": {"code": code, "reason": reason, "message": message}})


def stock(found: Stock) -> bytes:
    return success(_shown_stock(found))


def shown_stock(found: Stock) -> bytes:
    """A stock among others."""
    return _encode(_shown_stock(found))


def stocks(found: Iterable[Stock]) -> bytes:
    return joined(map(shown_stock, found))


def joined(shown: Iterable[bytes]) -> bytes:
    """The body of `stocks`, of stocks as `shown_stock` shows them."""
    return b'{"data":[%b]}' % b",".join(shown)


def placed(number: int) -> bytes:
    return b'{"data":{"transaction_number":%d}}' % number


def order(found: Order) -> bytes:
    return success(_shown_order(found))


def orders(found: Sequence[Order], limit: int) -> bytes:
    """The first `limit` of the orders found; `next` says after which to ask for more, if any."""
    page = found[:limit]
    after = page[-1].number if len(found) > limit else None
    return _encode(_Page([_shown_order(each) for each in page], after))


def _shown_stock(found: Stock) -> _Stock:
    price = msgspec.Raw(b"%d.%02d" % divmod(found.price, 100))
    # A volume goes on beyond what every JSON reader keeps; what is shown stays there.
    return _Stock(found.name, price, found.quantity, min(found.volume, MAX_SHARES))


def _shown_order(found: Order) -> _Order:
    seconds, milliseconds = divmod(found.at, 1000)
    taken = datetime.fromtimestamp(seconds, UTC)
    time = f"{taken:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
    return _Order(found.number, found.stock, found.side, found.quantity, time)
