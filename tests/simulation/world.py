"""Simulated time: a heap of events, processes with clocks of their own, and a trace."""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["Process", "World", "milliseconds"]

_EPOCH_SECONDS = 1_790_000_000
"""What a true wall clock shows when the simulation begins."""


def milliseconds(at: float) -> int:
    """What a true wall clock shows at this time of the simulation."""
    return int((_EPOCH_SECONDS + at) * 1000)


class World:
    """Runs events in the order of their times, and events of one time in the order of their
    making."""

    def __init__(self, seed: int, traced: bool = False) -> None:
        self.random = Random(seed)
        self.aside = Random(f"aside {seed}")
        """For draws that do not decide when anything happens: they leave `random` alone."""
        self.now = 0.0
        self.events = 0
        self.trace: list[str] | None = [] if traced else None
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._made = 0

    def after(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        """Call it in `delay` seconds."""
        self._made += 1
        heapq.heappush(self._heap, (self.now + delay, self._made, call, arguments))

    def run(self, until: float) -> None:
        """Let time pass up to `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(heap)
            self.events += 1
            call(*arguments)
        self.now = until

    def say(self, who: str, what: str) -> None:
        """Add a line to the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{self.now * 1000:10.2f} ms  {who:<10} {what}")


class Process:
    """Something that can crash, pause and start again, on a clock that runs at its own rate."""

    def __init__(self, world: World, name: str, rate: float = 1.0) -> None:
        self.world = world
        self.name = name
        self.alive = False
        self.paused = False
        self._rate = rate
        self._offset = world.random.uniform(0, 1000)
        self._life = 0
        self._backlog: list[tuple[bool, int, Callable[..., Any], tuple[Any, ...]]] = []
        """What came while it stood still: whether it is a timer, in which life, what to call."""

    @property
    def seconds(self) -> float:
        """What its own clock shows."""
        return self._offset + self._rate * self.world.now

    def slow_down(self, rate: float) -> None:
        """From now on its clock runs at `rate`."""
        self._offset = self.seconds - rate * self.world.now
        self._rate = rate

    def later(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        """Call it after `delay` seconds of its own clock, if it is still in this life."""
        self.world.after(delay / self._rate, self._wake, True, self._life, call, arguments)

    def in_this_life(self, call: Callable[..., Any]) -> Callable[..., None]:
        """`call`, unless this life is over; while the process is paused, it waits."""
        life = self._life

        def guarded(*arguments: Any) -> None:
            self._wake(False, life, call, arguments)

        return guarded

    def _wake(
        self, timer: bool, life: int, call: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        if life != self._life:
            return
        if self.paused:
            self._backlog.append((timer, life, call, arguments))
        else:
            call(*arguments)

    def start(self) -> None:
        """Begin a new life."""
        if not self.alive:
            self._life += 1
            self.alive = True
            self.paused = False
            self.world.say(self.name, "starts")
            self.started()

    def crash(self) -> None:
        """End this life at once."""
        if self.alive:
            self.world.say(self.name, "crashes")
            self.alive = False
            self._life += 1
            self._backlog.clear()
            self.crashed()

    def pause(self) -> None:
        """Stand still; messages wait meanwhile."""
        if self.alive:
            self.world.say(self.name, "pauses")
            self.paused = True

    def resume(self, reads_first: bool | None = None) -> None:
        """Go on; `reads_first`: with messages before timers (None: in either order)."""
        if self.alive and self.paused:
            self.world.say(self.name, "resumes")
            self.paused = False
            backlog, self._backlog = self._backlog, []
            if reads_first is None:
                # A reactor that stood still in `poll` does; one that did before it, does not.
                reads_first = self.world.random.random() < 0.5
            if reads_first:
                backlog.sort(key=lambda waiting: waiting[0])
            for timer, life, call, arguments in backlog:
                self._wake(timer, life, call, arguments)

    def started(self) -> None:
        """What a process does when it starts."""

    def crashed(self) -> None:
        """What a crash does to what outlives it."""
