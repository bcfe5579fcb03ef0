"""The orders of several partitions in memory, and the lists that a front-end shows of them."""

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.partitions.lists import MergedLists
from twisted_bazaar.market import Order, Side
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.tracing.context import TraceContext


class Shown(msgspec.Struct, frozen=True):
    """An order, as a client sees it."""

    number: int
    partition: int
    name: str
    time: str


class ShownPage(msgspec.Struct):
    """An answer to `GET /orders`."""

    data: list[Shown]
    next: int | None
    cursor: str
    more: bool


class SomeOrders:
    """The orders of one partition. Its answers are cut short now and then, as those of replicas are
    that have examined many orders."""

    def __init__(self, cuts: Sequence[int] = ()) -> None:
        """`cuts`: how many orders are examined at most, by call, again and again."""
        self.orders: list[Order] = []
        self.calls = 0
        self.read = 0
        """How many orders it has answered with."""
        self.unavailable = False
        self._cuts = cuts

    def add(self, later: int, stock: str, key: str = "") -> None:
        """An order `later` milliseconds after the last."""
        number = len(self.orders) + 1
        at = (self.orders[-1].at_milliseconds if self.orders else 0) + later
        side = Side.BUY if number % 3 else Side.SELL
        self.orders.append(Order(number, stock, side, 1, at, key or f"key-{number}"))

    def get(
        self, number: int, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Order | None]:
        found = self.orders[number - 1] if number <= len(self.orders) else None
        return succeed(found)

    def list(
        self, selection: Selection, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Page]:
        if self.unavailable:
            return fail(Unavailable("no order replica leads"))
        self.calls += 1
        if selection.key:
            found = [order for order in self.orders if order.key == selection.key]
            return succeed(Page(found, 0, ended=True))
        page = self._page(selection)
        self.read += len(page.orders)
        return succeed(page)

    def _page(self, selection: Selection) -> Page:
        beyond = Selection(selection.after, descending=selection.descending)
        orders = [order for order in self.orders if beyond.fits(order)]
        if selection.descending:
            orders.reverse()
        most = self._cuts[self.calls % len(self._cuts)] if self._cuts else len(orders)
        found: list[Order] = []
        at = selection.after
        for examined, order in enumerate(orders):
            if len(found) == selection.limit or examined == most:
                return Page(found, at, ended=False)
            at = order.number
            if selection.fits(order):
                found.append(order)
        if selection.descending:
            at = 1 if orders else max(1, at)
        return Page(found, at, ended=True)


def listed(partitions: Sequence[SomeOrders], query: str) -> ShownPage:
    """What `GET /orders?<query>` shows."""
    bodies: list[bytes] = []
    failures: list[Exception] = []
    page = MergedLists(partitions).page(query.encode())
    page.addCallbacks(bodies.append, lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    return msgspec.json.decode(bodies[0], type=ShownPage)
