"""Sends a large answer piece by piece, as fast as the client takes it; and what sends one without
end."""

from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

if TYPE_CHECKING:
    from .site import BazaarRequest

__all__ = ["PIECE_BYTES", "BodyProducer", "Endless"]

PIECE_BYTES = 128 * 1024
"""What is written to the connection at once: more would be copied for each slow client."""
_LEAST_BYTES_PER_SECOND = 32 * 1024
_LEAST_SECONDS = 10.0
"""The connection is aborted if the client takes fewer bytes a second on average, the first seconds
aside."""


class Endless(Protocol):
    """Writes an answer without end, as a push producer does: see `BazaarRequest.begin_stream`."""

    def end(self) -> None:
        """End the answer now, as the site is to stop."""

    def pauseProducing(self) -> None:
        """The client does not take what was written."""

    def resumeProducing(self) -> None:
        """It has taken it."""

    def stopProducing(self) -> None:
        """The connection is lost."""


@implementer(IPushProducer)
class BodyProducer:
    """Sends `body` as the body of `request`, and finishes it."""

    def __init__(self, reactor: IReactorTime, request: "BazaarRequest", body: bytes) -> None:
        self._request = request
        self._body = body
        self._sent = 0
        self._paused = False
        seconds = _LEAST_SECONDS + len(body) / _LEAST_BYTES_PER_SECOND
        self._late = reactor.callLater(seconds, self._give_up)
        request.notifyFinish().addErrback(lambda _: self.stopProducing())
        request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self._late.active():
            piece = self._body[self._sent : self._sent + PIECE_BYTES]
            self._sent += len(piece)
            self._request.write(piece)
            if self._sent >= len(self._body) and self._late.active():
                self._late.cancel()
                self._request.unregisterProducer()
                self._request.finish()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        """The client has hung up."""
        if self._late.active():
            self._late.cancel()

    def _give_up(self) -> None:
        cast(Any, self._request.channel).transport.abortConnection()
