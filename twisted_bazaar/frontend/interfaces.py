"""What the REST API asks of the rest of the front-end.

The API knows its collaborators by these protocols alone. Every Deferred fails only with what
is named here (all of `twisted_bazaar.errors`); anything else is a bug, and the client gets 500.
The API cancels no Deferred that it was given, but that of `MarketData.all`.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from ..market import Order, Placed, Trade
from .quotes import Found

__all__ = [
    "MAX_PAGE",
    "MarketData",
    "Orders",
    "Readiness",
    "ReplicaReport",
    "Replicas",
    "Trading",
]

MAX_PAGE = 500
"""Orders that a client may ask for in one page."""


class ReplicaReport(msgspec.Struct, frozen=True):
    """An order replica, as it described itself last; the fields are those of `GET /replicas`."""

    id: int
    role: str
    term: int
    last_number: int
    last_index: int
    digest: str
    reachable: bool
    """Whether it answers now. If not, the rest is the last that was known of it."""
    disk_seconds: float = 0.0
    """How long a write to its disk takes."""


class Trading(Protocol):
    def place(self, trade: Trade, /) -> Deferred[Placed]:
        """Have the market decide `trade`.

        Fails with Rejected, KeyReused, another NotExecuted, or OutcomeUnknown.
        """


class MarketData(Protocol):
    def lookup(self, name: str, /) -> Deferred[Found]:
        """What there is of the stock with this name. Fails with Unavailable."""

    def all(self) -> Deferred[bytes]:
        """The body that shows every stock, by name. Fails with Unavailable. May be cancelled:
        then nobody waits for it any more."""


class Orders(Protocol):
    def get(self, number: int, /) -> Deferred[Order | None]:
        """The order with this number, or None. Fails with Unavailable."""

    def list(self, after: int, limit: int, /) -> Deferred[Sequence[Order]]:
        """The first `limit` orders above `after`, ascending; all of them if there are fewer.

        `limit` goes up to `MAX_PAGE` + 1: the one too many says that there is a next page.
        Fails with Unavailable.
        """


class Replicas(Protocol):
    def report(self) -> Deferred[Sequence[ReplicaReport]]:
        """What is known of every order replica, by id."""


class Readiness(Protocol):
    def __call__(self) -> Deferred[str | None]:
        """Why this front-end cannot serve trades and lookups now, or None: it can."""
