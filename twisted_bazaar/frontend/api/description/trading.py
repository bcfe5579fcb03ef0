"""The calls that trade, and that read orders. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotExecuted,
    OutcomeUnknown,
    Rejected,
    Unavailable,
)
from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.requests import check_content
from twisted_bazaar.frontend.api.trades import PARAMETERS, decode_trade, decode_validate
from twisted_bazaar.frontend.http import answers
from twisted_bazaar.frontend.http.hosts import Hosts
from twisted_bazaar.frontend.http.refusals import Reason
from twisted_bazaar.market import (
    MAX_PRICE,
    MAX_TRADE_QUANTITY,
    Judged,
    Order,
    Placed,
    Rejection,
    Side,
    Trade,
)
from twisted_bazaar.selection import Page

from .failures import failed, refused
from .headers import (
    CACHE_CONTROL,
    IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED,
    LOCATION,
    REPEAT_KEY,
)
from .vocabulary import (
    Answer,
    Body,
    Example,
    Link,
    Operation,
    Parameter,
    Schema,
    holding,
)


def _nullable(schema: Any) -> Any:
    return {**schema, "type": [schema["type"], "null"]}


__all__ = ["MADE_KEY", "ORDER", "ORDERS", "PLACE", "PLACED", "TRADE"]

_MAX_ORDER_NUMBER = 2**53 - 1

_TRADE = {"name": "GameStart", "quantity": 5, "type": "buy", "client_order_id": "bot-7-trade-1"}
MADE_KEY = "f5xkq3rn7a-00000007-3c9d2b1f60a8"
"""A key that a front-end made."""
_PROTECTED = {
    "client_order_id": "bot-7-trade-7",
    "limit_price": 16.00,
    "valid_until": "2099-12-31T23:59:59Z",
}
_ORDER = Order(1, "GameStart", Side.BUY, 5, 1_795_337_026_064, "bot-7-trade-1", False, 1599, None)


def _trade(body: Any) -> Trade:
    return decode_trade(json.dumps(body).encode(), None, lambda: MADE_KEY)


def _placed(outcome: Placed | Judged, **changed: Any) -> bytes:
    return answers.placed(_trade({**_TRADE, **changed}), outcome)


def _refused(says: str, **changed: Any) -> Example:
    """The example of a trade with these fields changed, which is refused for them."""
    body = {**_TRADE, **changed}
    return refused(says, "/orders", lambda data: decode_trade(data, None, str), body=body)


def _failed(says: str, error: BazaarError, usual: bool = False, **changed: Any) -> Example:
    """The example of a trade with these fields changed, which met `error`. `usual` says that it
    does in every bazaar."""
    body = {**_TRADE, **changed}
    return failed(says, "/orders", error, _trade(body), body=body, usual=usual)


def _page(query: bytes, orders: Sequence[Order]) -> bytes:
    selection = listing.decode_selection(query)
    examined = max((order.number for order in orders), default=selection.after)
    return listing.shown_page(selection, Page(orders, examined, ended=True))


def _foreign(says: str, header: str, value: str) -> Example:
    def check(_: bytes) -> None:
        Hosts().check(
            value.encode() if header == "Host" else b"127.0.0.1",
            "127.0.0.1",
            [value.encode()] if header == "Origin" else None,
            None,
        )

    return refused(says, "/orders", check, body=_TRADE, sent={header: value})


_READ_ORDER = Link(
    name="order",
    operation="getOrder",
    parameters={"number": "$response.body#/data/transaction_number"},
    says="The order that the trade made.",
)

TRADE: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "quantity", "type"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "quantity": {"type": "integer", "minimum": 1, "maximum": MAX_TRADE_QUANTITY},
        "type": {"type": "string", "enum": [*Side]},
        "client_order_id": _nullable(
            {"type": "string", "pattern": "^[!-~](?:[ -~]{0,126}[!-~])?$"}
        ),
        "limit_price": _nullable(
            {
                "description": "A buy never pays more for a share, and a sell never gets less. At "
                "most two decimals.",
                "type": "number",
                "minimum": 0.01,
                "maximum": MAX_PRICE // 100,
                "multipleOf": 0.01,
            }
        ),
        "valid_until": _nullable(
            {
                "description": "RFC 3339, with a zone. The trade is refused if it would be decided "
                "later.",
                "type": "string",
                "format": "date-time",
            }
        ),
    },
}
PLACED = holding("PlacedAnswer", answers.ShownTrade)

PLACE = Operation(
    id="placeOrder",
    tag="orders",
    summary="Trade",
    says="Buys or sells at the price of the stock, at once and wholly, or not at all. The answer "
    "leaves when the order is on a majority of disks, and can never be lost or doubled. Choose a "
    "key: then the same call can be sent again after any failure, and trades once.",
    parameters=(IDEMPOTENCY_KEY, *PARAMETERS),
    body=Body(says="The trade.", name="TradeRequest", schema=TRADE),
    answers=(
        Answer(
            says="The trade is an order now, or was one already. With `validate`: it could be.",
            body=PLACED,
            headers=(IDEMPOTENT_REPLAYED, CACHE_CONTROL),
            links=(_READ_ORDER,),
        ),
        Answer(
            code=202,
            says="It is unknown whether the trade was executed, and the client chose no key. Sent "
            "again by itself, it would have another key, and could make a second order.",
            reasons=(Reason.OUTCOME_UNKNOWN,),
            headers=(LOCATION, REPEAT_KEY, CACHE_CONTROL),
        ),
    ),
    refusals=(
        *(Reason.MALFORMED, Reason.INVALID_FIELD, Reason.INVALID_KEY, Reason.UNKNOWN_STOCK),
        *(Reason.INVALID_PARAMETER,),
        *(Reason.FOREIGN_HOST, Reason.FOREIGN_ORIGIN),
        *(Reason.NOT_ENOUGH_SHARES, Reason.TOO_MANY_SHARES),
        *(Reason.PRICE_OUT_OF_BOUNDS, Reason.EXPIRED, Reason.HALTED),
        *(Reason.UNSUPPORTED_MEDIA_TYPE, Reason.KEY_REUSED),
        *(Reason.NOT_EXECUTED, Reason.OUTCOME_UNKNOWN, Reason.OVERLOADED),
    ),
    examples=(
        Example(
            says="A buy",
            target="/orders",
            body=_TRADE,
            answer=_placed(Placed(1, False, 1599)),
        ),
        Example(
            says="The same call again",
            target="/orders",
            body=_TRADE,
            answer=_placed(Placed(1, True, 1599)),
        ),
        Example(
            says="A buy with protection, which is judged only",
            target="/orders?validate=true",
            body={**_TRADE, **_PROTECTED},
            answer=_placed(Judged(1599), **_PROTECTED),
        ),
        failed(
            "No answer in time, and no key",
            "/orders",
            OutcomeUnknown("no answer in time"),
            _trade({**_TRADE, "client_order_id": None}),
            body={**_TRADE, "client_order_id": None},
        ),
        refused(
            "A query that is not known",
            "/orders?validate=yes",
            lambda _: decode_validate(b"/orders?validate=yes"),
            body=_TRADE,
        ),
        _refused("A quantity that is no integer", quantity=0.5),
        _refused("A key that ends in a space", client_order_id="bot-7 "),
        _failed(
            "A stock that is not listed",
            Rejected(Rejection.UNKNOWN_STOCK),
            usual=True,
            name="Nope",
            client_order_id="bot-7-trade-2",
        ),
        _foreign("A host that is not of this bazaar", "Host", "shop.example"),
        _foreign("A page of another origin", "Origin", "http://shop.example"),
        _failed(
            "Too few shares",
            Rejected(Rejection.NOT_ENOUGH_SHARES),
            usual=True,
            quantity=1000,
            client_order_id="bot-7-trade-3",
        ),
        _failed(
            "Too many shares",
            Rejected(Rejection.TOO_MANY_SHARES),
            type="sell",
            client_order_id="bot-7-trade-4",
        ),
        _failed(
            "A price above the limit",
            Rejected(Rejection.PRICE_OUT_OF_BOUNDS),
            usual=True,
            limit_price=15.5,
            client_order_id="bot-7-trade-5",
        ),
        _failed(
            "A trade that comes too late",
            Rejected(Rejection.EXPIRED),
            usual=True,
            valid_until="2020-01-01T00:00:00Z",
            client_order_id="bot-7-trade-6",
        ),
        _failed("A stock that is halted", Rejected(Rejection.HALTED)),
        refused(
            "A body that is called text",
            "/orders",
            lambda _: check_content([b"text/plain"], None),
            body=_TRADE,
            sent={"Content-Type": "text/plain"},
        ),
        _failed("A key of another trade", KeyReused(), usual=True, quantity=6),
        _failed("No leader", NotExecuted("no order replica leads")),
        _failed("No answer in time", OutcomeUnknown("no answer in time")),
    ),
)

_UNREAD = failed(
    "No replica", "/orders/1", Unavailable("no order replica leads, and none knows the answer")
)

ORDER = Operation(
    id="getOrder",
    tag="orders",
    summary="Read an order",
    says="An order is the same for ever.",
    parameters=(
        Parameter(
            name="number",
            place="path",
            says="The `transaction_number` of the trade.",
            schema={"type": "integer", "minimum": 1, "maximum": _MAX_ORDER_NUMBER},
            example=1,
        ),
    ),
    answers=(
        Answer(
            says="The order.",
            body=holding("OrderAnswer", answers.ShownOrder),
            headers=(CACHE_CONTROL,),
        ),
    ),
    refusals=(Reason.NO_SUCH_ORDER, Reason.UNAVAILABLE),
    examples=(
        Example(says="An order", target="/orders/1", answer=answers.order(_ORDER)),
        Example(
            says="An order that is not there",
            target="/orders/999",
            code=404,
            reason=Reason.NO_SUCH_ORDER,
            answer=answers.error(404, "no_such_order", 'there is no order number "999"'),
        ),
        _UNREAD,
    ),
)

ORDERS = Operation(
    id="listOrders",
    tag="orders",
    summary="Read orders",
    says="All conditions must hold. Go on with `cursor`, now or later; or with `after` and `next`.",
    parameters=listing.PARAMETERS,
    answers=(Answer(says="A page of orders.", body=answers.OrdersPage, headers=(CACHE_CONTROL,)),),
    refusals=(Reason.INVALID_PARAMETER, Reason.UNAVAILABLE),
    examples=(
        Example(
            says="The first orders",
            target="/orders?after=0&limit=2",
            answer=_page(b"after=0&limit=2", [_ORDER]),
        ),
        Example(
            says="What became of a key",
            target="/orders?client_order_id=bot-7-trade-1",
            answer=_page(b"client_order_id=bot-7-trade-1", [_ORDER]),
        ),
        Example(
            says="A key that was never executed",
            target="/orders?client_order_id=bot-7-trade-2",
            answer=_page(b"client_order_id=bot-7-trade-2", []),
        ),
        Example(
            says="The last orders of a stock",
            target="/orders?stock=GameStart&direction=desc&limit=10",
            answer=_page(b"stock=GameStart&direction=desc&limit=10", [_ORDER]),
        ),
        refused("A wrong limit", "/orders?limit=0", lambda _: listing.decode_selection(b"limit=0")),
    ),
)
