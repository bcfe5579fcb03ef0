# ruff: noqa: N802 - the methods of a transport have their own style
"""A front-end's internal endpoint, over a subscriber that a test controls."""

import json
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from twisted_bazaar.frontend.cache.invalidation import InvalidationResource, internal_site
from twisted_bazaar.frontend.cache.push_frames import push_frames
from twisted_bazaar.frontend.cache.signed_pushes import SignedPushes
from twisted_bazaar.frontend.operations.resource import MarketOperations
from twisted_bazaar.leases import Stamp
from twisted_bazaar.metrics.figures import Counter
from twisted_bazaar.metrics.resource import MetricsResource
from twisted_bazaar.rpc.push import (
    HEAD_HEADER,
    SIGNATURE_HEADER,
    Push,
    PushReply,
    encode,
    head_of,
    sign,
)

TOKEN = "token-1"
LIFE = 7
PUSH = Push(
    life=LIFE,
    history="c0ffee",
    upto=12,
    floors={"GameStart": 11, "Ünter & Söhne": 12},
    stamp=Stamp(LIFE, 2.5),
    seconds=0.9,
)
REPLY = PushReply(upto=12, stamp=Stamp(LIFE, 3.5))


class FakeSubscriber:
    """Takes in every push of its life."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.taken: list[Push] = []
        self.error: Exception | None = None

    def push(self, push: Push) -> PushReply:
        if self.error is not None:
            raise self.error
        if push.life != LIFE:
            return PushReply(upto=push.upto, stamp=None)
        self.taken.append(push)
        return PushReply(upto=push.upto, stamp=REPLY.stamp)


class Transport(StringTransport):
    """A connection, kept as bytes, that can be half closed as one over TCP can."""

    half_closed = False
    aborting = False

    def abortConnection(self) -> None:
        self.aborting = True

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class InternalEndpoint:
    """The site to serve, and a client of it that needs no network."""

    def __init__(
        self,
        secret: bytes = b"",
        reactor: Any = None,
        frames: bool = False,
        market: MarketOperations | None = None,
        metrics: MetricsResource | None = None,
    ) -> None:
        """`frames`: it takes pushes in frames as well, as `frame_server`, which the test starts.
        `market` and `metrics`: what it serves at /market and /metrics, if anything."""
        self.secret = secret
        self.subscriber = FakeSubscriber()
        self.clock = Clock()
        self.refused = Counter()
        """The pushes that were refused."""
        invalidations = InvalidationResource(
            secret, self.subscriber, self.clock.seconds, market, metrics, self.refused
        )
        timer = reactor or self.clock
        pushes = SignedPushes(secret, self.subscriber)
        self.frame_server = push_frames(pushes, timer, lambda: "ours", Random(1), self.refused)
        self.site = internal_site(
            *(invalidations, timer, self.clock.seconds, lambda: "request-1"),
            self.frame_server.connections if frames else None,
        )

    def signature(self, body: bytes) -> bytes:
        return sign(self.secret, self.subscriber.token, body)

    def post(self, body: bytes, *signatures: bytes, chunk: int = 0) -> bytes:
        """The bytes of a push; without any signature given, it has the right one. The head is
        the right one for the first."""
        signed = signatures or (self.signature(body),)
        lines = [SIGNATURE_HEADER + b": " + each for each in signed]
        head = head_of(self.secret, self.subscriber.token, len(body), signed[0])
        lines.append(HEAD_HEADER + b": " + head)
        return request(b"POST", b"/invalidations", body, *lines, chunk=chunk)

    def connect(self) -> tuple[Any, "Transport"]:
        transport = Transport()
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, sent: bytes) -> "Answer":
        channel, transport = self.connect()
        channel.dataReceived(sent)
        answer = Answer(transport.value())
        channel.connectionLost(Failure(ConnectionDone()))
        return answer

    def take(self, push: Push) -> "Answer":
        return self.ask(self.post(encode(push)))


class Answer:
    """One answer, as bytes."""

    def __init__(self, raw: bytes) -> None:
        head, separator, self.body = raw.partition(b"\r\n\r\n")
        assert separator, f"no answer: {raw!r}"
        status, *lines = head.split(b"\r\n")
        self.code = int(status.split(b" ")[1])
        self.headers = Headers()
        for line in lines:
            name, _, value = line.partition(b":")
            self.headers.addRawHeader(name, value.strip())

    @property
    def message(self) -> str:
        """The message of a failure. Checks the shape that every failure has."""
        assert self.headers.getRawHeaders("content-type") == ["application/json"]
        error = json.loads(self.body)["error"]
        assert error.keys() == {"code", "reason", "message"}
        assert error["code"] == self.code
        assert isinstance(error["message"], str)
        return error["message"]


def request(method: bytes, path: bytes, body: bytes, *lines: bytes, chunk: int = 0) -> bytes:
    """A request; with `chunk` the body goes in chunks of that size, and without its length."""
    if chunk:
        pieces = (body[start : start + chunk] for start in range(0, len(body), chunk))
        length = b"Transfer-Encoding: chunked"
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        length = b"Content-Length: %d" % len(body)
    head = [method + b" " + path + b" HTTP/1.1", b"Host: x", length, *lines, b"", b""]
    return b"\r\n".join(head) + body
