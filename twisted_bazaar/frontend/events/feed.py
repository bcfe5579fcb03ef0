"""The feed of one front-end: asks the replicas what is new while there are readers, and gives each
reader its turn.

    open      a reader comes; the first one starts the feed
    _follow   asks a replica, takes the answer into the journal, and asks again
    _serve    writes to the readers whose turn it is

It stops with the last reader, and keeps nothing then.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.http.refusals import Reason, Refusal, later, shown
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Order
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .asked import Asked, accepts_gzip
from .journal import HistoryChanged, Journal
from .news import News
from .reader import Reader
from .replay import OrderPages
from .source import PAGE_ORDERS, WAIT_SECONDS, NewsSource
from .stream import EventStream, set_headers
from .turns import Turns, asking_seconds

__all__ = ["EventFeed"]

_ACCEPTED = b"Accept-Encoding"
_LOOK_SECONDS = 1.0
"""Between two looks at all readers, for those that are too slow, and for heartbeats."""
_REST_SECONDS = 1.0
"""The feed goes on for so long after its last reader."""
_BEHIND_SECONDS = 2.0
"""After so long without a replica that knows what readers were shown, the leader is asked whether
it ever was."""


class _Orders(Protocol):
    """Where single orders are read."""

    def get(self, number: int, /) -> Deferred[Order | None]:
        """The order `number`, or None if the leader says so. Fails with `Unavailable`."""


class EventFeed(Service):
    """What `EventStream` calls a feed, and the route of `GET /events` opens."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        leadership: Leadership,
        source: NewsSource,
        orders: _Orders,
        timing: Timing,
        max_readers: int,
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._source = source
        self._orders = orders
        self._timing = timing
        self._max_readers = max_readers
        self.pages = OrderPages(source.older, PAGE_ORDERS)
        self._journal: Journal | None = None
        self.orders = 0
        """How many have come up while there were readers."""
        self._opening = 0
        """Requests that wait for their first event."""
        self._turns: Turns[EventStream] = Turns()
        self._following: Deferred[None] | None = None
        self._first_news: list[Deferred[None]] = []
        self._known_at = 0.0
        """When a replica last knew what readers were shown."""
        self._logged = False
        self._serving: IDelayedCall | None = None
        self._resting: IDelayedCall | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._turns)

    @property
    def journal(self) -> Journal:
        """What there is to show; there is one while there are readers."""
        assert self._journal is not None
        return self._journal

    # Readers come and go.

    def open(self, request: BazaarRequest, asked: Asked) -> Deferred[None]:
        """Begin the answer to `request`, which goes on after the Deferred has fired. Fails with a
        `Refusal`, and with `Unavailable` if no replica answers."""
        if request.method == b"HEAD":
            set_headers(request, accepts_gzip(request.requestHeaders.getRawHeaders(_ACCEPTED)))
            request.respond_without_body()
            return succeed(None)
        return Deferred.fromCoroutine(self._open(request, asked))

    async def _open(self, request: BazaarRequest, asked: Asked) -> None:
        if len(self._turns) + self._opening >= self._max_readers:
            message = f"overloaded: {self._max_readers} readers are connected; connect again later"
            raise later(Reason.OVERLOADED, message)
        self._opening += 1
        try:
            await self._first_news_came()
            after = await self._begin_after(asked)
        finally:
            self._opening -= 1
            self._rest()
        if not self.running or self._journal is None:
            raise Unavailable("this front-end is stopping, or the order log was restored")
        if request.has_client:
            compress = accepts_gzip(request.requestHeaders.getRawHeaders(_ACCEPTED))
            reader = Reader(asked.wanted, after, compress, self._seconds())
            stream = EventStream(request, reader, self, self._seconds)
            self._turns.add(stream)
            stream.begin()
            self._serve_soon()
        self._rest()

    async def _begin_after(self, asked: Asked) -> int:
        """The number of the order after which `asked` begins. Raises `Refusal`."""
        journal = self.journal
        for stock in sorted(asked.wanted.stocks or ()):
            if not journal.lists(stock):
                message = f"the query parameter stocks names no stock: {shown(stock)}"
                raise Refusal(Reason.INVALID_PARAMETER, message)
        after = asked.after
        if after is None:
            return journal.number
        # What another front-end has shown may be news to this one.
        if after > journal.number and await self._orders.get(after) is None:
            message = f"{asked.named} must be the number of an order, or 0; there is no {after} yet"
            raise Refusal(Reason.INVALID_PARAMETER, message)
        return after

    def ended(self, stream: EventStream) -> None:
        self._turns.remove(stream)
        self._rest()

    # What is new.

    async def _first_news_came(self) -> None:
        """Start the feed unless it runs. Raises `Unavailable`."""
        if self._following is None:
            self._known_at = self._seconds()
            self._following = Deferred.fromCoroutine(self._follow())
            self._following.addErrback(self._failed)
            self._looking.start(_LOOK_SECONDS, now=False)
        if self._journal is None:
            came: Deferred[None] = Deferred()
            self._first_news.append(came)
            late = self._reactor.callLater(self._timing.deadline, self._no_news, came)
            try:
                await came
            finally:
                if late.active():
                    late.cancel()

    def _no_news(self, came: Deferred[None]) -> None:
        self._first_news.remove(came)
        came.errback(Unavailable("no order replica answers"))

    async def _follow(self) -> None:
        while True:
            began = self._seconds()
            try:
                await self._ask()
                self._logged = False
            except HistoryChanged as why:
                self._start_again(str(why))
            except BazaarError as why:
                self._log_once(str(why))
                await deferLater(self._reactor, self._timing.ping)
            pause = asking_seconds(len(self._turns)) - (self._seconds() - began)
            if pause > 0:
                await deferLater(self._reactor, pause)

    async def _ask(self) -> None:
        journal = self._journal
        if journal is None:
            first = await self._source.news(2**53 - 1, 0, 0.0, Journal)
            self._begin(first)
            return
        number, version = journal.number, journal.version
        is_known = await self._source.news(number, version, WAIT_SECONDS, self._take)
        if is_known:
            self._known_at = self._seconds()
        elif self._seconds() - self._known_at > _BEHIND_SECONDS:
            if number and await self._orders.get(number) is None:
                raise HistoryChanged(f"there is no order {number} any more: the log was restored")
            self._known_at = self._seconds()

    def _take(self, news: News) -> bool:
        """Take in an answer; returns whether its replica knows what readers were shown."""
        journal = self.journal
        known = journal.number
        if journal.take(news):
            self.orders += journal.number - known
            self._turns.news()
            self._serve_soon()
        return bool(news.before)

    def _begin(self, journal: Journal) -> None:
        self._journal = journal
        self._known_at = self._seconds()
        self.led()
        came, self._first_news = self._first_news, []
        for each in came:
            each.callback(None)

    def led(self) -> None:
        """The front-end has heard of its leader, which may be another one than before."""
        self._source.look_at_leader()
        leader, term = self._leadership.leader, self._leadership.term
        if leader and self._journal is not None and self._journal.lead(leader, term):
            self._turns.news()
            self._serve_soon()

    def _start_again(self, why: str) -> None:
        """Readers were shown another history: each has to begin anew."""
        self.log.warn("all streams of events end: {why}", why=why)
        self.pages.forget()
        self._end_all()
        self._journal = None

    def _end_all(self) -> None:
        for stream in self._turns.all():
            stream.end()

    def _log_once(self, why: str) -> None:
        if not self._logged:
            self._logged = True
            self.log.info("no replica says what is new: {why}", why=why)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("unexpected error: all streams of events end", failure)
            self._following = None
            self._end_all()
            # The next reader begins with a feed of its own.
            self._journal = None
            if self._looking.running:
                self._looking.stop()

    def _rest(self) -> None:
        """Stop the feed in a moment if there are no readers by then."""
        # Not now: a reader may have ended while the feed's own coroutine runs.
        if self._resting is None:
            self._resting = self._reactor.callLater(_REST_SECONDS, self._stop_feed)

    def _stop_feed(self) -> None:
        if self._resting is not None and self._resting.active():
            self._resting.cancel()
        self._resting = None
        if len(self._turns) or self._opening:
            return
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
        self._journal = None
        self.pages.forget()
        if self._looking.running:
            self._looking.stop()
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None

    def stopService(self) -> None:
        super().stopService()
        self._end_all()
        for came in [*self._first_news]:
            self._no_news(came)
        self._stop_feed()

    # Turns.

    def _serve_soon(self) -> None:
        if self._serving is None:
            self._serve()

    def _serve(self) -> None:
        self._serving = None
        for stream in self._turns.due(self._seconds()):
            stream.turn()
        wait = self._turns.wait
        if wait is not None and self._serving is None:
            self._serving = self._reactor.callLater(wait, self._serve)

    def _look(self) -> None:
        most = 16 + len(self._turns) // 8
        for stream in self._turns.all():
            most -= stream.look_after()
            if not most:
                # The others have theirs a second later: many writes at once hold up trades.
                break
