# ruff: noqa: N802, N815 - what Twisted calls has a style of its own
"""Where the catalogs' pushes come in: POST /invalidations, on the internal endpoint only.

A push takes quotes out of sight, or brings the lease under which they may be shown. So nobody
may make one up: nothing in a body is looked at before its signature has been verified, and little
of it is kept unless a head that is signed, too, has said what is coming.
"""

import hmac
from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import OK
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.errors import Malformed
from twisted_bazaar.frontend.http.refusals import NO_SUCH_PATH, Reason, Refusal, later
from twisted_bazaar.frontend.http.site import BazaarRequest, BazaarSite
from twisted_bazaar.rpc.push import (
    HEAD_HEADER,
    MAX_PUSH_BYTES,
    PATH,
    SIGNATURE_HEADER,
    Push,
    PushReply,
    decode_push,
    encode,
    head_of,
    signed,
)

__all__ = [
    "LOG_SECONDS",
    "MAX_BUFFERED_BYTES",
    "MAX_CONNECTIONS",
    "MAX_HEADLESS_BUFFERED_BYTES",
    "MAX_HEADLESS_BYTES",
    "PUSH_SECONDS",
    "InvalidationResource",
    "Subscriber",
    "internal_site",
]

LOG_SECONDS = 10.0
"""At most one line of log in so many seconds tells of pushes with a wrong signature."""

MAX_BUFFERED_BYTES = 2 * MAX_PUSH_BYTES
"""Of pushes that have not come to their end, over all connections."""
MAX_HEADLESS_BYTES = 64 * 1024
"""Of a push whose head is not signed: release 0.1 signs none."""
MAX_HEADLESS_BUFFERED_BYTES = 1024 * 1024
"""Of all such pushes that have not come to their end."""
MAX_CONNECTIONS = 64
"""Many times as many as there are catalogs. One more, and the oldest goes by which no push of ours
has come."""
PUSH_SECONDS = 5.0
"""How long a push may take from its head to its end: catalogs give up much sooner."""

_SIGNATURE_BYTES = 64

_ONLY_POST = Refusal(Reason.METHOD_NOT_ALLOWED, "only POST can be done here", {b"Allow": b"POST"})
_NOT_SIGNED = Refusal(Reason.NOT_SIGNED, "the push is not signed for this front-end")
_NO_LENGTH = Refusal(Reason.LENGTH_REQUIRED, "a push must say how long it is")
_NO_ROOM = later(Reason.OVERLOADED, "overloaded: other pushes are still coming in")


class Subscriber(Protocol):
    """Who takes the pushes in. They may come late, twice or out of order."""

    @property
    def token(self) -> str:
        """What pushes to this front-end, and to no other, are signed with."""

    def push(self, push: Push, /) -> PushReply:
        """Take `push` in."""


class InvalidationResource(Resource):
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
            return self.not_signed(request)
        try:
            push = decode_push(body)
        except Malformed as why:
            return Refusal(Reason.MALFORMED, str(why))
        return self._subscriber.push(push)

    def is_expected(self, request: BazaarRequest, length: int) -> bool | None:
        """Whether the head of `request` is that of a push to this front-end, of `length` bytes;
        None: it is not signed, so that only the body can tell."""
        signature, token = _only(request, SIGNATURE_HEADER), self._subscriber.token
        if not token or len(signature) != _SIGNATURE_BYTES:
            return False
        if not request.requestHeaders.hasHeader(HEAD_HEADER):
            return None
        head = head_of(self._secret, token, length, signature)
        return hmac.compare_digest(_only(request, HEAD_HEADER), head)

    def _is_signed(self, request: BazaarRequest, body: bytes) -> bool:
        # Without a token and a secret the key would be one that everybody knows.
        token, signature = self._subscriber.token, _only(request, SIGNATURE_HEADER)
        return bool(token and signature) and signed(self._secret, token, body, signature)

    def not_signed(self, request: BazaarRequest) -> Refusal:
        """What to answer. The log hears of it, but no more often than a person would read it."""
        now = self._seconds()
        if now < self._log_again_at:
            self._not_logged += 1
            return _NOT_SIGNED
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
        return _NOT_SIGNED


