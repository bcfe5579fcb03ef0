"""The first stocks of a market, which its first leader takes from a catalog's file."""

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.market import Listing

from .neighbours import Catalog

__all__ = ["FirstListing"]


class FirstListing:
    """Asks one catalog after the other what its file holds, until one answers."""

    def __init__(
        self,
        reactor: IReactorTime,
        catalogs: Iterable[Catalog],
        wanted: Callable[[], bool],
        came: Callable[[Sequence[Listing] | None], None],
        failed: Callable[[Failure], None],
        pause_seconds: float,
        partition: int = 0,
    ) -> None:
        """`wanted`: whether this replica leads a market without stocks. `came` is called with
        the listing, or with None `pause_seconds` after all catalogs were asked in vain or the
        listing was wanted no longer; `failed` with an unexpected error. The stocks are those that
        are at home in `partition`."""
        self._reactor = reactor
        self._catalogs = catalogs
        self._wanted = wanted
        self._came = came
        self._failed = failed
        self._pause_seconds = pause_seconds
        self._partition = partition
        self._under_way = False

    def begin(self) -> None:
        """Ask the catalogs, unless that is under way."""
        if not self._under_way:
            self._under_way = True
            Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    async def _run(self) -> None:
        stocks = await self._ask()
        if stocks is None:
            await deferLater(self._reactor, self._pause_seconds)
        self._under_way = False
        self._came(stocks)

    async def _ask(self) -> Sequence[Listing] | None:
        for catalog in self._catalogs:
            if not self._wanted():
                break
            try:
                return await catalog.listing(self._partition)
            except BazaarError:
                continue
        return None
