"""The JSON bodies of answers. Pure.

Prices are exact decimals of two digits; no price passes through a float.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec

from twisted_bazaar.market import (
    MAX_SHARES,
    MAX_TRADE_QUANTITY,
    Judged,
    Order,
    Placed,
    Side,
    Stock,
    Trade,
)

from .refusals import Refusal
from .texts import price_text, time_text

__all__ = [
    "BatchAnswer",
    "Failed",
    "Failure",
    "OrdersPage",
    "PartitionedOrder",
    "PartitionedOrdersPage",
    "Price",
    "Ready",
    "ReplicaReport",
    "ShownOrder",
    "ShownStock",
    "ShownTrade",
    "TradeOutcome",
    "error",
    "joined",
    "order",
    "orders",
    "partitioned_orders",
    "placed",
    "placed_in_batch",
    "ready",
    "refused_trade",
    "shown_order",
    "shown_price",
    "shown_stock",
    "stock",
    "stocks",
    "success",
]

# Each struct here encodes what it is named for, and is its description in OpenAPI too.

Price = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="In the currency of the market, with two decimals.",
        extra_json_schema={"type": "number", "minimum": 0},
    ),
]
_Shares = Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARES)]


class ShownStock(msgspec.Struct):
    """A stock, as of one entry of the order log."""

    name: Annotated[str, msgspec.Meta(description="Compared exactly.", min_length=1)]
    price: Price
    quantity: Annotated[_Shares, msgspec.Meta(description="Shares that can be bought.")]
    volume: Annotated[_Shares, msgspec.Meta(description="Shares bought and sold until now.")]
    halted: Annotated[bool, msgspec.Meta(description="Whether trades of it are refused for now.")]


_WhoPlaced = Annotated[
    str | msgspec.UnsetType | None,
    msgspec.Meta(
        description="The client that placed it; null: the caller is not told, or it was placed "
        "while there was no file of clients. Absent: there is none."
    ),
]


class _Order(msgspec.Struct):
    number: Annotated[int, msgspec.Meta(description="1, 2, 3 … without a gap.", ge=1)]
    name: Annotated[str, msgspec.Meta(description="Of the stock.", min_length=1)]
    type: Side
    quantity: Annotated[int, msgspec.Meta(description="Shares.", ge=1, le=MAX_TRADE_QUANTITY)]
    time: Annotated[
        str,
        msgspec.Meta(
            description="When it was decided: UTC, to the millisecond.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    client_order_id: Annotated[
        str | None,
        msgspec.Meta(
            description="The key that the client chose; null: it chose none, or the caller is not "
            "told."
        ),
    ]
    price: Annotated[
        Price | None,
        msgspec.Meta(description="Of a share; null: a replica of an earlier release answers."),
    ]
    total: Annotated[Price | None, msgspec.Meta(description="The price of all shares.")]
    limit_price: Annotated[
        Price | None, msgspec.Meta(description="The limit that the trade had; null: none.")
    ]


class ShownOrder(_Order):
    """A trade that was executed. Orders never change."""

    client: _WhoPlaced = msgspec.UNSET


class PartitionedOrder(_Order):
    """A trade that was executed, in a market of several partitions. Orders never change."""

    number: Annotated[
        int,
        msgspec.Meta(
            description="1000 times its number within its partition, 1, 2, 3 … without a gap, and "
            "that of the partition.",
            ge=1000,
        ),
    ]
    partition: Annotated[int, msgspec.Meta(description="Which one it is in.", ge=0, lt=1000)]
    client: _WhoPlaced = msgspec.UNSET


class ShownTrade(msgspec.Struct):
    """What became of a trade that was executed, or would be."""

    transaction_number: Annotated[
        int | None,
        msgspec.Meta(description="Of the order; null: the trade was judged, and not executed."),
    ]
    client_order_id: Annotated[
        str | None, msgspec.Meta(description="The key that the client chose; null: it chose none.")
    ]
    price: Annotated[
        Price | None,
        msgspec.Meta(description="Of a share; null: a leader of an earlier release answers."),
    ]
    total: Annotated[Price | None, msgspec.Meta(description="The price of all shares.")]


class OrdersPage(msgspec.Struct):
    """Some orders, and how to go on."""

    data: list[ShownOrder]
    next: Annotated[
        int | None,
        msgspec.Meta(description="`after` for the next page; null: there is none now."),
    ]
    cursor: Annotated[
        str,
        msgspec.Meta(
            description="Goes on after these orders, with the same conditions, at any time."
        ),
    ]


class PartitionedOrdersPage(OrdersPage):
    """Some orders of a market of several partitions, and how to go on."""

    data: list[PartitionedOrder]  # type: ignore[assignment]
    next: Annotated[
        int | None,
        msgspec.Meta(
            description="Of the list of one partition: `after` for the next page; null: there is "
            "none now."
        ),
    ]
    more: Annotated[bool, msgspec.Meta(description="Whether there are more orders now.")]


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """How an order replica described itself last in one partition."""

    partition: int
    role: str
    term: int
    last_number: Annotated[int, msgspec.Meta(description="Of its last order; 0: there is none.")]
    last_index: Annotated[int, msgspec.Meta(description="Of its last entry.")]
    digest: Annotated[
        str, msgspec.Meta(description="Of all entries up to the last: equal for equal logs.")
    ]


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    """An order replica, as it described itself last."""

    id: int
    role: Annotated[
        str,
        msgspec.Meta(
            description="`suspect` is one that may lack what it has acknowledged, `unknown` one "
            "that does not answer.",
            extra_json_schema={"enum": ["leader", "candidate", "follower", "suspect", "unknown"]},
        ),
    ]
    term: int
    last_number: Annotated[int, msgspec.Meta(description="Of its last order.")]
    last_index: Annotated[int, msgspec.Meta(description="Of its last entry.")]
    digest: Annotated[
        str, msgspec.Meta(description="Of all entries up to the last: equal for equal logs.")
    ]
    reachable: Annotated[
        bool,
        msgspec.Meta(
            description="Whether it answered its last ping. If not, the rest is from an earlier "
            "one."
        ),
    ]
    disk_seconds: Annotated[
        float, msgspec.Meta(description="Seconds that a write to its disk takes.")
    ] = 0.0
    joining: Annotated[
        bool | msgspec.UnsetType,
        msgspec.Meta(
            description="Whether it is sent the log, and does not count yet. Absent: it counts."
        ),
    ] = msgspec.UNSET
    partitions: Annotated[
        Sequence[PartitionReport] | msgspec.UnsetType,
        msgspec.Meta(
            description="Each partition. What is above is of partition 0. Absent: there is one."
        ),
    ] = msgspec.UNSET


class Ready(msgspec.Struct):
    """The answer of `/readyz`."""

    data: Literal["ready"]
    notice: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(description="What operators should know although it is ready."),
    ] = msgspec.UNSET


class Failed(msgspec.Struct):
    """What was wrong."""

    code: Annotated[int, msgspec.Meta(description="The HTTP status.")]
    reason: Annotated[str, msgspec.Meta(description="For programs: it keeps its meaning.")]
    message: Annotated[str, msgspec.Meta(description="For people: it may change.")]


class Failure(msgspec.Struct):
    """The body of every failure."""

    error: Failed


class TradeOutcome(msgspec.Struct):
    """What became of one trade of a batch: `data` if its code is 200, else `error`."""

    code: Annotated[int, msgspec.Meta(description="What the status would be of this trade alone.")]
    data: ShownTrade | msgspec.UnsetType = msgspec.UNSET
    error: Failed | msgspec.UnsetType = msgspec.UNSET
    location: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(description="With code 202: where its order is found, if it was executed."),
    ] = msgspec.UNSET


class BatchAnswer(msgspec.Struct):
    """What became of the trades of a batch, in their order."""

    data: list[TradeOutcome]


_encode = msgspec.json.Encoder().encode


def success(data: object) -> bytes:
    """The body that holds `data`, which msgspec must be able to encode."""
    return b'{"data":%b}' % _encode(data)


def ready(notice: str | None) -> bytes:
    """The body of `/readyz`; `notice` is what operators should know although it is ready."""
    return _encode(Ready("ready", msgspec.UNSET if notice is None else notice))


def error(code: int, reason: str, message: str) -> bytes:
    """The body of a failure: HTTP status, a word for programs, and a message for people."""
    return _encode(Failure(Failed(code, reason, message)))


def stock(found: Stock) -> bytes:
    """The body that shows one stock."""
    return success(_shown_stock(found))


def shown_stock(found: Stock) -> bytes:
    """One stock as `stocks` shows it."""
    return _encode(_shown_stock(found))


def stocks(found: Iterable[Stock]) -> bytes:
    """The body that shows several stocks."""
    return joined(map(shown_stock, found))


def joined(shown: Iterable[bytes]) -> bytes:
    """The body of `stocks`, from the results of `shown_stock`."""
    return b'{"data":[%b]}' % b",".join(shown)


def placed(trade: Trade, outcome: Placed | Judged) -> bytes:
    """The body that answers a trade that was executed, or would be."""
    return success(_shown_trade(trade, outcome))


def placed_in_batch(trade: Trade, outcome: Placed | Judged) -> bytes:
    """What answers such a trade among those of a batch."""
    return _encode(TradeOutcome(HTTPStatus.OK, _shown_trade(trade, outcome)))


def refused_trade(refusal: Refusal) -> bytes:
    """What answers a trade that was refused among those of a batch."""
    failed = Failed(refusal.code, refusal.reason.word, refusal.message)
    location = refusal.headers.get(b"Location", b"").decode("ascii") or msgspec.UNSET
    return _encode(TradeOutcome(refusal.code, error=failed, location=location))


def order(found: Order) -> bytes:
    """The body that shows one order."""
    return success(_shown_order(found))


def shown_order(found: Order) -> bytes:
    """One order as `orders` shows it."""
    return _encode(_shown_order(found))


def orders(found: Iterable[Order], next_after: int | None, cursor: str) -> bytes:
    """The body that shows a page of orders, and the two ways to go on."""
    shown = [_shown_order(each) for each in found]
    return _encode(OrdersPage(shown, next_after, cursor))  # type: ignore[arg-type]


def partitioned_orders(
    found: Iterable[Order], next_after: int | None, cursor: str, *, more: bool
) -> bytes:
    """The body of `orders` in a market of several partitions; `more`: there are more now."""
    shown = [_shown_order(each) for each in found]
    return _encode(PartitionedOrdersPage(shown, next_after, cursor, more))  # type: ignore[arg-type]


def _shown_stock(found: Stock) -> ShownStock:
    price = exact_price(found.price)
    # Volumes grow beyond the integers that every JSON reader keeps; the number shown does not.
    volume = min(found.volume, MAX_SHARES)
    return ShownStock(found.name, price, found.quantity, volume, found.halted)


def _shown_order(found: Order) -> ShownOrder | PartitionedOrder:
    time = time_text(found.at_milliseconds)
    fields = (
        found.number,
        found.stock,
        found.side,
        found.quantity,
        time,
        None if found.made or not found.key else found.key,
        shown_price(found.price),
        shown_price(None if found.price is None else found.price * found.quantity),
        shown_price(found.limit),
    )
    if found.partition is None:
        return ShownOrder(*fields, found.client)
    return PartitionedOrder(*fields, found.partition, found.client)


def exact_price(cents: int) -> msgspec.Raw:
    """A price, as every answer shows it: two decimals, never through a float."""
    return msgspec.Raw(price_text(cents).encode())


def shown_price(cents: int | None) -> msgspec.Raw | None:
    """`exact_price`; None: it is not known."""
    return None if cents is None else exact_price(cents)


def _shown_trade(trade: Trade, outcome: Placed | Judged) -> ShownTrade:
    price = outcome.price
    return ShownTrade(
        outcome.number if isinstance(outcome, Placed) else None,
        None if trade.made else trade.key,
        shown_price(price),
        shown_price(None if price is None else price * trade.quantity),
    )
