"""Lookups at work: the cache first, then a catalog, then the order leader's ledger.

What to ask whom, and whether an answer may be shown, is decided by `lookups`; this carries it
out.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BazaarError, Unavailable
from ..market import Stock
from . import answers
from .cache import Cache
from .lookups import Call, Lookups, Read
from .quotes import Found, Quote, Shown

__all__ = ["MarketData"]


class Stocks(Protocol):
    def look_up(self, names: Sequence[str] | None, /) -> Deferred[Sequence[Stock]]:
        """Those of the stocks `names` that there are; None: all. Fails with `BazaarError`."""


class MarketData:
    """What clients look up."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        seconds: Callable[[], float],
        lookups: Lookups,
        cache: Cache | None,
        catalogs: Stocks,
        leader: Stocks,
    ) -> None:
        """`cache` is None if `lookups` never asks for one."""
        self._reactor = reactor
        self._seconds = seconds
        self._lookups = lookups
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

    def all(self) -> Deferred[Sequence[Stock]]:
        """Every stock, by name. Fails with `Unavailable`."""
        return self._ask(None)

    def _pump(self) -> None:
        self._pumping = False
        lookups = self._lookups
        while (read := lookups.take_read()) is not None:
            self._read(read)
        while (call := lookups.take_call()) is not None:
            self._call(call)
        for ticket, answer in lookups.take_answered():
            assert isinstance(ticket, Deferred)
            if isinstance(answer, BazaarError):
                ticket.errback(answer)
            else:
                ticket.callback(answer)

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
            error = failure.value
            if not isinstance(error, BazaarError):
                self.log.failure("a lookup went wrong", failure)
                error = Unavailable("the front-end failed")
            self._lookups.failed(call, error)

        self._go_on(self._ask(call.names).addCallbacks(answered, failed))

    def _go_on(self, done: Deferred[Any]) -> None:
        done.addErrback(lambda failure: self.log.failure("a lookup went wrong", failure))
        done.addCallback(lambda _: self._pump())

    def _ask(self, names: Sequence[str] | None) -> Deferred[Sequence[Stock]]:
        def ask_the_leader(failure: Failure) -> Deferred[Sequence[Stock]]:
            failure.trap(BazaarError)
            return self._leader.look_up(names)

        return self._catalogs.look_up(names).addErrback(ask_the_leader)
