"""What the routes call: a part of the front-end, or, where the market is cut into partitions, what
stands before one such part for each partition. Order numbers are those that clients see.
"""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from twisted_bazaar.access import ANONYMOUS, Client
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.cache.quotes import LookupResult
from twisted_bazaar.frontend.events.asked import Asked
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.http.answers import ReplicaReport
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Judged, Order, Placed, Trade
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.status.report import ClusterStatus
from twisted_bazaar.tracing.context import TraceContext

__all__ = [
    "Events",
    "Lookups",
    "OrderLists",
    "Orders",
    "Overviews",
    "Reporting",
    "SingleOrders",
    "Trading",
]


class Trading(Protocol):
    """Places trades: `TradeService`."""

    def place(
        self,
        trade: Trade,
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[Placed | Judged]: ...

    def place_together(
        self,
        trades: Sequence[Trade],
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[list[Placed | Judged | BazaarError]]: ...


class Lookups(Protocol):
    """Looks up stocks: `LookupService`."""

    def look_up(self, name: str, /) -> Deferred[LookupResult]: ...

    def look_up_all(self) -> Deferred[MarketSnapshot]: ...


class SingleOrders(Protocol):
    """Reads single orders: `Replicas`."""

    def get(
        self, number: int, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Order | None]: ...


class Orders(SingleOrders, Protocol):
    """Reads orders of one partition: `Replicas`."""

    def list(
        self, selection: Selection, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Page]: ...


class OrderLists(Protocol):
    """Lists orders: `OneList`."""

    def page(
        self,
        query: bytes,
        request_id: str = "",
        context: TraceContext | None = None,
        caller: Client = ANONYMOUS,
    ) -> Deferred[bytes]: ...


class Events(Protocol):
    """Streams of events: `EventFeed`."""

    def open(self, request: BazaarRequest, asked: Asked, /) -> Deferred[None]: ...


class Reporting(Protocol):
    """How the replicas are, and whether clients can be served: `Reports`."""

    def report(self) -> Deferred[Sequence[ReplicaReport]]: ...

    def readiness(self) -> Deferred[str | None]: ...


class Overviews(Protocol):
    """How the whole bazaar is: `Overview`."""

    def status(self) -> Deferred[ClusterStatus]: ...
