"""Converts stocks, and all of them as a snapshot, between the vocabulary and protobuf."""

from collections.abc import Sequence

from twisted_bazaar.consensus.messages import MarketSnapshot
from twisted_bazaar.errors import Malformed
from twisted_bazaar.market import MAX_NAME_CHARACTERS, MAX_SHARES, MAX_STOCKS, MAX_VOLUME, Stock

from . import bounds
from .bazaar.v1 import catalog_pb2, market_pb2

__all__ = [
    "snapshot_from_wire",
    "snapshot_to_wire",
    "stock_from_wire",
    "stock_to_wire",
    "stocks_from_wire",
]


def stock_to_wire(stock: Stock) -> market_pb2.Stock:
    """The market data of a stock in the answer to a lookup."""
    return market_pb2.Stock(
        name=stock.name,
        price=stock.price,
        quantity=stock.quantity,
        volume=stock.volume,
        version=stock.version,
        halted=stock.halted,
    )


def stock_from_wire(wire: market_pb2.Stock) -> Stock:
    """The inverse of `stock_to_wire`. Raises `Malformed`."""
    stock = Stock(wire.name, wire.price, wire.quantity, wire.volume, wire.version, wire.halted)
    if not (
        0 < len(stock.name) <= MAX_NAME_CHARACTERS
        and 0 <= stock.price <= bounds.MAX_PRICE
        and 0 <= stock.quantity <= MAX_SHARES
        and 0 <= stock.volume <= MAX_VOLUME
        and 0 <= stock.version <= bounds.MAX_INTEGER
    ):
        raise Malformed(f"not a stock: {stock!r:.200}")
    return stock


def stocks_from_wire(wire: Sequence[market_pb2.Stock]) -> list[Stock]:
    """The stocks of an answer. Raises `Malformed`."""
    bounds.check_count("stocks", len(wire), MAX_STOCKS)
    return list(map(stock_from_wire, wire))


def snapshot_to_wire(snapshot: MarketSnapshot) -> catalog_pb2.MarketSnapshot:
    """What a learner is to begin with."""
    return catalog_pb2.MarketSnapshot(
        index=snapshot.index,
        digest=snapshot.digest,
        stocks=map(stock_to_wire, snapshot.stocks),
        last_number=snapshot.last_number,
        listed=snapshot.listed,
    )


def snapshot_from_wire(
    wire: catalog_pb2.MarketSnapshot, previous_index: int, previous_digest: str
) -> MarketSnapshot:
    """The snapshot of a message whose entries follow the history that `previous_digest` names,
    which ends at `previous_index`. Raises `Malformed`."""
    bounds.check_integer("index", wire.index, least=1)
    bounds.check_integer("last_number", wire.last_number)
    stocks = stocks_from_wire(wire.stocks)
    if not wire.digest or (wire.index, wire.digest) != (previous_index, previous_digest):
        raise Malformed(f"the entries after {previous_index} do not follow the snapshot")
    if len({stock.name for stock in stocks}) < len(stocks):
        raise Malformed("a stock is in the snapshot twice")
    if any(stock.version > wire.index for stock in stocks):
        raise Malformed(f"a stock in the snapshot is changed after entry {wire.index}")
    return MarketSnapshot(
        index=wire.index,
        digest=wire.digest,
        stocks=stocks,
        last_number=wire.last_number,
        listed=wire.listed,
    )
