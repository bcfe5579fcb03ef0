"""What there is to show to readers of several partitions: one journal of the orders of all. Pure.

Orders come into the journal as this front-end hears of them, each partition's in order and without
a gap, and count 1, 2, 3 … from where it began. What a reader has been given is a count here, as
with one partition it is a number. For the client it is a position in each partition: each order is
shown with the id that says where the stream is after it, so that any front-end can go on.
"""

from collections.abc import Callable, Sequence

import msgspec

from twisted_bazaar.frontend.positions import Positions, packed, sealed, unpacked, unsealed

from .encoding import identified
from .journal import MAX_KEPT_ORDERS, Journal, check_that_it_follows
from .news import News, OrderEvent, QuoteEvent

__all__ = ["MergedJournal", "id_of", "positions_in"]

_PURPOSE = b"bazaar-events"
_MARK = "p"
"""The first character of an id: none is a number."""


def id_of(positions: Sequence[int]) -> bytes:
    """What a client names to go on after these."""
    return _MARK.encode() + sealed(packed(positions), _PURPOSE)


def positions_in(id: str, partitions: int) -> Positions | None:
    """The positions, of so many partitions, of which `id` is that; None: there are none."""
    found = unpacked(unsealed(id[1:], _PURPOSE) or b"", partitions)
    if not id.startswith(_MARK) or found is None or found[1]:
        return None
    return found[0]


class _Log(msgspec.Struct):
    """How far a partition's log has been taken in."""

    number: int
    version: int
    digest: str


class MergedJournal(Journal):
    """Begins with the first news of each partition."""

    def __init__(
        self,
        firsts: Sequence[News],
        holder: Callable[[str], int],
        kept: int = MAX_KEPT_ORDERS,
    ) -> None:
        """`holder` is the partition that a stock is in, as far as this front-end knows. At least
        `kept` orders are kept, if there were as many."""
        super().__init__(News([], [], 0, 0, "", ""), kept)
        self._logs = [_Log(first.last_number, first.version, first.digest) for first in firsts]
        self._holder = holder
        self._from: list[int] = []
        """The partition of each of the orders that are kept."""
        self._quoted: dict[str, int] = {}
        """By stock: the partition that its quote is from."""
        self._waiting: dict[tuple[int, str], QuoteEvent] = {}
        """Quotes from partitions that are not known to hold the stock."""
        for partition, first in enumerate(firsts):
            self._take_quotes_of(partition, first.quotes)

    @property
    def positions(self) -> Positions:
        """The last order of each partition."""
        return tuple(log.number for log in self._logs)

    def reached(self, partition: int) -> tuple[int, int]:
        """The last order and the last entry that were taken in."""
        log = self._logs[partition]
        return log.number, log.version

    def positions_at(self, count: int) -> Positions:
        """The last order of each partition among the first `count`, which are kept, or are before
        those that are."""
        positions = [log.number for log in self._logs]
        for partition in self._from[count + 1 - self._first :]:
            positions[partition] -= 1
        return tuple(positions)

    def take_from(self, partition: int, news: News) -> bool:
        """As `take`, for what was answered to what `reached` says of `partition`."""
        log = self._logs[partition]
        check_that_it_follows(news, log.number, log.version, log.digest)
        is_new = self._take_orders([self._counted(partition, order) for order in news.orders])
        if is_new:
            del self._from[: len(self._from) - len(self._orders)]
        if news.version > log.version:
            is_new = self._take_quotes_of(partition, news.quotes) or is_new
            log.version, log.digest = news.version, news.digest
        if is_new:
            self._cuts.clear()
        return is_new

    def _counted(self, partition: int, order: OrderEvent) -> OrderEvent:
        """The next order of the journal."""
        self._logs[partition].number = order.number
        self._from.append(partition)
        id = id_of(self.positions)
        return OrderEvent(
            self._first + len(self._from) - 1,
            order.stock,
            identified(order.event, id),
            client=order.client,
            whole=identified(order.whole, id) if order.whole else b"",
        )

    def _take_quotes_of(self, partition: int, quotes: Sequence[QuoteEvent]) -> bool:
        """A stock that was moved is quoted by the partition that it left until it is known to be in
        another: a late answer of the one must not be shown after one of the other."""
        shown = []
        for quote in quotes:
            if self._quoted.setdefault(quote.stock, partition) == partition:
                shown.append(quote)
            else:
                self._waiting[partition, quote.stock] = quote
        return self._take_quotes(shown) | self.placed()

    def placed(self) -> bool:
        """Some stocks may have been moved. Returns whether there is anything new to show."""
        moved = [
            (partition, stock)
            for partition, stock in self._waiting
            if self._holder(stock) == partition
        ]
        for partition, stock in moved:
            self._quoted[stock] = partition
        if self._take_quotes([self._waiting.pop(each) for each in moved]):
            self._cuts.clear()
        return bool(moved)
