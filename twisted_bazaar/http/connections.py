"""The connections of a site: what each waits for, since when, and which one to close. Pure.

Every phase in which a client could keep a connection forever has a time limit, and the number of
connections has a limit below that of file descriptors, so that a new client always gets one.
"""

from collections.abc import Hashable, Iterator, Mapping
from enum import IntEnum
from typing import Generic, TypeVar

from twisted_bazaar.errors import InvariantBroken

__all__ = [
    "MAX_CONNECTIONS",
    "REQUEST_SECONDS",
    "SECONDS",
    "TRANSITIONS",
    "Connections",
    "Phase",
    "connections_for",
]

MAX_CONNECTIONS = 10_000
"""However many file descriptors there are, unless an option says otherwise: each connection may
hold a body of 64 KiB."""
RESERVED_DESCRIPTORS = 256
"""For all but clients: replicas, catalogs, the cache, logs, and connections accepted in one reactor
turn before others are evicted for them."""
MAX_EVICTED = 64
"""Evicted connections that are still being closed."""


class Phase(IntEnum):
    """What a connection waits for. It starts idle, and may be closed in every phase."""

    IDLE = 0
    """The next request."""
    HEAD = 1
    """The rest of a request line or of headers."""
    BODY = 2
    """The rest of a body."""
    WORKING = 3
    """The answer of the service, which has a deadline of its own."""
    SENDING = 4
    """The client, to take an answer."""
    REFUSED = 5
    """The client, to read why nothing more is read from it."""
    EVICTED = 6
    """To be closed, for the sake of another connection."""
    STREAMING = 7
    """The client, to take an answer piece by piece, which has a deadline of its own."""
    EVENTS = 8
    """Something to tell the client, in an answer without end. What writes it bounds how long the
    client may take."""


_BEGUN = "part of a line has come (`BazaarChannel._incomplete`)"
_HEADERS = "the headers have come, the body has not (`BazaarChannel._incomplete`)"
_WHOLE = "a request has come whole (`BazaarChannel.allContentReceived`)"
_CLOSING = "the client has closed its side, or the site drains (`BazaarChannel.loseConnection`)"
_REFUSING = "what has come, or how slowly, is refused (`BazaarChannel.refuse`)"
_TAKEN = "the answer is written (`BazaarChannel._next_request`)"
_LAST = (
    "the answer is written, and it is the last (`BazaarChannel.loseConnection`) or the client "
    "has yet to take it (`BazaarChannel.requestDone`)"
)

TRANSITIONS: Mapping[tuple[Phase, Phase], str] = {
    (Phase.IDLE, Phase.HEAD): _BEGUN,
    (Phase.IDLE, Phase.BODY): _HEADERS,
    (Phase.IDLE, Phase.WORKING): _WHOLE,
    (Phase.IDLE, Phase.SENDING): f"its time is up, {_CLOSING}",
    (Phase.IDLE, Phase.REFUSED): f"{_REFUSING}, or there are too many connections",
    (Phase.IDLE, Phase.EVICTED): "it makes way for another (`BazaarChannel.evict`)",
    (Phase.HEAD, Phase.BODY): _HEADERS,
    (Phase.HEAD, Phase.WORKING): _WHOLE,
    (Phase.HEAD, Phase.SENDING): _CLOSING,
    (Phase.HEAD, Phase.REFUSED): _REFUSING,
    (Phase.BODY, Phase.WORKING): _WHOLE,
    (Phase.BODY, Phase.SENDING): _CLOSING,
    (Phase.BODY, Phase.REFUSED): _REFUSING,
    (Phase.WORKING, Phase.IDLE): _TAKEN,
    (Phase.WORKING, Phase.SENDING): _LAST,
    (Phase.WORKING, Phase.STREAMING): "the answer is large (`BazaarChannel.registerProducer`)",
    (Phase.WORKING, Phase.REFUSED): "its `Host` is refused (`BazaarRequest.process`)",
    (Phase.WORKING, Phase.EVENTS): "the answer has no end (`BazaarChannel.begin_stream`)",
    (Phase.EVENTS, Phase.SENDING): _CLOSING,
    (Phase.STREAMING, Phase.IDLE): _TAKEN,
    (Phase.STREAMING, Phase.SENDING): _LAST,
    (Phase.SENDING, Phase.IDLE): "the client has taken it (`BazaarChannel.resumeProducing`)",
}
"""By (from, to): when the change is made, and where. There is no other: a connection that is
refused or evicted stays so until it is closed."""

