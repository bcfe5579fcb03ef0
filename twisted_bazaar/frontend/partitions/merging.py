"""Merges the orders of one selection from several partitions, by time. Pure.

Within a partition, times ascend with numbers, so the partitions' orders are merged as they come.
Between two partitions there is no order but that of their leaders' clocks. What a client has been
given is kept as a position for each partition, so that an order which is added later is shown
later, whatever its time: none is skipped, and none is shown twice.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

import msgspec

from twisted_bazaar.frontend.positions import Positions
from twisted_bazaar.market import Order
from twisted_bazaar.order_keys import client_of
from twisted_bazaar.selection import Page, Selection

__all__ = ["Merge"]

_LEAST_ORDERS = 8
"""Asked of a partition at first, whatever the number of partitions."""


class _Source:
    """The orders of one partition, as far as they have come."""

    def __init__(self, position: int, chunk: int) -> None:
        self.position = position
        self.chunk = chunk
        """How many orders to ask for next."""
        self.orders: Sequence[Order] = ()
        self.at = 0
        """How many of them have been taken."""
        self.ended = False
        self.stopped = False
        """Whether the answer was cut short, as it was much work: there may be more before any
        order of another partition."""

    @property
    def is_used_up(self) -> bool:
        return self.at == len(self.orders)


class Merge:
    """One page of a selection over several partitions: give it the pages that are `wanted` until
    none is."""

    def __init__(self, selection: Selection, positions: Sequence[int]) -> None:
        """Goes on from `positions`; `selection.after` counts for nothing."""
        self._selection = selection
        chunk = max(_LEAST_ORDERS, 2 * selection.limit // len(positions) + 1)
        self._most = selection.limit + 1
        self._sources = [_Source(each, min(chunk, self._most)) for each in positions]
        self._heap: list[tuple[int, int]] = []
        """Of each partition whose next order has come: when that was decided, and the partition;
        both negative if the selection descends."""
        self._lacking = set(range(len(positions)))
        """The partitions that are to be asked before the merge goes on."""
        self.orders: list[tuple[int, Order]] = []
        """The page: each order with its partition."""

    def wanted(self) -> Mapping[int, Selection]:
        """By partition, what it is to be asked for now; empty: the page is complete."""
        self._go_on()
        if any(self._sources[partition].stopped for partition in self._lacking):
            return {}
        return {partition: self._asked(self._sources[partition]) for partition in self._lacking}

    def _asked(self, source: _Source) -> Selection:
        return msgspec.structs.replace(self._selection, after=source.position, limit=source.chunk)

    def take(self, partition: int, page: Page) -> None:
        """The answer of `partition` to what it was asked for."""
        source, selection = self._sources[partition], self._selection
        asked = self._asked(source)
        source.orders, source.at = page.orders, 0
        source.ended = page.ended
        source.stopped = not page.ended and len(page.orders) < source.chunk
        if not selection.key:
            source.position = _further(source.position, page.examined, selection.descending)
            if selection.client:
                # A member of an earlier release does not know this condition.
                client = selection.client
                source.orders = [each for each in page.orders if client_of(each.key) == client]
        else:
            # The order with a key is found whatever the other conditions are.
            source.orders = [order for order in page.orders if asked.fits(order)]
            source.ended, source.stopped = True, False
            for order in page.orders:
                source.position = _further(source.position, order.number, selection.descending)
        source.chunk = min(2 * source.chunk, self._most)
        self._lacking.discard(partition)
        self._look(partition)

    def _look(self, partition: int) -> None:
        """See what comes next from `partition`."""
        source = self._sources[partition]
        if not source.is_used_up:
            at = source.orders[source.at].at_milliseconds
            descending = self._selection.descending
            heappush(self._heap, (-at, -partition) if descending else (at, partition))
        elif not source.ended:
            self._lacking.add(partition)

    def _go_on(self) -> None:
        while self._heap and not self._lacking and len(self.orders) < self._selection.limit:
            partition = abs(heappop(self._heap)[1])
            source = self._sources[partition]
            self.orders.append((partition, source.orders[source.at]))
            source.at += 1
            self._look(partition)

    @property
    def positions(self) -> Positions:
        """Where the next page goes on."""
        step = 1 if self._selection.descending else -1
        return tuple(
            source.position if source.is_used_up else source.orders[source.at].number + step
            for source in self._sources
        )

    @property
    def ended(self) -> bool:
        """Whether there are no more orders."""
        return not self._lacking and not self._heap


def _further(position: int, examined: int, descending: bool) -> int:
    """The position after all orders up to `examined`, or down to it."""
    if not descending:
        return max(position, examined)
    return min(position or max(examined, 1), max(examined, 1))
