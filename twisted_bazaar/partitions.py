"""Partitions: where a stock is at home, and how orders are numbered over all of them. Pure.

A bazaar is created with a number of partitions, which never changes. Each has a log and numbers of
its own, 1, 2, 3 …; clients see `local * 1000 + partition`, which is unique, and says where the
order is. With one partition, clients see its numbers as they are.
"""

from hashlib import sha256

__all__ = ["MAX_PARTITIONS", "home", "local_number", "order_number", "partition_of"]

MAX_PARTITIONS = 1000
"""Partitions that a bazaar may have."""


def home(stock: str, partitions: int) -> int:
    """The partition, 0 … `partitions - 1`, that a stock is in unless it was moved."""
    return int.from_bytes(sha256(stock.encode()).digest()[:4], "big") % partitions


def order_number(local: int, partition: int, partitions: int) -> int:
    """What clients see: the number of order `local` of `partition`, of so many."""
    return local if partitions == 1 else local * MAX_PARTITIONS + partition


def partition_of(number: int, partitions: int) -> int:
    """The partition of the order that clients see as `number`. It may be one that is not there:
    `partitions` or above."""
    return 0 if partitions == 1 else number % MAX_PARTITIONS


def local_number(number: int, partitions: int) -> int:
    """The number, in its partition, of the order that clients see as `number`."""
    return number if partitions == 1 else number // MAX_PARTITIONS
