# ruff: noqa: N802, N815 - the methods of Request and HTTPChannel have their own style
"""What HTTP itself needs before any route is asked: bounds, well-formed requests, no HTML.

Bodies are bounded and kept in memory; what cannot be a path of ours never reaches the routes;
every failure that Twisted would answer in HTML, or not at all, has a JSON body here; there is
no access log. Nothing in this module knows what the routes serve.
"""

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from time import time
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime, ISSLTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NOT_MODIFIED, HTTPChannel, datetimeToString
from twisted.web.resource import Resource

from . import answers
from .refusals import NO_SUCH_PATH, Refusal
from .requests import MAX_BODY_BYTES
from .sending import PIECE_BYTES, Sending

__all__ = ["BazaarRequest", "BazaarSite"]

DISCARD_BYTES = 8 * 1024 * 1024
"""A body that is too large but no larger than this is read and thrown away, because most
clients read no answer before they have sent everything. Beyond, the connection is given up."""
IDLE_TIMEOUT_S = 60
LINGER_S = 2
"""How long a connection that was given up is still read from: closing it with bytes unread
would reset it, and could cost the client the answer that says why."""

log = Logger()


class BazaarRequest(server.Request):
    """A request whose body is bounded, and whose failures are answered in JSON."""

    site: "BazaarSite"
    content: BytesIO
    defaultContentType = b"application/json"
    _received_bytes = 0

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()
        self.site = cast(_Channel, self.channel).site  # Twisted's own comes too late
        waits = self.requestHeaders.hasHeader(b"Expect")
        if length is not None and length > (self.site.max_body_bytes if waits else DISCARD_BYTES):
            self._give_up()

    def handleContentChunk(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes <= self.site.max_body_bytes:
            self.content.write(data)
        elif self._received_bytes > DISCARD_BYTES:
            self._give_up()

    def process(self) -> None:
        if self._received_bytes > self.site.max_body_bytes:
            self.answer(self.site.too_large)
        elif not _well_formed(self.path):
            self.answer(NO_SUCH_PATH)
        else:
            # Instead of Twisted's own `process`, which looks for a resource along the path, and
            # works out what time it is: an eighth of what a request costs.
            self.responseHeaders.setRawHeaders(b"Date", [_date(int(time()))])
            try:
                self.site.resource.render(self)
            except Exception:
                self.processingFailed(Failure())

    def getRequestHostname(self) -> bytes:
        # Routing would refuse some Host headers in HTML; no answer depends on the name.
        return b"bazaar"

    def refuse(self, refusal: Refusal) -> bytes:
        """Set status and headers for `refusal` and return the body."""
        self.setResponseCode(refusal.code, _reason(refusal.code))
        for name, value in refusal.headers.items():
            self.responseHeaders.setRawHeaders(name, [value])
        return answers.error(refusal.code, refusal.message)

    def answer(self, refusal: Refusal) -> None:
        """Answer with `refusal`, outside of any route."""
        self.respond(self.refuse(refusal))

    def respond(self, body: bytes) -> None:
        """Send the answer, unless the client has hung up."""
        if self._disconnected:
            return
        if self.code != NOT_MODIFIED:
            # Without a length, Twisted would send chunks.
            self.responseHeaders.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
        if len(body) > PIECE_BYTES:
            Sending(self.site.reactor, self, body)
            return
        self.write(body)
        self.finish()

    def report(self, failure: Failure) -> Refusal:
        """Log a failure that nobody foresaw, and refuse with the id that the log knows it by."""
        name = self.site.request_ids()
        log.failure(
            "request {request_id} failed: {method} {uri}",
            failure,
            request_id=name,
            method=self.method.decode("ascii"),
            uri=self.uri.decode("ascii", "backslashreplace"),
        )
        message = f"the front-end failed; its log knows this request as {name}"
        return Refusal(500, message, {b"X-Request-Id": name.encode("ascii")})

    def processingFailed(self, reason: Failure) -> Failure:
        refusal = self.report(reason)
        if self.startedWriting:
            self.loseConnection()
        else:
            self.answer(refusal)
        return reason

    def _give_up(self) -> None:
        cast(_Channel, self.channel).refuse(self.site.too_large)


@lru_cache(1)
def _date(second: int) -> bytes:
    text: bytes = datetimeToString(second)
    return text


def _reason(code: int) -> bytes:
    return HTTPStatus(code).phrase.encode("ascii")  # Twisted does not know all of them


def _well_formed(path: bytes) -> bool:
    """Whether `path` means one thing only: no empty segments, and UTF-8."""
    if not path.startswith(b"/") or b"//" in path:
        return False
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Channel(HTTPChannel):
    """A connection. What is not HTTP, or too much of it, is answered in JSON and given up.

    Twisted has no public way to say this, so some private methods are overridden here. Each
    has a test that fails on the day Twisted renames it.
    """

    site: "BazaarSite"
    transport: Any
    _refused = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self.site.channel_lost(self)

    def refuse(self, refusal: Refusal) -> None:
        """Answer before the request is complete; nothing more is read from this client."""
        if self._refused:
            return
        self._refused = True
        body = answers.error(refusal.code, refusal.message)
        more = b"".join(b"%b: %b\r\n" % header for header in refusal.headers.items())
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b"
            b"Connection: close\r\n\r\n%b"
            % (refusal.code, _reason(refusal.code), len(body), more, body)
        )
        self.dataReceived = _discard  # type: ignore[method-assign]
        self.lineReceived = _discard  # type: ignore[method-assign]
        self.rawDataReceived = _discard  # type: ignore[method-assign]
        if ISSLTransport.providedBy(self.transport):
            self.loseConnection()
            return
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()
        self.setTimeout(LINGER_S)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._refuse_head(too_long=True)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse_head(
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        )

    def _refuse_head(self, too_long: bool) -> None:
        if not too_long:
            self.refuse(Refusal(400, "the request is not well-formed HTTP/1.1"))
        elif self.requests:  # the request line has been read
            limits = f"{self.maxHeaders} headers or {self.totalHeadersSize} bytes"
            self.refuse(Refusal(431, f"the headers are more than {limits}"))
        else:
            self.refuse(Refusal(414, f"the path is longer than {self.MAX_LENGTH} bytes"))

    def _send100Continue(self) -> None:
        if not self._refused:
            super()._send100Continue()

    def allContentReceived(self) -> None:
        if not self._refused:
            super().allContentReceived()

    def drain(self) -> None:
        """Close once the answer that the client waits for, if any, is sent."""
        if not self._handlingRequest:
            self.loseConnection()
            return
        self.persistent = 0
        self.requests[0].responseHeaders.setRawHeaders(b"Connection", [b"close"])


