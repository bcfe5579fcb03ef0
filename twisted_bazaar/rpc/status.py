"""How errors cross gRPC: one table, read in both directions."""

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

__all__ = ["abort_with", "error_of", "said_by_peer"]

_CODES = {
    NotLeader: grpc.StatusCode.FAILED_PRECONDITION,
    NotOurs: grpc.StatusCode.NOT_FOUND,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    NotAuthorised: grpc.StatusCode.PERMISSION_DENIED,
}

_SAID = (("bazaar", "said"),)
"""Goes with each error of ours: gRPC uses the same codes for what it found out itself."""


def abort_with(context: grpc.ServicerContext, error: BazaarError) -> NoReturn:
    """End a handler with `error`."""
    code = _CODES.get(type(error), grpc.StatusCode.UNAVAILABLE)
    context.set_trailing_metadata(_SAID)
    context.abort(code, str(error))
    raise AssertionError("context.abort raises")


def said_by_peer(failure: grpc.RpcError) -> bool:
    """Whether a call failed with `abort_with`, and so got through."""
    call: Any = failure
    return set(_SAID) <= set(call.trailing_metadata() or ())


def error_of(failure: grpc.RpcError, peer: object) -> BazaarError:
    """What a failed call to `peer` means to the caller.

    Whatever is not one of our own refusals says nothing about whether the call was executed:
    it is `Unavailable`.
    """
    # A failed call is an RpcError and a Call at once, which its types do not say.
    call: Any = failure
    code, details = call.code(), call.details()
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return NotLeader()
    if code is grpc.StatusCode.NOT_FOUND and said_by_peer(failure):
        return NotOurs(f"{peer}: {details}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(details)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return NotAuthorised(details)
    return Unavailable(f"{peer}: {code.name.lower()}: {details}")
