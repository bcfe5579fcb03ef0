"""What the calls of the client take and give. Names are those of the REST API. Pure.

Prices are `Decimal` and times carry a zone: no value is ever a float.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from ..market import Side

__all__ = [
    "Direction",
    "Event",
    "EventName",
    "Judged",
    "Leader",
    "Order",
    "Page",
    "Placed",
    "Quote",
    "Side",
    "SideName",
    "Trade",
]

SideName: TypeAlias = Side | Literal["buy", "sell"]
Direction: TypeAlias = Literal["asc", "desc"]
EventName: TypeAlias = Literal["order", "quote", "leader"]


class Quote(msgspec.Struct, frozen=True):
    """A stock, as it was after the log entry `version`."""

    name: str
    price: Decimal
    quantity: int
    """Shares for sale."""
    volume: int
    """Shares bought and sold since the stock was listed."""
    halted: bool = False
    """Whether its trades are refused for now."""
    version: int | None = None
    """Grows with each change of the stock; None: the answer did not show it."""


class Trade(msgspec.Struct, frozen=True):
    """One trade of a batch."""

    name: str
    type: Side
    quantity: int
    client_order_id: str | None = None
    """The key; None: the client makes one."""
    limit_price: Decimal | None = None
    """A buy never pays more, a sell never gets less."""
    valid_until: datetime | None = None
    """After that the trade is refused, not executed."""


class Placed(msgspec.Struct, frozen=True):
    """A trade that is an order."""

    number: int = msgspec.field(name="transaction_number")
    client_order_id: str | None = None
    """The key that it was sent with."""
    price: Decimal | None = None
    """What a share traded at; None: an earlier release answered."""
    total: Decimal | None = None
    replayed: bool = False
    """Whether an earlier sending of the same key made the order. False in a batch, whose answer
    does not say so."""


class Judged(msgspec.Struct, frozen=True):
    """A trade that would be executed now."""

    price: Decimal
    """What a share would trade at."""
    total: Decimal
    number: int | None = msgspec.field(default=None, name="transaction_number")
    """Of the order that has this key already; None: the key is free."""


class Order(msgspec.Struct, frozen=True):
    """A trade that was executed. It never changes."""

    number: int
    name: str
    type: Side
    quantity: int
    time: datetime
    client_order_id: str | None = None
    """The key that its client chose; None: it chose none."""
    price: Decimal | None = None
    """What a share traded at; None: an earlier release answered."""
    total: Decimal | None = None
    limit_price: Decimal | None = None
    partition: int | None = None
    """The partition of the market that it is in; None: there is one. Numbers of one partition
    ascend; those of two are not comparable."""
    event_id: str | None = None
    """From a stream of several partitions: `events(after=…)` goes on behind this order. None: its
    number does so."""
    client: str | None = None
    """Who placed it, where the bazaar asks for API keys; None: the client is not told."""


class Page(msgspec.Struct, frozen=True):
    """A part of the list of orders."""

    orders: tuple[Order, ...] = msgspec.field(name="data")
    next: int | None = None
    """What to give as `after` to go on; None: there are no more orders now, or the list is of
    several partitions."""
    cursor: str = ""
    """Goes on after these orders, with the same filters, now or at any later time."""
    more: bool | None = None
    """Of several partitions: whether there are more orders now."""

    @property
    def goes_on(self) -> bool:
        """Whether there are more orders now."""
        return self.next is not None if self.more is None else self.more


class Leader(msgspec.Struct, frozen=True):
    """Which replica leads."""

    id: int
    term: int
    partition: int | None = None
    """What it leads; None: there is one partition."""


Event: TypeAlias = Order | Quote | Leader
"""What the stream of events is made of."""
