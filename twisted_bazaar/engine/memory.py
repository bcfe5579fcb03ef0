"""An engine in memory, for tests and the simulator. Pure, and as strict as a real one.

It can be made to fail as an engine fails: `full`, `replicates` and `fail_over` say how. What a
network does (a reply is lost, a call lands late, a tail is old) is up to its user: each call takes
effect when it is made, and what it returns is immutable.
"""

from collections.abc import Collection, Sequence

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.market import Adopted, Listed, Moved, Order, Stock, Traded
from twisted_bazaar.selection import Page, Selection, page_of

from .shared_log import (
    HANDED_OVER,
    Batch,
    Bazaar,
    Found,
    Lost,
    Placement,
    Refused,
    Released,
    Snapshot,
    Tail,
    Unknown,
)

__all__ = ["MemoryEngine", "MemoryLog"]


class _Rows:
    """The rows of one partition."""

    def __init__(self, partition: int) -> None:
        self.tail = Tail(partition=partition)
        self.entries: list[Entry] = []
        self.orders: list[Entry] = []
        """Those of `entries` that are orders, by number."""
        self.numbers: dict[str, int] = {}
        """By key."""
        self.stocks: dict[str, Stock] = {}

    def copy(self) -> "_Rows":
        other = _Rows(self.tail.partition)
        other.tail = self.tail
        other.entries, other.orders = list(self.entries), list(self.orders)
        other.numbers, other.stocks = dict(self.numbers), dict(self.stocks)
        return other

    def has(self, batch: Batch) -> bool:
        """Whether the log has just this batch."""
        last = batch.entries[-1]
        return (
            last.index <= len(self.entries) and self.entries[last.index - 1].digest == last.digest
        )

    def insert(self, batch: Batch) -> None:
        """The rows of `batch`, but for the placements."""
        orders = [entry for entry in batch.entries if isinstance(entry.event, Traded)]
        numbers = {_traded(entry).key: _traded(entry).number for entry in orders}
        if len(numbers) < len(orders) or not self.numbers.keys().isdisjoint(numbers):
            raise InvariantBroken(f"partition {self.tail.partition}: a key has an order already")
        self.entries += batch.entries
        self.orders += orders
        self.numbers |= numbers
        for stock in batch.gone:
            self.stocks.pop(stock.name, None)
        self.stocks |= {stock.name: stock for stock in batch.stocks}
        last = batch.entries[-1]
        self.tail = msgspec.structs.replace(
            self.tail,
            index=last.index,
            digest=last.digest,
            at_milliseconds=last.at_milliseconds,
            last_number=batch.last_number,
            listed=self.tail.listed or any(isinstance(e.event, Listed) for e in batch.entries),
        )


class MemoryEngine:
    """All partitions. Implements `Engine`."""

    def __init__(self, name: str, partitions: int) -> None:
        self.bazaar = Bazaar(name=name, partitions=partitions)
        self.full = False
        """Each write raises `Refused`, and is not done."""
        self.replicates = True
        """If not, each write is done, but on one server only, and raises `Unknown`. The next one
        that is replicated makes it certain."""
        self.rows = [_Rows(partition) for partition in range(partitions)]
        self.placements: dict[str, Placement] = {}
        self._replicated: tuple[list[_Rows], dict[str, Placement]] | None = None
        """What `fail_over` goes back to; None: all is replicated."""

    def tails(self) -> tuple[Sequence[Tail], Sequence[Placement]]:
        return [rows.tail for rows in self.rows], list(self.placements.values())

    def log(self, partition: int) -> "MemoryLog":
        return MemoryLog(self, partition)

    def prefer(self, partition: int, member: int) -> None:
        self.begin_write()
        rows = self.rows[partition]
        rows.tail = msgspec.structs.replace(rows.tail, preferred=member)
        self.end_write()

    def cut(self) -> None:
        """Each call ends at once."""

    def close(self) -> None:
        """There is nothing to close."""

    def fail_over(self) -> None:
        """Another server takes over: all that was not replicated is lost."""
        if self._replicated is not None:
            self.rows, self.placements = self._replicated
            self._replicated = None

    def replicate(self) -> None:
        """All that was written is replicated, late."""
        self._replicated = None

    def begin_write(self) -> None:
        """Raises `Refused` if there is no room."""
        if self.full:
            raise Refused("the engine is full")
        if not self.replicates and self._replicated is None:
            self._replicated = [rows.copy() for rows in self.rows], dict(self.placements)

    def end_write(self) -> None:
        """Raises `Unknown` if it is not replicated."""
        if not self.replicates:
            raise Unknown("written, and not replicated")
        self._replicated = None


