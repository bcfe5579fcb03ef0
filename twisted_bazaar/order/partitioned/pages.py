"""Reads orders of one partition from the engine, for front-ends.

What is released never changes, so any member answers with that. Only the leader can say that there
are no more orders, or none with a key, and proves first that it leads.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from twisted_bazaar.engine.shared_log import Released, SharedLog
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.market import Order
from twisted_bazaar.selection import Page, Selection

from .call_thread import CallThread

__all__ = ["EnginePages"]


class EnginePages:
    """The orders of one partition. Methods are called on the reactor thread.

    They fail with `NotLeader` if only the leader can answer, and with `Unavailable` or
    `EngineError` if the engine does not answer, or lacks what it has shown before.
    """

    def __init__(
        self,
        log: CallThread[SharedLog],
        released: Callable[[], Released],
        last_number: Callable[[], Deferred[int]],
        has_led_to: Callable[[int, str], bool],
    ) -> None:
        """`released`, `last_number` (`ask_last_number`) and `has_led_to` are those of
        `PartitionNode`."""
        self._log = log
        self._released = released
        self._last_number = last_number
        self._has_led_to = has_led_to

    async def page(self, selection: Selection) -> Page:
        """The first orders of `selection`, whose `key` is ignored. May stop early."""
        known, is_last = self._released().number, False
        if _needs_last(selection, known):
            known, is_last = await self._last_number(), True
        while True:
            page = await self._log.call(_reading(selection, known))
            if not page.ended or is_last or _is_closed(selection, known):
                return page
            known, is_last = await self._last_number(), True

    async def order(self, number: int) -> Order | None:
        """Order `number`; None: there is none."""
        if number > self._released().number and number > await self._last_number():
            return None
        order = await self._log.call(lambda log: log.order(number))
        if order is None:
            raise _lacks(number)
        return order

    async def after(self, number: int, limit: int) -> Sequence[Order]:
        """The first released orders after `number`, `limit` at most, as far as this member
        knows."""
        known = self._released().number
        upto = min(number + limit, known)
        if upto <= number:
            return ()
        page = await self._log.call(_reading(Selection(number, upto - number), upto))
        if len(page.orders) != upto - number:
            raise _lacks(upto)
        return page.orders

    async def digest_at(self, index: int) -> str:
        """The digest that names the history up to entry `index`; empty: it is not there."""
        entries = await self._log.call(lambda log: log.read(index - 1, index))
        return entries[-1].digest if entries else ""

    async def with_key(self, key: str) -> Order | None:
        """The released order of `key`; None: it has none, and no trade that was answered before
        this call will get one."""
        found = await self._log.call(lambda log: log.find([key]))
        if key not in found.orders:
            await self._last_number()
            # What was proposed before this call is released by now.
            upto = self._released().index
            found = await self._log.call(lambda log: log.find([key]))
            if key not in found.orders:
                if found.index < upto or not self._has_led_to(found.index, found.digest):
                    raise Unavailable(f"this server of the engine lacks entry {upto}")
                return None
        number = found.orders[key][1].number
        if number > self._released().number:
            await self._last_number()
        return await self.order(number)


def _needs_last(selection: Selection, known: int) -> bool:
    """Whether the number of the last order must be known before anything is read."""
    if selection.descending:
        return not 0 < selection.after <= known + 1
    return selection.after >= known


def _is_closed(selection: Selection, known: int) -> bool:
    """Whether no order above `known` can be of the selection."""
    return selection.descending and 0 < selection.after <= known + 1


def _reading(selection: Selection, upto: int) -> Callable[[SharedLog], Page]:
    """Reads the first orders of `selection` up to number `upto`, which the engine has shown."""

    def read(log: SharedLog) -> Page:
        page = log.orders(selection, upto)
        # A server of the engine that is behind must not say that there are no more.
        if page.ended and upto and log.order(upto) is None:
            raise _lacks(upto)
        return page

    return read


def _lacks(number: int) -> Unavailable:
    return Unavailable(f"this server of the engine lacks order {number}")
