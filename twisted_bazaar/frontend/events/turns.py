"""When readers are written to, and how often the replicas are asked. Pure.

To write to a connection costs some 30 microseconds, however little is written. So all readers
together are written to `WRITES_PER_SECOND` times a second at most, in turn: with few of them that
is at once, with a thousand once a second, each time with all that has come up.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["WRITES_PER_SECOND", "Turns", "asking_seconds"]

WRITES_PER_SECOND = 1000
_BURST = 16
"""Readers that may be written to in one turn of the reactor."""
_LEAST_SECONDS = 0.02
_MOST_SECONDS = 0.25
"""Between two questions to the replicas, each of which costs a front-end and a replica about a
millisecond."""
_QUESTIONS_PER_SECOND = 200
"""To the replicas of all partitions together."""

R = TypeVar("R", bound=Hashable)


def asking_seconds(readers: int, partitions: int = 1) -> float:
    """The least time between two questions to the replicas of a partition. A reader is told later
    by a fourth at most than the time between two writes to it; with many partitions, as late as
    their number makes it."""
    least = max(_LEAST_SECONDS, partitions / _QUESTIONS_PER_SECOND)
    return max(least, min(_MOST_SECONDS, readers / WRITES_PER_SECOND / 4))


class Turns(Generic[R]):
    """The readers that wait for something, first come, first served. `now` is seconds on a clock
    that never goes back."""

    def __init__(self, rate: float = WRITES_PER_SECOND, burst: int = _BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at = 0.0
        self._waiting: dict[R, None] = {}
        self._served: dict[R, None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._served)

    def all(self) -> list[R]:
        """All readers, those first that wait."""
        return [*self._waiting, *self._served]

    def add(self, reader: R) -> None:
        """`reader` waits for its first turn."""
        self._waiting[reader] = None

    def remove(self, reader: R) -> None:
        """`reader` has no more turns."""
        self._waiting.pop(reader, None)
        self._served.pop(reader, None)

    def news(self) -> None:
        """All readers wait for a turn; those that had none for longest come first."""
        if self._waiting:
            self._waiting.update(self._served)
            self._served.clear()
        else:
            self._waiting, self._served = self._served, self._waiting

    def due(self, now: float) -> list[R]:
        """The readers whose turn it is."""
        self._left = min(self._burst, self._left + self._rate * max(0.0, now - self._at))
        self._at = now
        count = min(len(self._waiting), int(self._left))
        self._left -= count
        due = [reader for reader, _ in zip(self._waiting, range(count), strict=False)]
        for reader in due:
            del self._waiting[reader]
            self._served[reader] = None
        return due

    @property
    def wait(self) -> float | None:
        """Seconds after `due` until the next readers' turn, all at once; None: no reader waits."""
        if not self._waiting:
            return None
        return min(len(self._waiting), self._burst) / self._rate if self._left < 1 else 0.0
