"""Reads orders for front-ends: numbers from the index, entries from the log, the last ones from the
desk.

What is released never changes, so any replica answers with that. Only the leader can say that there
are no more orders, or none with a key, and asks a majority first.

The index lacks the last orders, and so may the log file; the desk remembers those. Its orders are
taken before the index is read, so that the index goes at least as far as they begin.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, Unavailable
from twisted_bazaar.market import Traded
from twisted_bazaar.rpc.serving.context import Context
from twisted_bazaar.selection import Selection
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile

from .desk import TradingDesk
from .search import FoundOrders, Search, Source

__all__ = ["OrderPages"]


class OrderPages:
    """The orders of one replica. `page` and `with_key` are called on the reactor thread.

    They raise `Damaged` or OSError if this replica's files cannot be read, `NotLeader` if only the
    leader can answer, and `Unavailable` if this replica lacks what it needs.
    """

    def __init__(
        self,
        desk: TradingDesk,
        last_number: Callable[[], Deferred[int]],
        logfile: LogFile,
        index: Index,
    ) -> None:
        """`last_number` is `OrderNode.last_number`."""
        self._desk = desk
        self._last_number = last_number
        self._logfile = logfile
        self._index = index

    async def page(self, selection: Selection, context: Context) -> FoundOrders:
        """The first orders of `selection`, whose `key` is ignored. It does a bounded amount of
        work, and may stop early."""
        desk, search = self._desk, Search(selection)
        known, is_last = desk.released_number, False
        while True:
            if is_last or not search.needs_last(known):
                recent = desk.recent(*search.between(known), selection.descending)
                source = Source(self._index, self.read, recent)
                found = await context.defer(search.go_on, source, known, is_last)
                if found is not None:
                    return found
            known, is_last = await self._last_number(), True

    async def with_key(self, key: str, context: Context) -> Entry | None:
        """The released order of `key`; None: it has none, and no trade that was answered before
        this call will get one."""
        desk = self._desk
        while True:
            stored, index = await context.defer(self._stored, key)
            entry = stored or desk.with_key(key)
            if entry is None:
                await self._last_number()
                # What was proposed before this call is released by now.
                entry = desk.with_key(key)
            if entry is not None or desk.remembers_all_after(index):
                return entry

    def _stored(self, key: str) -> tuple[Entry | None, int]:
        """The order of `key`, if the index has one, and the entry that the index goes to."""
        found = self._index.find([key])
        if key not in found.numbers:
            return None, found.index
        entry, _ = self.order_of(key, found.numbers[key])
        return entry, found.index

    def order_of(self, key: str, number: int) -> tuple[Entry, Traded]:
        """Order `number` from the log file, which the index says is that of `key`. On any
        thread."""
        [entry] = self.read(number - 1, number)
        order = entry.event
        if not isinstance(order, Traded) or order.key != key:
            raise Damaged(f"the index says that key {key} has order {number}, {order}")
        return entry, order

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        """The orders `after` < number <= `upto` from the log file. On any thread."""
        if after >= upto:
            return ()
        if upto > self._logfile.last_number:
            raise Unavailable(f"order {upto} is not on the disk of this replica yet")
        first, last = self._logfile.index_of(after + 1), self._logfile.index_of(upto)
        entries = self._logfile.read(first - 1, last)
        return [entry for entry in entries if isinstance(entry.event, Traded)]
