"""The records of a history, and their file: JSON lines.

A section begins with an `Opening` and ends with a `Closing`; between them are calls and faults,
in the order in which they ended. All times are seconds on the machine's monotonic clock, so
several processes of one machine can write one history.

A trade without an answer, or with one that leaves the outcome open, has the verdict `unknown`: it
may have been executed at any time after it was sent, or never. That is not a failure.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

from twisted_bazaar.market import Side

__all__ = [
    "SOURCES",
    "Call",
    "Change",
    "Closing",
    "Fault",
    "History",
    "LookupCall",
    "MarketCall",
    "Opening",
    "Order",
    "OrderCall",
    "PageCall",
    "Quote",
    "Record",
    "TradeCall",
    "Unreadable",
    "Verdict",
    "read",
]

SOURCES = ("hit", "miss", "off")
"""The values of `X-Cache`."""

_BUFFER_BYTES = 1 << 18


class Unreadable(Exception):
    """A line of a history is not a record; the message says which."""


class Verdict(StrEnum):
    """What a client knows of a trade when its call has ended."""

    PLACED = "placed"
    """200: it is an order."""
    REJECTED = "rejected"
    """409: see `TradeCall.reason`."""
    JUDGED = "judged"
    """200, of one that was to be validated: it would have been executed."""
    REUSED = "reused"
    """422: its key is another trade's."""
    NOT_EXECUTED = "not_executed"
    """It had no effect: it was refused, or not sent."""
    UNKNOWN = "unknown"


class Quote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stock, as an answer shows it."""

    name: str
    price: float
    quantity: int
    volume: int
    version: int | None = None
    """From the entity tag, where the answer had one. Comparable within one log only."""
    halted: bool | None = None
    """None: the answer does not say."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order, as an answer shows it."""

    number: int
    name: str
    type: Side
    quantity: int
    key: str | None = None
    """From the replicas' files, where they can be read."""
    price: float | None = None
    limit_price: float | None = None
    client_order_id: str | None = None
    """The key, as the answer shows it."""
    time: str = ""
    """As RFC 3339 writes it. Empty: not known."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """One request. It took effect, if ever, between `sent` and `ended`."""

    client: int
    via: int = 1
    """The front-end that was asked, from 1; 0: one after the other, until one answered."""
    sent: float
    ended: float
    """When the answer was complete, or the client gave up."""
    status: int = 0
    """The HTTP status; 0: there was no answer."""
    message: str = ""
    """The error in the answer, or why there was none."""


class TradeCall(Call, frozen=True, tag="trade"):
    """POST /orders."""

    key: str
    name: str
    type: Side
    quantity: int
    verdict: Verdict
    number: int | None = None
    replayed: bool = False
    limit_price: float | None = None
    valid_until: int | None = None
    """Milliseconds since 1970."""
    validate: bool = False
    price: float | None = None
    """As the answer shows it."""
    reason: str = ""
    """The word in the error of the answer."""


class LookupCall(Call, frozen=True, tag="lookup"):
    """GET /stocks/<name>."""

    name: str
    found: Quote | None = None
    """None with status 404: there is no such stock."""
    source: str = ""
    """The value of `X-Cache`: `hit`, `miss` or `off`; empty: the answer had none."""


class MarketCall(Call, frozen=True, tag="stocks"):
    """GET /stocks."""

    found: tuple[Quote, ...] = ()


class OrderCall(Call, frozen=True, tag="order"):
    """GET /orders/<number>."""

    number: int
    found: Order | None = None
    """None with status 404: there is no such order."""


class PageCall(Call, frozen=True, tag="orders"):
    """GET /orders?after=…&limit=…, of several partitions with `partition`."""

    after: int
    limit: int
    found: tuple[Order, ...] = ()
    next: int | None = None
    partition: int | None = None


class Change(Call, frozen=True, tag="change"):
    """A market operation on one stock. It was done if `status` is 200."""

    name: str
    price: float | None = None
    """The new price."""
    halted: bool | None = None
    """Whether trading is halted from here on."""
    partition: int | None = None
    """Where the stock is moved to."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """A fault that was injected into the bazaar."""

    what: str
    """Its name."""
    names: tuple[str, ...]
    """The processes that it was injected into."""
    began: float
    ended: float
    is_wanted: bool = False
    """It is no fault, but what an operator does while there are some."""


class Opening(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="opening"):
    """The state of the bazaar when the history began."""

    at: float
    listed: dict[str, int]
    """The quantity of each stock before the first order that ever was."""
    known: int = 0
    """The number of the last order before the history."""
    positions: tuple[int, ...] = ()
    """If there are several partitions: the same for each, within it."""
    prices: dict[str, float] = {}
    """The price of each stock then; empty: not recorded."""
    halted: tuple[str, ...] = ()
    """The stocks that were halted then."""
    wall: int = 0
    """The wall clock at `at`, in milliseconds since 1970; 0: not recorded."""
    note: str = ""


class Closing(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="closing"):
    """The state of the bazaar when all calls have ended."""

    at: float
    orders: tuple[Order, ...]
    """All of them."""
    market: tuple[Quote, ...] = ()
    """Empty: it could not be read."""


Record = (
    Opening | TradeCall | LookupCall | MarketCall | OrderCall | PageCall | Change | Fault | Closing
)


class History:
    """Keeps records in memory, and appends them to the file `path`, if there is one.

    The file is buffered until `close`. Raises OSError if it cannot be written.
    """

    def __init__(self, path: Path | None = None, *, append: bool = False) -> None:
        self.records: list[Record] = []
        self._encode = msgspec.json.Encoder().encode
        self._file: BinaryIO | None = None
        if path is not None:
            self._file = path.open("ab" if append else "wb", buffering=_BUFFER_BYTES)

    def add(self, record: Record) -> None:
        self.records.append(record)
        if self._file is not None:
            self._file.write(self._encode(record) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read(path: Path) -> Iterator[Record]:
    """The records of a history file. Raises `Unreadable` or OSError."""
    decode = msgspec.json.Decoder(Record).decode
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as why:
                raise Unreadable(f"{path}: line {number} is no record: {why}") from None
