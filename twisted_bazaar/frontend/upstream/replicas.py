"""Reads from the order replicas, with fail-over: orders, and stocks when no catalog answers.

Any replica can answer with an order that it knows to be released, since that never changes. Only
the leader can answer that there is no such order, or none after the last, or none with a key. While
no replica leads, a read is repeated until its deadline.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupReply
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.market import Order
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.context import TraceContext

__all__ = ["Replicas"]

T = TypeVar("T")


class Replicas:
    """The order replicas; the leader is asked first."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        timing: Timing,
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._timing = timing

    def get(
        self, number: int, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Order | None]:
        """The order `number`; None: there is none. Fails with `Unavailable`."""
        return self._ask(
            lambda replica, timeout: replica.get_order(number, timeout, request_id, context),
            self._timing.deadline,
        )

    def list(
        self, selection: Selection, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Page]:
        """The first orders of `selection`; it may stop early. Fails with `Unavailable`."""
        return self._ask(
            lambda replica, timeout: replica.list_orders(selection, timeout, request_id, context),
            self._timing.deadline,
        )

    def look_up(self, names: Sequence[str]) -> Deferred[LookupReply]:
        """Those of the stocks `names` that exist, from the leader's ledger. Fails with
        `Unavailable`."""
        return self._ask(
            lambda replica, timeout: replica.look_up(names, timeout), self._lookup_within
        )

    def market(self, known: MarketSnapshot | None) -> Deferred[MarketSnapshot]:
        """Every stock, from the leader's ledger; it may send the changes since `known` only. Fails
        with `Unavailable`."""
        return self._ask(
            lambda replica, timeout: replica.market(known, timeout), self._lookup_within
        )

    @property
    def _lookup_within(self) -> float:
        # A lookup may have waited for as long already, for a call that was sent before it.
        return self._timing.deadline / 2 - self._timing.election_timeout

    def _ask(
        self, call: Callable[[ReplicaClient, float], Deferred[T]], within: float
    ) -> Deferred[T]:
        return Deferred.fromCoroutine(self._ask_in_turn(call, self._seconds() + within))

    async def _ask_in_turn(
        self, call: Callable[[ReplicaClient, float], Deferred[T]], give_up: float
    ) -> T:
        """The first answer: one replica after the other, again and again until `give_up`."""
        while True:
            replicas = self._leadership.by_trust()
            for replica in replicas:
                timeout = min(self._timing.lease, give_up - self._seconds())
                try:
                    return await call(self._replicas[replica], timeout)
                except BazaarError:
                    pause = self._timing.ping if replica == replicas[-1] else 0.0
                if self._seconds() + pause >= give_up:
                    raise Unavailable("no order replica leads, and none knows the answer")
            await deferLater(self._reactor, self._timing.ping)
