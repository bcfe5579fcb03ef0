"""When the requests of an open loop are due, and from when their latency counts. Pure.

A client of a closed loop sends its next request once it has an answer: while the server stalls
it sends none, so each client measures the stall once (coordinated omission). The requests of an
open loop are due at even intervals, and the latency of each counts from when it was due.
"""

import math

__all__ = ["Schedule", "counted_from"]

TIMER_SECONDS = 0.002
"""How late the reactor may wake a waiting client, as it waits in whole milliseconds, rounded
up. A delay up to this is the client's own, not latency of the server."""


class Schedule:
    """One request every 1/`rate` seconds; the next free client takes it."""

    def __init__(
        self, rate: float, begin: float, until: float = math.inf, give_up: float = math.inf
    ) -> None:
        """Requests are due from `begin` to before `until`. From `give_up` on none is taken, as the
        clients are then too far behind."""
        self._rate = rate
        self._begin = begin
        self._until = until
        self._give_up = give_up
        self._taken = 0

    def take(self, now: float) -> float | None:
        """When the next request is due, which may be in the past; None: there is no more."""
        due = self._begin + self._taken / self._rate
        if due >= self._until or now >= self._give_up:
            return None
        self._taken += 1
        return due

    def left(self, now: float) -> int:
        """How many requests were due before `now` and not taken."""
        end = min(self._until, now)
        return max(0, math.ceil((end - self._begin) * self._rate - 1e-6) - self._taken)


def counted_from(due: float, free: float, sent: float) -> float:
    """From when the latency of a request counts that was `due`, whose client was free at `free`
    and sent it at `sent`: `due`, but for a delay of at most `TIMER_SECONDS` by the timer."""
    if free <= due and sent - due <= TIMER_SECONDS:
        return sent
    return due
