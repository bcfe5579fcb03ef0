# ruff: noqa: N802, N815 - the methods of HTTPChannel have their own style
"""One connection of a site: turns bytes into requests, one after the other, and refuses what is not
HTTP/1.1 or 1.0.

Twisted's channel accepts what other servers do not (continued header lines, any transfer coding),
waits forever, and has no public way to change that. So some private methods are overridden here;
each has a test that fails if Twisted renames it. Nothing here knows what a request means.
"""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _ChunkedTransferDecoder
from twisted.web.http_headers import Headers
from zope.interface import implementer

from twisted_bazaar.access import Recognized
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.runtime.writing import write_now

from . import answers
from .connections import Phase
from .figures import OTHER
from .heads import CONTROLS, MAX_LENGTH_DIGITS, REQUEST_LINE, HeadReader, cannot_be_request
from .refusals import Reason, Refusal, later
from .request_ids import HEADER

if TYPE_CHECKING:
    from .site import BazaarRequest, BazaarSite
    from .streaming import Endless

__all__ = ["HSTS_HEADER", "BazaarChannel", "phrase"]

HSTS_HEADER = b"Strict-Transport-Security"

_MALFORMED = Refusal(Reason.MALFORMED, "the request is not well-formed HTTP/1.1")
_TOO_SLOW = Refusal(Reason.TOO_SLOW, "the request took too long to come")
_TOO_MANY = later(Reason.OVERLOADED, "too many connections wait for an answer; connect again later")
_TOO_MANY_OF_ONE = later(
    Reason.TOO_MANY_CONNECTIONS, "there are too many connections from your address; close some"
)

log = Logger()


