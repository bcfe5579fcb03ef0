"""Lookups at work: the cache first, then a catalog, then the order leader's ledger.

What to ask whom, and whether an answer may be shown, is decided by `lookups`; this carries it
out.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.quotes import Found, Quote, Shown
from twisted_bazaar.frontend.cache.store import QuoteCache
from twisted_bazaar.frontend.http import answers
from twisted_bazaar.market import Stock
from twisted_bazaar.runtime.reactor import Reactor

from .queue import Call, Lookups, Read
from .whole_market import Question, Whole, WholeMarket

__all__ = ["MarketData"]


T = TypeVar("T")


class Stocks(Protocol):
    def look_up(self, names: Sequence[str] | None, /) -> Deferred[Sequence[Stock]]:
        """Those of the stocks `names` that there are; None: all. Fails with `BazaarError`."""

    def market(self, known: Whole | None, /) -> Deferred[Whole]:
        """Every stock. What is `known` need not come again. Fails with `BazaarError`."""


class MarketData:
    """What clients look up."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        lookups: Lookups,
        whole_market: WholeMarket,
        cache: QuoteCache | None,
        catalogs: Stocks,
        leader: Stocks,
    ) -> None:
        """`cache` is None if `lookups` never asks for one."""
        self._reactor = reactor
        self._seconds = seconds
        self._lookups = lookups
        self._whole_market = whole_market
        self._pause: Any = None
        self._cache = cache
        self._catalogs = catalogs
        self._leader = leader
        self._pumping = False

    def lookup(self, name: str) -> Deferred[Found]:
        """The stock `name`. Fails with `Unavailable`."""
        answer: Deferred[Found] = Deferred()
        try:
            self._lookups.ask(name, answer, self._seconds())
        except Unavailable:
            answer.errback()
            return answer
        if not self._pumping:
            # What comes in the same turn of the reactor goes together.
            self._pumping = True
            self._reactor.callLater(0, self._pump)
        return answer

    def all(self) -> Deferred[bytes]:
        """The body that shows every stock, by name. Fails with `Unavailable`, also if it is
        cancelled."""

        def withdraw(answer: Deferred[bytes]) -> None:
            self._whole_market.withdraw(answer)
            answer.errback(Unavailable("nobody waits for this any more"))

        answer: Deferred[bytes] = Deferred(withdraw)
        try:
            body = self._whole_market.ask(answer, self._seconds())
        except Unavailable:
            answer.errback()
            return answer
        if body is not None:
            answer.callback(body)
        else:
            self._ask_for_all()
        return answer

    def _ask_for_all(self) -> None:
        """Answer those who can be answered, and ask for the others, now or after a pause."""
        market, now = self._whole_market, self._seconds()
        if self._pause is not None and self._pause.active():
            self._pause.cancel()
        if (question := market.take_question(now)) is not None:
            self._start(self._ask_market(question), self._ask_for_all)
        elif (until := market.pause_until) is not None:
            self._pause = self._reactor.callLater(max(0.0, until - now), self._ask_for_all)
        for ticket, answer in market.take_answered():
            _tell(ticket, answer)

    async def _ask_market(self, question: Question) -> None:
        try:
            whole = await self._first_answer(lambda stocks: stocks.market(question.known))
        except Exception:
            self._whole_market.failed(self._error(Failure()), self._seconds())
        else:
            self._whole_market.answered(whole, self._seconds())

    def _pump(self) -> None:
        self._pumping = False
        lookups = self._lookups
        while (read := lookups.take_read()) is not None:
            self._read(read)
        while (call := lookups.take_call()) is not None:
            self._start(self._call(call), self._pump)
        for ticket, answer in lookups.take_answered():
            _tell(ticket, answer)

    def _read(self, read: Read) -> None:
        # Every cached lookup comes by here: callbacks cost less than a coroutine.
        assert self._cache is not None
        found = self._cache.get(read.history, read.names)
        found.addCallback(lambda quotes: self._lookups.read(read, quotes, self._seconds()))
        found.addErrback(self._log_unexpected).addCallback(lambda _: self._pump())

    async def _call(self, call: Call) -> None:
        try:
            stocks = await self._first_answer(lambda stocks: stocks.look_up(call.names))
        except Exception:
            self._lookups.failed(call, self._error(Failure()))
            return
        quotes = {stock.name: Quote(stock.version, answers.stock(stock)) for stock in stocks}
        history = stocks.history if isinstance(stocks, Shown) else ""
        to_keep = self._lookups.answered(call, quotes, self._seconds(), history)
        if to_keep and self._cache is not None:
            self._cache.put(call.history, to_keep)

    async def _first_answer(self, ask: Callable[[Stocks], Deferred[T]]) -> T:
        """A catalog's answer; if no catalog answers, the leader's."""
        try:
            return await ask(self._catalogs)
        except BazaarError:
            pass
        return await ask(self._leader)

    def _start(self, steps: Coroutine[Deferred[Any], Any, None], then: Callable[[], None]) -> None:
        done = Deferred.fromCoroutine(steps)
        done.addErrback(self._log_unexpected).addCallback(lambda _: then())

    def _error(self, failure: Failure) -> BazaarError:
        if isinstance(failure.value, BazaarError):
            return failure.value
        self._log_unexpected(failure)
        return Unavailable("the front-end failed")

    def _log_unexpected(self, failure: Failure) -> None:
        self.log.failure("unexpected error while looking up stocks", failure)


def _tell(ticket: object, answer: Found | bytes | BazaarError) -> None:
    assert isinstance(ticket, Deferred)
    if isinstance(answer, BazaarError):
        ticket.errback(answer)
    else:
        ticket.callback(answer)
