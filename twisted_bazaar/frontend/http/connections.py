"""The connections of a site: what each waits for, since when, and which one has to go. Pure.

Every state in which a client could keep a connection without end has a time limit, and their
number has a limit below that of file descriptors, so that there is always one for a new client.
"""

from collections.abc import Hashable, Iterator
from enum import IntEnum
from typing import Generic, TypeVar

__all__ = ["MAX_CONNECTIONS", "SECONDS", "Connections", "Phase", "connections_for"]

MAX_CONNECTIONS = 4096
"""However many file descriptors there are: each may hold a body of 64 KiB."""
RESERVED_DESCRIPTORS = 256
"""For all that is no client: replicas, catalogs, the cache, logs, and what was accepted in one
turn of the reactor before those that make way for it are closed."""
MAX_LEAVING = 64
"""Connections that made way, and are still being closed in good order."""


class Phase(IntEnum):
    """What a connection waits for."""

    IDLE = 0
    """The next request."""
    HEAD = 1
    """The rest of a request line or of headers."""
    BODY = 2
    """The rest of a body."""
    WORKING = 3
    """An answer, which somebody else sees to in time."""
    SENDING = 4
    """The client, to take what it was answered."""
    REFUSED = 5
    """The client, to read why nothing more is read from it."""
    LEAVING = 6
    """Its end: it made way for another."""
    STREAMING = 7
    """The client, to take an answer piece by piece, which has a time of its own."""


SECONDS = {
    Phase.IDLE: 60.0,
    Phase.HEAD: 10.0,
    Phase.BODY: 20.0,
    Phase.SENDING: 60.0,
    Phase.REFUSED: 2.0,
    Phase.LEAVING: 2.0,
}
"""How long a connection may stay in a phase, whatever trickles in meanwhile."""

_LEAVE_FIRST = (Phase.REFUSED, Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.SENDING, Phase.STREAMING)
"""Where one to make way is looked for. What is worked on is never cut off: it may be a trade."""

C = TypeVar("C", bound=Hashable)


def connections_for(descriptors: int) -> int:
    """How many connections a process with so many file descriptors can bear; negative: any."""
    if descriptors < 0:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2))


class Connections(Generic[C]):
    """Keeps the phases. `now` is in seconds, of a clock that never goes back."""

    def __init__(self, limit: int) -> None:
        assert limit > 0
        self._limit = limit
        self._phases: dict[C, Phase] = {}
        # By phase, each in the order in which they entered it.
        self._since: list[dict[C, float]] = [{} for _ in Phase]

    def __len__(self) -> int:
        return len(self._phases)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._phases))

    def phase(self, connection: C) -> Phase | None:
        """None: it is not known any more."""
        return self._phases.get(connection)

    def add(self, connection: C, now: float) -> list[C]:
        """A new one, which is idle. Those that have to be closed for it, which may be itself."""
        self._phases[connection] = Phase.IDLE
        self._since[Phase.IDLE][connection] = now
        leaving = self._since[Phase.LEAVING]
        if len(self._phases) - len(leaving) <= self._limit:
            return []
        victims = [next(iter(leaving))] if len(leaving) >= MAX_LEAVING else []
        oldest = (
            other for phase in _LEAVE_FIRST for other in self._since[phase] if other != connection
        )
        return [*victims, next(oldest, connection)]

    def move(self, connection: C, phase: Phase, now: float) -> None:
        """`connection` waits for something else from now on. One that is not known stays so."""
        before = self._phases.get(connection)
        if before is None:
            return
        del self._since[before][connection]
        self._since[phase][connection] = now
        self._phases[connection] = phase

    def remove(self, connection: C) -> None:
        """It is closed, or will be without being asked again."""
        before = self._phases.pop(connection, None)
        if before is not None:
            del self._since[before][connection]

    def overdue(self, now: float) -> list[C]:
        """Those whose time in their phase is over, to be closed or moved."""
        found: list[C] = []
        for phase, seconds in SECONDS.items():
            for connection, since in self._since[phase].items():
                if now - since < seconds:
                    break
                found.append(connection)
        return found
