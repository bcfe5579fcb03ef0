"""The call that trades. Pure."""

import json
from typing import Any

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotExecuted,
    OutcomeUnknown,
    Rejected,
)
from twisted_bazaar.frontend.api.requests import check_content
from twisted_bazaar.frontend.api.trades import FIELDS, PARAMETERS, decode_trade, decode_validate
from twisted_bazaar.http import answers
from twisted_bazaar.http.hosts import Hosts
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.market import (
    Judged,
    Placed,
    Rejection,
    Trade,
)

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
    holding,
    object_of,
)

__all__ = ["MADE_KEY", "PLACE", "PLACED"]

_TRADE = {"name": "GameStart", "quantity": 5, "type": "buy", "client_order_id": "bot-7-trade-1"}
MADE_KEY = "f5xkq3rn7a-00000007-3c9d2b1f60a8"
"""A key that a front-end made."""
_PROTECTED = {
    "client_order_id": "bot-7-trade-7",
    "limit_price": 16.00,
    "valid_until": "2099-12-31T23:59:59Z",
}


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

PLACED = holding("PlacedAnswer", answers.ShownTrade)

PLACE = Operation(
    id="placeOrder",
    permission=Permission.TRADE,
    tag="orders",
    summary="Trade",
    says="Buys or sells at the price of the stock, at once and wholly, or not at all. The answer "
    "leaves when the order is on a majority of disks, and can never be lost or doubled. Choose a "
    "key: then the same call can be sent again after any failure, and trades once.",
    parameters=(IDEMPOTENCY_KEY, *PARAMETERS),
    body=Body(says="The trade.", name="TradeRequest", schema=object_of(FIELDS)),
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
