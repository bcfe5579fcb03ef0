"""A circuit breaker: decides whether a store that may be slow or gone is sent a command. Pure.

    closed ── a failure ──▶ open ── after a pause ──▶ one trial ── answered ──▶ closed
                             ▲                            │
                             └───────── a failure ────────┘

Timeouts are counted in ticks, which come at equal intervals while the process runs. By a clock, a
process that was stopped would give up answers that came in time and were not read yet.
"""

__all__ = ["Breaker"]


class Breaker:
    """The state of one store, and the commands under way to it.

    It begins open, and admits a trial at once. Times are seconds on one clock.
    """

    def __init__(self, pause: float, timeout_ticks: int, capacity: int) -> None:
        """After a failure nothing is admitted for `pause` seconds. A command times out after
        `timeout_ticks`; at most `capacity` may be under way."""
        self.closed = False
        """Whether the store answered last."""
        self._pause = pause
        self._timeout_ticks = timeout_ticks
        self._capacity = capacity
        self._trial_at = float("-inf")
        self._given_up = False
        self._ticks = 0
        self._commands = 0
        self._due: dict[int, int] = {}
        """By command under way, the oldest first: the tick at which it times out."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that no ticks are needed."""
        return not self._due

    def wait(self, now: float) -> float:
        """Seconds until a trial is admitted, from 0."""
        return max(0.0, self._trial_at - now)

    def admit(self, now: float) -> int | None:
        """A number for a command to send now; None: it must not be sent."""
        if self.closed:
            if len(self._due) >= self._capacity:
                return None
        elif self._due or now < self._trial_at:
            return None
        self._commands += 1
        self._due[self._commands] = self._ticks + self._timeout_ticks
        return self._commands

    def answered(self, command: int) -> bool:
        """The store answered. Returns whether it had been given up."""
        if self._due.pop(command, None) is None:
            return False
        self.closed = True
        news, self._given_up = self._given_up, False
        return news

    def forgotten(self, command: int) -> None:
        """The command was cancelled."""
        self._due.pop(command, None)

    def tick(self) -> bool:
        """An interval has passed. Returns whether a command has timed out."""
        self._ticks += 1
        oldest = next(iter(self._due.values()), None)
        return oldest is not None and oldest <= self._ticks

    def failed(self, now: float) -> bool:
        """The store failed, and all commands with it. Returns whether it had not been given up."""
        self.closed = False
        self._due.clear()
        self._trial_at = now + self._pause
        news, self._given_up = not self._given_up, True
        return news
