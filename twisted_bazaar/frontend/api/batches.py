"""Batches of trades: what a client sends, and what it is answered. Pure.

Each trade of a batch is judged by itself, also one that is malformed: it has an outcome in its
place, and the others are placed.
"""

from collections.abc import Callable, Sequence

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason, Refusal, refusal_of, shown, shown_value
from twisted_bazaar.market import Judged, Placed, Trade

from .trades import A_TRADE, checked_fields, decode_object, trade_of

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_TRADES", "batch_body", "decode_batch"]

MAX_BATCH_TRADES = 100
"""Trades that one batch holds at most."""
MAX_BATCH_BYTES = 192 * 1024
"""Of a batch's body: room for as many trades with the longest names and keys, each character of
them escaped."""

_A_BATCH = "a JSON object with orders, a list of trades"
_FIELDS = frozenset({"orders"})


def decode_batch(
    body: bytes,
    idempotency_keys: Sequence[bytes] | None,
    fresh_key: Callable[[], str],
    validate: bool,
) -> Sequence[Trade | Refusal]:
    """The trades in a body, in order. One that is malformed is a refusal, in its place."""
    if idempotency_keys:
        given = shown(idempotency_keys[0].decode("latin-1"))
        message = f"a batch has no Idempotency-Key, and {given} is one; give client_order_id"
        raise Refusal(Reason.INVALID_KEY, f"{message} to each trade")
    fields = checked_fields(decode_object(body, _A_BATCH), _FIELDS, _A_BATCH)
    if "orders" not in fields:
        raise Refusal(Reason.INVALID_FIELD, "the field orders is missing")
    orders = fields["orders"]
    if not isinstance(orders, list):
        message = f"orders must be a list of trades, not {shown_value(orders)}"
        raise Refusal(Reason.INVALID_FIELD, message)
    if not 1 <= len(orders) <= MAX_BATCH_TRADES:
        message = f"orders must hold 1 to {MAX_BATCH_TRADES} trades, not {len(orders)}"
        raise Refusal(Reason.INVALID_FIELD, message)

    def trade(value: object) -> Trade | Refusal:
        if not isinstance(value, dict):
            message = f"a trade must be {A_TRADE}, not {shown_value(value)}"
            return Refusal(Reason.MALFORMED, message)
        try:
            return trade_of(value, None, fresh_key, validate)
        except Refusal as refusal:
            return refusal

    return [trade(value) for value in orders]


def batch_body(
    batch: Sequence[Trade | Refusal], outcomes: Sequence[Placed | Judged | BazaarError]
) -> bytes:
    """The body that answers `batch`. `outcomes` are those of its trades, in order."""
    left = iter(outcomes)
    return answers.joined(
        answers.refused_trade(each) if isinstance(each, Refusal) else _shown(each, next(left))
        for each in batch
    )


def _shown(trade: Trade, outcome: Placed | Judged | BazaarError) -> bytes:
    if not isinstance(outcome, BazaarError):
        return answers.placed_in_batch(trade, outcome)
    refusal = refusal_of(outcome, trade)
    assert refusal is not None, f"a trade cannot meet {outcome!r}"
    return answers.refused_trade(refusal)
