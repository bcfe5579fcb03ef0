"""Looks up stocks where the market has several partitions."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupResult
from twisted_bazaar.frontend.lookups.service import LookupService
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.runtime.reactor import Reactor

from .markets import MergedMarket
from .whereabouts import Whereabouts

__all__ = ["LookupRouter"]


class LookupRouter:
    """Stands before one `LookupService` for each partition."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        services: Sequence[LookupService],
        whereabouts: Whereabouts,
        within: float,
        pause: float,
    ) -> None:
        """`services` are those of the partitions, by number. A stock that is being moved is waited
        for, up to `within` seconds; it is asked for again after `pause` seconds."""
        self._reactor = reactor
        self._seconds = seconds
        self._services = services
        self._whereabouts = whereabouts
        self._placements = whereabouts.placements
        self._within = within
        self._pause = pause
        self._market = MergedMarket()

    def look_up(self, name: str) -> Deferred[LookupResult]:
        """The stock `name`. Fails with `Unavailable`."""
        partition = self._placements.of(name)
        return self._services[partition].look_up(name).addCallback(self._found, name, partition)

    def _found(
        self, result: LookupResult, name: str, partition: int
    ) -> LookupResult | Deferred[LookupResult]:
        if result.quote is not None:
            return result
        return Deferred.fromCoroutine(self._follow(result, name, partition))

    async def _follow(self, result: LookupResult, name: str, partition: int) -> LookupResult:
        """The stock `name` from where it is, as `partition` has answered that it has not got it."""
        give_up = self._seconds() + self._within
        while result.quote is None:
            found = await self._whereabouts.after(name, partition, give_up)
            if found is None:
                break
            partition = found
            result = await self._services[partition].look_up(name)
        return result

    def look_up_all(self) -> Deferred[MarketSnapshot]:
        """Every stock of every partition. Fails with `Unavailable`, also when it is cancelled."""
        return Deferred.fromCoroutine(self._all()).addErrback(_first)

    async def _all(self) -> MarketSnapshot:
        give_up = self._seconds() + self._within
        while True:
            asked = [service.look_up_all() for service in self._services]
            markets = await gatherResults(asked, consumeErrors=True)
            whole = self._market.of(markets)
            if whole is not None and not await self._is_moving(give_up):
                return whole
            if self._seconds() + self._pause >= give_up:
                raise Unavailable("a stock is being moved to another partition")
            await deferLater(self._reactor, self._pause)

    async def _is_moving(self, give_up: float) -> bool:
        """Whether a stock that was shown before is on its way between two partitions, and so in
        none of those that answered."""
        for name, partition in self._market.missing():
            if await self._whereabouts.after(name, partition, give_up) is not None:
                return True
            self._market.forget(name)
        return False


def _first(failure: Failure) -> Failure:
    """The failure of the first partition that failed."""
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
