"""When the requests of an open loop are to start, and from when their latency counts. Pure.

A closed loop asks again only when it has been answered: while the server stalls it asks for
nothing, and so measures the stall once for each client, however many requests would have met
it. An open loop's requests are due whether or not the ones before are answered, and each
counts from when it was due.
"""

import math

__all__ = ["Schedule", "counted_from"]

TIMER_SECONDS = 0.002
"""How late the reactor may wake a client that waits: it waits in whole milliseconds, rounded
up. That much is our own lateness, and would show as latency of a fast server."""


class Schedule:
    """One start every 1/`rate` seconds; whoever is free takes the next one."""

    def __init__(
        self, rate: float, begin: float, until: float = math.inf, give_up: float = math.inf
    ) -> None:
        """Starts are due from `begin` to before `until`. From `give_up` on none is given any
        more, as one that is so far behind does not catch up."""
        self._rate = rate
        self._begin = begin
        self._until = until
        self._give_up = give_up
        self._taken = 0

    def take(self, now: float) -> float | None:
        """When the next request is due, which may be long ago; None: there is no more."""
        due = self._begin + self._taken / self._rate
        if due >= self._until or now >= self._give_up:
            return None
        self._taken += 1
        return due

    def left(self, now: float) -> int:
        """How many requests were due before `now` and were never taken."""
        end = min(self._until, now)
        return max(0, math.ceil((end - self._begin) * self._rate - 1e-6) - self._taken)


def counted_from(due: float, free: float, sent: float) -> float:
    """From when the latency of a request counts that was `due`, if its client was `free` for it
    since then and has `sent` it: in any case but that of a slightly late timer, when it was
    due."""
    if free <= due and sent - due <= TIMER_SECONDS:
        return sent
    return due
