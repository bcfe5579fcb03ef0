"""Between the vocabulary and its wire form: the only place that knows both.

Replication messages have the same field names in `messages.py` and in the .proto files, but
for `entries`, which travel as the records they were written as, and for stamps, which may be
missing.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import (
    BazaarError,
    KeyReused,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from ..leases import Stamp
from ..market import MAX_TRADE_QUANTITY, Order, Placed, Rejection, Side, Stock, Trade, Traded
from ..replication import messages
from ..replication.entries import Entry, decode_entry
from .bazaar.v1 import catalog_pb2, market_pb2, order_pb2, replication_pb2

Message = TypeVar("Message", bound=msgspec.Struct)

__all__ = [
    "from_wire",
    "lookup_to_wire",
    "order_from_wire",
    "order_to_wire",
    "outcome_from_wire",
    "outcome_to_wire",
    "stock_from_wire",
    "stock_to_wire",
    "to_wire",
    "trade_from_wire",
    "trade_to_wire",
]

_WIRE_TYPES: dict[type, Any] = {
    messages.Append: replication_pb2.AppendRequest,
    messages.AppendReply: replication_pb2.AppendReply,
    messages.Vote: replication_pb2.VoteRequest,
    messages.VoteReply: replication_pb2.VoteReply,
    messages.Poll: replication_pb2.PollRequest,
    messages.PollReply: replication_pb2.PollReply,
    messages.Fetch: replication_pb2.FetchRequest,
    messages.FetchReply: replication_pb2.FetchReply,
    messages.Apply: catalog_pb2.ApplyRequest,
    messages.ApplyReply: catalog_pb2.ApplyReply,
    messages.CampaignReply: order_pb2.CampaignReply,
    messages.Status: order_pb2.StatusReply,
}

_SIDES_TO_WIRE = {Side.BUY: market_pb2.SIDE_BUY, Side.SELL: market_pb2.SIDE_SELL}
_SIDES = {wire: side for side, wire in _SIDES_TO_WIRE.items()}

_REJECTIONS_TO_WIRE = {
    Rejection.UNKNOWN_STOCK: order_pb2.REJECTION_UNKNOWN_STOCK,
    Rejection.NOT_ENOUGH_SHARES: order_pb2.REJECTION_NOT_ENOUGH_SHARES,
    Rejection.TOO_MANY_SHARES: order_pb2.REJECTION_TOO_MANY_SHARES,
}
_REJECTIONS = {wire: rejection for rejection, wire in _REJECTIONS_TO_WIRE.items()}


def to_wire(message: msgspec.Struct) -> Any:
    """The protobuf message of a replication message, of a `Status` or a `CampaignReply`."""
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    if "entries" in fields:
        fields["records"] = [entry.record for entry in fields.pop("entries")]
    if stamp := fields.get("stamp"):
        fields["stamp"] = catalog_pb2.Stamp(life=stamp.life, at=stamp.at)
    if isinstance(message, messages.ApplyReply):
        del fields["learner"]
    return _WIRE_TYPES[type(message)](**fields)


def from_wire(wire: Any, kind: type[Message], **known: Any) -> Message:
    """The message of type `kind` that `to_wire` made `wire` of.

    `known` are fields that do not travel. Raises `Damaged` if a record is not one.
    """
    for name in kind.__struct_fields__:
        if name == "entries":
            known[name] = tuple(decode_entry(record) for record in wire.records)
        elif name == "stamp":
            there = wire.HasField("stamp")
            known[name] = Stamp(wire.stamp.life, wire.stamp.at) if there else None
        elif name == "members":
            known[name] = tuple(wire.members)
        elif name not in known:
            known[name] = getattr(wire, name)
    return kind(**known)


def stock_to_wire(stock: Stock) -> market_pb2.Stock:
    """A stock's market data, as lookups answer it."""
    return market_pb2.Stock(
        name=stock.name,
        price=stock.price,
        quantity=stock.quantity,
        volume=stock.volume,
        version=stock.version,
    )


def stock_from_wire(wire: market_pb2.Stock) -> Stock:
    """The inverse of `stock_to_wire`."""
    return Stock(wire.name, wire.price, wire.quantity, wire.volume, wire.version)


def lookup_to_wire(
    stocks: Mapping[str, Stock], request: market_pb2.LookupRequest, history: str = ""
) -> market_pb2.LookupReply:
    """Those of `stocks` that `request` asks for; `history` names the log they follow from."""
    wanted = sorted(stocks) if request.all else [name for name in request.names if name in stocks]
    found = [stock_to_wire(stocks[name]) for name in wanted]
    return market_pb2.LookupReply(stocks=found, history=history)


def order_to_wire(entry: Entry) -> market_pb2.Order:
    """The order that a `traded` entry holds."""
    order = entry.event
    assert isinstance(order, Traded)
    return market_pb2.Order(
        number=order.number,
        stock=order.stock,
        side=_SIDES_TO_WIRE[order.side],
        quantity=order.quantity,
        at=entry.at,
    )


def order_from_wire(wire: market_pb2.Order) -> Order:
    """An order as clients read it."""
    return Order(wire.number, wire.stock, _SIDES[wire.side], wire.quantity, wire.at)


def trade_to_wire(trade: Trade) -> order_pb2.Trade:
    """A trade on its way to the leader."""
    return order_pb2.Trade(
        key=trade.key,
        stock=trade.stock,
        side=_SIDES_TO_WIRE[trade.side],
        quantity=trade.quantity,
    )


def trade_from_wire(wire: order_pb2.Trade) -> Trade:
    """The inverse of `trade_to_wire`. Raises ValueError if no front-end of ours made it."""
    if wire.side not in _SIDES or not 1 <= wire.quantity <= MAX_TRADE_QUANTITY or not wire.key:
        raise ValueError(f"not a trade: {wire}")
    return Trade(wire.key, wire.stock, _SIDES[wire.side], wire.quantity)


def outcome_to_wire(outcome: Placed | BazaarError) -> order_pb2.Outcome:
    """What became of a trade."""
    match outcome:
        case Placed(number, replayed):
            return order_pb2.Outcome(number=number, replayed=replayed)
        case Rejected():
            return order_pb2.Outcome(rejection=_REJECTIONS_TO_WIRE[outcome.rejection])
        case KeyReused():
            return order_pb2.Outcome(rejection=order_pb2.REJECTION_KEY_REUSED)
        case NotLeader():
            return order_pb2.Outcome(retry=order_pb2.RETRY_NOT_LEADER)
        case Overloaded():
            return order_pb2.Outcome(retry=order_pb2.RETRY_OVERLOADED)
        case _:
            return order_pb2.Outcome(retry=order_pb2.RETRY_OUTCOME_UNKNOWN)


def outcome_from_wire(wire: order_pb2.Outcome) -> Placed | BazaarError:
    """The inverse of `outcome_to_wire`. One that nobody here knows promises nothing."""
    match wire.WhichOneof("outcome"):
        case "number":
            return Placed(wire.number, wire.replayed)
        case "rejection" if wire.rejection == order_pb2.REJECTION_KEY_REUSED:
            return KeyReused("the idempotency key belongs to another trade")
        case "rejection" if wire.rejection in _REJECTIONS:
            return Rejected(_REJECTIONS[wire.rejection])
        case "retry" if wire.retry == order_pb2.RETRY_NOT_LEADER:
            return NotLeader()
        case "retry" if wire.retry == order_pb2.RETRY_OVERLOADED:
            return Overloaded("the leader has too many trades under way")
        case _:
            return OutcomeUnknown("the leader changed")
