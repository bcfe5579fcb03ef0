"""The call that trades many times at once. Pure."""

import json
from typing import Any

import msgspec

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import BazaarError, Overloaded, Rejected
from twisted_bazaar.frontend.api.batches import MAX_BATCH_TRADES, batch_body, decode_batch
from twisted_bazaar.frontend.api.trades import PARAMETERS
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.market import Placed, Rejection

from .failures import failed, refused
from .headers import CACHE_CONTROL
from .trading import PLACE
from .vocabulary import Answer, Body, Example, Operation

__all__ = ["PLACE_BATCH"]

_FIRST = {"name": "GameStart", "quantity": 5, "type": "buy", "client_order_id": "bot-7-trade-1"}
_BATCH = {
    "orders": [
        _FIRST,
        {**_FIRST, "quantity": 1000, "client_order_id": "bot-7-trade-8"},
        {**_FIRST, "quantity": 0.5, "client_order_id": "bot-7-trade-9"},
    ]
}
_OUTCOMES: list[Placed | BazaarError] = [
    Placed(1, True, 1599),
    Rejected(Rejection.NOT_ENOUGH_SHARES),
]


def _decode(body: bytes) -> Any:
    return decode_batch(body, None, str, validate=False)


def _of_the_batch(example: Example) -> Example:
    """What a trade is refused for before its body is read."""
    target = example.target.replace("/orders", "/orders/batch")
    return msgspec.structs.replace(example, target=target, body=_BATCH)


PLACE_BATCH = Operation(
    id="placeOrders",
    permission=Permission.TRADE,
    tag="orders",
    summary="Trade many times at once",
    says="Each trade is judged by itself, in their order, and has an outcome in its place: what it "
    "would be answered alone. All of them go to the leader in one call, and what succeeds is "
    "committed together. A key is a field of its trade; `Idempotency-Key` is refused.",
    parameters=PARAMETERS,
    body=Body(
        says="The trades.",
        name="BatchRequest",
        schema={
            "type": "object",
            "additionalProperties": False,
            "required": ["orders"],
            "properties": {
                "orders": {
                    "type": "array",
                    "description": "Each is a `TradeRequest`. Anything else has an outcome of code "
                    "400 in its place, and does not disturb the others.",
                    "items": {"anyOf": [{"$ref": "#/components/schemas/TradeRequest"}, {}]},
                    "minItems": 1,
                    "maxItems": MAX_BATCH_TRADES,
                }
            },
        },
    ),
    answers=(
        Answer(
            says="The outcomes.",
            body=answers.BatchAnswer,
            headers=(CACHE_CONTROL,),
        ),
    ),
    refusals=(
        *(Reason.MALFORMED, Reason.INVALID_FIELD, Reason.INVALID_KEY, Reason.INVALID_PARAMETER),
        *(Reason.FOREIGN_HOST, Reason.FOREIGN_ORIGIN, Reason.UNSUPPORTED_MEDIA_TYPE),
        Reason.OVERLOADED,
    ),
    examples=(
        Example(
            says="An order, and two trades that are refused",
            target="/orders/batch",
            body=_BATCH,
            answer=batch_body(_decode(json.dumps(_BATCH).encode()), _OUTCOMES),
        ),
        refused("No trade", "/orders/batch", _decode, body={"orders": []}),
        refused(
            "A key for all",
            "/orders/batch",
            lambda body: decode_batch(body, [b"bot-7"], str, validate=False),
            body=_BATCH,
            sent={"Idempotency-Key": "bot-7"},
        ),
        failed(
            "Too much to do",
            "/orders/batch",
            Overloaded("too many trades are waiting"),
            body=_BATCH,
        ),
        *(
            _of_the_batch(each)
            for each in PLACE.examples
            if each.reason
            in (
                *(Reason.INVALID_PARAMETER, Reason.FOREIGN_HOST, Reason.FOREIGN_ORIGIN),
                Reason.UNSUPPORTED_MEDIA_TYPE,
            )
        ),
    ),
)
