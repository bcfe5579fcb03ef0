"""The shape of the answers of the system that this one replaced. Pure.

Such an answer has that system's fields in addition: `success`, and `errors` with a `text` each.
"""

from typing import Annotated

import msgspec

__all__ = ["OldFailure", "in_old_shape"]

_SUCCESS = b'{"data":'
_FAILURE = b'{"error":'


class _Error(msgspec.Struct):
    code: int
    message: str


class _Failure(msgspec.Struct):
    error: msgspec.Raw


class OldError(msgspec.Struct):
    """What was wrong, as the replaced system says it."""

    code: Annotated[int, msgspec.Meta(description="The HTTP status.")]
    text: Annotated[str, msgspec.Meta(description="For people: it may change.")]


class OldFailure(msgspec.Struct):
    """The body of every failure, with the fields of the replaced system."""

    success: bool
    errors: list[OldError]
    error: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_failure = msgspec.json.Decoder(_Failure).decode
_error = msgspec.json.Decoder(_Error).decode


def in_old_shape(body: bytes) -> bytes:
    """`body` with the fields of the replaced system."""
    if body.startswith(_SUCCESS):
        return b'{"success":true,' + body[1:]
    if body.startswith(_FAILURE):
        raw = _failure(body).error
        error = _error(raw)
        return _encode(OldFailure(False, [OldError(error.code, error.message)], raw))
    return body
