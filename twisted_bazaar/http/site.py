# ruff: noqa: N802, N815 - the methods of Request have their own style
"""Requests and their site: HTTP, before any route is looked for.

Bodies are bounded and kept in memory. A malformed path never reaches the routes. Every failure that
Twisted would answer in HTML, or not at all, has a JSON body. Connections
that wait too long for their client are closed, and the oldest are evicted where there are too many.
Nothing here knows what the routes serve.
"""

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NO_CONTENT, NOT_MODIFIED, datetimeToString
from twisted.web.resource import Resource

from twisted_bazaar.access import ANONYMOUS, Client
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.tracing.context import TraceContext, read_headers

from . import answers, client_address
from .access_log import AccessLog
from .channel import HSTS_HEADER, BazaarChannel, phrase
from .client_address import TrustedProxies, network_of
from .connections import MAX_CONNECTIONS, REQUEST_SECONDS, SECONDS, Connections, Phase
from .fields import Fields
from .figures import CLIENT_GONE, OTHER, HttpFigures
from .refusals import NO_SUCH_PATH, Reason, Refusal
from .request_ids import HEADER, given_id
from .sources import Sources
from .streaming import PIECE_BYTES, BodyProducer, Endless

__all__ = ["MAX_BODY_BYTES", "BazaarRequest", "BazaarSite"]

MAX_BODY_BYTES = 64 * 1024
"""Of a client's request."""

DISCARD_BYTES = 8 * 1024 * 1024
"""A body that is too large, up to this size, is read and discarded, because most clients read no
answer before they have sent all. Beyond it the connection is refused."""
CHECK_SECONDS = 1.0
"""Between two checks for overdue connections."""

