"""Has the leader carry out market operations, one after the other.

An operation that gets no answer is sent again, to whichever replica leads by then, until the
deadline: as it says what is to be so, twice is no different from once. Each sending is for one
leadership, and not taken after a later one of this front-end, nor after the deadline: what a caller
was answered is not undone by a message that comes late.
"""

from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail
from twisted.internet.task import deferLater

from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    MembersRefused,
    NotExecuted,
    OutcomeUnknown,
)
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.market import Change, ChangeRefusal
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing

__all__ = ["OperationService", "no_partition"]

T = TypeVar("T")

_TRIES = 3
"""An attempt takes a third of the time that there is, at most: its leader may be cut off."""


class OperationService:
    """Changes the market."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        timing: Timing,
        life: int,
        partition: int = 0,
    ) -> None:
        """`life` is a number from 1 to 2**53 - 1, another one for each start of a front-end, and
        another one than that of its trades. `partition` is the one that this is for."""
        self._partition = partition
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._timing = timing
        self._life = life
        self._numbers = count(1)
        # A later sending ends what is expected of those before it.
        self._turn = DeferredLock()

    def change(self, change: Change) -> Deferred[int]:
        """Change the market. Fires with the index of the entry that holds the change, or with 0:
        nothing had to be changed. From then on no client is shown what was before.

        Fails with `ChangeRefused`, `NotExecuted` or `OutcomeUnknown`, within `timing.deadline`
        seconds.
        """
        give_up = self._seconds() + self._timing.deadline
        return self._turn.run(lambda: Deferred.fromCoroutine(self._change(change, give_up)))

    def hand_over(self, partition: int, member: int) -> Deferred[None]:
        """Have the leader of `partition` leave the lead to `member`, which is the preferred one
        from then on; 0: to the usual one. Fires once it was told to.

        Fails with `ChangeRefused` if there is no such partition here, or no such member, and with
        `NotExecuted` or `OutcomeUnknown`, within `timing.deadline` seconds.
        """
        if partition != self._partition:
            return fail(no_partition(partition, 1))
        if member and member not in self._replicas:
            message = f"there is no order replica {member}"
            return fail(ChangeRefused(ChangeRefusal.INVALID, message))
        give_up = self._seconds() + self._timing.deadline
        return self._turn.run(lambda: Deferred.fromCoroutine(self._hand_over(member, give_up)))

    def change_members(self, change: MembersChange, based_on: int | None) -> Deferred[int]:
        """Have the leader begin a change of the log's members, as entry `based_on` says them; None:
        whoever they are. Fires with the index of the entry that begins it, or with 0: it is so
        already.

        Fails with `MembersRefused`, `NotExecuted` or `OutcomeUnknown`, within `timing.deadline`
        seconds.
        """
        give_up = self._seconds() + self._timing.deadline

        async def tell() -> int:
            return await self._tell_leader(
                lambda leader, timeout: self._replicas[leader].change_members(
                    change, based_on, timeout
                ),
                give_up,
            )

        return self._turn.run(lambda: Deferred.fromCoroutine(tell()))

    async def _hand_over(self, member: int, give_up: float) -> None:
        async def prefer(leader: int, timeout: float) -> None:
            await self._replicas[leader].hand_over(member, timeout)
            self._leadership.prefer(member, leader)

        await self._tell_leader(prefer, give_up)

    async def _tell_leader(self, tell: Callable[[int, float], Awaitable[T]], give_up: float) -> T:
        """What `tell(leader, timeout)` returns: it is called again until a leader takes it."""
        doubtful = False
        longest = self._timing.deadline / _TRIES
        while (left := give_up - self._seconds()) > 0:
            leader = self._leadership.leader
            if leader:
                try:
                    return await tell(leader, min(left, longest))
                except MembersRefused:
                    raise
                except NotExecuted:
                    self._leadership.doubt(leader)
                except BazaarError:
                    doubtful = True
            await deferLater(self._reactor, self._timing.ping)
        if doubtful:
            raise OutcomeUnknown("the leader did not answer")
        raise NotExecuted("no leader could be told in time")

    async def _change(self, change: Change, give_up: float) -> int:
        doubtful = False
        longest = self._timing.deadline / _TRIES
        while (left := give_up - self._seconds()) > 0:
            self._check_releases()
            leader = self._leadership.leader
            if leader:
                sending = self._sending(leader, give_up)
                timeout = min(left, longest)
                try:
                    return await self._replicas[leader].change(change, sending, timeout)
                except ChangeRefused as refused:
                    if doubtful and refused.refusal is ChangeRefusal.LISTED_ALREADY:
                        # Perhaps by an earlier attempt, and traded since.
                        raise OutcomeUnknown(f"{refused}: perhaps by this operation") from None
                    raise
                except NotExecuted:
                    self._leadership.doubt(leader)
                except BazaarError:
                    doubtful = True
                    self._leadership.doubt(leader)
            await deferLater(self._reactor, self._timing.ping)
        if doubtful:
            raise OutcomeUnknown("the leader did not answer")
        raise NotExecuted("no leader could decide it in time")

    def _sending(self, leader: int, give_up: float) -> Sending:
        return Sending(
            term=self._leadership.term,
            life=self._life,
            number=next(self._numbers),
            expected=(),
            expires=(self._leadership.clock_of(leader)(give_up),),
        )

    def _check_releases(self) -> None:
        """Refuse a change that some replica could not read."""
        for replica, (status, _) in self._leadership.statuses.items():
            if status is not None and status.level < 1:
                raise NotExecuted(
                    f"order replica {replica} is of an earlier release, and cannot read changes of"
                    " the market"
                )


def no_partition(partition: int, partitions: int) -> ChangeRefused:
    """The refusal of what is asked of a partition beyond the last."""
    message = f"there is no partition {partition}: there are {partitions}, the first is 0"
    return ChangeRefused(ChangeRefusal.INVALID, message)
