"""A proxy between the catalogs and a front-end that loses, delays and repeats pushes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from twisted_bazaar.rpc.push import PATH, SIGNATURE_HEADER
from twisted_bazaar.runtime.address import Address

__all__ = ["PushFault", "PushProxy", "SentPush"]

FORWARD_SECONDS = 5.0


class PushFault(NamedTuple):
    """What happens to a push."""

    after: tuple[float, ...] = (0.0,)
    """A copy reaches the front-end so many seconds after it was sent, for each number."""
    answered: bool = True
    """Whether the answer to the first copy reaches the catalog."""


class SentPush(NamedTuple):
    """A push as it was sent."""

    signature: bytes
    body: bytes


class PushProxy(Resource):
    """Forwards pushes that are sent to `address` to the internal endpoint at `target`."""

    isLeaf = True

    def __init__(self, reactor: Any, target: Address) -> None:
        super().__init__()
        self._reactor = reactor
        self._url = f"http://{target}{PATH.decode()}"
        self._http = HTTPClient(Agent(reactor))
        self._faults: Callable[[], PushFault] = PushFault
        self._port = reactor.listenTCP(0, Site(self), interface="127.0.0.1")
        self.address = Address("127.0.0.1", self._port.getHost().port)
        self.pushes: list[SentPush] = []
        """All pushes that have come."""
        self.gone = 0
        """How many of them their sender gave up before an answer."""

    def stop(self) -> None:
        self._port.stopListening()

    @contextmanager
    def applying(self, faults: Callable[[], PushFault]) -> Iterator[None]:
        """Within, each push has the next of `faults`; afterwards there are no faults."""
        self._faults = faults
        try:
            yield
        finally:
            self._faults = PushFault

    def render_POST(self, request: Request) -> int:
        (signature,) = request.requestHeaders.getRawHeaders(SIGNATURE_HEADER)
        push = SentPush(signature, request.content.read())
        self.pushes.append(push)
        request.notifyFinish().addErrback(self._gave_up)
        fault = self._faults()
        for number, after in enumerate(fault.after):
            answers = fault.answered and number == 0
            done = Deferred.fromCoroutine(self._forward(push, after, request if answers else None))
            # The front-end may be down, or stopping.
            done.addErrback(lambda _: None)
        return NOT_DONE_YET

    async def _forward(self, push: SentPush, after: float, request: Request | None) -> None:
        await deferLater(self._reactor, after)
        code, answer = await self.post(push)
        if request is not None and not request._disconnected:
            request.setResponseCode(code)
            request.write(answer)
            request.finish()

    async def post(self, push: SentPush) -> tuple[int, bytes]:
        """Send `push` to the front-end and return its answer."""
        headers = {SIGNATURE_HEADER: push.signature, b"Content-Type": b"application/json"}
        response = await self._http.post(
            self._url, push.body, headers=headers, timeout=FORWARD_SECONDS, reactor=self._reactor
        )
        return response.code, await response.content()

    def _gave_up(self, _: object) -> None:
        self.gone += 1
