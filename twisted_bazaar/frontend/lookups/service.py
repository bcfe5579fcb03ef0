"""Lookups at work: the cache first, then a catalog, then the order leader's ledger.

What to ask whom, and whether an answer may be shown, is decided by `lookups`; this carries it
out.
"""

from collections.abc import Callable, Sequence
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
from .whole_market import Whole, WholeMarket

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
            asked = self._from_anybody(lambda stocks: stocks.market(question.known))
            asked.addCallbacks(
                lambda whole: market.answered(whole, self._seconds()),
                lambda failure: market.failed(self._error(failure), self._seconds()),
            )
            asked.addCallback(lambda _: self._ask_for_all())
            asked.addErrback(lambda failure: self.log.failure("a lookup went wrong", failure))
        elif (until := market.pause_until) is not None:
            self._pause = self._reactor.callLater(max(0.0, until - now), self._ask_for_all)
        for ticket, answer in market.take_answered():
            _tell(ticket, answer)

    def _pump(self) -> None:
        self._pumping = False
        lookups = self._lookups
        while (read := lookups.take_read()) is not None:
            self._read(read)
        while (call := lookups.take_call()) is not None:
            self._call(call)
        for ticket, answer in lookups.take_answered():
            _tell(ticket, answer)

    def _read(self, read: Read) -> None:
        assert self._cache is not None
        found = self._cache.get(read.history, read.names)
        found.addCallback(lambda quotes: self._lookups.read(read, quotes, self._seconds()))
        self._go_on(found)

    def _call(self, call: Call) -> None:
        def answered(stocks: Sequence[Stock]) -> None:
            quotes = {stock.name: Quote(stock.version, answers.stock(stock)) for stock in stocks}
            history = stocks.history if isinstance(stocks, Shown) else ""
            to_keep = self._lookups.answered(call, quotes, self._seconds(), history)
            if to_keep and self._cache is not None:
                self._cache.put(call.history, to_keep)

        def failed(failure: Failure) -> None:
            self._lookups.failed(call, self._error(failure))

        asked = self._from_anybody(lambda stocks: stocks.look_up(call.names))
        self._go_on(asked.addCallbacks(answered, failed))

    def _error(self, failure: Failure) -> BazaarError:
        if isinstance(failure.value, BazaarError):
            return failure.value
        self.log.failure("a lookup went wrong", failure)
        return Unavailable("the front-end failed")

    def _go_on(self, done: Deferred[Any]) -> None:
        done.addErrback(lambda failure: self.log.failure("a lookup went wrong", failure))
        done.addCallback(lambda _: self._pump())

    def _from_anybody(self, ask: Callable[[Stocks], Deferred[T]]) -> Deferred[T]:
        """A catalog, and if none answers the leader."""

        def ask_the_leader(failure: Failure) -> Deferred[T]:
            failure.trap(BazaarError)
            return ask(self._leader)

        return ask(self._catalogs).addErrback(ask_the_leader)


def _tell(ticket: object, answer: Found | bytes | BazaarError) -> None:
    assert isinstance(ticket, Deferred)
    if isinstance(answer, BazaarError):
        ticket.errback(answer)
    else:
        ticket.callback(answer)
