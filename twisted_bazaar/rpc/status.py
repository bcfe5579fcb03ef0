"""How errors cross gRPC: one table, read in both directions.

An error without a row, and a status that gRPC itself sets, arrives as `Unavailable`, which says
nothing about whether the call was executed. So does `Malformed`, as a caller cannot mend that.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import grpc

from twisted_bazaar.errors import (
    BazaarError,
    Malformed,
    NotAuthorised,
    NotLeader,
    NotOurs,
    Overloaded,
    Unavailable,
)
from twisted_bazaar.runtime.address import Address

__all__ = [
    "INTERNAL",
    "abort_with",
    "error_of",
    "error_said",
    "is_unknown_to_peer",
    "number_in",
    "number_of",
    "said_by_peer",
]

_CODES: Mapping[type[BazaarError], grpc.StatusCode] = {
    NotLeader: grpc.StatusCode.FAILED_PRECONDITION,
    NotOurs: grpc.StatusCode.NOT_FOUND,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    NotAuthorised: grpc.StatusCode.PERMISSION_DENIED,
}

_ERRORS = {code: error for error, code in _CODES.items() if error is not Malformed}

_NUMBERS: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

INTERNAL: int = grpc.StatusCode.INTERNAL.value[0]
"""The number of the status of an unexpected error."""

_SAID = (("bazaar", "said"),)
"""Marks an error of the peer: gRPC sets the same codes itself."""


def abort_with(context: grpc.ServicerContext, error: BazaarError) -> NoReturn:
    """End a handler with `error`."""
    code = _CODES.get(type(error), grpc.StatusCode.UNAVAILABLE)
    context.set_trailing_metadata(_SAID)
    context.abort(code, str(error))
    raise AssertionError("context.abort raises")


def number_of(error: BazaarError) -> int:
    """The number of the gRPC status of `error`."""
    number: int = _CODES.get(type(error), grpc.StatusCode.UNAVAILABLE).value[0]
    return number


def number_in(failure: grpc.RpcError) -> int:
    """The number of the gRPC status of a call that failed."""
    call: Any = failure
    number: int = call.code().value[0]
    return number


def said_by_peer(failure: grpc.RpcError) -> bool:
    """Whether a call failed by `abort_with`, and so has reached the peer."""
    call: Any = failure
    return set(_SAID) <= set(call.trailing_metadata() or ())


def is_unknown_to_peer(failure: grpc.RpcError) -> bool:
    """Whether a call failed as the peer, which is of an earlier release, does not know it."""
    call: Any = failure
    return bool(call.code() == grpc.StatusCode.UNIMPLEMENTED)


def error_of(failure: grpc.RpcError, peer: Address) -> BazaarError:
    """The error of a failed call to `peer`."""
    # A failed call is an RpcError and a Call at once, which the types do not say.
    call: Any = failure
    code, details = call.code(), call.details()
    return _error(code, details, peer, _ERRORS.get(code) if said_by_peer(failure) else None)


def error_said(number: int, details: str, peer: object) -> BazaarError:
    """The error that `peer` has sent as a number (see `number_of`) and a text."""
    code = _NUMBERS.get(number, grpc.StatusCode.UNKNOWN)
    return _error(code, details, peer, _ERRORS.get(code))


def _error(
    code: grpc.StatusCode, details: str, peer: object, error: type[BazaarError] | None
) -> BazaarError:
    if error is NotLeader:
        return NotLeader()
    if error is NotOurs:
        return NotOurs(f"{peer}: {details}")
    if error is None or error is Unavailable:
        return Unavailable(f"{peer}: {code.name.lower()}: {details}")
    return error(details)
