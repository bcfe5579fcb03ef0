"""What waits to be sent, by who asked for it: one client with much waiting does not hold up another
with little. Pure.

Each client has a lane, in order of arrival. While all that waits fits into one batch, it goes in
order of arrival, whose it is does not matter. Else each batch is filled from the lane that was sent
least, counted from when the lane began to wait: so lanes that always have something waiting get
equal shares of the trades that are sent, and what comes to an empty lane is in the next batch.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

__all__ = ["Lanes", "Queued"]


class Queued(Protocol):
    """What may wait in a lane."""

    owner: str
    """Who asked for it."""
    place: int
    """Its order of arrival, also when it waits again. Unlike that of any other."""
    together: int
    """The same for those that are always taken together, and for no others. They have one owner
    and follow each other."""


Q = TypeVar("Q", bound=Queued)

_place = attrgetter("place")


class _Lane(Generic[Q]):
    """What one owner has open."""

    __slots__ = ("open", "sent", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Q] = deque()
        self.open = 0
        """Those that wait or were taken, until they are closed."""
        self.sent = 0
        """How many were taken of it while not all that waited fitted into a batch. A lane that
        begins to wait starts where those that wait are."""


class Lanes(Generic[Q]):
    """The lanes of all owners that have something open."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane[Q]] = {}
        self._backlogged: list[_Lane[Q]] = []
        """Those in which something waits."""
        self._waiting = 0
        self._level = 0
        """What the lane had been sent from which was taken last."""
        self._most_sent = 0
        """More than any lane has been sent, or as much."""

    def __len__(self) -> int:
        """How many wait."""
        return self._waiting

    def __iter__(self) -> Iterator[Q]:
        """All that wait."""
        return (each for lane in self._backlogged for each in lane.waiting)

    def open_of(self, owner: str) -> int:
        """How many `owner` has open."""
        lane = self._lanes.get(owner)
        return 0 if lane is None else lane.open

    def open(self, item: Q, most: int) -> bool:
        """`item` waits now. It is the last that came. False, and it does not: its owner would have
        more than `most` open, which is 1 at least."""
        # Every trade passes here.
        lane = self._lanes.get(item.owner)
        if lane is None:
            lane = self._lanes[item.owner] = _Lane()
        elif lane.open >= most:
            return False
        lane.open += 1
        waiting = lane.waiting
        if not waiting:
            self._begins_to_wait(lane)
        waiting.append(item)
        self._waiting += 1
        return True

    def close(self, item: Q) -> None:
        """`item`, which does not wait, is no longer open."""
        lane = self._lanes[item.owner]
        lane.open -= 1
        # One that was sent more than the others is remembered until they have caught up.
        if not lane.open and lane.sent <= self._level:
            del self._lanes[item.owner]

    def take(self, most: int) -> list[Q]:
        """Take `most` of those that wait, or all if there are fewer, and those that are always
        taken together with the last. In order of arrival."""
        if self._waiting <= most:
            return self._take_all()
        taken: list[Q] = []
        turns = [(lane.sent, lane.waiting[0].place, lane) for lane in self._backlogged]
        heapify(turns)
        while turns and len(taken) < most:
            sent, _, lane = turns[0]
            self._level = sent
            lane.sent = sent + _take_first(lane.waiting, taken)
            self._most_sent = max(self._most_sent, lane.sent)
            if lane.waiting:
                heapreplace(turns, (lane.sent, lane.waiting[0].place, lane))
            else:
                heappop(turns)
        self._backlogged = [lane for _, _, lane in turns]
        self._waiting -= len(taken)
        self._caught_up()
        taken.sort(key=_place)
        return taken

    def wait_again(self, items: Iterable[Q]) -> None:
        """Those of `items`, which were taken, wait in their old places."""
        by_owner: dict[str, list[Q]] = {}
        for item in items:
            by_owner.setdefault(item.owner, []).append(item)
        for owner, again in by_owner.items():
            lane = self._lanes[owner]
            if not lane.waiting:
                self._begins_to_wait(lane)
            self._waiting += len(again)
            # Two sorted runs: linear time.
            lane.waiting = deque(sorted([*again, *lane.waiting], key=_place))

    def remove(self, chosen: Callable[[Q], bool]) -> list[Q]:
        """Take those that are `chosen`. In order of arrival."""
        removed: list[Q] = []
        for lane in self._backlogged:
            if any(map(chosen, lane.waiting)):
                removed += filter(chosen, lane.waiting)
                lane.waiting = deque(each for each in lane.waiting if not chosen(each))
        if removed:
            self._waiting -= len(removed)
            self._backlogged = [lane for lane in self._backlogged if lane.waiting]
            removed.sort(key=_place)
        return removed

    def _begins_to_wait(self, lane: _Lane[Q]) -> None:
        self._backlogged.append(lane)
        if lane.sent < self._level:
            lane.sent = self._level

    def _take_all(self) -> list[Q]:
        backlogged, self._backlogged = self._backlogged, []
        taken: list[Q] = []
        for lane in backlogged:
            taken += lane.waiting
            lane.waiting.clear()
        if len(backlogged) > 1:
            taken.sort(key=_place)
        self._waiting = 0
        if self._level < self._most_sent:
            self._caught_up()
        return taken

    def _caught_up(self) -> None:
        """Drop the lanes of which nothing is open, and that were sent no more than the others."""
        if not self._waiting:
            # All begin anew, as equals.
            self._level = self._most_sent
        done = [
            owner
            for owner, lane in self._lanes.items()
            if not lane.open and lane.sent <= self._level
        ]
        for owner in done:
            del self._lanes[owner]


def _take_first(waiting: deque[Q], taken: list[Q]) -> int:
    """Move the first of `waiting`, with those that are always taken together with it, to `taken`.
    Returns how many they are."""
    first = waiting.popleft()
    taken.append(first)
    moved = 1
    while waiting and waiting[0].together == first.together:
        taken.append(waiting.popleft())
        moved += 1
    return moved