SECONDS: Mapping[Phase, float] = {
    Phase.IDLE: 60.0,
    Phase.HEAD: 10.0,
    Phase.SENDING: 60.0,
    Phase.REFUSED: 2.0,
    Phase.EVICTED: 2.0,
}
"""How long a connection may stay in a phase. Bytes that arrive do not prolong that."""

REQUEST_SECONDS = 20.0
"""How long a request may take to come, from its first byte to the last of its body."""

_COMING = (Phase.HEAD, Phase.BODY)
"""The phases in which a request has begun, and has not come whole."""

_EVICTION_ORDER = (
    *(Phase.REFUSED, Phase.IDLE, Phase.HEAD, Phase.BODY),
    *(Phase.SENDING, Phase.STREAMING, Phase.EVENTS),
)
"""The phases in which a connection may be evicted. Never `WORKING`: it may be a trade."""

C = TypeVar("C", bound=Hashable)


def connections_for(descriptors: int, wanted: int = MAX_CONNECTIONS) -> int:
    """How many connections of `wanted` a process with so many file descriptors can take; negative:
    they have no limit."""
    if descriptors < 0:
        return wanted
    return min(wanted, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2))


class Connections(Generic[C]):
    """The phase of each connection. `now` is seconds on a clock that never goes back."""

    def __init__(
        self,
        limit: int,
        seconds: Mapping[Phase, float] = SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        """`limit` bounds the connections that are not evicted, `seconds` the time in each phase,
        and `request_seconds` that in which a request comes, its head and body together."""
        assert limit > 0
        self._limit = limit
        self._seconds = seconds
        self._request_seconds = request_seconds
        self._phases: dict[C, Phase] = {}
        self._since: list[dict[C, float]] = [{} for _ in Phase]
        """By phase, when each connection entered it; in that order."""
        self._begun: dict[C, float] = {}
        """When each request that has not come whole has begun; in that order."""
        self._kept: set[C] = set()

    def __len__(self) -> int:
        return len(self._phases)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._phases))

    @property
    def is_full(self) -> bool:
        """Whether another connection would evict one, or be refused."""
        return len(self._phases) - len(self._since[Phase.EVICTED]) >= self._limit

    def phase(self, connection: C) -> Phase | None:
        """None: the connection is unknown, or was removed."""
        return self._phases.get(connection)

    def add(self, connection: C, now: float) -> list[C]:
        """Add a new connection, which is idle. Returns those to close for it, which may include
        itself."""
        self._phases[connection] = Phase.IDLE
        self._since[Phase.IDLE][connection] = now
        evicted = self._since[Phase.EVICTED]
        if len(self._phases) - len(evicted) <= self._limit:
            return []
        victims = [next(iter(evicted))] if len(evicted) >= MAX_EVICTED else []
        oldest = (
            other
            for phase in _EVICTION_ORDER
            for other in self._since[phase]
            if other != connection and other not in self._kept
        )
        return [*victims, next(oldest, connection)]

    def keep(self, connection: C) -> None:
        """Never evict `connection`."""
        if connection in self._phases:
            self._kept.add(connection)

    def move(self, connection: C, phase: Phase, now: float) -> None:
        """`connection` enters `phase`, unless it is in it already. One that is unknown stays so.
        Raises `InvariantBroken` if `TRANSITIONS` lacks the change."""
        before = self._phases.get(connection)
        if before is None or before is phase:
            return
        if (before, phase) not in TRANSITIONS:
            raise InvariantBroken(f"a connection in {before.name} cannot enter {phase.name}")
        del self._since[before][connection]
        self._since[phase][connection] = now
        self._phases[connection] = phase
        if phase in _COMING:
            self._begun.setdefault(connection, now)
        elif self._begun:
            self._begun.pop(connection, None)

    def remove(self, connection: C) -> None:
        """`connection` is closed, or is being aborted."""
        before = self._phases.pop(connection, None)
        if before is not None:
            del self._since[before][connection]
            self._begun.pop(connection, None)
            self._kept.discard(connection)

    def overdue(self, now: float) -> list[C]:
        """The connections whose time in their phase is over, or that of their request, to be closed
        or moved."""
        found: dict[C, None] = {}
        for phase, seconds in self._seconds.items():
            found.update(_longer_than(seconds, self._since[phase], now))
        found.update(_longer_than(self._request_seconds, self._begun, now))
        return list(found)


def _longer_than(seconds: float, begun: Mapping[C, float], now: float) -> dict[C, None]:
    """Those of `begun` that began so long ago. They are in the order of when they did."""
    found: dict[C, None] = {}
    for connection, since in begun.items():
        if now - since < seconds:
            break
        found[connection] = None
    return found
