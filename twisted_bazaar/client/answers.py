"""Answers of the bazaar, understood: as a value, or as the failure that they report. Pure."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from .errors import CallFailed, NotExecuted, OutcomeUnknown, Refused, Unavailable
from .values import Judged, Order, Page, Placed, Quote

__all__ = [
    "Answer",
    "Broken",
    "as_batch",
    "as_judged",
    "as_order",
    "as_page",
    "as_placed",
    "as_pong",
    "as_quote",
    "as_quotes",
    "as_stream",
    "no_answer",
]

T = TypeVar("T")

_NOT_EXECUTED = (
    *("not_executed", "overloaded", "too_slow"),
    *("too_many_requests", "too_many_connections"),
)
"""The reasons that say of a trade that it was certainly not executed, and may be sent again."""

_LATER = (408, 425, 429)
"""Statuses below 500 with which the same request may succeed later."""

_SHOWN_BYTES = 80


class Answer(msgspec.Struct, frozen=True):
    """A complete answer, of any status."""

    status: int
    headers: Mapping[str, str]
    """Their names are in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


class Broken(msgspec.Struct, frozen=True):
    """There was no complete answer in time."""

    why: str
    served: bool = True
    """Whether the request may have been served."""
    late: bool = False
    """Whether all that is known is that the time ran out."""


class _Data(msgspec.Struct, Generic[T]):
    data: T


class _Error(msgspec.Struct):
    message: str
    code: int = 0
    reason: str = ""


class _Failure(msgspec.Struct):
    error: _Error


class _Outcome(msgspec.Struct):
    """One of a batch."""

    code: int
    data: Placed | None = None
    error: _Error | None = None


def as_pong(answer: Answer) -> None:
    _decoded(answer, _Data[str])


def as_quote(answer: Answer) -> Quote:
    quote = _decoded(answer, _Data[Quote]).data
    # "<history>-<version>"; a front-end that does not know the history sends no tag.
    version = (answer.header("ETag") or "").strip('"').rpartition("-")[2]
    known = int(version) if version.isdecimal() else None
    return msgspec.structs.replace(quote, version=known)


def as_quotes(answer: Answer) -> tuple[Quote, ...]:
    return _decoded(answer, _Data[tuple[Quote, ...]]).data


def as_stream(answer: Answer) -> None:
    if answer.status != 200:
        raise _failure(answer, answer.status, _error(answer), None)


def as_order(answer: Answer) -> Order | None:
    """None: no order has this number."""
    if answer.status == 404 and _error(answer).reason == "no_such_order":
        return None
    return _decoded(answer, _Data[Order]).data


def as_page(answer: Answer) -> Page:
    return _decoded(answer, Page)


def as_placed(answer: Answer, key: str) -> Placed:
    """The order of the trade that was sent with `key`."""
    placed = _decoded(answer, _Data[Placed], key).data
    replayed = answer.header("Idempotent-Replayed") == "true"
    return msgspec.structs.replace(placed, client_order_id=key, replayed=replayed)


def as_judged(answer: Answer) -> Judged:
    return _decoded(answer, _Data[Judged]).data


def as_batch(answer: Answer, keys: tuple[str, ...]) -> tuple[Placed | CallFailed, ...]:
    """The outcome of each trade of a batch, which were sent with `keys`. What the bazaar says of
    the whole batch, it says of each."""
    outcomes = None
    if answer.status == 200:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            outcomes = msgspec.json.decode(answer.body, type=_Data[tuple[_Outcome, ...]]).data
    if outcomes is None or len(outcomes) != len(keys):
        return tuple(_failure(answer, answer.status, _error(answer), key) for key in keys)
    return tuple(_outcome(answer, *each) for each in zip(outcomes, keys, strict=True))


def _outcome(answer: Answer, outcome: _Outcome, key: str) -> Placed | CallFailed:
    if outcome.code == 200 and outcome.data is not None:
        return msgspec.structs.replace(outcome.data, client_order_id=key)
    error = outcome.error or _Error("an outcome that is not understood")
    return _failure(answer, outcome.code, error, key)


def no_answer(broken: Broken, key: str | None = None) -> CallFailed:
    """What is known of a request without an answer. `key` is that of a trade."""
    if key is None:
        return Unavailable(broken.why)
    kind = OutcomeUnknown if broken.served else NotExecuted
    return kind(broken.why, client_order_id=key)


def _decoded(answer: Answer, shape: type[T], key: str | None = None) -> T:
    """The body of a success. Raises `CallFailed`; `key` is that of a trade."""
    if answer.status != 200:
        raise _failure(answer, answer.status, _error(answer), key)
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _failure(answer, answer.status, _not_understood(answer), key) from None


def _error(answer: Answer) -> _Error:
    """The error in the body of a failure."""
    try:
        return msgspec.json.decode(answer.body, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _not_understood(answer)


def _not_understood(answer: Answer) -> _Error:
    return _Error(f"a malformed body: {answer.body[:_SHOWN_BYTES]!r}")


def _failure(answer: Answer, code: int, error: _Error, key: str | None) -> CallFailed:
    kind: type[CallFailed]
    if 400 <= code < 500 and code not in _LATER:
        kind = Refused
    elif key is None:
        kind = Unavailable
    elif error.reason in _NOT_EXECUTED:
        kind = NotExecuted
    else:
        # Also for 500, 202, and any answer that another server than the bazaar may have given.
        kind = OutcomeUnknown
    return kind(
        error.message,
        code=code,
        reason=error.reason,
        client_order_id=key,
        request_id=answer.header("X-Request-ID"),
        retry_after=_seconds(answer.header("Retry-After")),
    )


def _seconds(retry_after: str | None) -> float:
    """A date, which the bazaar does not send, counts as none."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
