"""Failures as HTTP answers: a reason, a message and perhaps headers. The one translation of
`twisted_bazaar.errors` to HTTP. Pure.
"""

from collections.abc import Mapping
from enum import Enum
from urllib.parse import quote

from twisted_bazaar.errors import (
    KeyReused,
    NotExecuted,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
)
from twisted_bazaar.market import Rejection, Side, Trade

from .texts import price_text, time_text

__all__ = [
    "ACCEPTED",
    "NO_SUCH_PATH",
    "ONLY_GET",
    "RETRY_AFTER_S",
    "Reason",
    "Refusal",
    "later",
    "refusal_of",
    "shown",
    "shown_value",
]

RETRY_AFTER_S = 1
"""Seconds: longer than a fail-over takes, and the least that the header allows."""

ACCEPTED = 202
"""The status of a trade that may have been executed, and whose key the client did not choose."""

_SHOWN_CHARACTERS = 64


class Reason(Enum):
    """The word in `error.reason`, for programs, and the HTTP status of that failure.

    docs/reference.md lists these words. Clients rely on them: none changes its meaning.
    """

    MALFORMED = "malformed", 400
    INVALID_FIELD = "invalid_field", 400
    INVALID_KEY = "invalid_key", 400
    INVALID_PARAMETER = "invalid_parameter", 400
    UNKNOWN_STOCK = "unknown_stock", 400
    UNAUTHENTICATED = "unauthenticated", 401
    NOT_PERMITTED = "not_permitted", 403
    FOREIGN_HOST = "foreign_host", 403
    FOREIGN_ORIGIN = "foreign_origin", 403
    NOT_SIGNED = "not_signed", 403
    NO_SUCH_PATH = "no_such_path", 404
    NO_SUCH_STOCK = "no_such_stock", 404
    NO_SUCH_ORDER = "no_such_order", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    TOO_SLOW = "too_slow", 408
    NOT_ENOUGH_SHARES = "not_enough_shares", 409
    TOO_MANY_SHARES = "too_many_shares", 409
    PRICE_OUT_OF_BOUNDS = "price_out_of_bounds", 409
    EXPIRED = "expired", 409
    HALTED = "halted", 409
    MEMBERS_REFUSED = "members_refused", 409
    LISTED_ALREADY = "listed_already", 409
    TOO_MANY_STOCKS = "too_many_stocks", 409
    LENGTH_REQUIRED = "length_required", 411
    TOO_LARGE = "too_large", 413
    PATH_TOO_LONG = "path_too_long", 414
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415
    KEY_REUSED = "key_reused", 422
    TOO_MANY_REQUESTS = "too_many_requests", 429
    TOO_MANY_CONNECTIONS = "too_many_connections", 429
    HEADERS_TOO_LARGE = "headers_too_large", 431
    INTERNAL_ERROR = "internal_error", 500
    NOT_EXECUTED = "not_executed", 503
    OUTCOME_UNKNOWN = "outcome_unknown", 503
    OVERLOADED = "overloaded", 503
    NOT_READY = "not_ready", 503
    UNAVAILABLE = "unavailable", 503

    def __init__(self, word: str, code: int) -> None:
        self.word = word
        self.code = code
        """The HTTP status."""


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        headers: Mapping[bytes, bytes] | None = None,
        code: int = 0,
    ) -> None:
        """`code` is the HTTP status if it is another than that of `reason`."""
        super().__init__(reason, message)
        self.reason = reason
        self.code = code or reason.code
        self.message = message
        self.headers = headers or {}


NO_SUCH_PATH = Refusal(Reason.NO_SUCH_PATH, "there is nothing at this path")
ONLY_GET = Refusal(
    Reason.METHOD_NOT_ALLOWED, "only GET, HEAD can be done here", {b"Allow": b"GET, HEAD"}
)


def shown(text: str) -> str:
    """`text` from a client, quoted for a message: cut short, without half surrogates."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return '"' + cut.encode("utf-8", "replace").decode("utf-8") + '"'


def shown_value(value: object) -> str:
    """`value` from a client's JSON, for a message: as JSON writes it, cut short."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def refusal_of(error: BaseException | None, trade: Trade | None = None) -> Refusal | None:
    """The refusal for `error`, which `trade` met if one was placed; None: it is unexpected."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Rejected):
        return _rejected(error.rejection, trade)
    if isinstance(error, KeyReused):
        key = shown(trade.key) if trade else "given"
        return Refusal(Reason.KEY_REUSED, f"the idempotency key {key} belongs to another trade")
    if isinstance(error, NotExecuted):
        reason = Reason.OVERLOADED if isinstance(error, Overloaded) else Reason.NOT_EXECUTED
        message = f"the trade was not executed: {error or 'no capacity'}; send it again later"
        return later(reason, message)
    if isinstance(error, OutcomeUnknown) and trade is not None:
        return _unknown(trade)
    if isinstance(error, Unavailable):
        return later(Reason.UNAVAILABLE, str(error) or "this cannot be answered now; ask again")
    return None


def later(reason: Reason, message: str, headers: Mapping[bytes, bytes] | None = None) -> Refusal:
    """A refusal with `Retry-After`: the same request may succeed later."""
    return Refusal(reason, message, {b"Retry-After": b"%d" % RETRY_AFTER_S, **(headers or {})})


def _unknown(trade: Trade) -> Refusal:
    key = trade.key
    quoted = '"' + key.replace("\\", r"\\").replace('"', r"\"") + '"'
    again = f"send it again with Idempotency-Key {quoted}"
    sent_again = {b"Idempotency-Key": (quoted if key.startswith('"') else key).encode("ascii")}
    unknown, once = "it is unknown whether the trade was executed", "one key never makes two orders"
    if not trade.made:
        message = f"{unknown}: {again} to find out; {once}"
        return later(Reason.OUTCOME_UNKNOWN, message, sent_again)
    # Client libraries send a request again by themselves after a 503. This one would have another
    # key, and make another order.
    location = f"/orders?client_order_id={quote(key, safe='')}"
    message = f"{unknown}: {location} shows its order if it was; else {again}; {once}"
    headers = {b"Location": location.encode("ascii"), **sent_again}
    return Refusal(Reason.OUTCOME_UNKNOWN, message, headers, ACCEPTED)


_REJECTED = {
    Rejection.UNKNOWN_STOCK: Reason.UNKNOWN_STOCK,
    Rejection.NOT_ENOUGH_SHARES: Reason.NOT_ENOUGH_SHARES,
    Rejection.TOO_MANY_SHARES: Reason.TOO_MANY_SHARES,
    Rejection.PRICE_OUT_OF_BOUNDS: Reason.PRICE_OUT_OF_BOUNDS,
    Rejection.EXPIRED: Reason.EXPIRED,
    Rejection.HALTED: Reason.HALTED,
}


def _rejected(rejection: Rejection, trade: Trade | None) -> Refusal:
    reason = _REJECTED[rejection]
    if trade is None:
        return Refusal(reason, rejection.value)
    if rejection is Rejection.UNKNOWN_STOCK:
        return Refusal(reason, f"unknown stock: there is none named {shown(trade.stock)}")
    said = f"{rejection.value}: {trade.side} {trade.quantity} {shown(trade.stock)}"
    if rejection is Rejection.PRICE_OUT_OF_BOUNDS and trade.limit is not None:
        bound = "or less" if trade.side is Side.BUY else "or more"
        said += f" at {price_text(trade.limit)} {bound}"
    elif rejection is Rejection.EXPIRED and trade.valid_until is not None:
        said += f" until {time_text(trade.valid_until)}"
    return Refusal(reason, said)
