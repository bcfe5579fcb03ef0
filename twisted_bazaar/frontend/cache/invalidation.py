# ruff: noqa: N802, N815 - what Twisted calls has a style of its own
"""Receives invalidations: POST /invalidations, on the internal endpoint only, which takes them in
frames as well (`push_frames`), and serves `/market` (`operations`) and `/metrics` beside.

Of a body more than a little is kept only if its head, which is signed as well, announced it.
`SignedPushes` says which are taken.
"""

from collections.abc import Callable

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import OK
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.errors import Malformed, NotAuthorised
from twisted_bazaar.frontend.operations.challenges import PATH as MARKET
from twisted_bazaar.frontend.operations.resource import MarketOperations
from twisted_bazaar.http.channel import BazaarChannel
from twisted_bazaar.http.connections import SECONDS, Phase
from twisted_bazaar.http.refusals import NO_SUCH_PATH, Reason, Refusal, later
from twisted_bazaar.http.site import BazaarRequest, BazaarSite
from twisted_bazaar.metrics.figures import Counter
from twisted_bazaar.metrics.resource import PATH as METRICS
from twisted_bazaar.metrics.resource import MetricsResource
from twisted_bazaar.rpc.frames.format import MAGIC
from twisted_bazaar.rpc.push import (
    HEAD_HEADER,
    MAX_PUSH_BYTES,
    PATH,
    SIGNATURE_HEADER,
    PushReply,
    encode,
)
from twisted_bazaar.runtime.seldom import Seldom
from twisted_bazaar.security.roles import ALLOWED, may_call
from twisted_bazaar.security.transport import role_of

from .signed_pushes import NOT_SIGNED, SignedPushes, Taker

__all__ = [
    "MAX_BUFFERED_BYTES",
    "MAX_CONNECTIONS",
    "MAX_HEADLESS_BUFFERED_BYTES",
    "MAX_HEADLESS_BYTES",
    "PUSH_SECONDS",
    "InvalidationResource",
    "internal_site",
]


MAX_BUFFERED_BYTES = 2 * MAX_PUSH_BYTES
"""Of unfinished pushes, over all connections."""
MAX_HEADLESS_BYTES = 64 * 1024
"""Of a push whose head is not signed: release 0.1 does not sign it."""
MAX_HEADLESS_BUFFERED_BYTES = 1024 * 1024
"""Of unfinished pushes of that kind, over all connections."""
MAX_CONNECTIONS = 64
"""Many times the number of catalogs. For one more, one that has brought no push is closed."""
PUSH_SECONDS = 5.0
"""How long the body of a push may take: catalogs give up much sooner."""

_ONLY_POST = Refusal(Reason.METHOD_NOT_ALLOWED, "only POST can be done here", {b"Allow": b"POST"})
_NOT_SIGNED = Refusal(Reason.NOT_SIGNED, NOT_SIGNED)
_NO_LENGTH = Refusal(Reason.LENGTH_REQUIRED, "a push must say how long it is")
_NO_ROOM = later(Reason.OVERLOADED, "overloaded: other pushes are still coming in")


class InvalidationResource(Resource):
    """All that the internal endpoint serves. `seconds` is a clock that only goes forward."""

    isLeaf = True
    log = Logger()

    def __init__(
        self,
        secret: bytes,
        subscriber: Taker,
        seconds: Callable[[], float],
        market: MarketOperations | None = None,
        metrics: MetricsResource | None = None,
        refused: Counter | None = None,
    ) -> None:
        """`secret` is the cluster's. If it is empty, the subscriber's token alone signs. `market`
        serves market operations, and `metrics` metrics; None: there are none here.
        `refused` counts the pushes that are refused."""
        super().__init__()
        self._refused = Counter() if refused is None else refused
        self.market = market
        self._metrics = metrics
        self._pushes = SignedPushes(secret, subscriber)
        self._seconds = seconds
        self._refusals = Seldom()

    def render(self, request: BazaarRequest) -> int:
        if (refusal := not_permitted(request, request.path)) is not None:
            request.answer(refusal)
            return NOT_DONE_YET
        if request.path == MARKET and self.market is not None:
            return self.market.render(request)
        if request.path == METRICS and self._metrics is not None:
            return self._metrics.render(request)
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
        try:
            body = request.content.getvalue()
            return self._pushes.take(body, _only(request, SIGNATURE_HEADER))
        except NotAuthorised:
            return self.not_signed(request)
        except Malformed as why:
            self._refused.value += 1
            return Refusal(Reason.MALFORMED, str(why))

    def is_expected(self, request: BazaarRequest, length: int) -> bool | None:
        """Whether the head of `request` announces a push to this front-end with `length` bytes;
        None: the head is not signed, so that only the body can tell."""
        signature = _only(request, SIGNATURE_HEADER)
        if not self._pushes.may_come(signature):
            return False
        if not request.requestHeaders.hasHeader(HEAD_HEADER):
            return None
        return self._pushes.is_head(_only(request, HEAD_HEADER), length, signature)

    def not_signed(self, request: BazaarRequest) -> Refusal:
        """The answer to a push that is not signed. Logs it, at a bounded rate."""
        self._refused.value += 1
        more = self._refusals.held_back(self._seconds())
        if more is None:
            return _NOT_SIGNED
        peer = request.getClientAddress()
        where = "a local socket" if isinstance(peer, UNIXAddress) else f"{peer.host}:{peer.port}"
        self.log.warn(
            "a push from {where} was refused: it is not signed for this front-end "
            "(request {request_id}) ({more} more since the last line like this)",
            where=where,
            request_id=request.request_id,
            more=more,
        )
        return _NOT_SIGNED


