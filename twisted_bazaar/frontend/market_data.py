"""Lookups, answered by a catalog: everything asked while a call is under way is one call."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import BazaarError, Unavailable
from ..market import Stock
from ..timing import Timing
from .clients import CatalogClient

__all__ = ["MarketData"]

_MAX_BATCH_NAMES = 256
_CALLS_UNDER_WAY = 2
_CAPACITY = 10_000


class MarketData:
    """The catalogs, of which any may answer."""

    def __init__(self, reactor: Any, catalogs: Sequence[CatalogClient], timing: Timing) -> None:
        self._reactor = reactor
        self._catalogs = list(catalogs)
        self._timeout = timing.lease
        self._asked: list[tuple[str, Deferred[Stock | None]]] = []
        self._calls = 0
        self._pumping = False

    def lookup(self, name: str) -> Deferred[Stock | None]:
        """The stock `name`; None: there is none. Fails with `Unavailable`."""
        answer: Deferred[Stock | None] = Deferred()
        if len(self._asked) >= _CAPACITY:
            answer.errback(Unavailable("too many lookups are waiting"))
            return answer
        self._asked.append((name, answer))
        if not self._pumping:
            # What comes in the same turn of the reactor goes in the same call.
            self._pumping = True
            self._reactor.callLater(0, self._pump)
        return answer

    def all(self) -> Deferred[Sequence[Stock]]:
        """Every stock, by name. Fails with `Unavailable`."""
        return self._ask(lambda catalog: catalog.all(self._timeout))

    def _pump(self) -> None:
        self._pumping = False
        while self._asked and self._calls < _CALLS_UNDER_WAY:
            asked = self._asked[:_MAX_BATCH_NAMES]
            del self._asked[:_MAX_BATCH_NAMES]
            self._calls += 1
            self._look_up(asked)

    def _look_up(self, asked: Sequence[tuple[str, Deferred[Stock | None]]]) -> None:
        names = list({name for name, _ in asked})

        def found(stocks: Sequence[Stock]) -> None:
            by_name = {stock.name: stock for stock in stocks}
            for name, answer in asked:
                answer.callback(by_name.get(name))

        def not_found(failure: Failure) -> None:
            for _, answer in asked:
                answer.errback(failure)

        call = self._ask(lambda catalog: catalog.lookup(names, self._timeout))
        call.addBoth(self._landed)
        call.addCallbacks(found, not_found)

    def _landed(self, result: Any) -> Any:
        self._calls -= 1
        self._pump()
        return result

    def _ask(
        self, call: Callable[[CatalogClient], Deferred[Sequence[Stock]]]
    ) -> Deferred[Sequence[Stock]]:
        """Ask one catalog after the other; the one that answered is asked first next time."""

        def ask(catalogs: Sequence[CatalogClient]) -> Deferred[Sequence[Stock]]:
            def ask_the_next(failure: Failure) -> Deferred[Sequence[Stock]]:
                failure.trap(BazaarError)
                # Others may have put it last meanwhile, and another first.
                self._catalogs.remove(catalogs[0])
                self._catalogs.append(catalogs[0])
                if not catalogs[1:]:
                    raise Unavailable("no catalog answers")
                return ask(catalogs[1:])

            return call(catalogs[0]).addErrback(ask_the_next)

        return ask(tuple(self._catalogs))