@implementer(IHalfCloseableProtocol)
class BazaarChannel(HTTPChannel):
    """A connection of a `BazaarSite`. Tells the site's `connections` each phase that it enters."""

    site: "BazaarSite"
    transport: Any
    requestFactory: Any
    _networkProducer: Any
    _path: Any

    # State beside the phase. Of Twisted's, these are read or set here:
    # - `_handlingRequest`: from the end of a request until the next is taken; bytes that come
    #   meanwhile are kept. It stays set after the last answer, and while `_blocked`.
    # - `_busyReceiving`: lines are being taken from the buffer; the loop that does so goes on with
    #   bytes that are added to it.
    # - `_waitingForTransport`: the client does not take what was written.
    # - `persistent`: whether another request may follow the one that has come.
    _refused = False
    """Whether a refusal was the last answer. Not the phase `REFUSED`: one that has nothing more to
    read is in `SENDING`, and one that was aborted in no phase."""
    _ended = False
    """Whether the client has closed its side of the connection. It may do so in any phase."""
    _blocked = False
    """Whether the next request waits until the client takes the answers before it. Then the phase
    is `SENDING`, as it is after the last answer."""
    _head = b""
    """The head of the answer, until it is written."""
    _stream: "Endless | None" = None
    """What writes an answer without end; then the phase is `EVENTS`."""
    counted_from: str | None = None
    """The address that it counts for in the site's `sources`; None: it does not count there."""
    recognized: Recognized | None = None
    """Whose its last request was, for what asks for API keys."""
    _empty_line = False
    """Whether an empty line has come where a request line was expected; a second is refused."""
    _peer: IAddress | None = None
    _host: IAddress | None = None
    """Both ends, once a request has asked for them: the transport asks the system each time."""

    # Lifetime

    def connectionMade(self) -> None:
        self._heads = HeadReader()
        super().connectionMade()
        self.site.channel_made(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self.site.channel_lost(self)

    def readConnectionLost(self) -> None:
        """The client closed its side. A request that has come whole is still answered."""
        self._ended = True
        if self._refused or not self._handlingRequest:
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def loseConnection(self) -> None:
        """Close once the client has taken what was written. One that is refused or evicted keeps
        its phase, and so its limit."""
        if self.site.connections.phase(self) not in (Phase.REFUSED, Phase.EVICTED):
            self._enter(Phase.SENDING)
        # Bytes may still come: what the reactor has polled already, and by TLS until the client
        # closes, too. No answer to them could be sent.
        self._discard_input()
        super().loseConnection()

    def overdue(self) -> None:
        """The time in the present phase is over."""
        phase = self.site.connections.phase(self)
        if phase is Phase.IDLE:
            self.loseConnection()
        elif phase is Phase.HEAD:
            self.refuse(_TOO_SLOW)
        elif phase is Phase.BODY:
            request: BazaarRequest = self.requests[-1]
            self.refuse(request.too_large if request.is_too_large else _TOO_SLOW)
        else:
            self._abort()

    def evict(self) -> None:
        """Close at once, for the sake of another connection."""
        phase = self.site.connections.phase(self)
        if phase is Phase.IDLE:
            self._enter(Phase.EVICTED)
            self.loseConnection()
        else:
            self._abort()

    def refuse_connection(self) -> None:
        """Refuse this connection, as no other can be evicted for it."""
        self._refuse(_TOO_MANY)

    def refuse_address(self) -> None:
        """Refuse this connection, as there are too many from its address."""
        self._refuse(_TOO_MANY_OF_ONE)

    def drain(self) -> None:
        """Close once the answer to the request under way, if any, is sent."""
        if self._stream is not None:
            self._stream.end()
        elif self._handlingRequest and self.requests:
            self.persistent = 0
            self.requests[0].responseHeaders.setRawHeaders(b"Connection", [b"close"])
        else:
            self.loseConnection()

    def _abort(self) -> None:
        self.site.connections.remove(self)
        self._discard_input()
        self.transport.abortConnection()

    def _enter(self, phase: Phase, now: float | None = None) -> None:
        site = self.site
        try:
            site.connections.move(self, phase, site.seconds() if now is None else now)
        except InvariantBroken:
            # Not all callers are the transport's, which would log it and close the connection.
            request_id = self.requests[-1].request_id if self.requests else "none"
            log.failure(
                "unexpected error in a connection, which is aborted (request {request_id})",
                request_id=request_id,
            )
            self._abort()

    def hung_up(self, request: "BazaarRequest") -> None:
        """The connection has ended, and the answer to `request` was not complete."""
        site = self.site
        if site.access_log is not None and not self._refused:
            site.access_log.hung_up(request, self._stream is not None, site.seconds())

    @property
    def client_address(self) -> str:
        """The IP address at the other end."""
        return getattr(self.transport.getPeer(), "host", "")

    def getPeer(self) -> IAddress:
        if self._peer is None:
            self._peer = self.transport.getPeer()
        return self._peer

    def getHost(self) -> IAddress:
        if self._host is None:
            self._host = self.transport.getHost()
        return self._host

    # Requests

    def dataReceived(self, data: bytes) -> None:
        more = data
        begun = self._buffer or self.requests or self._busyReceiving or self._empty_line
        if self.line_mode and not begun:
            self._buffer, more = data, b""
            self._take_whole()
        if more or self._buffer:
            LineReceiver.dataReceived(self, more)
        if (self._buffer or self.requests) and not (self._handlingRequest or self._busyReceiving):
            self._incomplete(data)

    def _take_whole(self) -> None:
        """Take requests from the buffer, while each has come whole and is usual. The others, and
        what has come of the next, stay there: they are taken line by line, which costs more."""
        site = self.site
        self._busyReceiving = True
        try:
            while self._buffer and self.line_mode:
                whole = self._heads.whole_request(self._buffer, site.max_body_bytes)
                if whole is None:
                    return
                self._command, self._path, self._version, headers, body, self._buffer = whole
                request = self._begin_request()
                request.requestHeaders.take(headers)
                self.persistent = self.checkPersistence(request, self._version)
                request.gotLength(len(body))
                if self._refused:
                    return
                if body:
                    request.handleContentChunk(body)
                self.allContentReceived()
        finally:
            self._busyReceiving = False

    def _incomplete(self, data: bytes) -> None:
        """Part of a request has come; `data` is its last piece."""
        if self._refused:
            return
        phase = Phase.HEAD if self.line_mode else Phase.BODY
        if self.line_mode:
            is_none = cannot_be_request(self._buffer, len(data), in_headers=bool(self.requests))
        else:
            is_none = self._cannot_be_chunk()
        if is_none:
            self.refuse(_MALFORMED)
        elif self.site.connections.phase(self) is not phase:
            self._enter(phase)

    def _cannot_be_chunk(self) -> bool:
        """Whether the chunk length or trailer that has begun cannot be one."""
        decoder = self._transferDecoder
        if not isinstance(decoder, _ChunkedTransferDecoder) or decoder.state == "BODY":
            return False
        return CONTROLS.search(decoder._buffer.removesuffix(b"\r")) is not None

    def lineReceived(self, line: bytes) -> None:
        self._receivedHeaderSize += len(line)
        if self._receivedHeaderSize > self.totalHeadersSize:
            self._refuse_head(too_long=True)
        elif not self.requests:
            self._request_line(line)
        elif not line:
            self.allHeadersReceived()
            if self._refused:
                return
            if self.length == 0:
                self.allContentReceived()
            else:
                self.setRawMode()
        else:
            # Refuses a line that continues the one before, which servers read differently: it
            # begins with white space, and so with no name.
            self.headerReceived(line)

    def _request_line(self, line: bytes) -> None:
        if not line and not self._empty_line:
            self._empty_line = True
            return
        self._empty_line = False
        matched = REQUEST_LINE.fullmatch(line)
        if matched is None:
            self.refuse(_MALFORMED)
            return
        self._command, self._path, self._version = matched.groups()
        self._begin_request()

    def _begin_request(self) -> "BazaarRequest":
        """Make the request whose first line has come."""
        request: BazaarRequest = self.requestFactory(self, False)
        self.requests.append(request)
        if self.site.access_log is not None:
            request.begin(self._command, self._path, self.site.seconds())
        return request

    def lineLengthExceeded(self, line: bytes) -> None:
        self._refuse_head(too_long=True)

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        """Whether the length of the body, if this header gives it, is accepted.

        RFC 9112, 6.1 and 6.3: a length is digits; the last transfer coding of a request must be
        `chunked`, and HTTP/1.0 has none. Here `chunked` must be the only one. Two such headers,
        and so a length beside `chunked`, which servers read differently, are refused by Twisted's
        method, as it has chosen a decoder already.
        """
        if header == b"Content-Length":
            if len(data) > MAX_LENGTH_DIGITS and data.isdigit():
                self.refuse(self.site.too_large)
                return False
        elif header == b"Transfer-Encoding":
            if data.lower() != b"chunked" or self._version != b"HTTP/1.1":
                self.refuse(_MALFORMED)
                return False
        else:
            return True
        chosen: bool = super()._maybeChooseTransferDecoder(header, data)
        return chosen

    def checkPersistence(self, request: "BazaarRequest", version: bytes) -> bool:
        """Whether another request may follow `request`, by RFC 9112, 9.3: not after `close`; else
        in HTTP/1.1 yes, and in HTTP/1.0 after `keep-alive`. Sets the answer's `Connection` where
        that is not what its version implies, and where the client asked for `close`."""
        given = request.requestHeaders.getRawHeaders(b"Connection")
        if given is None:
            return version == b"HTTP/1.1"
        options = {option.strip().lower() for option in b",".join(given).split(b",")}
        if b"close" in options:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            return False
        if version == b"HTTP/1.1":
            return True
        if b"keep-alive" in options:
            request.responseHeaders.setRawHeaders(b"Connection", [b"keep-alive"])
            return True
        return False

    def _send100Continue(self) -> None:
        if not self._refused:
            super()._send100Continue()

    def allContentReceived(self) -> None:
        if not self._refused:
            now = self.site.seconds()
            self._enter(Phase.WORKING, now)
            self.requests[-1].came_at = now
            super().allContentReceived()

    # Answers

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        # Kept until the body follows, in the same turn: so both leave together, and at once.
        request: BazaarRequest = self.requests[0]
        lines = request.first_head, request.responseHeaders.lines(), request.more_head
        self._head = b"%b %b %b\r\n%b%b%b\r\n" % (version, code, reason, *lines)

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            data = head + data
        write_now(self.transport, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def requestDone(self, request: "BazaarRequest") -> None:
        if self._head:
            self.write(b"")
        del self.requests[0]
        now = self.site.seconds()
        request.answered(now)
        if not self.persistent:
            self.loseConnection()
        elif self._waitingForTransport:
            # Answers would pile up for a client that sends requests and reads nothing.
            self._blocked = True
            self._networkProducer.pauseProducing()
            self._enter(Phase.SENDING)
        else:
            self._next_request(now)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._head:
            self.write(b"")
        self._enter(Phase.STREAMING if self._stream is None else Phase.EVENTS)
        super().registerProducer(producer, streaming)

    def begin_stream(self, stream: "Endless") -> None:
        """The answer to the request under way has no end: it is the last on this connection."""
        self._stream = stream
        self.persistent = 0

    def abort(self) -> None:
        """Close now, whatever the client has not taken."""
        self._abort()

    def resumeProducing(self) -> None:
        blocked, self._blocked = self._blocked, False
        super().resumeProducing()
        if blocked:
            self._next_request()

    def _next_request(self, now: float | None = None) -> None:
        """Take the next request, which may have come already."""
        self._handlingRequest = False
        self._enter(Phase.IDLE, now)
        self._networkProducer.resumeProducing()
        data = b""
        if self._dataBuffer:
            data = b"".join(self._dataBuffer)
            self._dataBuffer = []
        self.setLineMode(data)
        if self._handlingRequest or self._busyReceiving:
            return
        if data and (self._buffer or self.requests):
            self._incomplete(data)
        if self._ended and not self._refused:
            self.loseConnection()

    def refuse(self, refusal: Refusal) -> None:
        """Answer before the request is complete, and discard what the client still sends."""
        if not self._refused:
            # Twisted forgets the command once the request has come whole.
            last = self.requests[-1].method if self.requests else b""
            method = getattr(self, "_command", last)
            self.site.figures.counted(OTHER, method, refusal.code)
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        if self._refused:
            return
        self._refused = True
        body = answers.error(refusal.code, refusal.reason.word, refusal.message)
        # Its head may have come in part.
        request_id = self.requests[-1].request_id if self.requests else self.site.request_ids()
        headers = {
            b"Date": self.site.date(),
            HEADER: request_id.encode("ascii"),
            b"Content-Type": b"application/json",
            b"Content-Length": b"%d" % len(body),
            b"Connection": b"close",
            **refusal.headers,
        }
        if self.site.hsts is not None:
            headers[HSTS_HEADER] = self.site.hsts
        lines = b"".join(b"%b: %b\r\n" % header for header in headers.items())
        head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (refusal.code, phrase(refusal.code), lines)
        self.transport.write(head + body)
        if self.site.access_log is not None:
            now = self.site.seconds()
            self.site.access_log.refused(self, refusal, body, request_id, now)
        self._discard_input()
        if self._ended:
            self.loseConnection()
            return
        # Closing with bytes unread would reset the connection, and the client could lose the
        # answer: so bytes are read and discarded for a moment.
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()
        self._enter(Phase.REFUSED)

    def _discard_input(self) -> None:
        """Take nothing more, neither what is buffered nor what comes."""
        self.dataReceived = _discard  # type: ignore[method-assign]
        self.lineReceived = _discard  # type: ignore[method-assign, assignment]
        self.rawDataReceived = _discard  # type: ignore[method-assign]

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse_head(self._receivedHeaderCount > self.maxHeaders)

    def _refuse_head(self, too_long: bool) -> None:
        if not too_long:
            self.refuse(_MALFORMED)
        elif self.requests:  # the request line has been read
            limits = f"{self.maxHeaders} headers or {self.totalHeadersSize} bytes"
            self.refuse(Refusal(Reason.HEADERS_TOO_LARGE, f"the headers are more than {limits}"))
        else:
            message = f"the path is longer than {self.MAX_LENGTH} bytes"
            self.refuse(Refusal(Reason.PATH_TOO_LONG, message))


def _discard(data: bytes) -> None:
    pass


@lru_cache
def phrase(code: int) -> bytes:
    """The reason phrase of a status; Twisted lacks some."""
    return HTTPStatus(code).phrase.encode("ascii")
