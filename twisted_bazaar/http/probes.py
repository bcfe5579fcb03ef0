# ruff: noqa: N802, N815 - what Twisted calls has a style of its own
"""HTTP for probes and scrapers, on a port that is there for other protocols (`rpc.first_bytes`).

It serves a few pages, each made at once, and must not hold up what the port is for. So a connection
brings one request, without a body: of what a client sends at once, one page is answered in a turn
of the reactor. Connections are few and short, and the oldest makes way for one more.
"""

from collections.abc import Callable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from . import answers
from .channel import BazaarChannel
from .connections import SECONDS, Phase
from .refusals import NO_SUCH_PATH, ONLY_GET, Reason, Refusal, later
from .site import BazaarRequest, BazaarSite

__all__ = ["MAX_CONNECTIONS", "METHODS", "Page", "ProbeSite", "Probes", "readiness"]

METHODS = (b"GET ", b"HEAD ")
"""The first bytes of the connections that are for a `ProbeSite`."""
MAX_CONNECTIONS = 64
"""Many times the number of scrapers and health checks."""
_PHASE_SECONDS = {
    **SECONDS,
    Phase.IDLE: 5.0,
    Phase.HEAD: 5.0,
    Phase.SENDING: 10.0,
}
_STOP_SECONDS = 1.0
"""How long clients may take their answers when the service stops."""

_NO_BODY = Refusal(Reason.TOO_LARGE, "a request has no body here")

Page = Callable[[BazaarRequest], bytes]
"""Returns the body, and may set headers. Raises `Refusal`."""


def _live(request: BazaarRequest) -> bytes:
    return b'{"data":"alive"}'


def readiness(why_not: Callable[[], str | None]) -> Page:
    """`/readyz` of a service. `why_not` says why it cannot serve now; None: it can."""

    def page(request: BazaarRequest) -> bytes:
        if (why := why_not()) is not None:
            raise later(Reason.NOT_READY, f"not ready: {why}")
        return answers.ready(None)

    return page


class _Pages(Resource):
    isLeaf = True

    def __init__(self, pages: Mapping[bytes, Page]) -> None:
        super().__init__()
        self._pages = {b"/livez": _live, **pages}

    def render(self, request: BazaarRequest) -> int:
        request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-store"])
        page = self._pages.get(request.path.rstrip(b"/"))
        if page is None:
            request.answer(NO_SUCH_PATH)
        elif request.method not in (b"GET", b"HEAD"):
            request.answer(ONLY_GET)
        else:
            try:
                body = page(request)
            except Refusal as refusal:
                request.answer(refusal)
            else:
                request.respond(body)
        return NOT_DONE_YET


class _OneRequest(BazaarChannel):
    """A connection that is closed after its first answer."""

    def checkPersistence(self, request: BazaarRequest, version: bytes) -> bool:
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False


class _WithoutBody(BazaarRequest):
    """A request whose body is refused before it is received."""

    channel: BazaarChannel

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length != 0:
            self.channel.refuse(_NO_BODY)


class ProbeSite(BazaarSite):
    """The factory of the connections whose first bytes are one of `METHODS`."""

    protocol = _OneRequest
    requestFactory = _WithoutBody

    def __init__(
        self,
        pages: Mapping[bytes, Page],
        reactor: IReactorTime,
        wall_clock: Callable[[], float],
        request_ids: Callable[[], str],
    ) -> None:
        """`pages` are by path; there is `/livez` beside. See `BazaarSite` for the others."""
        super().__init__(
            _Pages(pages),
            reactor,
            wall_clock,
            request_ids,
            max_connections=MAX_CONNECTIONS,
            phase_seconds=_PHASE_SECONDS,
        )


class Probes(Service):
    """Ends the connections of `site` when its port no longer listens."""

    def __init__(self, reactor: IReactorTime, site: ProbeSite) -> None:
        self._reactor = reactor
        self.site = site

    def stopService(self) -> Deferred[None]:
        super().stopService()
        drained = self.site.drain()
        drained.addTimeout(_STOP_SECONDS, self._reactor)
        return drained.addErrback(self._abort)

    def _abort(self, failure: Failure) -> None:
        failure.trap(TimeoutError)
        for channel in self.site.connections:
            channel.abort()
