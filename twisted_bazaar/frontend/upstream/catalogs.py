"""Calls to the catalogs, with fail-over: the first answer counts."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_bazaar.errors import BazaarError, NotAuthorised, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupReply
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.rpc.push import Subscription
from twisted_bazaar.runtime.seldom import Seldom
from twisted_bazaar.timing import Timing

__all__ = ["Catalogs"]


T = TypeVar("T")


class Catalogs:
    """The catalogs of the bazaar. At most one of them holds the leader's lease and answers.

    One that did not answer is asked last from then on, and not for single stocks for an election
    timeout: clients need not wait for it where another answers.
    """

    log = Logger()

    def __init__(
        self, seconds: Callable[[], float], catalogs: Sequence[CatalogClient], timing: Timing
    ) -> None:
        self._seconds = seconds
        self._catalogs = list(catalogs)
        self._pause = self._timeout = timing.election_timeout
        self._market_timeout = timing.deadline / 2
        self._refusals = Seldom()
        self._passed_over_until: dict[CatalogClient, float] = {}

    def look_up(self, names: Sequence[str]) -> Deferred[LookupReply]:
        """Those of the stocks `names` that exist. Fails with `Unavailable`."""
        now, until = self._seconds(), self._passed_over_until
        catalogs = [catalog for catalog in self._catalogs if until.get(catalog, now) <= now]
        return self._ask(catalogs, lambda catalog: catalog.look_up(names, self._timeout))

    def market(self, known: MarketSnapshot | None) -> Deferred[MarketSnapshot]:
        """Every stock. The catalog may send the changes since `known` only. Fails with
        `Unavailable`."""
        return self._ask(
            self._catalogs, lambda catalog: catalog.market(known, self._market_timeout)
        )

    def ready(self) -> Deferred[LookupReply]:
        """Fires if a catalog answers. Fails with `Unavailable`."""
        return self._ask(self._catalogs, lambda catalog: catalog.look_up((), self._timeout))

    def subscribe(self, subscription: Subscription) -> Deferred[float]:
        """Subscribe this front-end at the catalog that holds the lease. Fires with 0, or with the
        seconds for which that keeps it out. Fails with `Unavailable`."""
        return self._ask(self._catalogs, lambda catalog: self._subscribe(catalog, subscription))

    async def _subscribe(self, catalog: CatalogClient, subscription: Subscription) -> float:
        try:
            return await catalog.subscribe(subscription, self._timeout)
        except NotAuthorised as why:
            if self._refusals.held_back(self._seconds()) is not None:
                self.log.warn("a catalog refuses this front-end: {why}", why=why)
            raise

    def _ask(
        self, catalogs: Sequence[CatalogClient], call: Callable[[CatalogClient], Awaitable[T]]
    ) -> Deferred[T]:
        return Deferred.fromCoroutine(self._ask_in_turn(tuple(catalogs), call))

    async def _ask_in_turn(
        self, catalogs: Sequence[CatalogClient], call: Callable[[CatalogClient], Awaitable[T]]
    ) -> T:
        """The first answer. A catalog that gives none is asked last from now on."""
        for catalog in catalogs:
            try:
                return await call(catalog)
            except BazaarError:
                self._passed_over_until[catalog] = self._seconds() + self._pause
                self._catalogs.remove(catalog)
                self._catalogs.append(catalog)
        raise Unavailable("no catalog answers")
