"""What there is to show to readers: recent orders, every stock's quote, and the leader. Pure.

Orders are kept for a while, in order and without a gap. Of quotes and leaders only the last is
kept: a reader that was busy is shown the state, not each change. All of it is encoded already.

A reader is at a `Position`. What it is given next, a *cut*, depends on that and on what it wants
only, and is made once for all readers for which both are the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from twisted_bazaar.errors import Unavailable

from .encoding import compressed, leader_event
from .news import EVERYONE, News, OrderEvent, QuoteEvent

__all__ = [
    "MAX_CUT_BYTES",
    "MAX_CUT_QUOTES",
    "MAX_KEPT_ORDERS",
    "MAX_PART_ORDERS",
    "Cut",
    "HistoryChanged",
    "Journal",
    "Position",
    "Wanted",
    "check_that_it_follows",
    "chosen",
]

MAX_KEPT_ORDERS = 16_384
"""How far a reader that has joined may be behind."""
MAX_CUT_BYTES = 128 * 1024
"""Orders in one cut, that is, in one write to a connection; the last part may go beyond."""
MAX_PART_ORDERS = 512
MAX_CUT_QUOTES = 1024
_MAX_CUTS = 256
"""Cuts that are kept until there is news."""
_MAX_PARTS = 64
"""Parts of orders that are kept."""


class HistoryChanged(Exception):
    """The log of the bazaar is another one than that which readers were shown: it was restored."""


class Wanted(msgspec.Struct, frozen=True):
    """What a reader asked for."""

    orders: bool = True
    quotes: bool = True
    leader: bool = True
    stocks: frozenset[str] | None = None
    """Only orders and quotes of these; None: of all."""
    sees: str = ""
    """The client whose orders are shown with who placed them, or `EVERYONE`; empty: none."""

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


class _Part(msgspec.Struct, frozen=True):
    """Orders that came together."""

    data: bytes
    upto: int
    """The number of the last."""
    told: int
    """The number of the last that is shown; 0: none is."""


def _shown(events: Sequence[bytes], compress: bool) -> bytes:
    data = b"".join(events)
    return compressed(data) if compress and data else data


def chosen(orders: Sequence[OrderEvent], wanted: Wanted) -> list[OrderEvent]:
    """Those of `orders` that are shown."""
    if not wanted.orders:
        return []
    return [order for order in orders if wanted.includes(order.stock)]


def check_that_it_follows(news: News, number: int, version: int, digest: str) -> None:
    """Whether `news` goes on after order `number` and entry `version`, which has `digest`. Raises
    `HistoryChanged` if it is of another log, and `Unavailable` if its orders do not follow."""
    if news.before and news.before != digest:
        raise HistoryChanged("the order log is another one than before: it was restored")
    for expected, order in enumerate(news.orders, number + 1):
        if order.number != expected:
            raise Unavailable(f"order {order.number} does not follow order {expected - 1}")
    if (news.orders or news.version > version) and not news.before:
        raise Unavailable("it does not say which log its entries are of")


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
        self._leading: dict[int | None, tuple[int, int]] = {}
        self._leaders: dict[int | None, tuple[int, bytes]] = {}
        """As `_quotes`, by partition."""
        self._leader_count = 0
        self._ends: list[int] = []
        """Ascending: the number of the last order of each part, as they came."""
        self._parts: dict[tuple[int, Wanted, bool], _Part] = {}
        self._cuts: dict[tuple[Position, Wanted, bool], Cut] = {}
        self._take_quotes(first.quotes)

    def lists(self, stock: str) -> bool:
        """Whether a stock has this name."""
        return stock in self._quotes

    def take(self, news: News) -> bool:
        """Take in what a replica answered to `number` and `version`. Returns whether that is new.

        Raises `HistoryChanged` if it has another entry `version`, and `Unavailable` if its orders
        do not follow on order `number`: then nothing is taken in, and another replica is to be
        asked.
        """
        check_that_it_follows(news, self.number, self.version, self._digest)
        is_new = self._take_orders(news.orders)
        if news.version > self.version:
            is_new = self._take_quotes(news.quotes) or is_new
            self.version, self._digest = news.version, news.digest
        if is_new:
            self._cuts.clear()
        return is_new

    def _take_orders(self, orders: Sequence[OrderEvent]) -> bool:
        if not orders:
            return False
        self._orders.extend(orders)
        begin, self.number = self.number, orders[-1].number
        self._ends += [*range(begin + MAX_PART_ORDERS, self.number, MAX_PART_ORDERS)]
        self._ends.append(self.number)
        if len(self._orders) > 2 * self._kept:
            surplus = len(self._orders) - self._kept
            del self._orders[:surplus]
            self._first += surplus
            del self._ends[: bisect_left(self._ends, self._first)]
        return True

    def _take_quotes(self, quotes: Sequence[QuoteEvent]) -> bool:
        for quote in quotes:
            self._quote_count += 1
            # What is inserted anew comes last.
            self._quotes.pop(quote.stock, None)
            self._quotes[quote.stock] = self._quote_count, quote.event
        return bool(quotes)

    def lead(self, leader: int, term: int, partition: int | None = None) -> bool:
        """Replica `leader` leads in `term`, `partition` if there are several. Returns whether that
        is new."""
        if self._leading.get(partition) == (leader, term):
            return False
        self._leading[partition] = leader, term
        self._leader_count += 1
        # What is inserted anew comes last.
        self._leaders.pop(partition, None)
        event = leader_event(leader, term, partition)
        self._leaders[partition] = self._leader_count, event
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
        if wanted.sees:
            wanted = self._seeing(position.number, wanted)
        key = position, wanted, compress
        cut = self._cuts.get(key)
        if cut is None:
            if len(self._cuts) >= _MAX_CUTS:
                self._cuts.clear()
            cut = self._cuts[key] = self._make(position, wanted, compress)
        return cut

    def _seeing(self, number: int, wanted: Wanted) -> Wanted:
        """`wanted`, as of a reader that sees nothing more than others if none of the orders after
        `number` is its own: such readers share what is encoded."""
        after = self._orders[max(0, number + 1 - self._first) :]
        if wanted.sees == EVERYONE or any(order.client == wanted.sees for order in after):
            return wanted
        return msgspec.structs.replace(wanted, sees="")

    def _make(self, position: Position, wanted: Wanted, compress: bool) -> Cut:
        events: list[bytes] = []
        if wanted.leader and position.leader < self._leader_count:
            events += [event for at, event in self._leaders.values() if at > position.leader]
        number, told, size = position.number, 0, 0
        written: list[bytes] = []
        while wanted.orders and number < self.number and size < MAX_CUT_BYTES:
            part = self._part(number, wanted, compress)
            written.append(part.data)
            size += len(part.data)
            number, told = part.upto, part.told or told
        if not wanted.orders:
            number = max(number, self.number)
        quote = position.quote
        # Quotes come after the orders that changed them.
        quotes: list[bytes] = []
        if number >= self.number:
            quote, fresh = self._quotes_after(quote)
            if wanted.quotes:
                quotes = [event for stock, event in fresh if wanted.includes(stock)]
        data = b"".join([_shown(events, compress), *written, _shown(quotes, compress)])
        return Cut(data, Position(number, quote, self._leader_count), told)

    def _part(self, number: int, wanted: Wanted, compress: bool) -> "_Part":
        """The orders after `number` up to the end of a part. Parts are encoded once, for readers
        that come to them at different times."""
        key = number, wanted, compress
        part = self._parts.get(key)
        if part is None:
            end = self._ends[bisect_right(self._ends, number)]
            orders = self._orders[number + 1 - self._first : end + 1 - self._first]
            shown = chosen(orders, wanted)
            data = _shown([order.shown(wanted.sees) for order in shown], compress)
            part = _Part(data, end, shown[-1].number if shown else 0)
            if len(self._parts) >= _MAX_PARTS:
                del self._parts[next(iter(self._parts))]
            self._parts[key] = part
        return part

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
