"""Carries out lookups: asks the cache, then a catalog, then the order leader's ledger.

`LookupQueue` and `WholeMarketQueue` decide what to ask for and what may be shown.
"""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.figures import CacheFigures
from twisted_bazaar.frontend.cache.quotes import LookupReply, LookupResult, Quote
from twisted_bazaar.frontend.cache.recent import Recent
from twisted_bazaar.frontend.cache.store import QuoteCache
from twisted_bazaar.http import answers
from twisted_bazaar.metrics.figures import Metrics

from .queue import CacheRead, LookupQueue, UpstreamCall
from .whole_market import MarketQuery, MarketSnapshot, WholeMarketQueue

__all__ = ["LookupService", "MarketSource"]

T = TypeVar("T")


class MarketSource(Protocol):
    """The catalogs, or the order leader. Every call fails with a `BazaarError`."""

    def look_up(self, names: Sequence[str], /) -> Deferred[LookupReply]:
        """Those of the stocks `names` that exist."""

    def market(self, known: MarketSnapshot | None, /) -> Deferred[MarketSnapshot]:
        """Every stock. The source may send the changes since `known` only."""


class LookupService:
    """Looks up stocks for clients. `queue` and `whole_market` are its own."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        queue: LookupQueue[Deferred[LookupResult]],
        whole_market: WholeMarketQueue[Deferred[MarketSnapshot]],
        cache: QuoteCache | None,
        catalogs: MarketSource,
        leader: MarketSource,
        recent: Recent,
        figures: CacheFigures | None = None,
    ) -> None:
        """`cache` is None where `queue` has no floors, and so reads from none. `recent` is told of
        each lookup, which counts in `figures`."""
        self._figures = CacheFigures(Metrics()) if figures is None else figures
        self._reactor = reactor
        self._seconds = seconds
        self._recent = recent
        self._queue = queue
        self._whole_market = whole_market
        self._pause: IDelayedCall | None = None
        self._cache = cache
        self._catalogs = catalogs
        self._leader = leader
        self._pumping = False

    # Single stocks.

    def look_up(self, name: str) -> Deferred[LookupResult]:
        """The stock `name`. Fails with `Unavailable`."""
        answer: Deferred[LookupResult] = Deferred()
        self._recent.add(name)
        try:
            self._queue.add(name, answer, self._seconds())
        except Unavailable:
            answer.errback()
            return answer
        if not self._pumping:
            # Lookups of one reactor turn are read from the cache together.
            self._pumping = True
            self._reactor.callLater(0, self._pump)
        return answer

    def _pump(self) -> None:
        self._pumping = False
        queue = self._queue
        while (read := queue.take_read()) is not None:
            self._read(read)
        while (call := queue.take_call()) is not None:
            self._start(self._call(call), self._pump)
        for ticket, result in queue.take_answered():
            self._figures.looked_up(result)
            _fire(ticket, result)

    def _read(self, read: CacheRead[Deferred[LookupResult]]) -> None:
        # Every cached lookup passes here: callbacks cost less than a coroutine.
        assert self._cache is not None
        found = self._cache.get(read.history, read.names)
        found.addCallback(lambda quotes: self._queue.read_done(read, quotes, self._seconds()))
        found.addErrback(self._log_unexpected).addCallback(lambda _: self._pump())

    async def _call(self, call: UpstreamCall[Deferred[LookupResult]]) -> None:
        try:
            reply = await self._first_answer(lambda source: source.look_up(call.names))
        except Exception:
            self._queue.failed(call, self._error(Failure()))
            return
        quotes = {stock.name: Quote(stock.version, answers.stock(stock)) for stock in reply.stocks}
        to_keep = self._queue.answered(call, quotes, self._seconds(), reply.history, reply.held)
        if to_keep and self._cache is not None:
            self._cache.put(call.history, to_keep)

    # The whole market.

    def look_up_all(self) -> Deferred[MarketSnapshot]:
        """Every stock. Fails with `Unavailable`, also when it is cancelled."""

        def withdraw(answer: Deferred[MarketSnapshot]) -> None:
            self._whole_market.withdraw(answer)
            answer.errback(Unavailable("the client has gone"))

        answer: Deferred[MarketSnapshot] = Deferred(withdraw)
        try:
            snapshot = self._whole_market.add(answer, self._seconds())
        except Unavailable:
            answer.errback()
            return answer
        if snapshot is not None:
            answer.callback(snapshot)
        else:
            self._pump_market()
        return answer

    def _pump_market(self) -> None:
        """Answer the clients that can be answered, and query for the others, now or after a
        pause."""
        market, now = self._whole_market, self._seconds()
        if self._pause is not None and self._pause.active():
            self._pause.cancel()
        if (query := market.take_query(now)) is not None:
            self._start(self._query(query), self._pump_market)
        elif (until := market.pause_until) is not None:
            self._pause = self._reactor.callLater(max(0.0, until - now), self._pump_market)
        for ticket, answer in market.take_answered():
            _fire(ticket, answer)

    async def _query(self, query: MarketQuery) -> None:
        try:
            snapshot = await self._first_answer(lambda source: source.market(query.known))
        except Exception:
            self._whole_market.failed(self._error(Failure()), self._seconds())
        else:
            self._whole_market.answered(snapshot, self._seconds())

    # Both.

    async def _first_answer(self, ask: Callable[[MarketSource], Deferred[T]]) -> T:
        """A catalog's answer; if no catalog answers, the leader's."""
        with suppress(BazaarError):
            return await ask(self._catalogs)
        return await ask(self._leader)

    def _start(self, steps: Coroutine[Deferred[Any], Any, None], then: Callable[[], None]) -> None:
        done = Deferred.fromCoroutine(steps)
        done.addErrback(self._log_unexpected).addCallback(lambda _: then())

    def _error(self, failure: Failure) -> BazaarError:
        """What to answer clients after `failure`."""
        if isinstance(failure.value, BazaarError):
            return failure.value
        self._log_unexpected(failure)
        return Unavailable("the front-end failed")

    def _log_unexpected(self, failure: Failure) -> None:
        self.log.failure("unexpected error while looking up stocks", failure)


def _fire(ticket: Deferred[T], answer: T | BazaarError) -> None:
    if isinstance(answer, BazaarError):
        ticket.errback(answer)
    else:
        ticket.callback(answer)
