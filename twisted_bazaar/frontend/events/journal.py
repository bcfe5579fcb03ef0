"""What there is to show to readers: recent orders, every stock's quote, and the leader. Pure.

Orders are kept for a while, in order and without a gap. Of quotes and leaders only the last is
kept: a reader that was busy is shown the state, not each change. All of it is encoded already.

A reader is at a `Position`. What it is given next, a *cut*, depends on that and on what it wants
only, and is made once for all readers for which both are the same.
"""

from collections.abc import Sequence

import msgspec

from twisted_bazaar.errors import Unavailable

from .encoding import compressed, leader_event
from .news import News, OrderEvent

__all__ = [
    "MAX_CUT_ORDERS",
    "MAX_CUT_QUOTES",
    "MAX_KEPT_ORDERS",
    "Cut",
    "HistoryChanged",
    "Journal",
    "Position",
    "Wanted",
    "chosen",
]

MAX_KEPT_ORDERS = 16_384
"""How far a reader that has joined may be behind."""
MAX_CUT_ORDERS = 512
MAX_CUT_QUOTES = 1024
"""In one cut: what is written to a connection at once, some 100 KiB."""
_MAX_CUTS = 256
"""Cuts that are kept until there is news."""


class HistoryChanged(Exception):
    """The log of the bazaar is another one than that which readers were shown: it was restored."""


class Wanted(msgspec.Struct, frozen=True):
    """What a reader asked for."""

    orders: bool = True
    quotes: bool = True
    leader: bool = True
    stocks: frozenset[str] | None = None
    """Only orders and quotes of these; None: of all."""

    def includes(self, stock: str) -> bool:
        """Whether orders and quotes of `stock` are shown."""
        return self.stocks is None or stock in self.stocks


class Position(msgspec.Struct, frozen=True):
    """Up to where a reader has been given what it wants."""

    number: int
    """Of the last order."""
    quote: int = 0
    """The count of the last quote; see `Journal`."""
    leader: int = 0
    """The count of the last leader."""


class Cut(msgspec.Struct, frozen=True):
    """What a reader is given next."""

    data: bytes
    """Empty: nothing that it wants."""
    upto: Position
    told: int
    """The highest id in `data`; 0: there is none."""


def chosen(orders: Sequence[OrderEvent], wanted: Wanted) -> list[OrderEvent]:
    """Those of `orders` that are shown."""
    if not wanted.orders:
        return []
    return [order for order in orders if wanted.includes(order.stock)]


class Journal:
    """Begins with the first `News`, after whose last order the live feed goes on."""

    def __init__(self, first: News, kept: int = MAX_KEPT_ORDERS) -> None:
        """At least `kept` orders are kept, if there were as many."""
        self._kept = kept
        self._orders: list[OrderEvent] = []
        self._first = first.last_number + 1
        """The number of the first order in `_orders`."""
        self.number = first.last_number
        """The last order of the live feed."""
        self.version = first.version
        """The entry after which the quotes are."""
        self._digest = first.digest
        self._quotes: dict[str, tuple[int, bytes]] = {}
        """By stock, ascending by count: how many quotes had come with it, and the event."""
        self._quote_count = 0
        self._leader: tuple[int, int] = 0, 0
        self._leader_event = b""
        self._leader_count = 0
        self._cuts: dict[tuple[Position, Wanted, bool], Cut] = {}
        self._take_quotes(first)

    @property
    def stocks(self) -> frozenset[str]:
        """The names of all stocks."""
        return frozenset(self._quotes)

    def take(self, news: News) -> bool:
        """Take in what a replica answered to `number` and `version`. Returns whether that is new.

        Raises `HistoryChanged` if it has another entry `version`, and `Unavailable` if its orders
        do not follow on order `number`: then nothing is taken in, and another replica is to be
        asked.
        """
        if news.before and news.before != self._digest:
            raise HistoryChanged("the order log is another one than before: it was restored")
        for number, order in enumerate(news.orders, self.number + 1):
            if order.number != number:
                raise Unavailable(f"order {order.number} does not follow order {number - 1}")
        if (news.orders or news.version > self.version) and not news.before:
            raise Unavailable("it does not say which log its entries are of")
        is_new = bool(news.orders)
        if news.orders:
            self._orders.extend(news.orders)
            self.number = news.orders[-1].number
            if len(self._orders) > 2 * self._kept:
                surplus = len(self._orders) - self._kept
                del self._orders[:surplus]
                self._first += surplus
        if news.version > self.version:
            is_new = self._take_quotes(news) or is_new
            self.version, self._digest = news.version, news.digest
        if is_new:
            self._cuts.clear()
        return is_new

    def _take_quotes(self, news: News) -> bool:
        for quote in news.quotes:
            self._quote_count += 1
            # What is inserted anew comes last.
            self._quotes.pop(quote.stock, None)
            self._quotes[quote.stock] = self._quote_count, quote.event
        return bool(news.quotes)

    def lead(self, leader: int, term: int) -> bool:
        """Replica `leader` leads in `term`. Returns whether that is new."""
        if (leader, term) == self._leader:
            return False
        self._leader = leader, term
        self._leader_event = leader_event(leader, term)
        self._leader_count += 1
        self._cuts.clear()
        return True

    def holds(self, number: int) -> bool:
        """Whether all orders after `number` that the live feed has shown are kept."""
        return number >= self._first - 1

    def is_behind(self, position: Position) -> bool:
        """Whether there is more to show than up to `position`."""
        return (
            position.number < self.number
            or position.quote < self._quote_count
            or position.leader < self._leader_count
        )

    def cut(self, position: Position, wanted: Wanted, compress: bool = False) -> Cut:
        """What comes after `position`, or the first part of it. `holds(position.number)` must
        be."""
        key = position, wanted, compress
        cut = self._cuts.get(key)
        if cut is None:
            if len(self._cuts) >= _MAX_CUTS:
                self._cuts.clear()
            cut = self._cuts[key] = self._make(position, wanted, compress)
        return cut

    def _make(self, position: Position, wanted: Wanted, compress: bool) -> Cut:
        events: list[bytes] = []
        if wanted.leader and position.leader < self._leader_count:
            events.append(self._leader_event)
        orders: list[OrderEvent] = []
        # A reader may have seen more, at another front-end.
        number = max(position.number, self.number)
        quote = position.quote
        if wanted.orders and position.number < self.number:
            start = position.number + 1 - self._first
            part = self._orders[start : start + MAX_CUT_ORDERS]
            number = part[-1].number
            orders = chosen(part, wanted)
            events += [order.event for order in orders]
        # Quotes come after the orders that changed them.
        if number >= self.number:
            quote, quotes = self._quotes_after(quote)
            if wanted.quotes:
                events += [event for stock, event in quotes if wanted.includes(stock)]
        data = b"".join(events)
        if compress and data:
            data = compressed(data)
        told = orders[-1].number if orders else 0
        return Cut(data, Position(number, quote, self._leader_count), told)

    def _quotes_after(self, count: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        """The quotes after the first `count` in the order in which they came, or the first part of
        them; and the count of the last."""
        found: list[tuple[int, str, bytes]] = []
        for stock, (at, event) in reversed(self._quotes.items()):
            if at <= count:
                break
            found.append((at, stock, event))
        found.reverse()
        part = found[:MAX_CUT_QUOTES]
        upto = self._quote_count if len(part) == len(found) else part[-1][0]
        return upto, [(stock, event) for _, stock, event in part]
