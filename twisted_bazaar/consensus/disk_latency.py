"""How long a replica's disk takes for a write, and what the operator is told of it. Pure."""

from collections import deque

__all__ = ["LONGEST_WRITE_SECONDS", "DiskLatency"]

LONGEST_WRITE_SECONDS = 2.0
"""Elections end on disks that take up to this long for a write; on slower ones they may not."""

_REMEMBERED_WRITES = 8
_CALM_SECONDS = 10.0
"""A disk is well again this long after the last slow write, so that one that is slow now and then
does not fill the log."""


class DiskLatency:
    """The writes of one replica, one at a time. Times are seconds on its clock."""

    def __init__(self, slow_seconds: float) -> None:
        """A write that takes more than `slow_seconds` is slow."""
        self._slow_seconds = slow_seconds
        self._began: float | None = None
        self._took: deque[float] = deque([0.0], maxlen=_REMEMBERED_WRITES)
        self._slow_until = float("-inf")
        """When the last slow write ended."""
        self._said = 0.0
        """Writes of this many seconds were reported; 0: the disk is well, as far as reported."""

    def begun(self, now: float) -> None:
        """A write begins."""
        self._began = now

    def ended(self, now: float) -> None:
        """The write that was under way is on disk."""
        assert self._began is not None
        took, self._began = now - self._began, None
        self._took.append(took)
        if took > self._slow_seconds:
            self._slow_until = now

    @property
    def recent(self) -> float:
        """Seconds of the longest of the last 8 writes; 0: there was none."""
        return max(self._took)

    def seconds(self, now: float) -> float:
        """Seconds of the longest of the last 8 writes and of the one under way."""
        return max(self.recent, self._age(now))

    def latest(self, now: float) -> float:
        """Seconds of the last write, or of the one under way if that takes longer."""
        return max(self._took[-1], self._age(now))

    def hangs(self, now: float) -> bool:
        """Whether a write has been under way for 2.5 s: longer than an election allows for."""
        return self._age(now) > 1.25 * LONGEST_WRITE_SECONDS

    def _age(self, now: float) -> float:
        return 0.0 if self._began is None else now - self._began

    def remark(self, now: float) -> str | None:
        """What to tell the operator now, each thing once; None: nothing new."""
        age, last = self._age(now), self._took[-1]
        if self._said < LONGEST_WRITE_SECONDS < self.latest(now):
            self._said = float("inf")
            return (
                f"the disk is too slow: a write takes more than {LONGEST_WRITE_SECONDS:g} s; "
                f"where a majority has such disks, a leader may not be elected"
            )
        if not self._said and last > self._slow_seconds:
            self._said = self._slow_seconds
            return f"the disk is slow: a write took {last:.2f} s"
        calm = now >= self._slow_until + _CALM_SECONDS and age <= self._slow_seconds
        if self._said and calm and last <= self._slow_seconds:
            self._said = 0.0
            self._took = deque([last], maxlen=_REMEMBERED_WRITES)
            return f"the disk is well again: a write took {last:.3f} s"
        return None
