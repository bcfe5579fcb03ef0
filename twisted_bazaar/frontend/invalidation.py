"""Where the catalogs' pushes come in: POST /invalidations, on the internal endpoint only.

A push takes quotes out of sight, or brings the lease under which they may be shown. So nobody
may make one up: nothing in a body is looked at before its signature has been verified.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..errors import Damaged
from ..push import (
    MAX_PUSH_BYTES,
    PATH,
    SIGNATURE_HEADER,
    Push,
    PushReply,
    decode_push,
    encode,
    signed,
)
from .refusals import NO_SUCH_PATH, Refusal
from .site import BazaarRequest, BazaarSite

__all__ = ["LOG_SECONDS", "Invalidations", "Subscriber", "internal_site"]

LOG_SECONDS = 10.0
"""At most one line of log in so many seconds tells of pushes with a wrong signature."""

_ONLY_POST = Refusal(405, "only POST can be done here", {b"Allow": b"POST"})
_NOT_SIGNED = Refusal(403, "the push is not signed for this front-end")


class Subscriber(Protocol):
    """Who takes the pushes in. They may come late, twice or out of order."""

    @property
    def token(self) -> str:
        """What pushes to this front-end, and to no other, are signed with."""

    def push(self, push: Push, /) -> PushReply:
        """Take `push` in."""


class Invalidations(Resource):
    """All that the internal endpoint serves. `seconds` is a clock that only goes forward."""

    isLeaf = True
    log = Logger()

    def __init__(self, secret: bytes, subscriber: Subscriber, seconds: Callable[[], float]) -> None:
        """`secret` is the cluster's, which may be empty: then the token alone signs."""
        super().__init__()
        self._secret = secret
        self._subscriber = subscriber
        self._seconds = seconds
        self._log_again_at = float("-inf")
        self._not_logged = 0

    def render(self, request: BazaarRequest) -> int:
        taken = self._take(request)
        if isinstance(taken, PushReply):
            request.respond(encode(taken))
        else:
            request.answer(taken)
        return NOT_DONE_YET

    def _take(self, request: BazaarRequest) -> PushReply | Refusal:
        if request.path != PATH:
            return NO_SUCH_PATH
        if request.method != b"POST":
            return _ONLY_POST
        body = request.content.getvalue()
        if not self._is_signed(request, body):
            self._report(request)
            return _NOT_SIGNED
        try:
            push = decode_push(body)
        except Damaged as why:
            return Refusal(400, str(why))
        return self._subscriber.push(push)

    def _is_signed(self, request: BazaarRequest, body: bytes) -> bool:
        # Without a token and a secret the key would be one that everybody knows.
        token = self._subscriber.token
        signatures = request.requestHeaders.getRawHeaders(SIGNATURE_HEADER, [])
        return (
            bool(token)
            and len(signatures) == 1
            and signed(self._secret, token, body, signatures[0])
        )

    def _report(self, request: BazaarRequest) -> None:
        """Say so in the log, but no more often than a person would read it."""
        now = self._seconds()
        if now < self._log_again_at:
            self._not_logged += 1
            return
        peer = request.getClientAddress()
        where = "a local socket" if isinstance(peer, UNIXAddress) else f"{peer.host}:{peer.port}"
        self.log.warn(
            "a push from {where} was refused: it is not signed for this front-end "
            "({more} more since this was last said)",
            where=where,
            more=self._not_logged,
        )
        self._log_again_at = now + LOG_SECONDS
        self._not_logged = 0


def internal_site(
    invalidations: Invalidations, reactor: IReactorTime, request_ids: Callable[[], str]
) -> BazaarSite:
    """What to serve at the internal endpoint. Bodies are bounded by what a push may have."""
    return BazaarSite(invalidations, reactor, request_ids, MAX_PUSH_BYTES)
