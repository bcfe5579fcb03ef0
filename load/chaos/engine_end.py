"""How a stage ends whose bazaar has its log in an engine: what its rows hold is compared with what
clients can read and with what the members show."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from load.bazaar import state
from load.bazaar.engine_state import orders_in_engine, verify_engine
from load.bazaar.fleet import ReplicaRow
from load.bazaar.local import LocalFleet
from load.bazaar.state import Log
from load.errors import NotInTime
from load.history.records import Closing, Order
from twisted_bazaar.runtime.services import monotonic_seconds

__all__ = ["EngineEnd"]

TRIES = 5
"""A leader that is elected meanwhile adds an entry."""
ALIKE_SECONDS = 30.0


class EngineEnd(msgspec.Struct, frozen=True):
    """A bazaar that does not trade any more."""

    ending: Closing | None
    """What the front-end shows; None: none answers."""
    stored: Mapping[int, Order]
    """The orders in the engine, with their keys, by number."""
    members: Sequence[ReplicaRow]
    """What they show; empty: they differ, or are not reachable."""
    logs: Sequence[Log]
    """Of the partitions."""

    @classmethod
    async def read(cls, fleet: LocalFleet) -> "EngineEnd":
        """Read all of it, several times if it changes meanwhile."""
        url = fleet.engine_url()
        for left in reversed(range(TRIES)):
            found = cls(
                await _closing(fleet), await orders_in_engine(url), (), await verify_engine(url)
            )
            try:
                shown = await fleet.until(fleet.converged, "all members agree", ALIKE_SECONDS)
            except NotInTime:
                shown = ()
            found = msgspec.structs.replace(found, members=shown)
            if not left or not list(found.wrong()):
                return found
        raise AssertionError

    @property
    def closing(self) -> Closing:
        """The end of the history, with the key of each order."""
        if self.ending is None:
            orders = tuple(self.stored[number] for number in sorted(self.stored))
            return Closing(at=monotonic_seconds(), orders=orders)
        return state.with_keys(self.ending, self.stored.values())

    def wrong(self) -> Iterator[tuple[int, str]]:
        """What is wrong, each with the invariant that is broken."""
        unsound = [log for log in self.logs if not log.sound]
        for log in unsound:
            yield 2, f"the log of {log.replica}: {log.said}"
        if unsound:
            return
        yield from self._of_orders()
        if not self.members:
            yield 11, "the members do not show the same"
            return
        for log, (_, digest) in zip(self.logs, self.members[0].ends, strict=True):
            if log.digest != digest:
                what = f"{log.replica} ends with {log.digest}, the members show {digest}"
                yield 11, what

    def _of_orders(self) -> Iterator[tuple[int, str]]:
        verified = sum(log.last_number for log in self.logs)
        if verified != len(self.stored):
            yield 2, f"the logs hold {verified} orders, and {len(self.stored)} are read from rows"
        # No client uses a key for two stocks.
        counted = Counter(order.key for order in self.stored.values() if order.key is not None)
        for key, count in counted.items():
            if count > 1:
                yield 5, f"key {key} has {count} orders, of all partitions"
        if self.ending is None:
            return
        shown = {order.number for order in self.ending.orders}
        if shown != self.stored.keys():
            first = min(shown ^ self.stored.keys())
            yield 2, f"{len(shown)} orders can be read, {len(self.stored)} are stored; see {first}"


async def _closing(fleet: LocalFleet) -> Closing | None:
    try:
        return await state.closing(fleet.reactor, fleet.urls[0], monotonic_seconds())
    except NotInTime:
        return None
