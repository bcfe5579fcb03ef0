# ruff: noqa: N802 - what Twisted calls has a style of its own
"""Sends pushes to front-ends: signed, on kept connections, each within a timeout.

They go in frames (`push_frames`) to a front-end that has said that it takes them, and over HTTP to
one of an earlier release, or through a proxy that has no frames. A push is sent once: whether to
send it again is up to the caller.
"""

import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.frames.channel import NotFrames
from twisted_bazaar.rpc.push import (
    HEAD_HEADER,
    MAX_PUSH_BYTES,
    MAX_REPLY_BYTES,
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
from twisted_bazaar.runtime.http_client import BytesProducer, Endpoints
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.security.contexts import Certificates
from twisted_bazaar.security.roles import Kind, Role

from .push_frames import PushFrames

__all__ = ["MAX_REPLY_BYTES", "PushClient"]

CONNECTIONS = 1
"""Kept to each front-end: at most one push at a time is on its way to it."""
KEEP_SECONDS = 30
"""How long an idle connection is kept: shorter than a front-end keeps it, so that a push is seldom
sent on a connection that is being closed."""

T = TypeVar("T")

_HOST = re.compile(r"[0-9A-Za-z._:-]+")
_MAX_MESSAGE_CHARACTERS = 200


class PushClient(Service):
    """Sends pushes to any number of front-ends."""

    def __init__(
        self,
        reactor: Reactor,
        secret: bytes,
        timeout: float,
        frames: PushFrames | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """`secret` is the cluster's; empty: none. A push and its answer may take `timeout` seconds
        together. Without `frames`, all go over HTTP. None of `certificates`: in plain text."""
        self._reactor = reactor
        self._secret = secret
        self._timeout = timeout
        self._frames = frames
        self._connections = _Connections(reactor)
        # A bare Agent: treq adds cookies and compression for half as much CPU again.
        endpoints = _Endpoints(reactor, certificates)
        self._agent = Agent.usingEndpointFactory(reactor, endpoints, self._connections)
        self._pushes: set[Deferred[PushReply]] = set()

    def startService(self) -> None:
        super().startService()
        if self._frames is not None:
            self._frames.startService()

    def push(
        self, address: str, token: str, push: Push, takes_frames: bool = False
    ) -> Deferred[PushReply]:
        """Send `push` to the front-end at `address`, HOST:PORT, signed for `token`.
        `takes_frames`: as it says in its subscription.

        Fails with `Unavailable`, within the timeout, unless the front-end answers that it has taken
        the push in. It may have taken it in all the same.
        """
        if not self.running:
            return fail(Unavailable("this catalog is stopping"))
        try:
            at = _parse(address)
            body = encode(push)
            if len(body) > MAX_PUSH_BYTES:
                raise ValueError(f"it has more than {MAX_PUSH_BYTES} bytes")
        except ValueError:
            return fail(Failure()).addErrback(_unavailable, address)
        signed = _Signed(at, token, body, sign(self._secret, token, body))
        if takes_frames and self._frames is not None:
            until = self._reactor.seconds() + self._timeout
            answer = self._frames.push(at, token, body, signed.signature, self._timeout)
            pushed = answer.addCallback(decode_reply).addErrback(self._by_http, signed, until)
        else:
            pushed = self._post(signed, self._timeout)
        return pushed.addErrback(_unavailable, address)

    def _by_http(self, failure: Failure, signed: "_Signed", until: float) -> Deferred[PushReply]:
        failure.trap(NotFrames)
        return self._post(signed, max(0.0, until - self._reactor.seconds()))

    def _post(self, signed: "_Signed", timeout: float) -> Deferred[PushReply]:
        pushed = Deferred.fromCoroutine(self._push(signed))
        self._pushes.add(pushed)
        pushed.addTimeout(timeout, self._reactor, _timed_out)
        return pushed.addBoth(self._ended, pushed)

    def stopService(self) -> Deferred[None]:
        """Cancel the pushes on their way. Fires when all connections have ended."""
        super().stopService()
        ended = [] if self._frames is None else [self._frames.stopService()]
        for pushed in tuple(self._pushes):
            pushed.cancel()
        # In the next turn: a connection that is being lost in this one would not report its end.
        closing = deferLater(self._reactor, 0).addCallback(lambda _: self._connections.close())
        return gatherResults([*ended, closing]).addCallback(lambda _: None)

    def _ended(self, result: T, pushed: Deferred[PushReply]) -> T:
        self._pushes.discard(pushed)
        return result

    async def _push(self, signed: "_Signed") -> PushReply:
        head = head_of(self._secret, signed.token, len(signed.body), signed.signature)
        url = b"http://%b%b" % (str(signed.address).encode("ascii"), PATH)
        code, answer = await self._ask(url, signed.signature, head, signed.body)
        if code != 200:
            raise Unavailable(f"the answer was {code}")
        return decode_reply(answer)

    async def _ask(
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
            response = await self._agent.request(b"POST", url, headers, BytesProducer(body))
            received = _ResponseBody()
            response.deliverBody(received)
            return response.code, await received.whole
        except Exception:
            # Twisted would first send the rest of the body, which the peer may never read.
            self._connections.abort(url)
            raise


@attrs.frozen
class _Signed:
    """A push as it is sent."""

    address: Address
    token: str
    body: bytes
    signature: bytes


@lru_cache(maxsize=1024)
def _parse(address: str) -> Address:
    """Where to send a push: of `address`, which the front-end chose, only host and port count."""
    at = Address.parse(address)
    if not _HOST.fullmatch(at.host):
        raise ValueError("there cannot be such a host")
    return at


def _timed_out(result: T | Failure, timeout: float) -> T:
    if isinstance(result, Failure):
        raise TimeoutError("no answer in time")
    return result


def _unavailable(failure: Failure, address: str) -> NoReturn:
    why: Any = failure.value
    while reasons := getattr(why, "reasons", None):
        why = reasons[-1].value
    if isinstance(why, CancelledError | ConnectingCancelledError):
        why = "it was given up"
    text = str(why)[:_MAX_MESSAGE_CHARACTERS] or type(why).__name__
    address = ascii(address[:_MAX_MESSAGE_CHARACTERS])
    raise Unavailable(f"the push to {address} failed: {text}") from None


class _Endpoints(Endpoints):
    """Those of front-ends. TLS is below HTTP, so that the scheme of all URLs is `http`."""

    def __init__(self, reactor: Reactor, certificates: Certificates | None) -> None:
        super().__init__(reactor)
        self._certificates = certificates

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = super().endpointForURI(uri)
        if self._certificates is None:
            return endpoint
        return self._certificates.client(endpoint, Role(Kind.FRONTEND))


class _Connections(HTTPConnectionPool):
    """A pool that also knows the connections in use, and can abort them."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(reactor, persistent=True)
        self.maxPersistentPerHost = CONNECTIONS
        self.cachedConnectionTimeout = KEEP_SECONDS
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
        """Abort all connections to this URL's host and port."""
        uri = URI.fromBytes(url)
        key = (uri.scheme, uri.host, uri.port)
        for connection, to in self._all.items():
            if to == key:
                connection.transport.abortConnection()

    def close(self) -> Deferred[None]:
        """Abort all connections. Fires when they have ended."""
        gone = [self.closeCachedConnections()]
        for connection in self._all:
            gone.append(connection.abort())
            # Twisted's own would first send the rest of a body.
            connection.transport.abortConnection()
        return gatherResults(gone).addCallback(lambda _: None)


class _ResponseBody(Protocol):
    """Collects the body of an answer, up to `MAX_REPLY_BYTES`."""

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
