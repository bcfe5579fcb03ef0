"""Asks the replicas what is new, and for older orders, with fail-over.

What is released cannot change, so any replica may answer. The leader knows first what is new; older
orders come rather from the logs of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .news import News, OrderEvent

__all__ = ["MAX_NEWS_ORDERS", "PAGE_ORDERS", "WAIT_SECONDS", "NewsSource"]

MAX_NEWS_ORDERS = 1000
"""In one answer."""
PAGE_ORDERS = 256
"""Of older orders, in one answer."""
WAIT_SECONDS = 1.0
"""For how long a replica waits for something new before it answers."""
_ALL = 2**53 - 1
"""A version that no stock has."""
_SILENT: tuple[None, bool] = None, False
"""Of a replica that is not pinged: its status, and whether it answers."""

T = TypeVar("T")


class NewsSource:
    """One question for news is under way at a time."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        leadership: Leadership,
        live: Mapping[int, ReplicaClient],
        older: Mapping[int, ReplicaClient],
        timing: Timing,
    ) -> None:
        """`live` and `older` are clients for the two kinds of questions: neither waits for the
        threads of the other."""
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._live = live
        self._older = older
        self._timing = timing
        self._asked: Deferred[News] | None = None
        self._asked_replica = 0
        self._led_by = 0, 0
        self._moved = False

    async def news(self, after: int, version: int, wait: float, take: Callable[[News], T]) -> T:
        """What `take` makes of the first answer that it accepts. Raises `Unavailable` if there is
        none; what `take` raises, if that is no `Unavailable`, is raised at once."""
        why: BazaarError = Unavailable("no replica is known")
        for replica in self._leadership.by_trust():
            timeout = wait + self._timing.lease
            asked = self._live[replica].watch(after, version, MAX_NEWS_ORDERS, wait, timeout)
            self._asked, self._asked_replica, self._moved = asked, replica, False
            try:
                news = await asked
            except CancelledError:
                if not self._moved:
                    raise
                why = Unavailable("another replica leads")
                break
            except BazaarError as error:
                why = error
                continue
            finally:
                self._asked = None
            try:
                return take(news)
            except Unavailable as error:
                why = error
        raise Unavailable(str(why))

    def look_at_leader(self) -> None:
        """Give up the question under way if another replica is to be asked: another one leads
        now, or the one that was asked does not answer pings."""
        leadership = self._leadership
        led_by = leadership.leader, leadership.term
        changed = led_by != self._led_by and led_by[0] not in (0, self._asked_replica)
        self._led_by = led_by
        statuses = leadership.statuses
        # One that is a member no more does not answer.
        silent = self._asked is not None and not statuses.get(self._asked_replica, _SILENT)[1]
        others_answer = any(reachable for _, reachable in statuses.values())
        if self._asked is not None and (changed or (silent and others_answer)):
            self._moved = True
            self._asked.cancel()

    def older(self, after: int) -> Deferred[Sequence[OrderEvent]]:
        """Up to `PAGE_ORDERS` orders with numbers above `after`, at least one. Fails with
        `Unavailable` if no replica has one that is released."""
        return Deferred.fromCoroutine(self._page(after))

    async def _page(self, after: int) -> Sequence[OrderEvent]:
        give_up = self._seconds() + self._timing.deadline
        while True:
            for replica in self._followers_first():
                timeout = min(self._timing.lease, give_up - self._seconds())
                try:
                    news = await self._older[replica].watch(after, _ALL, PAGE_ORDERS, 0.0, timeout)
                except BazaarError:
                    continue
                if news.orders:
                    return news.orders
            if self._seconds() + self._timing.ping >= give_up:
                raise Unavailable(f"no replica has the orders after {after}")
            await deferLater(self._reactor, self._timing.ping)

    def _followers_first(self) -> list[int]:
        leadership, statuses = self._leadership, self._leadership.statuses
        return sorted(
            leadership.by_trust(),
            key=lambda replica: (
                not statuses[replica][1],
                replica == leadership.leader,
            ),
        )
