"""Makes a history of each partition of a market from that of all of them. Pure.

Orders have an order within a partition only, so each is checked as a bazaar of its own: its stocks,
its orders counted 1, 2, 3 …, and the calls that are about them. A stock that was moved has orders
in several partitions. It is checked alone: its orders go on where it went, by their times, and so
do those of each partition without it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import count

import msgspec

from twisted_bazaar.partitions import MAX_PARTITIONS, home, local_number, partition_of

from .book import Violation
from .records import (
    Call,
    Change,
    Closing,
    LookupCall,
    MarketCall,
    Opening,
    Order,
    OrderCall,
    PageCall,
    Quote,
    TradeCall,
)

__all__ = ["Part", "parts"]

_replace = msgspec.structs.replace


class Part(msgspec.Struct, frozen=True):
    """What is checked by itself."""

    name: str
    opening: Opening
    closing: Closing
    calls: Sequence[tuple[int, Call]]
    """With their index in the history."""

    def named(self, violation: Violation) -> Violation:
        """A violation that was found in it."""
        return _replace(violation, what=f"{self.name}: {violation.what}")


def parts(
    opening: Opening, closing: Closing, calls: Sequence[tuple[int, Call]]
) -> tuple[Sequence[Violation], Sequence[Part]]:
    """What is wrong with the numbers of the orders, and the parts of a history.
    `opening.positions` has the last order of each partition before it."""
    moves = {
        call.name for _, call in calls if isinstance(call, Change) and call.partition is not None
    }
    split = _Split(opening, closing, moves)
    split.add(calls)
    return split.violations, split.parts()


class _Split:
    def __init__(self, opening: Opening, closing: Closing, moves: Set[str]) -> None:
        """`moves` are the stocks that an operator moved, or may have moved."""
        self._opening = opening
        self._closing = closing
        self._partitions = len(opening.positions)
        self.violations: list[Violation] = []
        by_partition = self._by_partition(closing.orders)
        places: dict[str, set[int]] = defaultdict(set)
        for partition, orders in by_partition.items():
            for order in orders:
                places[order.name].add(partition)
        # Such a stock may have no order in some of its partitions.
        moved = {name for name, found in places.items() if len(found) > 1} | moves
        self._part_of: dict[str, str] = {}
        """By stock."""
        for name in {*opening.listed, *places, *(quote.name for quote in closing.market)}:
            found = places[name] or {home(name, self._partitions)}
            self._part_of[name] = name if name in moved else _part(*found)
        self._mixed = {partition for name in moved for partition in places[name]}
        """The partitions that a stock was moved from or to."""
        self._orders: dict[str, list[Order]] = defaultdict(list)
        self._counted: dict[int, tuple[str, int]] = {}
        """By number: the part that the order is in, and its count there."""
        self._count(by_partition)
        self._calls: dict[str, list[tuple[int, Call]]] = defaultdict(list)

    def _by_partition(self, listed: Iterable[Order]) -> Mapping[int, Sequence[Order]]:
        """The orders, with the check that none is missing."""
        found: dict[int, list[Order]] = defaultdict(list)
        for order in listed:
            partition = partition_of(order.number, self._partitions)
            orders = found[partition]
            expected = len(orders) + 1
            local = local_number(order.number, self._partitions)
            if partition >= self._partitions or local != expected:
                what = f"order {order.number} is listed, and is not order {expected}"
                self.violations.append(Violation(4, f"{what} of partition {partition}"))
            orders.append(order)
        return found

    def _count(self, by_partition: Mapping[int, Sequence[Order]]) -> None:
        orders = [order for orders in by_partition.values() for order in orders]
        # A stable sort: those of one partition stay in order, as their times do not go back.
        for order in sorted(orders, key=lambda order: order.time) if self._mixed else orders:
            part = self._part_of[order.name]
            self._orders[part].append(order)
            self._counted[order.number] = part, len(self._orders[part])

    def _number(self, part: str, number: int) -> int:
        """The count of an order in `part`; one that no order has if it is not there."""
        found, counted = self._counted.get(number, ("", 0))
        return counted if found == part else MAX_PARTITIONS * number + 2**53

    def add(self, calls: Iterable[tuple[int, Call]]) -> None:
        """Take in the calls of the history."""
        for place, call in calls:
            for part, made in self._made(place, call):
                self._calls[part].append((place, made))

    def _made(self, place: int, call: Call) -> Iterator[tuple[str, Call]]:
        """The calls that `call` stands for, and their parts."""
        match call:
            case TradeCall():
                part = self._of(call.name)
                number = None if call.number is None else self._number(part, call.number)
                yield part, _replace(call, number=number)
            case LookupCall():
                part = self._of(call.name)
                found = None if call.found is None else self._quote(part, call.found)
                yield part, _replace(call, found=found)
            case Change():
                yield self._of(call.name), call
            case MarketCall():
                shown: dict[str, list[Quote]] = defaultdict(list)
                for quote in call.found:
                    part = self._of(quote.name)
                    shown[part].append(self._quote(part, quote))
                for part, quotes in shown.items():
                    yield part, _replace(call, found=tuple(quotes))
            case OrderCall():
                yield self._order_call(call, call.number, call.found)
            case PageCall():
                yield from self._page(place, call)

    def _of(self, stock: str) -> str:
        return self._part_of.get(stock) or _part(home(stock, self._partitions))

    def _quote(self, part: str, quote: Quote) -> Quote:
        # A stock that was moved has versions of two logs.
        return _replace(quote, version=None) if part == quote.name else quote

    def _order_call(
        self, call: OrderCall, number: int, found: Order | None
    ) -> tuple[str, OrderCall]:
        part, counted = self._counted.get(
            number, (_part(partition_of(number, self._partitions)), 0)
        )
        shown = None if found is None else _replace(found, number=self._number(part, found.number))
        return part, _replace(call, number=counted or self._number(part, number), found=shown)

    def _page(self, place: int, call: PageCall) -> Iterator[tuple[str, Call]]:
        partition = call.partition
        if partition is not None and partition not in self._mixed:
            after = local_number(call.after, self._partitions)
            part = _part(partition)
            found = tuple(
                _replace(order, number=self._number(part, order.number)) for order in call.found
            )
            yield part, _replace(call, after=after, found=found)
            return
        if partition is not None:
            expected = count(local_number(call.after, self._partitions) + 1)
            for local, order in zip(expected, call.found, strict=False):
                if order.number != local * MAX_PARTITIONS + partition:
                    what = f"a page of partition {partition} goes on with {order.number}"
                    self.violations.append(Violation(7, f"{what}, not with {local}", (place,)))
        for order in call.found:
            shown = OrderCall(
                client=call.client,
                via=call.via,
                sent=call.sent,
                ended=call.ended,
                status=call.status,
                number=order.number,
            )
            yield self._order_call(shown, order.number, order)

    def parts(self) -> Sequence[Part]:
        """What is checked by itself."""
        return [
            Part(part, self._part_opening(part), self._part_closing(part), self._calls[part])
            for part in sorted({*self._part_of.values(), *self._calls})
        ]

    def _part_opening(self, part: str) -> Opening:
        opening = self._opening
        known = sum(
            local_number(order.number, self._partitions)
            <= opening.positions[partition_of(order.number, self._partitions)]
            for order in self._orders[part]
        )
        return _replace(
            opening,
            listed={name: left for name, left in opening.listed.items() if self._of(name) == part},
            prices={name: cost for name, cost in opening.prices.items() if self._of(name) == part},
            known=known,
            positions=(),
        )

    def _part_closing(self, part: str) -> Closing:
        orders = (_replace(each, number=n) for n, each in enumerate(self._orders[part], 1))
        market = (quote for quote in self._closing.market if self._of(quote.name) == part)
        return _replace(
            self._closing,
            orders=tuple(orders),
            market=tuple(self._quote(part, quote) for quote in market),
        )


def _part(partition: int) -> str:
    return f"partition {partition}"
