"""What a client is told instead of an answer: a status, a message and perhaps headers.

This is the HTTP edge's one translation of `twisted_bazaar.errors`. Pure.
"""

from collections.abc import Mapping

from ..errors import KeyReused, NotExecuted, OutcomeUnknown, Rejected, Unavailable
from ..market import Rejection, Trade

__all__ = ["NO_SUCH_PATH", "RETRY_AFTER_S", "Refusal", "later", "refusal_of", "shown"]

RETRY_AFTER_S = 1
"""Longer than a failover takes, and as short as the header allows."""

_SHOWN_CHARACTERS = 64


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, code: int, message: str, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.headers = headers or {}


NO_SUCH_PATH = Refusal(404, "there is nothing at this path")


def shown(text: str) -> str:
    """`text` from a client as a message may repeat it: quoted, short, fit for UTF-8."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return '"' + cut.encode("utf-8", "replace").decode("utf-8") + '"'


def refusal_of(error: BaseException | None, trade: Trade | None = None) -> Refusal | None:
    """How to tell a client of `error`, met while placing `trade`; None: nobody foresaw it."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Rejected):
        return _rejected(error.rejection, trade)
    if isinstance(error, KeyReused):
        key = shown(trade.key) if trade else "given"
        return Refusal(422, f"the idempotency key {key} belongs to another trade")
    if isinstance(error, NotExecuted):
        return later(f"the trade was not executed: {error or 'no capacity'}; send it again later")
    if isinstance(error, OutcomeUnknown) and trade is not None:
        return later(
            f'it is unknown whether the trade was executed: send it again with Idempotency-Key "'
            f'{trade.key}" to find out; one key never makes two orders',
            {b"Idempotency-Key": trade.key.encode("ascii")},
        )
    if isinstance(error, Unavailable):
        return later(str(error) or "this cannot be answered now; ask again")
    return None


def later(message: str, headers: Mapping[bytes, bytes] | None = None) -> Refusal:
    """The front-end cannot serve this now; asking again later can help."""
    return Refusal(503, message, {b"Retry-After": b"%d" % RETRY_AFTER_S, **(headers or {})})


def _rejected(rejection: Rejection, trade: Trade | None) -> Refusal:
    code = 400 if rejection is Rejection.UNKNOWN_STOCK else 409
    if trade is None:
        return Refusal(code, rejection.value)
    if rejection is Rejection.UNKNOWN_STOCK:
        return Refusal(code, f"unknown stock: there is none named {shown(trade.stock)}")
    return Refusal(code, f"{rejection.value}: {trade.side} {trade.quantity} {shown(trade.stock)}")