def not_permitted(request: BazaarRequest, path: bytes) -> Refusal | None:
    """The answer to a caller whose role may not call `path`; None: it may, or callers have no
    roles, as they speak plain text."""
    role = role_of(request.channel.transport)
    method = f"http {path.decode('ascii', 'replace')}"
    if role is None or method not in ALLOWED or may_call(role, method):
        return None
    return Refusal(Reason.NOT_PERMITTED, f"{role} may not call this")


def _only(request: BazaarRequest, name: bytes) -> bytes:
    """The one header of this name; empty: there is none, or more than one."""
    values = request.requestHeaders.getRawHeaders(name, [])
    return values[0] if len(values) == 1 else b""


class _Room:
    """Bounds the memory that the bodies of pushes under way take together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken: dict[_PushRequest, int] = {}

    @property
    def taken(self) -> int:
        """Bytes received or announced."""
        return sum(self._taken.values())

    def enter(self, request: "_PushRequest", length: int) -> bool:
        """Reserve `length` bytes until `request` leaves. Returns whether there is room."""
        if self.taken + length > self._size:
            return False
        self._taken[request] = length
        request.room = self
        return True

    def leave(self, request: "_PushRequest") -> None:
        del self._taken[request]


class _PushChannel(BazaarChannel):
    """A connection of HTTP, until its first bytes show that it is one of frames.

    It counts as HTTP until then: one that has sent nothing is bounded as it was before there were
    frames.
    """

    site: "_InternalSite"
    _begun = b""
    """What has come while it may be either."""
    _is_http = False

    def dataReceived(self, data: bytes) -> None:
        frames = self.site.frames
        if frames is not None and not self._is_http:
            data = self._begun = self._begun + data
            if data.startswith(MAGIC):
                self._hand_over(frames, data)
                return
            if MAGIC.startswith(data):
                return
            self._is_http = True
        super().dataReceived(data)

    def _hand_over(self, frames: Factory, data: bytes) -> None:
        """Go on as a connection of frames, which has bounds of its own."""
        transport = self.transport
        protocol = frames.buildProtocol(transport.getPeer())
        if protocol is None:
            self._abort()
            return
        self._networkProducer.unregisterProducer()
        self.site.channel_lost(self)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(data)


class _PushRequest(BazaarRequest):
    """A request whose body is received only if its head is that of a push to this front-end."""

    site: "_InternalSite"
    channel: BazaarChannel
    room: _Room | None = None

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length != 0 and (refusal := self.site.refusal_of(self, length)) is not None:
            self.channel.refuse(refusal)

    def process(self) -> None:
        channel = self.channel
        super().process()
        if self.code == OK and self.path == PATH:
            self.site.connections.keep(channel)
        self._leave()

    def connectionLost(self, reason: Failure) -> None:
        self._leave()
        super().connectionLost(reason)

    def _leave(self) -> None:
        if self.room is not None:
            self.room.leave(self)
            self.room = None


class _InternalSite(BazaarSite):
    """Takes pushes only. A connection that brought one is never evicted for another."""

    protocol = _PushChannel
    requestFactory = _PushRequest
    resource: InvalidationResource

    def __init__(
        self,
        invalidations: InvalidationResource,
        reactor: IReactorTime,
        wall_clock: Callable[[], float],
        request_ids: Callable[[], str],
        frames: Factory | None,
    ) -> None:
        super().__init__(
            invalidations,
            reactor,
            wall_clock,
            request_ids,
            MAX_PUSH_BYTES,
            MAX_CONNECTIONS,
            {**SECONDS, Phase.BODY: PUSH_SECONDS},
        )
        self.frames = frames
        self._signed_room = _Room(MAX_BUFFERED_BYTES)
        self._headless_room = _Room(MAX_HEADLESS_BUFFERED_BYTES)
        self._market_room = _Room(MAX_HEADLESS_BUFFERED_BYTES)

    @property
    def buffered(self) -> int:
        """Bytes received or announced of pushes and market operations under way."""
        rooms = (self._signed_room, self._headless_room, self._market_room)
        return sum(room.taken for room in rooms)

    def refusal_of(self, request: _PushRequest, length: int | None) -> Refusal | None:
        """Why the body of `request` is not to be received; None: it is."""
        # The request itself learns of these only once it has come whole.
        path, _, _ = request.channel._path.partition(b"?")
        if (refusal := not_permitted(request, path)) is not None:
            return refusal
        if path == MARKET and self.resource.market is not None:
            return self._refusal_of_operation(request, length)
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

    def _refusal_of_operation(self, request: _PushRequest, length: int | None) -> Refusal | None:
        if length is None:
            return _NO_LENGTH
        if length > MAX_HEADLESS_BYTES:
            message = f"a market operation has at most {MAX_HEADLESS_BYTES} bytes"
            return Refusal(Reason.TOO_LARGE, message)
        return None if self._market_room.enter(request, length) else _NO_ROOM


def internal_site(
    invalidations: InvalidationResource,
    reactor: IReactorTime,
    wall_clock: Callable[[], float],
    request_ids: Callable[[], str],
    frames: Factory | None = None,
) -> BazaarSite:
    """The site for catalogs. `frames` is given the connections of frames; None: there are none.
    See `BazaarSite` for the others."""
    return _InternalSite(invalidations, reactor, wall_clock, request_ids, frames)
