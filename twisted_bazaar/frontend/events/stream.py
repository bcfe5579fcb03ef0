"""Writes to one connection what its reader is given, as fast as the client takes it."""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.http.site import BazaarRequest

from .journal import Journal
from .reader import Reader

__all__ = ["EventStream", "Feed", "set_headers"]


def set_headers(request: BazaarRequest, compress: bool) -> None:
    """The headers of a stream of events."""
    headers = request.responseHeaders
    headers.setRawHeaders(b"Content-Type", [b"text/event-stream"])
    headers.setRawHeaders(b"Cache-Control", [b"no-store"])
    headers.setRawHeaders(b"Vary", [b"Accept-Encoding"])
    if compress:
        headers.setRawHeaders(b"Content-Encoding", [b"gzip"])


class Feed(Protocol):
    """What a stream needs of its front-end's feed."""

    @property
    def journal(self) -> Journal:
        """What there is to show."""

    def replay(self, reader: Reader, /) -> Deferred[bytes]:
        """The next of the orders that `reader` lacks, as it is given them. Fails with
        `Unavailable`."""

    def ended(self, stream: "EventStream", /) -> None:
        """`stream` is over."""


@implementer(IPushProducer)
class EventStream:
    """Never more than a cut, a page or a first part of the quotes is written ahead of the
    client."""

    log = Logger()

    def __init__(
        self, request: BazaarRequest, reader: Reader, feed: Feed, seconds: Callable[[], float]
    ) -> None:
        self.reader = reader
        self.caller = request.caller
        self._request = request
        self._feed = feed
        self._seconds = seconds
        self._over = False
        self._paused = False
        self._more = False
        """Whether the reader's turn is not over: what it is given does not fit at once."""
        self._greeted = False
        """Whether it has been given the first quotes."""
        self._replaying = False
        self._resumed: Deferred[None] | None = None

    def begin(self) -> None:
        """Write the head of the answer; what follows comes with the first turn."""
        set_headers(self._request, self.reader.compress)
        self._request.begin_stream(self)
        self._write(self.reader.greeting())

    def turn(self) -> None:
        """Write what has come up."""
        self._more = True
        self._go_on()

    def _go_on(self) -> None:
        while self._more and not (self._paused or self._over or self._replaying):
            data = self._next()
            if data:
                self._write(data)
            else:
                self._more = self._replaying

    def _next(self) -> bytes:
        """What to write next; empty: nothing, or nothing before orders from the log have come."""
        reader, journal = self.reader, self._feed.journal
        if not self._greeted:
            data = reader.first_quotes(journal)
            if data:
                return data
            self._greeted = True
        if reader.too_slow(journal, self._seconds()):
            self.end()
            return b""
        if reader.lacks(journal):
            self._replaying = True
            replayed = Deferred.fromCoroutine(self._replay())
            replayed.addCallbacks(self._replayed, self._failed)
            return b""
        return reader.next(journal)

    async def _replay(self) -> None:
        """Give the reader what it lacks, page by page: the next one is read once it has taken the
        last."""
        reader = self.reader
        while not self._over and reader.lacks(self._feed.journal):
            data = await self._feed.replay(reader)
            if not self._over:
                self._write(data)
            if self._paused and not self._over:
                self._resumed = Deferred()
                await self._resumed

    def _replayed(self, _: None) -> None:
        self._replaying = False
        self._more = True
        self._go_on()

    def _failed(self, failure: Failure) -> None:
        self._replaying = False
        if not failure.check(Unavailable):
            self.log.failure("unexpected error in a stream of events, which ends", failure)
        self.end()

    def _write(self, data: bytes) -> None:
        if data:
            self.reader.written(self._seconds())
            self._request.write(data)

    def look_after(self) -> bool:
        """End the stream if the client is too slow; else see that it knows that the stream is
        alive. Returns whether anything was written."""
        now = self._seconds()
        if self.reader.too_slow(self._feed.journal, now):
            self.end()
            return False
        data = b"" if self._paused else self.reader.heartbeat(now)
        self._write(data)
        return bool(data)

    def end(self) -> None:
        """End the answer. A client that does not take what was written before is cut off."""
        if self._over:
            return
        paused = self._paused
        self._stop()
        if paused:
            self._request.abort()
        else:
            self._request.end_stream()

    def _stop(self) -> None:
        self._over = True
        self._feed.ended(self)
        self._wake()

    def _wake(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    # What the connection says.

    def pauseProducing(self) -> None:
        self._paused = True
        self.reader.blocked(self._seconds())

    def resumeProducing(self) -> None:
        self._paused = False
        self.reader.took()
        self._wake()
        self._go_on()

    def stopProducing(self) -> None:
        """The client has hung up, or was cut off."""
        if not self._over:
            self._stop()
