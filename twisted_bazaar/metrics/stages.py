"""How long entries of the log take to come to a stage. Pure."""

from collections import deque

from .figures import Histogram

__all__ = ["Stage"]

MOST_WAITING = 1024
"""Beyond it, the oldest are forgotten: nothing has come to the stage for long."""


class Stage:
    """Observes for each index how many seconds after `began` it was reached. Indexes ascend."""

    __slots__ = ("_seconds", "waiting")

    def __init__(self, seconds: Histogram) -> None:
        self._seconds = seconds
        self.waiting: deque[tuple[int, float]] = deque(maxlen=MOST_WAITING)
        """Index, and when it began."""

    def began(self, index: int, now: float) -> None:
        """Something began `now` that ends when `index` is reached."""
        self.waiting.append((index, now))

    def reached(self, index: int, now: float) -> None:
        """All up to `index` is reached."""
        waiting = self.waiting
        while waiting and waiting[0][0] <= index:
            self._seconds.observe(now - waiting.popleft()[1])

    def passed(self, index: int) -> None:
        """What began up to `index` does not come to this stage."""
        while self.waiting and self.waiting[0][0] <= index:
            self.waiting.popleft()

    def clear(self) -> None:
        """Nothing that began is certain to end."""
        self.waiting.clear()
