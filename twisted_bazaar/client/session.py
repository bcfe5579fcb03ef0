"""HTTP requests over kept connections, with treq, each bounded as a whole.

A request is sent once, and a call does not fail: `Broken` says what is known of a request without
an answer.
"""

import ssl
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionClosed,
)
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    URI,
    Agent,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from zope.interface import implementer

from ..runtime.http_client import BytesProducer, Endpoints
from ..runtime.reactor import Reactor
from ..security.transport import NothingSent
from ..security.trusting import TrustingEndpoint
from .answers import Answer, Broken
from .requests import Request, authorization

__all__ = ["Body", "Session", "Stream"]

CONNECT_SECONDS = 2
KEEP_SECONDS = 30
"""How long an idle connection is kept: less than a front-end keeps it, so that a request
seldom meets a connection that is just being closed."""

MESSAGE_CHARACTERS = 200

T = TypeVar("T")


class Session:
    """Up to `connections` kept connections to each of any number of servers.

    A session of one connection whose caller awaits each answer before the next request is one
    client with one connection.
    """

    def __init__(
        self,
        reactor: Reactor,
        connections: int,
        api_key: str | None = None,
        trusted: str | None = None,
    ) -> None:
        """`api_key` is sent with each request; None: none is. `trusted` is a file of the
        certificates, PEM, that a server with a URL of HTTPS is known by; None: those that this
        system trusts. Raises OSError if it cannot be read."""
        self._reactor = reactor
        self._headers = authorization(api_key)
        # treq's own pool is global, and keeps two connections to a host.
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = KEEP_SECONDS
        # Whether a request is sent again is for the caller to decide.
        self._pool.retryAutomatically = False
        endpoints = _Endpoints(reactor, trusted)
        agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)
        self._http = HTTPClient(agent, data_to_body_producer=BytesProducer)

    def send(self, url: str, request: Request, seconds: float) -> Deferred[Answer | Broken]:
        """The answer of the server at `url`; `Broken` unless the whole of it came within `seconds`,
        or if this is cancelled. Either closes the connection."""
        return self._bounded(self._send(url, request), seconds)

    def open(
        self, url: str, request: Request, seconds: float
    ) -> "Deferred[Answer | Stream | Broken]":
        """As `send`; but if the status is 200, a `Stream` as soon as the head has come."""
        return self._bounded(self._open(url, request), seconds)

    def close(self) -> Deferred[None]:
        """Close the connections that are idle."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def _bounded(
        self, asking: Coroutine[Deferred[Any], Any, T], seconds: float
    ) -> Deferred[T | Broken]:
        # treq's own timeout ends with the headers; this one covers the body as well.
        call = Deferred.fromCoroutine(asking)
        call.addTimeout(seconds, self._reactor)
        return call.addErrback(_broken)

    async def _send(self, url: str, request: Request) -> Answer:
        return await _whole(await self._ask(url, request))

    async def _open(self, url: str, request: Request) -> "Answer | Stream":
        response = await self._ask(url, request)
        if response.code != 200:
            return await _whole(response)
        stream = Stream(_headers(response))
        response.deliverBody(stream)
        return stream

    async def _ask(self, url: str, request: Request) -> IResponse:
        response: IResponse = await self._http.request(
            request.method,
            url + request.target,
            headers=Headers(
                {name: [value] for name, value in (request.headers | self._headers).items()}
            ),
            data=request.body,
            allow_redirects=False,
            unbuffered=True,
            reactor=cast(Any, self._reactor),
        )
        return response


class _Endpoints(Endpoints):
    """By TLS to URLs of HTTPS."""

    def __init__(self, reactor: Reactor, trusted: str | None) -> None:
        super().__init__(reactor, CONNECT_SECONDS)
        self._context = None if trusted is None else ssl.create_default_context(cafile=trusted)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = super().endpointForURI(uri)
        if uri.scheme != b"https":
            return endpoint
        # Reading whom the system trusts takes a while.
        self._context = self._context or ssl.create_default_context()
        return _Known(TrustingEndpoint(endpoint, uri.host.decode("ascii"), self._context))


@implementer(IStreamClientEndpoint)
class _Known:
    """Is connected once the server is known: what has waited for that in vain was not sent."""

    def __init__(self, endpoint: TrustingEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        connected = self._endpoint.connect(protocolFactory)
        return connected.addCallback(lambda protocol: protocol.transport.opened())


async def _whole(response: IResponse) -> Answer:
    collected = Body()
    response.deliverBody(collected)
    return Answer(response.code, _headers(response), await collected.whole)


def _headers(response: IResponse) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): values[-1].decode("latin-1")
        for name, values in response.headers.getAllRawHeaders()
    }


class Body(Protocol):
    """The body of an answer. Unlike treq's collector and `readBody`, cancelling `whole` closes
    the connection, on which the rest of the body could still come."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._give_up())
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class Stream(Protocol):
    """The body of an answer, as it comes. What has come and is not read yet is one piece: then no
    more is taken from the connection, so that a slow reader slows the server, and holds little."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.head = Answer(200, headers, b"")
        self._piece = b""
        self._over = False
        self._reading: Deferred[bytes] | None = None

    def read(self) -> Deferred[bytes]:
        """The next bytes; none: the stream is over. One call at a time."""
        if self._piece or self._over:
            piece, self._piece = self._piece, b""
            if not self._over:
                self._producer().resumeProducing()
            return succeed(piece)
        self._reading = Deferred(lambda _: setattr(self, "_reading", None))
        return self._reading

    def close(self) -> None:
        """End the stream, and its connection."""
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._reading is not None:
            self._give(data)
            return
        self._piece += data
        self._producer().pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        if self._reading is not None:
            self._give(b"")

    def _producer(self) -> IPushProducer:
        return cast(IPushProducer, self.transport)

    def _give(self, piece: bytes) -> None:
        reading, self._reading = self._reading, None
        assert reading is not None
        reading.callback(piece)


def _broken(failure: Failure) -> Broken:
    """What is known of a request without an answer; any other failure is raised."""
    if failure.check(ConnectingCancelledError):
        return Broken("no connection in time", served=False, late=True)
    if failure.check(ConnectError, RequestNotSent, NothingSent):
        return Broken(f"no connection: {failure.value}", served=False)
    reasons: Sequence[Failure] = getattr(failure.value, "reasons", ())
    if any(each.check(TimeoutError, CancelledError) for each in (failure, *reasons)):
        return Broken("no answer in time", late=True)
    broken = (ResponseFailed, RequestTransmissionFailed, PotentialDataLoss)
    if failure.check(*broken, ConnectionClosed, ConnectionAborted):
        return Broken(f"the connection broke: {failure.value}"[:MESSAGE_CHARACTERS])
    failure.raiseException()
