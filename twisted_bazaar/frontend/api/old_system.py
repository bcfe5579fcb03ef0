"""Paths and answers for clients of the system that this one replaced.

Answers below `PREFIX` have the fields of that system in addition: `success`, and `errors` with a
`text` each. Statuses are the same as elsewhere.
"""

from collections.abc import Callable

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from twisted_bazaar.frontend.http.site import BazaarRequest, BazaarSite

__all__ = ["PREFIX", "in_old_shape", "public_site"]

PREFIX = "/api/frontend_service"

_BELOW = PREFIX.encode() + b"/"
_SUCCESS = b'{"data":'
_FAILURE = b'{"error":'


class _Error(msgspec.Struct):
    code: int
    message: str


class _Failure(msgspec.Struct):
    error: msgspec.Raw


class _OldError(msgspec.Struct):
    code: int
    text: str


class _OldFailure(msgspec.Struct):
    success: bool
    errors: list[_OldError]
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
        return _encode(_OldFailure(False, [_OldError(error.code, error.message)], raw))
    return body


class _Request(BazaarRequest):
    """A request that is answered in the old shape if its path is below `PREFIX`."""

    def respond(self, body: bytes) -> None:
        super().respond(in_old_shape(body) if self.path.startswith(_BELOW) else body)


def public_site(
    resource: Resource,
    reactor: IReactorTime,
    wall_clock: Callable[[], float],
    request_ids: Callable[[], str],
    max_connections: int,
) -> BazaarSite:
    """The site for clients. See `BazaarSite` for the arguments."""
    site = BazaarSite(resource, reactor, wall_clock, request_ids, max_connections=max_connections)
    site.requestFactory = _Request
    return site
