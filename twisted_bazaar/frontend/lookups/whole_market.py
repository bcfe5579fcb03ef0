"""Coalesces requests for the whole market (`GET /stocks`) into one query at a time. Pure.

The answer to a query is for the clients that came before it was sent. Clients that came since get
it, too, if it still holds when it comes: the lease is alive, and no floor is above the entry that
it is as of. On the same condition it is kept and shown again; afterwards it still saves fetching
the stocks that have not changed since.

A large market costs its catalog and this front-end much more than a lookup does. So after each
answer there is a pause in proportion to its cost, in which lookups and trades are served.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.http import answers
from twisted_bazaar.market import Stock

__all__ = ["MarketQuery", "MarketSnapshot", "WholeMarketQueue"]

_BYTES_PER_SECOND = 50_000_000
"""The rate of bodies that the pauses allow; encoding is many times faster."""
_BYTES_PER_STOCK = 1000
"""What a stock fetched from a catalog costs, as a number of encoded bytes."""

T = TypeVar("T")
"""A ticket: what the caller knows a client by."""


class MarketSnapshot(msgspec.Struct, frozen=True, eq=False):
    """The market after one entry of a log. Made on a thread, shown on the reactor's."""

    history: str
    """Names the log; empty: log and entry are unknown."""
    upto: int
    """The index of that entry."""
    shown: Mapping[str, bytes]
    """Each stock as a body shows it, by name and in that order."""
    body: bytes
    fresh: int
    """How many of the stocks were fetched for this snapshot."""

    @classmethod
    def of(cls, stocks: Sequence[Stock], history: str, upto: int) -> "MarketSnapshot":
        """The market that consists of `stocks`."""
        shown = {each.name: answers.shown_stock(each) for each in sorted(stocks, key=_name)}
        return cls(history, upto, shown, answers.joined(shown.values()), len(shown))

    def changed(self, stocks: Sequence[Stock], upto: int) -> "MarketSnapshot":
        """The market after entry `upto`, where `stocks` are those that changed since this one."""
        shown = {**self.shown, **{each.name: answers.shown_stock(each) for each in stocks}}
        if len(shown) > len(self.shown):
            shown = dict(sorted(shown.items()))
        body = answers.joined(shown.values()) if stocks else self.body
        return MarketSnapshot(self.history, upto, shown, body, len(stocks))

    @property
    def cost(self) -> float:
        """Seconds to pause after it was fetched."""
        return (len(self.body) + _BYTES_PER_STOCK * self.fresh) / _BYTES_PER_SECOND


def _name(stock: Stock) -> str:
    return stock.name


class MarketQuery(msgspec.Struct, frozen=True, eq=False):
    """Ask a catalog, or the leader, for the whole market."""

    known: MarketSnapshot | None
    """The answer may give the changes since this one only."""


class WholeMarketQueue(Generic[T]):
    """The clients that wait for the whole market; `LookupService` does what it decides. Times are
    seconds on the front-end's clock."""

    def __init__(self, floors: Floors | None, capacity: int = 10_000) -> None:
        """Without `floors` no snapshot is shown again. `capacity` bounds the waiting clients."""
        self._floors = floors
        self._capacity = capacity
        self._known: MarketSnapshot | None = None
        self._asked: dict[T, None] = {}
        """Those that came before the query under way was sent: any answer is true for them."""
        self._waiting: dict[T, None] = {}
        self._query: MarketQuery | None = None
        self._not_before = float("-inf")
        self._answered: list[tuple[T, MarketSnapshot | BazaarError]] = []

    def add(self, ticket: T, now: float) -> MarketSnapshot | None:
        """Take in a client. Returns the market if it is at hand; None: the ticket is among
        `take_answered` later. Raises `Unavailable` at capacity."""
        if self._known is not None and self._may_show(self._known, now):
            return self._known
        if len(self._asked) + len(self._waiting) >= self._capacity:
            raise Unavailable("too many wait for the whole market")
        self._waiting[ticket] = None
        return None

    def withdraw(self, ticket: T) -> None:
        """The client has gone."""
        self._asked.pop(ticket, None)
        self._waiting.pop(ticket, None)

    def take_query(self, now: float) -> MarketQuery | None:
        """The query to send now. Each must be followed by `answered` or `failed`."""
        if self._query is not None or not self._waiting or now < self._not_before:
            return None
        self._asked, self._waiting = self._waiting, {}
        self._query = MarketQuery(self._known)
        return self._query

    @property
    def pause_until(self) -> float | None:
        """When to call `take_query` next; None: not before another call changes that."""
        return self._not_before if self._waiting and self._query is None else None

    def answered(self, snapshot: MarketSnapshot, now: float) -> None:
        """The query under way was answered."""
        self._query = None
        self._not_before = now + snapshot.cost
        if snapshot.history and snapshot.upto:
            self._known = snapshot
        self._answered += ((ticket, snapshot) for ticket in self._asked)
        self._asked = {}
        if self._may_show(snapshot, now):
            self._answered += ((ticket, snapshot) for ticket in self._waiting)
            self._waiting = {}

    def failed(self, error: BazaarError, now: float) -> None:
        """The query under way was not answered."""
        self._query = None
        self._not_before = now
        self._answered += ((ticket, error) for ticket in self._asked)
        self._asked = {}

    def take_answered(self) -> Sequence[tuple[T, MarketSnapshot | BazaarError]]:
        """The clients answered since the last call, with their tickets."""
        answered, self._answered = self._answered, []
        return answered

    def _may_show(self, snapshot: MarketSnapshot, now: float) -> bool:
        """Whether `snapshot` is as new as all that any client may have been shown."""
        floors = self._floors
        return floors is not None and floors.current(snapshot.history, snapshot.upto, now)
