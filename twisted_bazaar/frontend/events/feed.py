"""The feed of one front-end: is told what is new while there are readers, and gives each reader its
turn.

    open      a reader comes; the first one starts the feed
    take      what `Following` was answered by a replica goes into the journal
    _serve    writes to the readers whose turn it is

It stops with the last reader, and keeps nothing then.
"""

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.access import Client
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.positions import Positions
from twisted_bazaar.http.refusals import Reason, Refusal, later, shown
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .asked import Asked, accepts_gzip
from .following import FollowedPartition, Following
from .journal import Journal
from .news import News
from .reader import Reader
from .replay import MAX_PAGES, OrderPages
from .shares import Shares
from .source import PAGE_ORDERS
from .stream import EventStream, set_headers
from .turns import Turns, asking_seconds

__all__ = ["EventFeed"]

_ACCEPTED = b"Accept-Encoding"
_LOOK_SECONDS = 1.0
"""Between two looks at all readers, for those that are too slow, and for heartbeats."""
_REST_SECONDS = 1.0
"""The feed goes on for so long after its last reader."""


class EventFeed(Service):
    """What `EventStream` calls a feed, and the route of `GET /events` opens."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        partitions: Sequence[FollowedPartition],
        timing: Timing,
        max_readers: int,
    ) -> None:
        """There is one partition; `MergedFeed` is for several."""
        self._reactor = reactor
        self._seconds = seconds
        self._partitions = partitions
        self._timing = timing
        self._shares = Shares(max_readers)
        self._pages = [
            OrderPages(each.source.older, PAGE_ORDERS, MAX_PAGES // len(partitions) or 1)
            for each in partitions
        ]
        self._journal: Journal | None = None
        self.orders = 0
        """How many have come up while there were readers."""
        self._opening = 0
        """Requests that wait for their first event."""
        self._lost: Callable[[Client], bool] = lambda client: False
        """Whether a client has lost what it had when its request came."""
        self._turns: Turns[EventStream] = Turns()
        self._following: list[Deferred[None]] = []
        """One for each partition while the feed runs."""
        self._firsts: dict[int, News] = {}
        """By partition: the first news, until those of all have come."""
        self._first_news: list[Deferred[None]] = []
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
        self._take_place(request.caller.name)
        self._opening += 1
        stream = None
        try:
            await self._first_news_came()
            await self._check(asked)
            stream = self._stream(request, asked)
        finally:
            self._opening -= 1
            if stream is None:
                self._shares.left(request.caller.name)
            self._rest()
        if stream is not None:
            self._turns.add(stream)
            stream.begin()
            self._serve_soon()

    def _take_place(self, client: str) -> None:
        """Raises `Refusal` if there is no room for a reader of `client`."""
        if not self._shares.take(client):
            own = self._shares.of(client)
            who = f"{own} readers of client {client}" if client and own else "too many readers"
            message = f"overloaded: {who} are connected; connect again later"
            raise later(Reason.OVERLOADED, message)

    def _stream(self, request: BazaarRequest, asked: Asked) -> EventStream | None:
        """The stream that is to begin now; None: its client has hung up. Raises `Unavailable`."""
        if not self.running or self._journal is None:
            raise Unavailable("this front-end is stopping, or the order log was restored")
        if self._lost(request.caller):
            raise Unavailable("the client was changed while the stream was being opened")
        if not request.has_client:
            return None
        compress = accepts_gzip(request.requestHeaders.getRawHeaders(_ACCEPTED))
        reader = self._reader(asked, compress)
        return EventStream(request, reader, self, self._seconds)

    async def _check(self, asked: Asked) -> None:
        """See that there is what `asked` names. Raises `Refusal`, and `Unavailable`."""
        journal = self.journal
        for stock in sorted(asked.wanted.stocks or ()):
            if not journal.lists(stock):
                message = f"the query parameter stocks names no stock: {shown(stock)}"
                raise Refusal(Reason.INVALID_PARAMETER, message)
        if asked.after is not None:
            await self._check_orders(asked, asked.after)

    async def _check_orders(self, asked: Asked, positions: Positions) -> None:
        """See that the orders are there after which the stream is to begin."""
        [after] = positions
        # What another front-end has shown may be news to this one.
        if after > self.journal.number and await self._partitions[0].orders.get(after) is None:
            message = f"{asked.named} must be the number of an order, or 0; there is no {after} yet"
            raise Refusal(Reason.INVALID_PARAMETER, message)

    def _reader(self, asked: Asked, compress: bool) -> Reader:
        after = self.journal.number if asked.after is None else asked.after[0]
        return Reader(asked.wanted, after, compress, self._seconds())

    def replay(self, reader: Reader) -> Deferred[bytes]:
        return self._pages[0].after(reader.position.number).addCallback(reader.replayed)

    def ended(self, stream: EventStream) -> None:
        self._turns.remove(stream)
        self._shares.left(stream.caller.name)
        self._rest()

    # What is new.

    async def _first_news_came(self) -> None:
        """Start the feed unless it runs. Raises `Unavailable`."""
        if not self._following:
            for number, partition in enumerate(self._partitions):
                following = Following(
                    *(self._reactor, self._seconds, number, partition, self._timing, self),
                    len(self._partitions) > 1,
                )
                run = Deferred.fromCoroutine(following.run())
                self._following.append(run)
                run.addErrback(self._failed)
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

    @property
    def pace(self) -> float:
        return asking_seconds(len(self._turns), len(self._partitions))

    def reached(self, partition: int) -> tuple[int, int] | None:
        return None if self._journal is None else (self._journal.number, self._journal.version)

    def begins(self, partition: int) -> bool:
        return self._journal is None and partition not in self._firsts

    def take(self, partition: int, news: News) -> bool:
        journal = self.journal
        known = journal.number
        if self._taken(partition, news):
            self.orders += journal.number - known
            self._come()
        return bool(news.before)

    def _taken(self, partition: int, news: News) -> bool:
        """Whether the journal has taken in anything new."""
        return self.journal.take(news)

    def _come(self) -> None:
        """There is something new for readers."""
        self._turns.news()
        self._serve_soon()

    def begin(self, partition: int, first: News) -> None:
        self._firsts[partition] = first
        if len(self._firsts) < len(self._partitions):
            return
        self._journal = self._begun([self._firsts[each] for each in range(len(self._partitions))])
        self._firsts.clear()
        for each in range(len(self._partitions)):
            self.led(each)
        came, self._first_news = self._first_news, []
        for waiting in came:
            waiting.callback(None)

    def _begun(self, firsts: Sequence[News]) -> Journal:
        return Journal(firsts[0])

    def led(self, partition: int = 0) -> None:
        """The front-end has heard of the leader of a partition, which may be another one than
        before."""
        leadership, source, _ = self._partitions[partition]
        source.look_at_leader()
        if leadership.leader and self._journal is not None and self._leads(partition, leadership):
            self._come()

    def _leads(self, partition: int, leadership: Leadership) -> bool:
        """Whether that is news for readers."""
        return self.journal.lead(leadership.leader, leadership.term)

    def end_those(self, lost: Callable[[Client], bool]) -> None:
        """End the streams of the clients that have `lost` what they had, also those that are being
        opened."""
        self._lost = lost
        for stream in self._turns.all():
            if lost(stream.caller):
                stream.end()

    def start_again(self, why: str) -> None:
        """Readers were shown another history: each has to begin anew."""
        self.log.warn("all streams of events end: {why}", why=why)
        self._forget()
        self._end_all()

    def _forget(self) -> None:
        self._journal = None
        self._firsts.clear()
        for pages in self._pages:
            pages.forget()

    def _end_all(self) -> None:
        for stream in self._turns.all():
            stream.end()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("unexpected error: all streams of events end", failure)
            self._end_all()
            # The next reader begins with a feed of its own.
            self._stop_following()

    def _stop_following(self) -> None:
        following, self._following = self._following, []
        for each in following:
            each.cancel()
        self._forget()
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
        self._stop_following()
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
