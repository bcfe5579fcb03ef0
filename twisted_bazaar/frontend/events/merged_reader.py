"""One reader of several partitions. Pure.

It is given what it lacks from the logs of the partitions, merged by time, up to where the journal
is at some moment; from there it goes on with the journal. Numbers are consecutive within each
partition, so the step from the one to the other has neither a gap nor a repeat.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from operator import itemgetter

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.positions import Positions

from .encoding import compressed, identified, place
from .journal import Journal, Position, Wanted
from .merged_journal import MergedJournal, id_of
from .news import OrderEvent
from .reader import Reader

__all__ = ["MergedReader"]


class MergedReader(Reader):
    """`now` is seconds on a clock that never goes back."""

    def __init__(
        self,
        wanted: Wanted,
        after: Positions | None,
        journal: MergedJournal,
        compress: bool,
        now: float,
    ) -> None:
        """Orders after `after` are given, which is nowhere beyond the journal; None: from now
        on."""
        super().__init__(wanted, journal.number, compress, now)
        self._log = journal
        self._positions = list(journal.positions if after is None else after)
        """By partition, what it has been given up to, until it goes on with the journal."""
        self._target = list(journal.positions)
        """Where the journal is at `self.position`."""

    def _place(self, number: int) -> bytes:
        at = self._positions if self._is_behind else self._log.positions_at(number)
        return place(id_of(at))

    @property
    def _is_behind(self) -> bool:
        return self._positions != self._target

    def lacks(self, journal: Journal) -> bool:
        return self.wanted.orders and (self._is_behind or super().lacks(journal))

    def lacking(self) -> Mapping[int, int]:
        """By partition, the order after which a page is to be read; of those that lack orders."""
        if not self._is_behind and not self._log.holds(self.position.number):
            # The journal has gone on meanwhile.
            self._target = list(self._log.positions)
            self.position = self._at(self._log.number)
            self._told = self._log.number
        pairs = enumerate(zip(self._positions, self._target, strict=True))
        return {partition: has for partition, (has, upto) in pairs if has < upto}

    def _at(self, number: int) -> Position:
        return Position(number, self.position.quote, self.position.leader)

    def replayed_from(self, pages: Mapping[int, Sequence[OrderEvent]]) -> bytes:
        """What it is given of the pages that it was `lacking`. Raises `Unavailable` if one does not
        follow on what it was given."""
        data: list[bytes] = []
        is_told = True
        for partition, order in self._merged(pages):
            self._positions[partition] = order.number
            is_told = self.wanted.includes(order.stock)
            if is_told:
                data.append(identified(order.shown(self.wanted.sees), id_of(self._positions)))
        if not is_told:
            # A client that reconnects does not wait for the same orders to be passed over again.
            data.append(place(id_of(self._positions)))
        joined = b"".join(data)
        return compressed(joined) if self.compress and joined else joined

    def _merged(
        self, pages: Mapping[int, Sequence[OrderEvent]]
    ) -> Iterator[tuple[int, OrderEvent]]:
        """By time, up to where a partition's next page is needed."""
        timed = []
        bounds = []
        for partition, page in pages.items():
            orders = self._fresh(partition, page)
            timed.append([(order.at_milliseconds, partition, order) for order in orders])
            if not orders:
                bounds.append((-1, partition))
            elif orders[-1].number < self._target[partition]:
                bounds.append((orders[-1].at_milliseconds, partition))
        bound = min(bounds) if bounds else None
        for at, partition, order in merge(*timed, key=itemgetter(0, 1)):
            if bound is not None and (at, partition) > bound:
                break
            yield partition, order

    def _fresh(self, partition: int, page: Sequence[OrderEvent]) -> Sequence[OrderEvent]:
        has, upto = self._positions[partition], self._target[partition]
        fresh = [order for order in page if has < order.number <= upto]
        for expected, order in enumerate(fresh, has + 1):
            if order.number != expected:
                raise Unavailable(f"order {order.number} does not follow order {expected - 1}")
        return fresh
