"""Someone between the catalogs and a front-end, who does to pushes what a bad network does."""

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

__all__ = ["Fate", "Meddler", "Seen"]

FORWARD_SECONDS = 5.0


class Fate(NamedTuple):
    """What becomes of a push."""

    after: tuple[float, ...] = (0.0,)
    """Copies of it reach the front-end so many seconds after it was sent."""
    answered: bool = True
    """Whether the answer to the first copy reaches the catalog."""


class Seen(NamedTuple):
    """A push as it was sent."""

    signature: bytes
    body: bytes


class Meddler(Resource):
    """Stands in front of the internal endpoint at `target`; `address` is where to send pushes."""

    isLeaf = True

    def __init__(self, reactor: Any, target: Address) -> None:
        super().__init__()
        self._reactor = reactor
        self._url = f"http://{target}{PATH.decode()}"
        self._http = HTTPClient(Agent(reactor))
        self._fates: Callable[[], Fate] = Fate
        self._port = reactor.listenTCP(0, Site(self), interface="127.0.0.1")
        self.address = Address("127.0.0.1", self._port.getHost().port)
        self.seen: list[Seen] = []
        """All that ever came."""
        self.gone = 0
        """How many of them had no answer when their sender gave up."""

    def stop(self) -> None:
        self._port.stopListening()

    @contextmanager
    def meddling(self, fates: Callable[[], Fate]) -> Iterator[None]:
        """Each push has the next of `fates`; afterwards all goes well again."""
        self._fates = fates
        try:
            yield
        finally:
            self._fates = Fate

    def render_POST(self, request: Request) -> int:
        (signature,) = request.requestHeaders.getRawHeaders(SIGNATURE_HEADER)
        push = Seen(signature, request.content.read())
        self.seen.append(push)
        request.notifyFinish().addErrback(self._gave_up)
        fate = self._fates()
        for number, after in enumerate(fate.after):
            answers = fate.answered and number == 0
            done = Deferred.fromCoroutine(self._forward(push, after, request if answers else None))
            # The front-end may be down, or going.
            done.addErrback(lambda _: None)
        return NOT_DONE_YET

    async def _forward(self, push: Seen, after: float, request: Request | None) -> None:
        await deferLater(self._reactor, after)
        code, answer = await self.post(push)
        if request is not None and not request._disconnected:
            request.setResponseCode(code)
            request.write(answer)
            request.finish()

    async def post(self, push: Seen) -> tuple[int, bytes]:
        """Bring `push` to the front-end; what it says to that."""
        headers = {SIGNATURE_HEADER: push.signature, b"Content-Type": b"application/json"}
        response = await self._http.post(
            self._url, push.body, headers=headers, timeout=FORWARD_SECONDS, reactor=self._reactor
        )
        return response.code, await response.content()

    def _gave_up(self, _: object) -> None:
        self.gone += 1
