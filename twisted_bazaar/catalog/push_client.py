# ruff: noqa: N802 - what Twisted calls has a style of its own
"""Pushes on their way to the front-ends: signed, over kept connections, each bounded as a whole.

When to push what, and to whom, is decided elsewhere. Here a push is sent once, and either
answered or not.
"""

import re
from collections.abc import Hashable
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.push import (
    HEAD_HEADER,
    MAX_PUSH_BYTES,
    PATH,
    SIGNATURE_HEADER,
    Push,
    PushReply,
    decode_reply,
    encode,
    head_of,
    sign,
)
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["MAX_REPLY_BYTES", "PushClient"]

CONNECTIONS = 1
"""Kept to each front-end: no more than one push at a time is on its way to it."""
KEEP_SECONDS = 30
"""How long an idle connection is kept: less than a front-end keeps it, so that a push seldom
meets a connection that is just being closed."""
MAX_REPLY_BYTES = 4096
"""Many times what any answer of a front-end has."""

_HOST = re.compile(r"[0-9A-Za-z._:-]+")
_SAID_CHARACTERS = 200


class PushClient(Service):
    """Carries pushes to any number of front-ends."""

    def __init__(self, reactor: Reactor, secret: bytes, timeout: float) -> None:
        """`secret` is the cluster's, which may be empty. A push and its answer may take
        `timeout` seconds, all in all."""
        self._reactor = reactor
        self._secret = secret
        self._timeout = timeout
        self._connections = _Connections(reactor)
        # Bare: treq looks after cookies and compression, and half as much CPU again goes there.
        self._agent: Any = Agent.usingEndpointFactory(
            reactor, _Endpoints(reactor), self._connections
        )
        self._pushes: set[Deferred[PushReply]] = set()

    def push(self, address: str, token: str, push: Push) -> Deferred[PushReply]:
        """POST `push` to the front-end at `address`, HOST:PORT, signed for `token`.

        Fails with `Unavailable`, if only in time, unless the front-end says that it has taken
        the push in; it may have done so all the same.
        """
        if not self.running:
            return fail(Unavailable("this catalog is stopping"))
        pushed = Deferred.fromCoroutine(self._push(address, token, push))
        self._pushes.add(pushed)
        late = self._reactor.callLater(self._timeout, pushed.cancel)
        return pushed.addBoth(self._ended, pushed, late).addErrback(_unavailable, address, late)

    def stopService(self) -> Deferred[None]:
        """Give up what is on its way. Fires when there is no connection any more."""
        super().stopService()
        for pushed in tuple(self._pushes):
            pushed.cancel()
        # In a turn of its own: from within one that is just being lost, its end is not heard of.
        return deferLater(self._reactor, 0).addCallback(lambda _: self._connections.close())

    def _ended(self, result: Any, pushed: Deferred[PushReply], late: Any) -> Any:
        self._pushes.discard(pushed)
        if late.active():
            late.cancel()
        return result

    async def _push(self, address: str, token: str, push: Push) -> PushReply:
        body = encode(push)
        if len(body) > MAX_PUSH_BYTES:
            raise Unavailable(f"it has more than {MAX_PUSH_BYTES} bytes")
        signature = sign(self._secret, token, body)
        head = head_of(self._secret, token, len(body), signature)
        code, answer = await self._post(_url(address), signature, head, body)
        if code != 200:
            raise Unavailable(f"the answer was {code}")
        return decode_reply(answer)

    async def _post(
        self, url: bytes, signature: bytes, head: bytes, body: bytes
    ) -> tuple[int, bytes]:
        headers = Headers(
            {
                SIGNATURE_HEADER: [signature],
                HEAD_HEADER: [head],
                b"Content-Type": [b"application/json"],
            }
        )
        try:
            response = await self._agent.request(b"POST", url, headers, _Sent(body))
            received = _Received()
            response.deliverBody(received)
            return response.code, await received.whole
        except Exception:
            # Twisted would first send what is left to send, to one that may never read it.
            self._connections.abort(url)
            raise


def _url(address: str) -> bytes:
    """Where to send a push. The front-end's word decides on host and port, and nothing else."""
    at = Address.parse(address)
    if not _HOST.fullmatch(at.host):
        raise ValueError("there cannot be such a host")
    return b"http://%b%b" % (str(at).encode("ascii"), PATH)


def _unavailable(failure: Failure, address: str, late: Any) -> NoReturn:
    why: Any = failure.value
    while reasons := getattr(why, "reasons", None):
        why = reasons[-1].value
    if late.called:
        why = "no answer in time"
    elif isinstance(why, CancelledError | ConnectingCancelledError):
        why = "it was given up"
    said = str(why)[:_SAID_CHARACTERS] or type(why).__name__
    raise Unavailable(f"the push to {address[:_SAID_CHARACTERS]!a} failed: {said}") from None


class _Endpoints:
    """Where a URL leads. For an address, unlike Agent's own, this does not wait 0.3 s before it
    says that a connection is refused, in case a name had more addresses."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor

    def endpointForURI(self, uri: URI) -> Any:
        host = uri.host.decode("ascii")
        kind: Any = HostnameEndpoint
        if isIPAddress(host):
            kind = TCP4ClientEndpoint
        elif isIPv6Address(host):
            kind = TCP6ClientEndpoint
        return kind(self._reactor, host, uri.port)


class _Connections(HTTPConnectionPool):
    """A pool that knows the connections in use as well, and can end them."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor, persistent=True)
        self.maxPersistentPerHost = CONNECTIONS
        self.cachedConnectionTimeout = KEEP_SECONDS
        # Whether to push again is for others to decide.
        self.retryAutomatically = False
        self._all: dict[Any, Hashable] = {}

    def getConnection(self, key: Hashable, endpoint: Any) -> Deferred[Any]:
        return super().getConnection(key, endpoint).addCallback(self._got, key)

    def _got(self, connection: Any, key: Hashable) -> Any:
        if connection not in self._all:
            known = self._all.items()
            self._all = {each: to for each, to in known if each.state != "CONNECTION_LOST"}
            self._all[connection] = key
        return connection

    def abort(self, url: bytes) -> None:
        """End all connections by which this URL is reached, at once."""
        uri = URI.fromBytes(url)
        key = (uri.scheme, uri.host, uri.port)
        for connection, to in self._all.items():
            if to == key:
                connection.transport.abortConnection()

    def close(self) -> Deferred[None]:
        """End all connections at once. Fires when they are gone."""
        gone = [self.closeCachedConnections()]
        for connection in self._all:
            gone.append(connection.abort())
            # By itself, it would first send what is left to send.
            connection.transport.abortConnection()
        return gatherResults(gone).addCallback(lambda _: None)


@implementer(IBodyProducer)
class _Sent:
    """The body of a push, sent in one piece. Twisted's own way costs a turn of the reactor."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Received(Protocol):
    """The body of an answer, up to `MAX_REPLY_BYTES`."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._body = b""

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return
        self._body += data
        if len(self._body) > MAX_REPLY_BYTES:
            self.whole.errback(Unavailable(f"the answer has more than {MAX_REPLY_BYTES} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone):
            self.whole.callback(self._body)
        else:
            self.whole.errback(reason)
