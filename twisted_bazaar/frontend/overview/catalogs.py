"""How the catalogs are, for operators. They are asked when somebody asks, and seldom."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import CatalogClient
from twisted_bazaar.rpc.catalog_status import CatalogStatus

from .parts import Asked, AskedCatalog

__all__ = ["ANSWER_SECONDS", "ASKED_EVERY_SECONDS", "CatalogStatuses"]

ANSWER_SECONDS = 0.5
"""A catalog that takes longer counts as unreachable."""
ASKED_EVERY_SECONDS = 1.0
"""All who ask within this time are given the same answer."""


class CatalogStatuses:
    """The last answers of all catalogs."""

    log = Logger()

    def __init__(
        self,
        seconds: Callable[[], float],
        catalogs: Sequence[CatalogClient],
        leader_index: Callable[[], int],
    ) -> None:
        """`leader_index` returns the last entry of the leader, as far as it is known."""
        self._seconds = seconds
        self._catalogs = catalogs
        self._leader_index = leader_index
        self._asked_at = float("-inf")
        self._known: Asked | None = None
        """The answers to the last question; None: it is not answered yet."""
        self._waiting: list[Deferred[Asked]] = []

    def ask(self) -> Deferred[Asked]:
        """All catalogs, in the order in which they are configured, as they were within the last
        second. Never fails, and fires within `ANSWER_SECONDS`."""
        now = self._seconds()
        if now >= self._asked_at + ASKED_EVERY_SECONDS and not self._waiting:
            self._asked_at, self._known = now, None
            answer: Deferred[Asked] = Deferred()
            self._waiting.append(answer)
            gatherResults([self._ask(each) for each in self._catalogs]).addCallback(self._answered)
            return answer
        if self._known is not None:
            return succeed(self._known)
        answer = Deferred()
        self._waiting.append(answer)
        return answer

    def _ask(self, catalog: CatalogClient) -> Deferred[AskedCatalog]:
        def said(status: CatalogStatus | None) -> AskedCatalog:
            return AskedCatalog(
                address=catalog.address,
                reachable=True,
                status=status,
                leader_index=self._leader_index(),
            )

        def silent(failure: Failure) -> AskedCatalog:
            if not failure.check(BazaarError):
                self.log.failure("unexpected error while a catalog was asked", failure)
            return AskedCatalog(address=catalog.address, reachable=False)

        return catalog.status(ANSWER_SECONDS).addCallbacks(said, silent)

    def _answered(self, known: Asked) -> None:
        self._known = known
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer.callback(known)
