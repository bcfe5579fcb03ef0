"""Market operations where the market has several partitions."""

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.python.failure import Failure

from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    NotExecuted,
    OutcomeUnknown,
    Unavailable,
)
from twisted_bazaar.frontend.operations.service import OperationService, no_partition
from twisted_bazaar.market import (
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Repriced,
    Resumed,
)

from .whereabouts import Whereabouts

__all__ = ["OperationRouter"]


class OperationRouter:
    """Stands before one `OperationService` for each partition.

    A change of stocks of several partitions is a change of each: it may succeed in some only. To
    ask for it again is safe.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        services: Sequence[OperationService],
        whereabouts: Whereabouts,
        deadline: float,
    ) -> None:
        """`services` are those of the partitions, by number. A stock that is being moved is waited
        for, up to `deadline` seconds."""
        self._seconds = seconds
        self._services = services
        self._whereabouts = whereabouts
        self._placements = whereabouts.placements
        self._deadline = deadline

    def change(self, change: Change) -> Deferred[Mapping[int, int]]:
        """Change the market. Fires with the entries that hold the change, by partition; where
        nothing had to be changed, there is none.

        Fails as `OperationService.change`: with what is worst, if several partitions failed.
        """
        return Deferred.fromCoroutine(self._change(change))

    def hand_over(self, partition: int, member: int) -> Deferred[None]:
        """As `OperationService.hand_over`."""
        if partition >= len(self._services):
            return fail(no_partition(partition, len(self._services)))
        return self._services[partition].hand_over(partition, member)

    def change_members(self, change: MembersChange, based_on: int | None) -> Deferred[int]:
        """Fails with `MembersRefused`: an engine's log has no replicas."""
        return self._services[0].change_members(change, based_on)

    async def _change(self, change: Change) -> Mapping[int, int]:
        if isinstance(change, Repriced | Move):
            return _with_entry(dict([await self._follow(change, change.stock)]))
        parts = [self._part(each, partition) for partition, each in self._split(change).items()]
        changed = _changed(await gatherResults(parts))
        if isinstance(change, Halted | Resumed) and not change.stocks:
            # One on its way is in none of the partitions.
            for each in self._placements.moved:
                if not each.arrived:
                    alone = type(change)((each.stock,))
                    changed.update([await self._follow(alone, each.stock)])
        return _with_entry(changed)

    def _split(self, change: Listed | Halted | Resumed) -> Mapping[int, Change]:
        """What of `change` is for each partition."""
        if not change.stocks:
            return dict.fromkeys(range(len(self._services)), change)
        if isinstance(change, Listed):
            listings: dict[int, list[Listing]] = {}
            for listing in change.stocks:
                listings.setdefault(self._placements.of(listing.name), []).append(listing)
            return {partition: Listed(tuple(each)) for partition, each in listings.items()}
        names: dict[int, list[str]] = {}
        for name in change.stocks:
            names.setdefault(self._placements.of(name), []).append(name)
        kind = type(change)
        return {partition: kind(tuple(each)) for partition, each in names.items()}

    def _part(self, change: Change, partition: int) -> Deferred[Mapping[int, int] | BazaarError]:
        """Have `partition` make its part of a change. Fires with its entry, by partition, or with
        what it met."""

        def made(index: int) -> Mapping[int, int]:
            return {partition: index}

        def met(failure: Failure) -> BazaarError | Deferred[Mapping[int, int] | BazaarError]:
            failure.trap(BazaarError)
            error = failure.value
            assert isinstance(error, BazaarError)
            if _is_unknown_stock(error) and isinstance(change, Halted | Resumed):
                return Deferred.fromCoroutine(self._one_by_one(change))
            return error

        part: Deferred[Mapping[int, int] | BazaarError] = (
            self._services[partition].change(change).addCallbacks(made, met)
        )
        return part

    async def _one_by_one(self, change: Halted | Resumed) -> Mapping[int, int] | BazaarError:
        """A partition has not got one of these stocks: look for each."""
        changed: dict[int, int] = {}
        for name in change.stocks:
            try:
                partition, index = await self._follow(type(change)((name,)), name)
            except BazaarError as error:
                return error
            changed[partition] = max(index, changed.get(partition, 0))
        return changed

    async def _follow(self, change: Change, stock: str) -> tuple[int, int]:
        """Make a change of one stock where that is. Returns the partition and the entry."""
        give_up = self._seconds() + self._deadline
        partition = self._placements.of(stock)
        while True:
            try:
                return partition, await self._services[partition].change(change)
            except ChangeRefused as refused:
                if not _is_unknown_stock(refused):
                    raise
                try:
                    found = await self._whereabouts.after(stock, partition, give_up)
                except Unavailable as why:
                    raise NotExecuted(str(why)) from None
                if found is None:
                    raise
                partition = found


def _with_entry(changed: Mapping[int, int]) -> Mapping[int, int]:
    """Those partitions that had to change something."""
    return {partition: index for partition, index in sorted(changed.items()) if index}


def _is_unknown_stock(error: BazaarError) -> bool:
    return isinstance(error, ChangeRefused) and error.refusal is ChangeRefusal.UNKNOWN_STOCK


def _changed(outcomes: Sequence[Mapping[int, int] | BazaarError]) -> dict[int, int]:
    """The entries of all, by partition. Raises what is worst."""
    errors = [each for each in outcomes if isinstance(each, BazaarError)]
    for kind in (OutcomeUnknown, NotExecuted, BazaarError):
        for error in errors:
            if isinstance(error, kind):
                raise error
    changed: dict[int, int] = {}
    for each in outcomes:
        if not isinstance(each, BazaarError):
            for partition, index in each.items():
                changed[partition] = max(index, changed.get(partition, 0))
    return changed
