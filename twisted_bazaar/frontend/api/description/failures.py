"""Examples of failures, whose answers the front-end's own code makes. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Refusal, refusal_of
from twisted_bazaar.market import Trade

from .vocabulary import Example

__all__ = ["failed", "refused"]


def refused(
    says: str,
    target: str,
    check: Callable[[bytes], object],
    *,
    body: Any = msgspec.UNSET,
    sent: Mapping[str, str] | None = None,
) -> Example:
    """The example of a request that `check` refuses when it is given the body."""
    data = b"" if body is msgspec.UNSET else json.dumps(body).encode()
    try:
        check(data)
    except Refusal as refusal:
        return _example(says, target, refusal, body, sent)
    raise AssertionError(f"{says}: this is not refused")


def failed(
    says: str,
    target: str,
    error: BazaarError,
    trade: Trade | None = None,
    *,
    body: Any = msgspec.UNSET,
    usual: bool = False,
) -> Example:
    """The example of a request that met `error`, as `trade` did if it is one. `usual` says that it
    does in every bazaar."""
    refusal = refusal_of(error, trade)
    assert refusal is not None
    return _example(says, target, refusal, body, None, None if usual else error)


def _example(
    says: str,
    target: str,
    refusal: Refusal,
    body: Any,
    sent: Mapping[str, str] | None,
    met: BazaarError | None = None,
) -> Example:
    return Example(
        says=says,
        target=target,
        body=body,
        sent=sent or {},
        code=refusal.code,
        reason=refusal.reason,
        met=met,
        answer=answers.error(refusal.code, refusal.reason.word, refusal.message),
    )
