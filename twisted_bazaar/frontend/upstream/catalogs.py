"""The catalogs, as a front-end asks them: whichever answers."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, NotAuthorised, Unavailable
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.frontend.lookups.whole_market import Whole
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Subscription
from twisted_bazaar.timing import Timing

__all__ = ["Catalogs"]

_LOG_SECONDS = 10.0
"""At most one line of log in so many seconds tells of subscriptions that are refused."""

T = TypeVar("T")


class Catalogs:
    """At most one of them holds the leader's lease, and only that one answers.

    One that did not answer is passed over for a moment: where another one can tell, clients
    need not wait for it.
    """

    log = Logger()

    def __init__(
        self, seconds: Callable[[], float], catalogs: Sequence[CatalogClient], timing: Timing
    ) -> None:
        self._seconds = seconds
        self._catalogs = list(catalogs)
        self._pause = self._timeout = timing.election_timeout
        self._patience = timing.deadline / 2
        self._log_again_at = float("-inf")
        self._passed_over_until: dict[CatalogClient, float] = {}

    def look_up(self, names: Sequence[str] | None) -> Deferred[Sequence[Stock]]:
        """Those of the stocks `names` that there are; None: all. Fails with `Unavailable`."""
        now, until = self._seconds(), self._passed_over_until
        catalogs = [catalog for catalog in self._catalogs if until.get(catalog, now) <= now]
        return self._ask(catalogs, lambda catalog: catalog.lookup(names, self._timeout))

    def market(self, known: Whole | None) -> Deferred[Whole]:
        """Every stock. What is `known` need not come again. Fails with `Unavailable`."""
        return self._ask(self._catalogs, lambda catalog: catalog.market(known, self._patience))

    def ready(self) -> Deferred[Sequence[Stock]]:
        """Fires if a catalog can answer, passed over or not. Fails with `Unavailable`."""
        return self._ask(self._catalogs, lambda catalog: catalog.lookup((), self._timeout))

    def subscribe(self, subscription: Subscription) -> Deferred[float]:
        """Have the one that holds a lease tell this front-end of every change, if the answer is
        0; else it keeps this front-end out for so many seconds. Fails with `Unavailable`."""
        return self._ask(self._catalogs, lambda catalog: self._subscribe(catalog, subscription))

    def _subscribe(self, catalog: CatalogClient, subscription: Subscription) -> Deferred[float]:
        def refused(failure: Failure) -> Failure:
            now = self._seconds()
            if failure.check(NotAuthorised) and now >= self._log_again_at:
                self._log_again_at = now + _LOG_SECONDS
                why = failure.getErrorMessage()
                self.log.warn("a catalog refuses this front-end: {why}", why=why)
            return failure

        return catalog.subscribe(subscription, self._timeout).addErrback(refused)

    def _ask(
        self,
        catalogs: Sequence[CatalogClient],
        call: Callable[[CatalogClient], Deferred[T]],
    ) -> Deferred[T]:
        """Ask one after the other; the one that answered is asked first next time."""

        def ask(catalogs: Sequence[CatalogClient]) -> Deferred[T]:
            if not catalogs:
                return fail(Unavailable("no catalog answers"))
            asked = catalogs[0]

            def ask_the_next(failure: Failure) -> Deferred[T]:
                failure.trap(BazaarError)
                self._passed_over_until[asked] = self._seconds() + self._pause
                # Others may have put it last meanwhile, and another first.
                self._catalogs.remove(asked)
                self._catalogs.append(asked)
                return ask(catalogs[1:])

            return call(asked).addErrback(ask_the_next)

        return ask(tuple(catalogs))
