"""HTTP requests over kept connections, with treq, each bounded as a whole.

A request is sent once. What is known of it when its answer does not come is in the exception:
`NotSent` says that it was not served, `NoAnswer` that it may have been.
"""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import msgspec
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
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
    Agent,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from twisted_bazaar.runtime.http_client import BytesProducer, Endpoints
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Body", "NoAnswer", "NotSent", "Reply", "Session"]

CONNECT_SECONDS = 2
KEEP_SECONDS = 30
"""How long an idle connection is kept: less than a front-end keeps it, so that a request
seldom meets a connection that is just being closed."""

MESSAGE_CHARACTERS = 200


class NoAnswer(Exception):
    """No complete answer came within the timeout: the request may have been served."""


class NotSent(NoAnswer):
    """There was no connection to send the request on: it was not served."""


class Reply(msgspec.Struct, frozen=True):
    """A complete answer, of any status."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str | None:
        values = self.headers.getRawHeaders(name)
        return values[-1].decode("latin-1") if values else None


class Session:
    """Up to `connections` kept connections to each of any number of servers.

    A session of one connection whose caller awaits each answer before the next request is one
    client with one connection.
    """

    def __init__(self, reactor: Reactor, connections: int) -> None:
        self._reactor = reactor
        # treq's own pool is global, and keeps two connections to a host.
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = KEEP_SECONDS
        # Whether a request is sent again is for the caller to decide, and to record.
        self._pool.retryAutomatically = False
        agent = Agent.usingEndpointFactory(reactor, Endpoints(reactor, CONNECT_SECONDS), self._pool)
        self._http = HTTPClient(agent, data_to_body_producer=BytesProducer)

    def get(self, url: str, timeout: float) -> Deferred[Reply]:
        """GET. Fails with `NoAnswer` unless the whole answer came within `timeout` seconds, or
        if it is cancelled; either closes the connection."""
        return self._call("GET", url, None, {}, timeout)

    def post(
        self, url: str, body: object, headers: Mapping[str, str], timeout: float
    ) -> Deferred[Reply]:
        """POST `body` as JSON. Fails like `get`."""
        sent = {"Content-Type": "application/json", **headers}
        return self._call("POST", url, msgspec.json.encode(body), sent, timeout)

    def close(self) -> Deferred[None]:
        """Close the connections that are idle."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def _call(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Deferred[Reply]:
        # treq's own timeout ends with the headers; this one covers the body as well.
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
        collected = Body()
        response.deliverBody(collected)
        return Reply(response.code, response.headers, await collected.whole)


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


def _translate(failure: Failure) -> NoReturn:
    """Raise `NotSent` where the request was not served, `NoAnswer` where it may have been."""
    if failure.check(ConnectError, ConnectingCancelledError, RequestNotSent):
        raise NotSent(f"no connection: {failure.value}") from None
    if failure.check(TimeoutError, CancelledError):
        raise NoAnswer("no answer in time") from None
    broken = (ResponseFailed, RequestTransmissionFailed, PotentialDataLoss)
    if failure.check(*broken, ConnectionClosed, ConnectionAborted):
        raise NoAnswer(f"the connection broke: {failure.value}"[:MESSAGE_CHARACTERS]) from None
    failure.raiseException()
