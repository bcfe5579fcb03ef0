"""Members of a bazaar with several partitions, as a front-end sees them."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from twisted_bazaar.consensus.messages import PartitionStatus, Status, StockPlacement
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.partitions.placements import Placements
from twisted_bazaar.frontend.partitions.whereabouts import Whereabouts
from twisted_bazaar.partitions import home

PARTITIONS = 3
PAUSE = 0.1
GIVE_UP = 5.0


def at_home_in(partition: int, count: int = 1, partitions: int = PARTITIONS) -> list[str]:
    """Names of stocks at home in `partition`."""
    names = (f"Stock{number}" for number in range(10_000))
    found = (name for name in names if home(name, partitions) == partition)
    return [next(found) for _ in range(count)]


def moved(stock: str, partition: int, arrived: bool = True) -> StockPlacement:
    return StockPlacement(stock=stock, partition=partition, arrived=arrived)


def status(member: int, leads: Sequence[int], placements: Sequence[StockPlacement] = ()) -> Status:
    partitions = [
        PartitionStatus(
            partition=number,
            role="leader" if number in leads else "follower",
            term=7,
            leader=member if number in leads else 0,
            last_index=10,
            last_number=5,
            digest="",
            cluster=f"b/{number}",
        )
        for number in range(PARTITIONS)
    ]
    return Status(
        replica=member,
        role=partitions[0].role,
        term=7,
        leader=0,
        last_index=10,
        last_number=5,
        digest="",
        cluster="b/0",
        partitions=partitions,
        placements=tuple(placements),
    )


class Members:
    """Each partition `p` is led by member `p + 1`, which knows `placements`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.placements: list[StockPlacement] = []
        self.silent: set[int] = set()
        self.deposed: set[int] = set()
        """Those that do not lead their partition any more."""
        self.asked: list[int] = []
        """The members that were asked for their status, in order."""
        self.held: list[tuple[int, Deferred[Status]]] | None = None
        """The questions that the test answers; None: they are answered at once."""
        self.leaderships = [self._leadership(each) for each in range(PARTITIONS)]
        clients: Any = {each + 1: _Client(self, each + 1) for each in range(PARTITIONS)}
        self.known = Placements(PARTITIONS)
        self.whereabouts = Whereabouts(
            self.clock,  # type: ignore[arg-type]
            self.clock.seconds,
            self.known,
            self.leaderships,
            clients,
            self.hear,
            PAUSE,
        )

    def hear(self, status: Status) -> None:
        self.known.heard(status.replica, status.placements)

    def _leadership(self, partition: int) -> Leadership:
        leadership = Leadership(range(1, PARTITIONS + 1), partition=partition)
        leadership.leader, leadership.term = partition + 1, 7
        return leadership

    def status(self, member: int) -> Deferred[Status]:
        self.asked.append(member)
        if member in self.silent:
            return fail(Unavailable("gone"))
        if self.held is not None:
            answer: Deferred[Status] = Deferred()
            self.held.append((member, answer))
            return answer
        return succeed(self.says(member))

    def says(self, member: int) -> Status:
        leads = () if member in self.deposed else (member - 1,)
        return status(member, leads, self.placements)


class _Client:
    def __init__(self, members: Members, member: int) -> None:
        self.status = lambda: members.status(member)


def outcome_of(answer: Deferred[Any]) -> Any:
    """What the Deferred has fired with; the error that it failed with; None: it has not."""
    found: list[Any] = []
    answer.addCallbacks(found.append, lambda failure: found.append(failure.value))
    assert not found or not isinstance(found[0], Exception) or isinstance(found[0], BazaarError)
    return found[0] if found else None
