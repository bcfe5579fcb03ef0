"""Numbers of orders where the market has several partitions: within one, and as clients see them.
Pure.

Inside the bazaar each partition has numbers of its own. What leaves a front-end has those that
clients see.
"""

from typing import NamedTuple

import msgspec

from twisted_bazaar.market import Judged, Order, Placed
from twisted_bazaar.partitions import local_number, order_number, partition_of

__all__ = ["Place", "place_of", "shown_last", "shown_order", "shown_outcome"]


class Place(NamedTuple):
    """Where an order is."""

    partition: int
    number: int
    """Within it."""


def place_of(number: int, partitions: int) -> Place | None:
    """Where the order is that clients see as `number`; None: there cannot be one."""
    place = Place(partition_of(number, partitions), local_number(number, partitions))
    return place if place.partition < partitions and place.number >= 1 else None


def shown_order(order: Order, partition: int, partitions: int) -> Order:
    """`order` of `partition`, of so many, as clients see it."""
    if partitions == 1:
        return order
    number = order_number(order.number, partition, partitions)
    return msgspec.structs.replace(order, number=number, partition=partition)


def shown_outcome(outcome: Placed | Judged, partition: int, partitions: int) -> Placed | Judged:
    """What came of a trade that `partition`, of so many, was asked for, as clients see it."""
    if partitions == 1 or isinstance(outcome, Judged):
        return outcome
    if outcome.partition is not None:
        partition = outcome.partition
    number = order_number(outcome.number, partition, partitions)
    return msgspec.structs.replace(outcome, number=number, partition=None)


def shown_last(last: int, partition: int, partitions: int) -> int:
    """The number of the last order of `partition`, of so many, as clients see it; 0: none."""
    return order_number(last, partition, partitions) if last else 0
