"""What happened in a bazaar of several partitions: one `Truth` of each, and what holds over all.

A stock is in one partition at a time, and comes as it left; clients see one history of it.
"""

from collections.abc import Sequence
from typing import Any

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.market import (
    Adopted,
    Moved,
    Order,
    Placed,
    Rejection,
    Stock,
    Trade,
    Traded,
)

from .truth import GONE, Truth, Violation, _is_of, _refusal, body_of

__all__ = ["Markets"]

_SHARED = ("counts", "_refused", "_sent", "_repriced", "_over")
"""What the truths of all partitions share: keys, and changes, are known to clients without one."""


class Markets:
    """Has the methods of `Truth` that clients call. What they know of numbers and indexes is a
    tuple, by partition."""

    def __init__(self, truths: Sequence[Truth]) -> None:
        self._truths = truths
        first = truths[0]
        for partition, truth in enumerate(truths):
            for name in _SHARED:
                setattr(truth, name, getattr(first, name))
            truth.extended = lambda entry, touched, partition=partition: self._extended(
                partition, entry, touched
            )
        self.counts = first.counts
        self.counts["moved"] = 0
        self.clocks_are_true = first.clocks_are_true
        self.cuts = 0
        self._timeline: dict[str, list[tuple[int, Stock]]] = {}
        """By name: what each stock was, and in which partition, in order."""
        self._places: dict[tuple[int, str, int], int] = {}
        """By partition, name and version: the place in the timeline, from 1."""
        self._keys: dict[tuple[str, str], int] = {}
        """By key and stock: the partition that has the order."""
        self._seen: dict[str, int] = {}

    @property
    def terms(self) -> int:
        return sum(truth.terms for truth in self._truths)

    @property
    def acknowledged_number(self) -> tuple[int, ...]:
        return tuple(truth.acknowledged_number for truth in self._truths)

    @property
    def acknowledged_index(self) -> tuple[int, ...]:
        return tuple(truth.acknowledged_index for truth in self._truths)

    def _extended(self, partition: int, entry: Entry, touched: Sequence[str]) -> None:
        truth, event = self._truths[partition], entry.event
        if isinstance(event, Traded):
            other = self._keys.setdefault((event.key, event.stock), partition)
            if other != partition:
                raise Violation(5, f"key {event.key} has orders in {other} and {partition}")
        if isinstance(event, Adopted):
            self._came(partition, event)
        for name in touched:
            stock = truth._stocks[name][-1]
            line = self._timeline.setdefault(name, [])
            if line and line[-1][0] != partition and line[-1][1].price != GONE:
                raise Violation(6, f"{name} is in {line[-1][0]} and in {partition}")
            line.append((partition, stock))
            self._places[partition, name, stock.version] = len(line)

    def _came(self, partition: int, event: Adopted) -> None:
        """A stock came to `partition`, as it left."""
        self.counts["moved"] += 1
        there = self._truths[event.before]
        left = there.entries[event.moved - 1].event if event.moved <= len(there.entries) else None
        if left != Moved(event.stock, partition):
            raise Violation(3, f"{event} is adopted, and what left is {left}")
        *_, before, _ = (stock for _, stock in self._timeline[event.stock])
        came = (event.price, event.quantity, event.volume, event.halted)
        if (before.price, before.quantity, before.volume, before.halted) != came:
            raise Violation(6, f"{event} came, and left as {before}")

    # Told by the clients.

    def sent(self, trade: Trade) -> None:
        self._truths[0].sent(trade)

    def placed(self, trade: Trade, told: Placed, before: tuple[int, ...], replayed: bool) -> None:
        partition = told.partition
        assert partition is not None
        truth = self._truths[partition]
        truth.placed(trade, told, before[partition], replayed)
        self._saw(partition, trade.stock, truth._index_of[told.number])

    def _saw(self, partition: int, name: str, version: int) -> None:
        place = self._places[partition, name, version]
        self._seen[name] = max(self._seen.get(name, 0), place)

    def _never(self, trade: Trade, told: str) -> None:
        for truth in self._truths:
            truth._never(trade, told)

    def rejected(
        self, trade: Trade, rejection: Rejection, since: tuple[int, ...], calls: int
    ) -> None:
        self.counts["rejected"] += 1
        if calls == 1 or self.clocks_are_true:
            self._never(trade, "rejected")
        line = self._timeline.get(trade.stock, [])
        if rejection is Rejection.EXPIRED:
            times = [truth._latest_milliseconds for truth in self._truths]
            times += [truth.entries[-1].at_milliseconds for truth in self._truths if truth.entries]
            right = trade.valid_until is not None and max(times) > trade.valid_until
        elif rejection is Rejection.UNKNOWN_STOCK:
            right = not line or line[0][1].version > since[line[0][0]]
        else:
            states = self._since(trade.stock, since)
            right = any(_refusal(trade, stock) is rejection for stock in states)
        if not right:
            raise Violation(10, f"{trade} was never to be {rejection.name} since {since}")

    def _since(self, name: str, since: tuple[int, ...]) -> Sequence[Stock]:
        line = self._timeline.get(name, [])
        known = [at for at, (part, stock) in enumerate(line) if stock.version <= since[part]]
        first = max(known, default=0)
        # While it is on its way, it is as it left.
        first -= bool(known and line[first][1].price == GONE)
        return [stock for _, stock in line[first:] if stock.price != GONE]

    def judged(self, trade: Trade, price: int, since: tuple[int, ...]) -> None:
        self.counts["judged"] += 1
        self._never(trade, "to be validated only")
        if not trade.validate or not any(
            stock.price == price and _refusal(trade, stock) is None
            for stock in self._since(trade.stock, since)
        ):
            raise Violation(10, f"{trade} was never to be executed at {price} since {since}")

    def key_reused(self, trade: Trade) -> None:
        orders = [truth.keys[trade.key] for truth in self._truths if trade.key in truth.keys]
        if all(_is_of(order, trade) for order in orders):
            raise Violation(10, f"key {trade.key} is not another trade's")

    def not_executed(self, trade: Trade) -> None:
        self.counts["refused"] += 1
        self._never(trade, "not executed")

    # Told by clients that read and look up.

    def seen_version(self, name: str) -> int:
        return self._seen.get(name, 0)

    def looked_up(self, name: str, found: Any, least: int) -> None:
        """`found` names the partition that was asked last."""
        self.counts["hit" if found.source.name == "HIT" else "missed"] += 1
        place = 0
        if found.quote is not None:
            place = self._places.get((found.partition, name, found.quote.version), 0)
            stock = self._timeline[name][place - 1][1] if place else None
            if stock is None or body_of(stock) != found.quote.body:
                raise Violation(9, f"{name} was never {found}")
        if self.clocks_are_true:
            if place < least:
                raise Violation(9, f"{name} is shown as of {place}, and {least} was seen before")
            self._seen[name] = max(self._seen.get(name, 0), place)

    def read(self, number: tuple[int, int], found: Order | None, last: int) -> None:
        partition, local = number
        self._truths[partition].read(local, found, last)
