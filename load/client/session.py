"""HTTP calls as a client makes them: over kept connections, each bounded as a whole."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import msgspec
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionClosed,
)
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

from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["NoAnswer", "NotSent", "Reply", "Session"]

CONNECT_SECONDS = 2
KEEP_SECONDS = 30
"""How long an idle connection is kept: less than a front-end keeps it, so that a request
seldom meets a connection that is just being closed."""

MESSAGE_CHARACTERS = 200


class NoAnswer(Exception):
    """The answer never came, or not in time, or broke off: the request may have been served."""


class NotSent(NoAnswer):
    """There was not even a connection: the request was certainly not served."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str | None:
        values = self.headers.getRawHeaders(name)
        return values[-1].decode("latin-1") if values else None

    def json(self) -> Any:
        """The body, decoded. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


class _Endpoints:
    """Where a URL leads. For an address, unlike `Agent` by itself, this does not wait 0.3 s
    before it says that a connection is refused, in case a name had more addresses."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor

    def endpointForURI(self, uri: URI) -> TCP4ClientEndpoint | HostnameEndpoint:
        host = uri.host.decode("ascii")
        if isIPAddress(host):
            return TCP4ClientEndpoint(self._reactor, host, uri.port, CONNECT_SECONDS)
        return HostnameEndpoint(self._reactor, host, uri.port, CONNECT_SECONDS)


class Session:
    """Connections to any number of front-ends, up to `connections` to each."""

    def __init__(self, reactor: Reactor, connections: int) -> None:
        self._reactor = reactor
        # treq would share a pool that keeps two connections to a host.
        self._pool: Any = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = KEEP_SECONDS
        # Whether a request is sent again is for its sender to decide, and to record.
        self._pool.retryAutomatically = False
        endpoints: Any = _Endpoints(reactor)
        agent: Any = Agent.usingEndpointFactory(reactor, endpoints, pool=self._pool)
        self._http = HTTPClient(agent)

    def get(self, url: str, timeout: float) -> Deferred[Reply]:
        """GET. Fails with `NoAnswer` if there is no answer within `timeout` seconds."""
        return self._call("GET", url, None, {}, timeout)

    def post(
        self, url: str, body: object, headers: Mapping[str, str], timeout: float
    ) -> Deferred[Reply]:
        """POST `body` as JSON. Fails like `get`."""
        sent = {"Content-Type": "application/json", **headers}
        return self._call("POST", url, msgspec.json.encode(body), sent, timeout)

    def close(self) -> Deferred[None]:
        """Close the connections that are not in use."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def _call(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Deferred[Reply]:
        # treq's own timeout ends with the headers; this one covers the body, too.
        call = Deferred.fromCoroutine(self._ask(method, url, body, headers))
        call.addTimeout(timeout, self._reactor)
        return call.addErrback(_translate)

    async def _ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        response = await self._http.request(
            method,
            url,
            headers=Headers({name: [value] for name, value in headers.items()}),
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=cast(Any, self._reactor),
        )
        collected = _Body()
        response.deliverBody(collected)
        return Reply(response.code, response.headers, await collected.whole)


class _Body(Protocol):
    """The body of an answer. Unlike treq's and `readBody`, giving up waiting for the `whole`
    ends the connection, on which the rest of it could still come."""

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
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


def _translate(failure: Failure) -> NoReturn:
    """Tell apart what may have been served from what was certainly not."""
    if failure.check(ConnectError, ConnectingCancelledError, RequestNotSent):
        raise NotSent(f"no connection: {failure.value}") from None
    if failure.check(defer.TimeoutError, defer.CancelledError):
        raise NoAnswer("no answer in time") from None
    broken = (ResponseFailed, RequestTransmissionFailed, PotentialDataLoss)
    if failure.check(*broken, ConnectionClosed, ConnectionAborted):
        raise NoAnswer(f"the connection broke: {failure.value}"[:MESSAGE_CHARACTERS]) from None
    failure.raiseException()
