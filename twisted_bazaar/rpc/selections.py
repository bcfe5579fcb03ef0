"""Converts selections of orders, and their pages, to and from the protobuf messages."""

from twisted_bazaar.access import MAX_CLIENT_NAME_CHARACTERS
from twisted_bazaar.errors import Malformed, Unavailable
from twisted_bazaar.market import MAX_NAME_CHARACTERS, Order, Side
from twisted_bazaar.selection import Page, Selection

from . import bounds
from .bazaar.v1 import market_pb2, order_pb2
from .wire import order_from_wire

__all__ = [
    "order_message",
    "page_from_wire",
    "page_to_wire",
    "selection_from_wire",
    "selection_to_wire",
]

_SIDES_TO_WIRE = {
    None: market_pb2.SIDE_UNSPECIFIED,
    Side.BUY: market_pb2.SIDE_BUY,
    Side.SELL: market_pb2.SIDE_SELL,
}
_SIDES = {wire: side for side, wire in _SIDES_TO_WIRE.items()}


def selection_to_wire(selection: Selection, to: int) -> order_pb2.ListOrdersRequest:
    """The request for `selection`, at replica `to`."""
    return order_pb2.ListOrdersRequest(
        after=selection.after,
        limit=selection.limit,
        descending=selection.descending,
        stock=selection.stock,
        side=_SIDES_TO_WIRE[selection.side],
        since=selection.since,
        until=selection.until,
        key=selection.key,
        client=selection.client,
        to=to,
    )


def selection_from_wire(wire: order_pb2.ListOrdersRequest, most: int) -> Selection:
    """The inverse of `selection_to_wire`, with at most `most` orders. Raises `Malformed`."""
    for name in ("after", "since", "until"):
        bounds.check_integer(name, getattr(wire, name))
    bounds.check_text("stock", wire.stock, MAX_NAME_CHARACTERS)
    bounds.check_text("key", wire.key, bounds.MAX_KEY_BYTES)
    bounds.check_text("client", wire.client, MAX_CLIENT_NAME_CHARACTERS)
    if wire.side not in _SIDES:
        raise Malformed(f"there is no side {wire.side}")
    return Selection(
        after=wire.after,
        limit=max(0, min(wire.limit, most)),
        descending=wire.descending,
        stock=wire.stock,
        side=_SIDES[wire.side],
        since=wire.since if wire.HasField("since") else None,
        until=wire.until if wire.HasField("until") else None,
        key=wire.key,
        client=wire.client,
    )


def page_from_wire(wire: order_pb2.ListOrdersReply, asked: Selection) -> Page:
    """The page in the reply to a request for `asked`. Raises `Malformed` if it cannot be one, and
    `Unavailable` if a replica of an earlier release, which knows no conditions, has sent it."""
    bounds.check_integer("examined", wire.examined)
    bounds.check_count("orders", len(wire.orders), asked.limit)
    orders = [order_from_wire(order) for order in wire.orders]
    if wire.examined or wire.ended:
        return Page(orders, wire.examined, wire.ended)
    if asked.has_conditions:
        raise Unavailable("a replica of an earlier release finds orders by their numbers only")
    last = orders[-1].number if orders else asked.after
    return Page(orders, last, ended=len(orders) < asked.limit)


def page_to_wire(page: Page) -> order_pb2.ListOrdersReply:
    """The answer to a front-end that lists orders."""
    return order_pb2.ListOrdersReply(
        orders=map(order_message, page.orders), examined=page.examined, ended=page.ended
    )


def order_message(order: Order) -> market_pb2.Order:
    """The message that `wire.order_from_wire` makes `order` of."""
    return market_pb2.Order(
        number=order.number,
        stock=order.stock,
        side=_SIDES_TO_WIRE[order.side],
        quantity=order.quantity,
        at=order.at_milliseconds,
        key=order.key,
        made=order.made,
        price=order.price,
        limit=order.limit,
    )
