"""Finds a stock that is not in the partition that was asked for it."""

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.runtime.reactor import Reactor

from .placements import Placements, leader_says, next_place

__all__ = ["Whereabouts"]


class Whereabouts:
    """Asks the leader of the partition that was asked: it knows what its own log has moved away.

    All that wait for the same leader share a question, if it was sent after they had come.
    """

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        placements: Placements,
        leaderships: Sequence[Leadership],
        members: Mapping[int, ReplicaClient],
        heard: Callable[[Status], None],
        pause: float,
    ) -> None:
        """`leaderships` are those of the partitions, by number. `heard` is called with what a
        leader answers, and puts it into `placements`. `pause` is the time in seconds
        after which to ask again."""
        self.placements = placements
        self._reactor = reactor
        self._seconds = seconds
        self._leaderships = leaderships
        self._members = members
        self._tell = heard
        self._pause = pause
        self._under_way: set[int] = set()
        """The partitions whose leader is being asked."""
        self._waiting: dict[int, list[Deferred[Status]]] = {}
        """By partition, those that wait for the next question."""

    async def after(self, stock: str, asked: int, give_up: float) -> int | None:
        """Where to ask next for `stock`, which partition `asked` has not got; None: nowhere, there
        is no such stock. Raises `Unavailable` if that is not known at `give_up`."""
        while True:
            try:
                status = await self._status(asked)
            except BazaarError:
                known = False
            else:
                known = leader_says(status, asked)
            if known:
                found = next_place(stock, asked, status.placements, len(self._leaderships))
                if found is None or not found.wait:
                    return None if found is None else found.partition
            if self._seconds() + self._pause >= give_up:
                raise Unavailable("it is not known which partition has the stock now")
            await deferLater(self._reactor, self._pause)
            if known and found is not None:
                return found.partition

    def _status(self, partition: int) -> Deferred[Status]:
        """The status of the leader of `partition`, made after this call."""
        answer: Deferred[Status] = Deferred()
        self._waiting.setdefault(partition, []).append(answer)
        self._ask(partition)
        return answer

    def _ask(self, partition: int) -> None:
        if partition in self._under_way or not self._waiting.get(partition):
            return
        waiting = self._waiting.pop(partition)
        leader = self._leaderships[partition].leader
        if not leader:
            for each in waiting:
                each.errback(Unavailable("no order replica leads"))
            return
        self._under_way.add(partition)
        asked = self._members[leader].status().addCallback(self._heard)
        asked.addBoth(self._answered, partition, waiting)

    def _heard(self, status: Status) -> Status:
        self._tell(status)
        return status

    def _answered(
        self, answer: Status | Failure, partition: int, waiting: Sequence[Deferred[Status]]
    ) -> None:
        self._under_way.discard(partition)
        for each in waiting:
            each.callback(answer)
        self._ask(partition)
