"""What clients did and were told, call by call, as JSON lines.

A history file has one record a line. An `Opening` begins a section and a `Closing` ends it;
between them are calls and faults, in the order in which they ended. All times are seconds on
the machine's monotonic clock, so that processes of one machine may write one history.

A call whose answer never came, or left open what became of the trade, is recorded with the
verdict `unknown`: it may have happened at any time after it was sent, or never. That is not a
failure, and nothing may be concluded from it.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

from twisted_bazaar.market import Side

__all__ = [
    "Call",
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

_BUFFER_BYTES = 1 << 18


class Unreadable(Exception):
    """A line of a history is none; the message says which."""


class Verdict(StrEnum):
    """What a client knows of a trade once its call has ended."""

    PLACED = "placed"
    """200: it is an order."""
    REJECTED = "rejected"
    """409: there were not enough shares."""
    REUSED = "reused"
    """422: its key is another trade's."""
    NOT_EXECUTED = "not_executed"
    """It certainly had no effect: refused, or never sent."""
    UNKNOWN = "unknown"


class Quote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stock as a client was shown it."""

    name: str
    price: float
    quantity: int
    volume: int
    version: int | None = None
    """From the entity tag, where the answer had one; of one history only."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order as a client was shown it."""

    number: int
    name: str
    type: Side
    quantity: int
    key: str | None = None
    """Clients are not shown it; it is known where the replicas' files could be read."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """One request. It took effect, if ever, between `sent` and `ended`."""

    client: int
    via: int = 1
    """Which front-end was asked."""
    sent: float
    ended: float
    """When the answer was complete, or no longer waited for."""
    status: int = 0
    """Of the HTTP answer; 0: there was none."""
    message: str = ""
    """Why the answer is not the one that was wished for."""


class TradeCall(Call, frozen=True, tag="trade"):
    """POST /orders."""

    key: str
    name: str
    type: Side
    quantity: int
    verdict: Verdict
    number: int | None = None
    replayed: bool = False


class LookupCall(Call, frozen=True, tag="lookup"):
    """GET /stocks/<name>."""

    name: str
    found: Quote | None = None
    """None with status 404: there is no such stock."""
    source: str = ""
    """Where the answer came from, as `X-Cache` said: `hit`, `miss` or `off`. Empty: nothing."""


class MarketCall(Call, frozen=True, tag="stocks"):
    """GET /stocks."""

    found: tuple[Quote, ...] = ()


class OrderCall(Call, frozen=True, tag="order"):
    """GET /orders/<number>."""

    number: int
    found: Order | None = None
    """None with status 404: there is no such order."""


class PageCall(Call, frozen=True, tag="orders"):
    """GET /orders?after=…&limit=…."""

    after: int
    limit: int
    found: tuple[Order, ...] = ()
    next: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """Something that was done to the bazaar."""

    what: str
    names: tuple[str, ...]
    """Of the processes that it was done to."""
    began: float
    ended: float


class Opening(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="opening"):
    """How things stood when the history began."""

    at: float
    listed: dict[str, int]
    """The quantity of each stock before the first order that ever was."""
    known: int = 0
    """Orders up to this number were there already."""
    note: str = ""


class Closing(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="closing"):
    """How things stand when nothing more is under way."""

    at: float
    orders: tuple[Order, ...]
    """All of them."""
    market: tuple[Quote, ...] = ()
    """Empty: it could not be had."""


Record = Opening | TradeCall | LookupCall | MarketCall | OrderCall | PageCall | Fault | Closing


class History:
    """Records, in memory and as far as `path` is given also in a file.

    The file is buffered; `close` ends it. Raises OSError if it cannot be written.
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
