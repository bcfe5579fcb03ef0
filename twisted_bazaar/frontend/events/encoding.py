"""Server-sent events as bytes, and their compression. Pure.

Only orders have an id, which is their number; of several partitions, it says where the stream is in
each. A client that reconnects names the last one that it has seen, in `Last-Event-ID`.
"""

import zlib
from typing import Annotated

import msgspec

from twisted_bazaar.http import answers
from twisted_bazaar.market import MAX_SHARES, Order, Stock
from twisted_bazaar.partitions import MAX_PARTITIONS

__all__ = [
    "GZIP_HEAD",
    "HEARTBEAT",
    "RETRY",
    "ShownLeader",
    "ShownPartitionLeader",
    "ShownQuote",
    "compressed",
    "identified",
    "leader_event",
    "order_event",
    "order_event_without_id",
    "place",
    "quote_event",
]

RETRY = b"retry: 1000\n\n"
"""Milliseconds after which a client is to connect again."""
HEARTBEAT = b": heartbeat\n\n"
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The head of a gzip stream, before the first result of `compressed`."""


class ShownQuote(msgspec.Struct):
    """The market data of a stock: the data of an event `quote`."""

    name: Annotated[str, msgspec.Meta(description="Of the stock.", min_length=1)]
    price: answers.Price
    quantity: Annotated[int, msgspec.Meta(description="Shares that can be bought.", ge=0)]
    volume: Annotated[int, msgspec.Meta(description="Shares bought and sold until now.", ge=0)]
    halted: bool
    version: Annotated[
        int,
        msgspec.Meta(
            description="Ascending within one stream: the entry of the order log that changed it.",
            ge=0,
        ),
    ]


class ShownLeader(msgspec.Struct):
    """The replica that leads: the data of an event `leader`."""

    id: Annotated[int, msgspec.Meta(description="Of the replica.", ge=1)]
    term: Annotated[int, msgspec.Meta(description="Ascending.", ge=1)]


class ShownPartitionLeader(ShownLeader):
    """The replica that leads a partition, where there are several."""

    term: Annotated[int, msgspec.Meta(description="Ascending, within a partition.", ge=1)]
    partition: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTITIONS)]


_encode = msgspec.json.Encoder().encode


def order_event(order: Order) -> bytes:
    """The event that shows `order` as `GET /orders/<number>` does."""
    return b"event: order\nid: %d\ndata: %b\n\n" % (order.number, answers.shown_order(order))


def order_event_without_id(order: Order) -> bytes:
    """The same event, to be `identified` by where a stream of several partitions is after it."""
    return b"event: order\ndata: %b\n\n" % answers.shown_order(order)


def identified(event: bytes, id: bytes) -> bytes:
    """`event`, with the id that a client names to go on behind it."""
    return b"id: %b\n%b" % (id, event)


def quote_event(stock: Stock) -> bytes:
    """The event that shows the market data of a stock."""
    price = answers.exact_price(stock.price)
    quote = ShownQuote(
        stock.name,
        price,
        stock.quantity,
        min(stock.volume, MAX_SHARES),
        stock.halted,
        stock.version,
    )
    return b"event: quote\ndata: %b\n\n" % _encode(quote)


def leader_event(leader: int, term: int, partition: int | None = None) -> bytes:
    """The event that says which replica leads, or leads `partition` of several."""
    shown = (
        ShownLeader(leader, term)
        if partition is None
        else ShownPartitionLeader(leader, term, partition)
    )
    return b"event: leader\ndata: %b\n\n" % _encode(shown)


def place(id: int | bytes) -> bytes:
    """Sets the id that a client names when it reconnects, and shows nothing."""
    return b"id: %b\n\n" % (id if isinstance(id, bytes) else b"%d" % id)


def compressed(data: bytes) -> bytes:
    """A part of a gzip stream. It refers to nothing before it, so that readers that joined at
    different times can share it, and the client can decode it as soon as it has come."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
