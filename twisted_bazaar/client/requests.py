"""The requests of the REST API, each with how its answer is understood. Pure."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from . import answers
from .answers import Answer, Broken
from .errors import CallFailed
from .values import Direction, EventName, Judged, Order, Page, Placed, Quote, SideName, Trade

__all__ = [
    "Call",
    "Request",
    "authorization",
    "batch",
    "events",
    "find",
    "order",
    "page",
    "ping",
    "place",
    "stock",
    "stocks",
    "validate",
]

_SPECIAL = re.compile(r"[\\,]")
"""What has a backslash before it in a list of names."""
_API_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")
T = TypeVar("T")

_JSON = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder(decimal_format="number").encode
_MILLISECOND = timedelta(milliseconds=1)


class Request(msgspec.Struct, frozen=True):
    """A request to any front-end."""

    method: str
    target: str
    """Path and query."""
    headers: dict[str, str] = {}
    body: bytes | None = None


def authorization(api_key: str | None) -> dict[str, str]:
    """The headers that show an API key; None: there is none. Raises `ValueError` if it cannot be
    one."""
    if api_key is None:
        return {}
    if _API_KEY.fullmatch(api_key) is None:
        raise ValueError("an API key has only letters, digits and -._~+/=, without spaces")
    return {"Authorization": f"Bearer {api_key}"}


class Call(msgspec.Struct, Generic[T], frozen=True):
    """A request, and what its answer means."""

    request: Request
    understand: Callable[[Answer], T]
    """Raises `CallFailed`."""
    key: str | None = None
    """Of a trade; None: this is a read."""

    def value(self, reply: Answer | Broken) -> T:
        """What came of it. Raises `CallFailed`."""
        if isinstance(reply, Broken):
            raise answers.no_answer(reply, self.key)
        return self.understand(reply)


def ping() -> Call[None]:
    return Call(Request("GET", "/ping"), answers.as_pong)


def stock(name: str) -> Call[Quote]:
    """Raises `ValueError` for an empty name, which would ask for all stocks."""
    if not name:
        raise ValueError("the name of a stock is not empty")
    return Call(Request("GET", f"/stocks/{quote(name, safe='')}"), answers.as_quote)


def stocks() -> Call[tuple[Quote, ...]]:
    return Call(Request("GET", "/stocks"), answers.as_quotes)


def order(number: int) -> Call[Order | None]:
    return Call(Request("GET", f"/orders/{number}"), answers.as_order)


def find(client_order_id: str) -> Call[Order | None]:
    def only(answer: Answer) -> Order | None:
        return next(iter(answers.as_page(answer).orders), None)

    return Call(_get("/orders", client_order_id=client_order_id), only)


def page(
    *,
    after: int | None = None,
    limit: int | None = None,
    direction: Direction | None = None,
    stock: str | None = None,
    type: SideName | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    partition: int | None = None,
    cursor: str | None = None,
    mine: bool | None = None,
) -> Call[Page]:
    request = _get(
        "/orders",
        after=after,
        limit=limit,
        direction=direction,
        stock=stock,
        type=type,
        since=_time(since, up=True),
        until=_time(until, up=True),
        partition=partition,
        cursor=cursor,
        mine="true" if mine else None,
    )
    return Call(request, answers.as_page)


def place(trade: Trade, key: str) -> Call[Placed]:
    """Raises TypeError or ValueError for a price or a time that cannot be sent exactly."""
    request = Request("POST", "/orders", _JSON, _encode(_body(trade, key)))
    return Call(request, partial(answers.as_placed, key=key), key)


def validate(trade: Trade, key: str) -> Call[Judged]:
    """Raises like `place`. It changes nothing, and so counts as a read."""
    request = Request("POST", "/orders?validate=true", _JSON, _encode(_body(trade, key)))
    return Call(request, answers.as_judged)


def batch(trades: Sequence[Trade], keys: Sequence[str]) -> Call[tuple[Placed | CallFailed, ...]]:
    """Raises like `place`."""
    bodies = [_body(trade, key) for trade, key in zip(trades, keys, strict=True)]
    request = Request("POST", "/orders/batch", _JSON, _encode({"orders": bodies}))
    return Call(request, partial(answers.as_batch, keys=tuple(keys)), keys[0])


def events(
    after: int | str | None,
    again: bool,
    *,
    stocks: Sequence[str] = (),
    events: Sequence[EventName] = (),
) -> Call[None]:
    """Opens the stream behind the order `after`, or where that id is; None: from now on. `again`:
    as one that takes up a broken stream."""
    request = _get(
        "/events",
        after=None if again else after,
        stocks=",".join(_SPECIAL.sub(r"\\\g<0>", name) for name in stocks) or None,
        events=",".join(events) or None,
    )
    headers = {"Accept": "text/event-stream"}
    if again and after is not None:
        headers["Last-Event-ID"] = str(after)
    return Call(msgspec.structs.replace(request, headers=headers), answers.as_stream)


def _get(path: str, **parameters: str | int | None) -> Request:
    query = urlencode({name: each for name, each in parameters.items() if each is not None})
    return Request("GET", f"{path}?{query}" if query else path)


def _body(trade: Trade, key: str) -> dict[str, str | int | Decimal]:
    limit = trade.limit_price
    if limit is not None and not isinstance(limit, Decimal):
        raise TypeError(f"limit_price is a {limit.__class__.__name__}, not a Decimal")
    if limit is not None and not limit.is_finite():
        raise ValueError(f"limit_price is {limit}")
    fields: dict[str, str | int | Decimal | None] = {
        "name": trade.name,
        "quantity": trade.quantity,
        "type": str(trade.type),
        "client_order_id": key,
        "limit_price": limit,
        "valid_until": _time(trade.valid_until),
    }
    return {name: each for name, each in fields.items() if each is not None}


def _time(time: datetime | None, *, up: bool = False) -> str | None:
    """In whole milliseconds, as orders have them: rounded `up`, or down."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    exact = time.astimezone(UTC)
    beyond = timedelta(microseconds=exact.microsecond % 1000)
    exact += _MILLISECOND - beyond if up and beyond else -beyond
    return exact.isoformat(timespec="milliseconds").replace("+00:00", "Z")
