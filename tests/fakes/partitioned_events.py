"""Orders of several partitions as a stream shows them, and what a client sees."""

import json

from twisted_bazaar.frontend.events.encoding import order_event_without_id
from twisted_bazaar.frontend.events.news import OrderEvent
from twisted_bazaar.frontend.partitions.numbers import shown_order
from twisted_bazaar.frontend.partitions.streams import after_of
from twisted_bazaar.frontend.positions import Positions
from twisted_bazaar.market import Order


def event_of(order: Order, partition: int, partitions: int, at: int = 0) -> OrderEvent:
    """An order, as a front-end is told of it."""
    event = order_event_without_id(shown_order(order, partition, partitions))
    return OrderEvent(order.number, order.stock, event, at)


def orders_in(data: bytes) -> list[int]:
    """The numbers of the orders that a client sees."""
    blocks = [block.split("\n") for block in data.decode().split("\n\n")]
    return [
        json.loads(line.removeprefix("data: "))["number"]
        for block in blocks
        if "event: order" in block
        for line in block
        if line.startswith("data: ")
    ]


def last_id_in(data: bytes) -> str:
    """What a client names when it reconnects; empty: nothing."""
    ids = [line for line in data.decode().split("\n") if line.startswith("id: ")]
    return ids[-1].removeprefix("id: ") if ids else ""


def last_position_in(data: bytes, partitions: int) -> Positions | None:
    """What that id stands for."""
    text = last_id_in(data)
    if not text:
        return None
    positions = after_of(partitions).read(text)
    assert positions is not None, text
    return positions
