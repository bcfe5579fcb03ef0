"""Asks the replicas of one partition what is new, again and again, while a feed has readers."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.market import Order
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .journal import HistoryChanged
from .news import News
from .source import WAIT_SECONDS, NewsSource

__all__ = ["FollowedPartition", "Following", "Told"]

_BEHIND_SECONDS = 2.0
"""After so long without a replica that knows what readers were shown, the leader is asked whether
it ever was."""


class _Orders(Protocol):
    """Where single orders are read."""

    def get(self, number: int, /) -> Deferred[Order | None]:
        """The order `number`, or None if the leader says so. Fails with `Unavailable`."""


class FollowedPartition(NamedTuple):
    """What a feed needs of one partition. Numbers are those within it."""

    leadership: Leadership
    source: NewsSource
    orders: _Orders


class Told(Protocol):
    """The feed, which is told what is new in its partitions."""

    def reached(self, partition: int, /) -> tuple[int, int] | None:
        """The last order and the last entry that readers can be shown; None: there is no journal
        yet."""

    def begins(self, partition: int, /) -> bool:
        """Whether the journal waits for the first news of `partition`."""

    def begin(self, partition: int, first: News, /) -> None:
        """The first news of `partition`."""

    def take(self, partition: int, news: News, /) -> bool:
        """Take in an answer; returns whether its replica knows what readers were shown. Raises
        `Unavailable` for one that does not follow, and `HistoryChanged`."""

    def start_again(self, why: str, /) -> None:
        """Readers were shown another history."""

    @property
    def pace(self) -> float:
        """Seconds between two questions at least."""


class Following:
    """Of one partition."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        number: int,
        partition: FollowedPartition,
        timing: Timing,
        told: Told,
        is_one_of_several: bool = False,
    ) -> None:
        """`number` is that of the partition."""
        self._is_one_of_several = is_one_of_several
        self._reactor = reactor
        self._seconds = seconds
        self._number = number
        self._source = partition.source
        self._orders = partition.orders
        self._timing = timing
        self._told = told
        self._known_at = 0.0
        """When a replica last knew what readers were shown."""
        self._logged = False

    async def run(self) -> None:
        """Ask until this is cancelled."""
        self._known_at = self._seconds()
        while True:
            began = self._seconds()
            try:
                await self._ask()
                self._logged = False
            except HistoryChanged as why:
                self._told.start_again(str(why))
            except BazaarError as why:
                self._log_once(str(why))
                await deferLater(self._reactor, self._timing.ping)
            pause = self._told.pace - (self._seconds() - began)
            if pause > 0:
                await deferLater(self._reactor, pause)

    async def _ask(self) -> None:
        reached = self._told.reached(self._number)
        if reached is None:
            await self._ask_first()
            return

        def take(news: News) -> bool:
            if self._told.reached(self._number) != reached:
                raise Unavailable("another partition was restored meanwhile")
            return self._told.take(self._number, news)

        number, version = reached
        is_known = await self._source.news(number, version, WAIT_SECONDS, take)
        if is_known:
            self._known_at = self._seconds()
        elif self._seconds() - self._known_at > _BEHIND_SECONDS:
            if number and await self._orders.get(number) is None:
                raise HistoryChanged(f"there is no order {number} any more: the log was restored")
            self._known_at = self._seconds()

    async def _ask_first(self) -> None:
        if self._told.begins(self._number):
            first = await self._source.news(2**53 - 1, 0, 0.0, lambda news: news)
            self._known_at = self._seconds()
            self._told.begin(self._number, first)
        else:
            # The first news of other partitions have not come yet.
            await deferLater(self._reactor, self._timing.ping)

    def _log_once(self, why: str) -> None:
        if not self._logged:
            self._logged = True
            of = f" in partition {self._number}" if self._is_one_of_several else ""
            self.log.info("no replica says what is new{of}: {why}", of=of, why=why)
