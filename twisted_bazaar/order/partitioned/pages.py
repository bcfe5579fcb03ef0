"""Reads orders of one partition from the engine, for front-ends.

What is released never changes, so any member answers with that. Only the leader can say that there
are no more orders, or none with a key, and proves first that it leads.

A server of the engine that lost its place to another one may show orders that were never
committed, under numbers that others have. But it says of itself how far clients may see, and all
up to there is right. The leader knows of more; the last orders are from its desk.
"""

from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.engine.shared_log import Released, SharedLog
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.market import Order, Traded
from twisted_bazaar.selection import Page, Selection, page_of

from .call_thread import CallThread

__all__ = ["EnginePages", "Readable"]


class Readable(msgspec.Struct, frozen=True):
    """What is known of the orders of one partition. Callables of a `PartitionNode`."""

    released: Callable[[], Released]
    """How far clients may see."""
    last_number: Callable[[], Deferred[int]]
    """The number of the last order, as of some moment after the call. Fails with `NotLeader`."""
    recent: Callable[[], Sequence[Entry]]
    """The last released orders, those at least of which the engine may not say so yet."""
    has_led_to: Callable[[int, str], bool]
    """Whether a digest names the history up to an index in the log that this member leads."""


class EnginePages:
    """The orders of one partition. Methods are called on the reactor thread.

    They fail with `NotLeader` if only the leader can answer, and with `Unavailable` or
    `EngineError` if the engine does not answer, or lacks what it has shown before.
    """

    def __init__(self, log: CallThread[SharedLog], known: Readable) -> None:
        self._log = log
        self._known = known

    async def page(self, selection: Selection) -> Page:
        """The first orders of `selection`, whose `key` is ignored. May stop early."""
        upto, is_last = self._known.released().number, False
        if _needs_last(selection, upto):
            upto, is_last = await self._known.last_number(), True
        while True:
            page = await self._read(selection, upto)
            if not page.ended or is_last or _is_closed(selection, upto):
                return page
            upto, is_last = await self._known.last_number(), True

    def _read(self, selection: Selection, upto: int) -> Deferred[Page]:
        """The first orders of `selection` among those up to number `upto`, which is released."""
        recent = [order_of(entry) for entry in self._known.recent()]
        return self._log.call(lambda log: _page(log, selection, upto, recent))

    async def order(self, number: int) -> Order | None:
        """Order `number`; None: there is none."""
        if number > self._known.released().number and number > await self._known.last_number():
            return None
        [order] = (await self._read(Selection(number - 1, 1), number)).orders
        return order

    async def after(self, number: int, limit: int) -> Sequence[Order]:
        """The first released orders after `number`, `limit` at most, as far as this member
        knows."""
        upto = min(number + limit, self._known.released().number)
        if upto <= number:
            return ()
        return (await self._read(Selection(number, limit), upto)).orders

    async def digest_at(self, index: int) -> str:
        """The digest that names the history up to entry `index`; empty: it is not there."""
        entries = await self._log.call(lambda log: log.read(index - 1, index))
        return entries[-1].digest if entries else ""

    async def with_key(self, key: str) -> Order | None:
        """The released order of `key`; None: it has none, and no trade that was answered before
        this call will get one."""
        order = await self._log.call(lambda log: _released_of(log, key))
        if order is not None:
            return order
        await self._known.last_number()
        # What was proposed before this call is released by now.
        upto = self._known.released().index
        found = await self._log.call(lambda log: log.find([key]))
        if found.index < upto or not self._known.has_led_to(found.index, found.digest):
            raise Unavailable(f"this server of the engine lacks entry {upto}")
        if key not in found.orders:
            return None
        number = found.orders[key][1].number
        return await self.order(number) if number <= self._known.released().number else None


def order_of(entry: Entry) -> Order:
    """The order that a `traded` entry holds."""
    assert isinstance(entry.event, Traded)
    return entry.event.shown(entry.at_milliseconds)


def _needs_last(selection: Selection, known: int) -> bool:
    """Whether the number of the last order must be known before anything is read."""
    if selection.descending:
        return not 0 < selection.after <= known + 1
    return selection.after >= known


def _is_closed(selection: Selection, known: int) -> bool:
    """Whether no order above `known` can be of the selection."""
    return selection.descending and 0 < selection.after <= known + 1


def _page(log: SharedLog, selection: Selection, upto: int, recent: Sequence[Order]) -> Page:
    """The first orders of `selection` up to number `upto`: those that the server says are released,
    and those of `recent` after them."""
    stored = min(upto, log.tail().released.number)
    beyond = [order for order in recent if stored < order.number <= upto]
    if stored + len(beyond) < upto:
        raise Unavailable(f"this server of the engine does not know that order {upto} is released")
    if not beyond:
        return log.orders(selection, upto)
    wanted = selection.limit + 1
    fitting = [order for order in beyond if selection.fits(order)]
    found = fitting[: -wanted - 1 : -1] if selection.descending else []
    before = msgspec.structs.replace(selection, limit=wanted - len(found))
    page = log.orders(before, stored) if before.limit else Page((), 0, ended=True)
    found += page.orders
    if not page.ended and len(found) < wanted:
        # It has stopped early.
        return Page(found[: selection.limit], page.examined, ended=False)
    if not selection.descending:
        found += islice(fitting, max(0, wanted - len(found)))
    return page_of(found, selection, upto)


def _released_of(log: SharedLog, key: str) -> Order | None:
    """The order of `key`, if the server has one of which it says that it is released."""
    found = log.find([key])
    if key not in found.orders:
        return None
    order = log.order(found.orders[key][1].number)
    # Another server may have answered than the one that has the key, which was lost there.
    return order if order is not None and order.key == key else None