def _discard(data: bytes) -> None:
    pass


class BazaarSite(server.Site):
    """Serves `resource`, whose `render` answers every request by `BazaarRequest.respond`, at
    once or later. The reactor only times idle connections."""

    protocol = _Channel  # type: ignore[assignment]
    requestFactory = BazaarRequest

    def __init__(
        self,
        resource: Resource,
        reactor: IReactorTime,
        request_ids: Callable[[], str],
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        assert max_body_bytes < DISCARD_BYTES
        super().__init__(
            resource, timeout=IDLE_TIMEOUT_S, reactor=reactor, parsePOSTFormSubmission=False
        )
        self.request_ids = request_ids
        self.max_body_bytes = max_body_bytes
        self.too_large = Refusal(413, f"the body is larger than {max_body_bytes} bytes")
        self.channels: set[_Channel] = set()
        self._drained: Deferred[None] | None = None

    def log(self, request: Any) -> None:
        """No access log: it would cost each lookup more than the lookup."""

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def drain(self) -> Deferred[None]:
        """Close idle connections now, and the others after the answer they wait for.

        Fires when none is left. Stop listening first, and call it once.
        """
        if not self.channels:
            return succeed(None)
        drained = self._drained = Deferred()
        for channel in list(self.channels):
            channel.drain()
        return drained

    def channel_lost(self, channel: _Channel) -> None:
        self.channels.discard(channel)
        if self._drained is not None and not self.channels:
            drained, self._drained = self._drained, None
            drained.callback(None)