def _only(request: BazaarRequest, name: bytes) -> bytes:
    """The one header of this name; empty: there is none, or more than one."""
    values = request.requestHeaders.getRawHeaders(name, [])
    return values[0] if len(values) == 1 else b""


class _Room:
    """What pushes that are under way may keep together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken: dict[Any, int] = {}

    @property
    def taken(self) -> int:
        """Bytes that are kept, or may come and then will be."""
        return sum(self._taken.values())

    def enter(self, request: "_PushRequest", length: int) -> bool:
        """Whether there is room for `request`; if so, until it leaves."""
        if self.taken + length > self._size:
            return False
        self._taken[request] = length
        request.reserved = self
        return True

    def leave(self, request: "_PushRequest") -> None:
        del self._taken[request]


class _PushRequest(BazaarRequest):
    """A request whose body is kept only if its head has earned that."""

    site: "_InternalSite"
    reserved: "_Room | None" = None
    _late: Any = None

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length == 0:
            return
        refusal = self.site.admit(self, length)
        if refusal is not None:
            cast(Any, self.channel).refuse(refusal)
            return
        reactor = self.site.reactor
        give_up = cast(Any, self.channel).transport.abortConnection
        self._late = reactor.callLater(PUSH_SECONDS, give_up)

    def process(self) -> None:
        channel = self.channel
        super().process()
        if self.code == OK:
            self.site.knows(channel)
        self._over()

    def connectionLost(self, reason: Failure) -> None:
        self._over()
        super().connectionLost(reason)

    def _over(self) -> None:
        if self.reserved is not None:
            self.reserved.leave(self)
            self.reserved = None
        if self._late is not None and self._late.active():
            self._late.cancel()


class _InternalSite(BazaarSite):
    """Knows the connections by which pushes of ours have come from the others."""

    requestFactory = _PushRequest
    resource: InvalidationResource

    def __init__(
        self,
        invalidations: InvalidationResource,
        reactor: IReactorTime,
        request_ids: Callable[[], str],
    ) -> None:
        super().__init__(invalidations, reactor, request_ids, MAX_PUSH_BYTES)
        self._signed_room = _Room(MAX_BUFFERED_BYTES)
        self._headless_room = _Room(MAX_HEADLESS_BUFFERED_BYTES)
        self._strangers: dict[Any, None] = {}

    def buildProtocol(self, addr: Any) -> Any:
        if len(self.channels) >= MAX_CONNECTIONS:
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                return None
            del self._strangers[oldest]
            oldest.transport.abortConnection()
        channel = super().buildProtocol(addr)
        self._strangers[channel] = None
        return channel

    def channel_lost(self, channel: Any) -> None:
        self._strangers.pop(channel, None)
        super().channel_lost(channel)

    @property
    def buffered(self) -> int:
        """Bytes that are kept, or may come and then will be, of pushes that are under way."""
        return self._signed_room.taken + self._headless_room.taken

    def knows(self, channel: Any) -> None:
        """A push of ours has come by `channel`."""
        self._strangers.pop(channel, None)

    def admit(self, request: Any, length: int | None) -> Refusal | None:
        """Why the body of `request` must not come; None: it may."""
        # The request itself learns of these only once it has come whole.
        path, _, _ = request.channel._path.partition(b"?")
        if path != PATH:
            return NO_SUCH_PATH
        if request.channel._command != b"POST":
            return _ONLY_POST
        if length is None:
            return _NO_LENGTH
        if length > MAX_PUSH_BYTES:
            return self.too_large
        expected = self.resource.is_expected(request, length)
        if expected is False or (expected is None and length > MAX_HEADLESS_BYTES):
            return self.resource.not_signed(request)
        room = self._signed_room if expected else self._headless_room
        return None if room.enter(request, length) else _NO_ROOM


def internal_site(
    invalidations: InvalidationResource, reactor: IReactorTime, request_ids: Callable[[], str]
) -> BazaarSite:
    """What to serve at the internal endpoint. Bodies are bounded by what a push may have."""
    return _InternalSite(invalidations, reactor, request_ids)
