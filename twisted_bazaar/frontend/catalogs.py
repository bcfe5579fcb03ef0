"""The catalogs, as a front-end asks them: whichever answers."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from ..errors import BazaarError, Unavailable
from ..market import Stock
from ..push import Subscription
from ..timing import Timing
from .clients import CatalogClient

__all__ = ["Catalogs"]

T = TypeVar("T")


class Catalogs:
    """At most one of them holds the leader's lease, and only that one answers.

    One that did not answer is passed over for a moment: where another one can tell, clients
    need not wait for it.
    """

    def __init__(
        self, seconds: Callable[[], float], catalogs: Sequence[CatalogClient], timing: Timing
    ) -> None:
        self._seconds = seconds
        self._catalogs = list(catalogs)
        self._pause = self._timeout = timing.election_timeout
        self._passed_over_until: dict[CatalogClient, float] = {}

    def look_up(self, names: Sequence[str] | None) -> Deferred[Sequence[Stock]]:
        """Those of the stocks `names` that there are; None: all. Fails with `Unavailable`."""
        now, until = self._seconds(), self._passed_over_until
        catalogs = [catalog for catalog in self._catalogs if until.get(catalog, now) <= now]
        return self._ask(catalogs, lambda catalog: catalog.lookup(names, self._timeout))

    def ready(self) -> Deferred[Sequence[Stock]]:
        """Every stock, from whichever catalog answers, passed over or not."""
        return self._ask(self._catalogs, lambda catalog: catalog.lookup(None, self._timeout))

    def subscribe(self, subscription: Subscription) -> Deferred[object]:
        """Have the one that holds a lease tell this front-end of every change. Fails with
        `Unavailable`."""
        return self._ask(
            self._catalogs, lambda catalog: catalog.subscribe(subscription, self._timeout)
        )

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
