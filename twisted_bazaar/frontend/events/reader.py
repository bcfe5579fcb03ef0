"""One reader: what it has been given, and whether it takes it. Pure.

A reader that names an order is given those after it, first from the logs of the replicas, page by
page, then from the journal. Order numbers are consecutive, so the step from one to the other has
neither a gap nor a repeat, from whichever replica a page came.
"""

from collections.abc import Sequence

from twisted_bazaar.errors import Unavailable

from .encoding import GZIP_HEAD, HEARTBEAT, RETRY, compressed, place
from .journal import Journal, Position, Wanted, chosen
from .news import OrderEvent

__all__ = ["HEARTBEAT_SECONDS", "TAKING_SECONDS", "Reader"]

HEARTBEAT_SECONDS = 15.0
TAKING_SECONDS = 20.0
"""How long a reader may take to take what was written, about 100 KiB."""


class Reader:
    """`now` is seconds on a clock that never goes back."""

    def __init__(self, wanted: Wanted, after: int, compress: bool, now: float) -> None:
        """Orders with numbers above `after` are given."""
        self.wanted = wanted
        self.compress = compress
        self.position = Position(after)
        self._joined = False
        """Whether it has been given anything from the journal but its first quotes."""
        self._told = after
        """The last id that it has been told."""
        self._written = now
        self._blocked: float | None = None
        """Since when it does not take what was written."""

    def greeting(self) -> bytes:
        """What each reader is given first."""
        data = RETRY + (self._place(self.position.number) if self.wanted.orders else b"")
        return GZIP_HEAD + compressed(data) if self.compress else data

    def _place(self, number: int) -> bytes:
        """What tells a client that it has been given everything up to order `number`."""
        return place(number)

    def lacks(self, journal: Journal) -> bool:
        """Whether it must be given orders from the log before it can go on with `journal`."""
        return self.wanted.orders and not journal.holds(self.position.number)

    def too_slow(self, journal: Journal, now: float) -> bool:
        """Whether it is to be ended: it is too far behind, or has taken nothing for too long."""
        blocked = self._blocked is not None and now - self._blocked >= TAKING_SECONDS
        return blocked or (self._joined and self.lacks(journal))

    def first_quotes(self, journal: Journal) -> bytes:
        """The leader, and the next of the quotes that all readers are given at first; empty: there
        are no more."""
        wanted = self.wanted
        state = Wanted(orders=False, quotes=wanted.quotes, leader=wanted.leader,
                       stocks=wanted.stocks)  # fmt: skip
        before = self.position
        while True:
            at = Position(journal.number, self.position.quote, self.position.leader)
            if not journal.is_behind(at):
                return b""
            cut = journal.cut(at, state, self.compress)
            self.position = Position(before.number, cut.upto.quote, cut.upto.leader)
            if cut.data:
                return cut.data

    def next(self, journal: Journal) -> bytes:
        """What it is given next from `journal`; empty: it has all that it wants.

        Raises `Unavailable` if it lacks orders that are not in the journal any more.
        """
        if self.lacks(journal):
            raise Unavailable("the reader is too far behind")
        self._joined = True
        while journal.is_behind(self.position):
            cut = journal.cut(self.position, self.wanted, self.compress)
            self.position = cut.upto
            self._told = max(self._told, cut.told)
            if cut.data:
                return cut.data
        return b""

    def replayed(self, orders: Sequence[OrderEvent]) -> bytes:
        """What it is given of a page from the log, which may begin before its position. Raises
        `Unavailable` if that does not follow on what it was given."""
        number = self.position.number
        fresh = [order for order in orders if order.number > number]
        for expected, order in enumerate(fresh, number + 1):
            if order.number != expected:
                raise Unavailable(f"order {order.number} does not follow order {expected - 1}")
        if not fresh:
            return b""
        number = fresh[-1].number
        self.position = Position(number, self.position.quote, self.position.leader)
        shown = chosen(fresh, self.wanted)
        data = b"".join(order.shown(self.wanted.sees) for order in shown)
        if not shown or shown[-1].number != number:
            # A client that reconnects does not wait for the same orders to be passed over again.
            data += place(number)
        self._told = number
        return compressed(data) if self.compress else data

    def heartbeat(self, now: float) -> bytes:
        """What to write to a reader that has been given nothing for long; empty: nothing."""
        if self._blocked is not None or now - self._written < HEARTBEAT_SECONDS:
            return b""
        data = HEARTBEAT
        if self.wanted.orders and self._told < self.position.number:
            self._told = self.position.number
            data += self._place(self._told)
        return compressed(data) if self.compress else data

    def written(self, now: float) -> None:
        """Something was written to it."""
        self._written = now

    def blocked(self, now: float) -> None:
        """It does not take what was written."""
        if self._blocked is None:
            self._blocked = now

    def took(self) -> None:
        """It has taken what was written."""
        self._blocked = None
