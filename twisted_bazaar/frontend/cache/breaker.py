"""Whether a store that may be slow or gone is asked. Pure.

    closed ── a failure ──▶ open ── after a pause ──▶ one trial ── answered ──▶ closed
                             ▲                            │
                             └───────── a failure ────────┘

A command has waited too long after so many ticks, which come at equal intervals while the
process runs. A process that was held up would find a clock's deadline past before it has read
what came in time; ticks that it missed do not count.
"""

__all__ = ["Breaker"]


class Breaker:
    """The state of one store, and the commands that are under way to it.

    It begins open, and a trial may be made at once. Times are in seconds, all on one clock.
    """

    def __init__(self, pause: float, patience: int, capacity: int) -> None:
        """After a failure nothing is sent for `pause` seconds; a command may wait for `patience`
        ticks; `capacity` of them may be under way."""
        self.closed = False
        """Whether the store answers, as far as is known."""
        self._pause = pause
        self._patience = patience
        self._capacity = capacity
        self._trial_at = float("-inf")
        self._given_up = False
        self._ticks = 0
        self._commands = 0
        self._due: dict[int, int] = {}
        """By command under way, the oldest first: the tick that ends its time."""

    @property
    def idle(self) -> bool:
        """Nothing is under way: no ticks are needed."""
        return not self._due

    def wait(self, now: float) -> float:
        """Seconds until there may be a trial, from 0."""
        return max(0.0, self._trial_at - now)

    def admit(self, now: float) -> int | None:
        """The number of a command that is sent now; None: it must not be sent."""
        if self.closed:
            if len(self._due) >= self._capacity:
                return None
        elif self._due or now < self._trial_at:
            return None
        self._commands += 1
        self._due[self._commands] = self._ticks + self._patience
        return self._commands

    def answered(self, command: int) -> bool:
        """The store answered. Whether that is news: it had been given up."""
        if self._due.pop(command, None) is None:
            return False
        self.closed = True
        news, self._given_up = self._given_up, False
        return news

    def forgotten(self, command: int) -> None:
        """Nobody waits for this answer any more."""
        self._due.pop(command, None)

    def tick(self) -> bool:
        """An interval has passed. Whether a command has waited too long."""
        self._ticks += 1
        oldest = next(iter(self._due.values()), None)
        return oldest is not None and oldest <= self._ticks

    def failed(self, now: float) -> bool:
        """The store failed, and with it all that was under way. Whether that is news."""
        self.closed = False
        self._due.clear()
        self._trial_at = now + self._pause
        news, self._given_up = not self._given_up, True
        return news