_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)([^#]*)", re.IGNORECASE)
_ONE_HOST = Refusal(Reason.MALFORMED, "HTTP/1.1 needs the header Host, once")

_FIRST_HEAD = b"Date: %b\r\nX-Request-Id: %b\r\n"
_DEFAULT_TYPE = b"Content-Type: application/json\r\n"
_PERCENT = ord("%")

log = Logger()


class BazaarRequest(server.Request):
    """A request whose body is bounded, and whose failures are answered in JSON."""

    site: "BazaarSite"
    channel: BazaarChannel
    content: BytesIO
    requestHeaders: Fields
    responseHeaders: Fields
    defaultContentType = b"application/json"
    authority: bytes | None = None
    """HOST or HOST:PORT, as the client names it; None: it does not, as HTTP/1.0 allows."""
    route: str = OTHER
    """The template of its route; `OTHER`: it has none. What finds the route sets it."""
    came_at: float | None = None
    """When it had come whole; None: it has not, or is counted. The metrics measure from here, as
    the time before is its client's."""
    caller: Client = ANONYMOUS
    """The client that sent it. What the resource asks for API keys with sets it, before a route is
    called. (`client` is Twisted's name for the address of the connection.)"""
    begun_at = 0.0
    """When its first line had come, by the site's clock. An access log measures from here, as it
    also shows requests that never come whole; without one it is not set."""
    first_head = b""
    more_head = b""
    """The first and the last header lines of its answer, written as they are. To set them costs
    less than headers do."""
    _request_id = ""
    _received_bytes = 0
    _max_body_bytes = 0

    def __init__(self, channel: BazaarChannel, queued: bool = False) -> None:
        # Twisted's own goes through three classes and makes headers of its own. A test compares
        # what both set.
        self.notifications = []
        self.channel = channel
        self.client = channel.getPeer()
        self.host = channel.getHost()
        self.requestHeaders = Fields()
        self.received_cookies = {}
        self.responseHeaders = Fields()
        self.cookies = []
        self.transport = channel.transport
        self.queued = queued
        self._parsePOSTFormSubmission = False
        self._adapterCache = {}

    @property
    def request_id(self) -> str:
        """The client's own id of this request, or one that was made for it."""
        if not self._request_id:
            given = given_id(self.requestHeaders.getRawHeaders(HEADER))
            self._request_id = given or self.channel.site.request_ids()
        return self._request_id

    @property
    def trace_context(self) -> TraceContext | None:
        """Where in a trace this request is, as its client says; None: in none."""
        header = self.requestHeaders.getRawHeaders
        parents = header(b"traceparent")
        return None if parents is None else read_headers(parents, header(b"tracestate"))

    @property
    def client_address(self) -> str:
        """The IP address of the client: see `TrustedProxies.client`."""
        proxies = self.channel.site.proxies
        peer: str = getattr(self.client, "host", "")
        if not proxies:
            return peer
        return proxies.client(peer, self.requestHeaders.getRawHeaders(client_address.HEADER))

    @property
    def network(self) -> str:
        """Whose request it is, by address: clients in one network share what there is for one."""
        return network_of(self.client_address)

    @property
    def shown_path(self) -> str:
        """Its path as a log shows it: without the query, which may hold keys of trades, and
        without a quotation mark, which no URI has and which ends the path in a line of text."""
        path = self.uri.partition(b"?")[0].replace(b'"', b"%22")
        return path.decode("ascii", "backslashreplace")

    def begin(self, command: bytes, target: bytes, now: float) -> None:
        """Its first line has come. Called where there is an access log."""
        self.method, self.uri, self.begun_at = command, target, now

    def parseCookies(self) -> None:
        """No route reads any."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()
        self.site = self.channel.site  # Twisted sets it later
        self._max_body_bytes = self.site.max_body_bytes
        if length is None or length > self._max_body_bytes:
            self._max_body_bytes = self.site.most_body_bytes(self.channel._path)
        if length is not None and length > self._max_body_bytes:
            asks_first = self.requestHeaders.hasHeader(b"Expect")
            if asks_first or length > DISCARD_BYTES:
                self._refuse_too_large()

    def handleContentChunk(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if not self.is_too_large:
            self.content.write(data)
        elif self._received_bytes > DISCARD_BYTES:
            self._refuse_too_large()

    @property
    def is_too_large(self) -> bool:
        """Whether more of its body has come than is allowed."""
        return self._received_bytes > self._max_body_bytes

    @property
    def too_large(self) -> Refusal:
        """The refusal of a body that is too large."""
        return _too_large(self._max_body_bytes)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        # Twisted's own also parses query, cookies and forms, which no route reads.
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.process()

    def process(self) -> None:
        # Twisted's own walks the path for a resource and formats the time anew: an eighth of what a
        # request costs.
        self.first_head = _FIRST_HEAD % (self.site.date(), self.request_id.encode("ascii"))
        if self.site.hsts is not None:
            self.first_head += b"%b: %b\r\n" % (HSTS_HEADER, self.site.hsts)
        hosts = self.requestHeaders.getRawHeaders(b"Host")
        if hosts is not None and len(hosts) == 1:
            self.authority = hosts[0]
        elif hosts is not None or self.clientproto == b"HTTP/1.1":
            self.code = _ONE_HOST.code
            self.came_at = None
            self.channel.refuse(_ONE_HOST)
            return
        if not self.uri.startswith(b"/"):
            self._read_absolute_form()
        self.path = self.uri.partition(b"?")[0]
        if self.is_too_large:
            self.answer(self.too_large)
        elif not _well_formed(self.path) and (self.method, self.path) != (b"OPTIONS", b"*"):
            self.answer(NO_SUCH_PATH)
        else:
            try:
                self.site.resource.render(self)
            except Exception:
                self.processingFailed(Failure())

    def _read_absolute_form(self) -> None:
        """A whole URL, as proxies send it, takes precedence over the Host header."""
        matched = _ABSOLUTE.fullmatch(self.uri)
        if matched is not None:
            self.authority, rest = matched.groups()
            anything = b"*" if self.method == b"OPTIONS" else b"/"
            self.uri = rest if rest.startswith(b"/") else (b"/" + rest if rest else anything)

    def getRequestHostname(self) -> bytes:
        # Routing would refuse some Host headers in HTML. No answer depends on this name.
        return b"bazaar"

    def refuse(self, refusal: Refusal) -> bytes:
        """Set status and headers for `refusal`. Returns the body."""
        self.setResponseCode(refusal.code, phrase(refusal.code))
        for name, value in refusal.headers.items():
            self.responseHeaders.setRawHeaders(name, [value])
        return answers.error(refusal.code, refusal.reason.word, refusal.message)

    def answer(self, refusal: Refusal) -> None:
        """Answer with `refusal`, outside of routes."""
        self.respond(self.refuse(refusal))

    def respond(self, body: bytes) -> None:
        """Send the answer, unless the client has hung up."""
        if self._disconnected:
            return
        if self.code not in (NO_CONTENT, NOT_MODIFIED):
            if len(body) <= PIECE_BYTES and self.method != b"HEAD":
                self._respond_at_once(body)
                return
            # Without a length, Twisted sends chunks.
            self.responseHeaders.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
        if len(body) > PIECE_BYTES:
            BodyProducer(self.site.reactor, self, body)
            return
        self.write(body)
        self.finish()

    def _respond_at_once(self, body: bytes) -> None:
        """Do what Twisted's `write` and `finish` do, for an answer that is one piece."""
        headers = self.responseHeaders
        size = len(body)
        length = b"Content-Length: %d\r\n" % size
        if size and not headers.has(b"Content-Type"):
            length += _DEFAULT_TYPE
        status = b"%b %d %b\r\n" % (self.clientproto, self.code, self.code_message)
        parts = status, self.first_head, headers.lines(), length, self.more_head, b"\r\n", body
        self.startedWriting = 1
        self.sentLength = size
        self.channel.write(b"".join(parts))
        self.site.log(self)
        self.finished = 1
        self._cleanup()

    def respond_without_body(self) -> None:
        """Answer HEAD where GET has an answer without end, and so without a length."""
        self.write(b"")
        self.finish()

    @property
    def has_client(self) -> bool:
        """Whether the client has not hung up."""
        return not self._disconnected

    def begin_stream(self, stream: Endless) -> None:
        """Send the head of an answer without end. `stream` then writes it with `write`; it calls
        `end_stream` or `abort` at the end, unless the client hangs up before."""
        self.channel.begin_stream(stream)
        self._counted(self.code)
        self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        self.notifyFinish().addErrback(lambda _: stream.stopProducing())
        self.registerProducer(stream, True)
        self.write(b"")

    def end_stream(self) -> None:
        """End the answer, and close the connection once the client has taken it."""
        self.unregisterProducer()
        self.finish()

    def abort(self) -> None:
        """Close the connection now."""
        self.channel.abort()

    def answered(self, now: float) -> None:
        """The answer is written. Called by its channel."""
        came_at = self.came_at
        if came_at is not None:
            self.came_at = None
            self.site.figures.answered(self.route, self.method, self.code, now - came_at)

    def _counted(self, code: int) -> None:
        """Count it without its duration, unless it is counted."""
        if self.came_at is not None:
            self.came_at = None
            self.site.figures.counted(self.route, self.method, code)

    def connectionLost(self, reason: Failure) -> None:
        self._counted(CLIENT_GONE)
        self.channel.hung_up(self)
        super().connectionLost(reason)

    def report(self, failure: Failure) -> Refusal:
        """Log an unexpected error. Returns a refusal with the id under which it is logged."""
        request_id = self.request_id
        log.failure(
            "request {request_id} failed: {method} {path}",
            failure,
            request_id=request_id,
            method=self.method.decode("ascii"),
            path=self.shown_path,
        )
        message = f"the service failed; its log knows this request as {request_id}"
        return Refusal(Reason.INTERNAL_ERROR, message)

    def processingFailed(self, reason: Failure) -> Failure:
        refusal = self.report(reason)
        if self.startedWriting:
            self.loseConnection()
        else:
            self.answer(refusal)
        return reason

    def _refuse_too_large(self) -> None:
        self.channel.refuse(self.too_large)


def _too_large(most: int) -> Refusal:
    return Refusal(Reason.TOO_LARGE, f"the body is larger than {most} bytes")


def _well_formed(path: bytes) -> bool:
    """Whether `path`, which is ASCII as all of a request line is, stands for UTF-8 without empty
    segments."""
    if not path.startswith(b"/") or path.find(b"//") >= 0:
        return False
    if _PERCENT not in path:
        return True
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class BazaarSite(server.Site):
    """Serves `resource`, whose `render` answers every request by `BazaarRequest.respond`, at once
    or later. The reactor times connections; its clock must not go back."""

    protocol = BazaarChannel  # type: ignore[assignment]
    requestFactory = BazaarRequest  # type: ignore[assignment]
    noisy = False
    proxies = TrustedProxies()
    access_log: AccessLog | None = None
    sources: Sources | None = None
    """Bounds the connections of each client; None: they are not bounded."""
    hsts: bytes | None = None
    """The value of `Strict-Transport-Security` in answers; None: it is not there. All of
    these may be set before the first connection."""

    def __init__(
        self,
        resource: Resource,
        reactor: IReactorTime,
        wall_clock: Callable[[], float],
        request_ids: Callable[[], str],
        max_body_bytes: int = MAX_BODY_BYTES,
        max_connections: int = MAX_CONNECTIONS,
        phase_seconds: Mapping[Phase, float] = SECONDS,
        body_bytes: Mapping[bytes, int] | None = None,
        figures: HttpFigures | None = None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        """`wall_clock` returns seconds since 1970, for the header `Date`. `body_bytes` says how
        large a body may be at paths where it may be larger than `max_body_bytes`. Requests count in
        `figures`; None: nobody asks how many there were. A request must come within
        `request_seconds`, the time of its phases aside."""
        self.figures = HttpFigures(Metrics()) if figures is None else figures
        self._body_bytes = body_bytes or {}
        assert max(max_body_bytes, *self._body_bytes.values(), 0) < DISCARD_BYTES
        # No timeout of Twisted's: it begins anew with each byte.
        super().__init__(resource, timeout=None, reactor=reactor, parsePOSTFormSubmission=False)
        self.request_ids = request_ids
        self.max_body_bytes = max_body_bytes
        self.too_large = _too_large(max_body_bytes)
        self.seconds: Callable[[], float] = reactor.seconds
        self._reactor = reactor
        self._wall_clock = wall_clock
        self._date = -1, b""
        self.connections: Connections[BazaarChannel] = Connections(
            max_connections, phase_seconds, request_seconds
        )
        self._check_call: IDelayedCall | None = None
        self._drained: Deferred[None] | None = None

    def most_body_bytes(self, target: bytes) -> int:
        """How large the body of a request for `target` may be."""
        path = _ABSOLUTE.sub(rb"\2", target).partition(b"?")[0].rstrip(b"/")
        return self._body_bytes.get(path, self.max_body_bytes)

    def log(self, request: Any) -> None:
        """Called by Twisted when the answer to `request` has been written."""
        if self.access_log is not None:
            self.access_log.answered(request, self.seconds())

    def date(self) -> bytes:
        """The value of the header `Date`, now."""
        second = int(self._wall_clock())
        if second != self._date[0]:
            self._date = second, datetimeToString(second)
        return self._date[1]

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def drain(self) -> Deferred[None]:
        """Close idle connections now, and the others after the answers they wait for.

        Fires when none is left. To be called once, when the port no longer listens.
        """
        if not self.connections:
            return succeed(None)
        drained = self._drained = Deferred()
        for channel in self.connections:
            channel.drain()
        return drained

    def channel_made(self, channel: BazaarChannel) -> None:
        """A connection was made. Called by its channel."""
        is_refused = self.sources is not None and not self._counts(self.sources, channel)
        if is_refused:
            self.figures.refused_connections_of_one.value += 1
            if self.connections.is_full:
                # No other is evicted for one that is refused.
                channel.abort()
                return
        for victim in self.connections.add(channel, self.seconds()):
            if victim is channel:
                self.figures.refused_connections.value += 1
                channel.refuse_connection()
            else:
                victim.evict()
        if is_refused:
            channel.refuse_address()
        if self._check_call is None:
            self._check_call = self._reactor.callLater(CHECK_SECONDS, self._check)

    def _counts(self, sources: Sources, channel: BazaarChannel) -> bool:
        """Whether there is a place for `channel` among those of its address."""
        address = channel.client_address
        if not sources.opened(address):
            return False
        channel.counted_from = address
        return True

    def channel_lost(self, channel: BazaarChannel) -> None:
        """A connection has ended. Called by its channel."""
        self.connections.remove(channel)
        if self.sources is not None and channel.counted_from is not None:
            self.sources.closed(channel.counted_from)
            channel.counted_from = None
        if self.connections:
            return
        if self._check_call is not None:
            self._check_call.cancel()
            self._check_call = None
        if self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def _check(self) -> None:
        self._check_call = self._reactor.callLater(CHECK_SECONDS, self._check)
        for channel in self.connections.overdue(self.seconds()):
            channel.overdue()