class MemoryLog:
    """One partition. Implements `SharedLog`."""

    def __init__(self, engine: MemoryEngine, partition: int) -> None:
        self._engine = engine
        self._partition = partition
        self._is_cut = False

    @property
    def _rows(self) -> _Rows:
        if self._is_cut:
            self._is_cut = False
            raise Unknown("cut")
        return self._engine.rows[self._partition]

    def claim(
        self,
        seen: Tail,
        opened: Batch,
        *,
        term: int,
        leader: int,
        tenure: float,
        longest_lease: float,
        catalogs: Sequence[str],
    ) -> None:
        rows = self._rows
        self._engine.begin_write()
        tail = rows.tail
        if rows.has(opened) and tail.term == term:
            self._engine.end_write()
            return
        if (tail.term, tail.beat, tail.digest) != (seen.term, seen.beat, seen.digest):
            raise Lost(f"partition {self._partition} is in term {tail.term}, beat {tail.beat}")
        if term <= tail.term or opened.previous != tail.digest:
            raise InvariantBroken(f"term {term} claims after {seen} with {opened}")
        rows.insert(opened)
        rows.tail = msgspec.structs.replace(
            rows.tail,
            term=term,
            beat=0,
            leader=leader,
            tenure=tenure,
            longest_lease=longest_lease,
            catalogs=tuple(catalogs),
        )
        self._engine.end_write()

    def append(self, batch: Batch, *, term: int, beat: int, released: Released) -> None:
        rows = self._rows
        self._engine.begin_write()
        tail = rows.tail
        if tail.term != term or tail.beat == HANDED_OVER:
            raise Lost(f"partition {self._partition} is in term {tail.term}, beat {tail.beat}")
        if not rows.has(batch):
            if tail.digest != batch.previous or tail.beat >= beat:
                raise Lost(f"partition {self._partition} ends with entry {tail.index}")
            self._place(batch)
            rows.insert(batch)
        self._told(rows, max(tail.beat, beat), released)
        self._engine.end_write()

    def beat(self, *, term: int, beat: int, released: Released) -> None:
        rows = self._rows
        self._engine.begin_write()
        tail = rows.tail
        is_late = tail.beat > beat if beat != HANDED_OVER else False
        if tail.term != term or is_late or (tail.beat == HANDED_OVER != beat):
            raise Lost(f"partition {self._partition} is in term {tail.term}, beat {tail.beat}")
        self._told(rows, beat, released)
        self._engine.end_write()

    def _told(self, rows: _Rows, beat: int, released: Released) -> None:
        if released.index < rows.tail.released.index:
            released = rows.tail.released
        rows.tail = msgspec.structs.replace(rows.tail, beat=beat, released=released)

    def _place(self, batch: Batch) -> None:
        """Write the placements of the stocks that `batch` moves. Raises `Lost`, before anything is
        written, if one that it adopts is not to be adopted."""
        placements = dict(self._engine.placements)
        gone = {stock.name: stock for stock in batch.gone}
        for entry in batch.entries:
            event = entry.event
            if isinstance(event, Adopted):
                placed = placements.get(event.stock)
                if placed is None or placed.arrived or placed.partition != self._partition or (
                    (placed.before, placed.moved) != (event.before, event.moved)
                ):  # fmt: skip
                    raise Lost(f"{event.stock} is not to be adopted: {placed}")
                placements[event.stock] = msgspec.structs.replace(placed, arrived=True)
            elif isinstance(event, Moved):
                stock, old = gone[event.stock], placements.get(event.stock)
                former = (*(old.former if old else ()), self._partition)
                placements[event.stock] = Placement(
                    stock=stock.name,
                    partition=event.to,
                    moved=entry.index,
                    before=self._partition,
                    arrived=False,
                    price=stock.price,
                    quantity=stock.quantity,
                    volume=stock.volume,
                    halted=stock.halted,
                    former=tuple(dict.fromkeys(former)),
                )
        self._engine.placements = placements

    def tail(self) -> Tail:
        return self._rows.tail

    def snapshot(self) -> Snapshot:
        rows = self._rows
        placed = self._engine.placements.values()
        return Snapshot(
            tail=rows.tail,
            stocks=list(rows.stocks.values()),
            former={
                each.stock: each.former
                for each in placed
                if each.arrived and each.partition == self._partition
            },
            away=[
                each.stock
                for each in placed
                if not (each.arrived and each.partition == self._partition)
                and self._partition in each.former
            ],
        )

    def find(self, keys: Collection[str], partitions: Collection[int] = ()) -> Found:
        own = self._rows
        orders: dict[str, tuple[int, Traded]] = {}
        # An order of the same key in the partition itself comes before all others.
        for partition in (*partitions, self._partition):
            rows = self._engine.rows[partition]
            for key in keys:
                if key in rows.numbers:
                    orders[key] = partition, _traded(rows.orders[rows.numbers[key] - 1])
        return Found(orders=orders, index=own.tail.index, digest=own.tail.digest)

    def order(self, number: int) -> Order | None:
        rows = self._rows
        is_there = 1 <= number <= min(rows.tail.released.number, len(rows.orders))
        return _order(rows.orders[number - 1]) if is_there else None

    def orders(self, selection: Selection, upto: int) -> Page:
        rows = self._rows
        if rows.tail.released.number < upto:
            raise Unknown(f"{rows.tail.released.number} orders are released, not {upto}")
        orders = [_order(entry) for entry in rows.orders[:upto]]
        if selection.descending:
            orders.reverse()
        found = [order for order in orders if selection.fits(order)]
        return page_of(found[: selection.limit + 1], selection, upto)

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        return self._rows.entries[after:upto]

    def cut(self) -> None:
        self._is_cut = True

    def close(self) -> None:
        self._is_cut = False


def _traded(entry: Entry) -> Traded:
    assert isinstance(entry.event, Traded)
    return entry.event


def _order(entry: Entry) -> Order:
    return _traded(entry).shown(entry.at_milliseconds)
