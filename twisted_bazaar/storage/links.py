"""Keys linked in order, so that a file proves that a key is absent, even if it is damaged. Pure.

A plain index cannot tell a key that was never there from one that has become unreadable. Here the
row of a key names the next key, and has a checksum. The row before the place of an absent key
proves its absence; if no row does, the file is damaged.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

from twisted_bazaar.errors import InvariantBroken

__all__ = ["HEAD", "Link", "insert", "proves", "seal"]


class Link(NamedTuple):
    """The row of one key."""

    key: str
    number: int
    next: str
    """The next key; empty: this is the last one."""
    sum: int
    """The CRC-32 of the other fields."""


def seal(key: str, number: int, next_key: str) -> Link:
    """The row with these fields and their checksum."""
    return Link(key, number, next_key, crc32(f"{key} {number} {next_key}".encode()))


HEAD = seal("", 0, "")
"""The row before every key."""


def proves(link: Link, wanted: str) -> bool:
    """Whether `link` is as it was written, and is the row of `wanted` or proves its absence."""
    return (
        link.key <= wanted
        and (not link.next or wanted < link.next)
        and link == seal(link.key, link.number, link.next)
    )


def insert(
    nearest: Mapping[str, Link], orders: Iterable[tuple[str, int]]
) -> tuple[list[Link], list[Link]]:
    """The rows that change, and the new rows, when the keys of `orders` are inserted.

    `nearest` has, for each key, the row that proves its absence. Raises `InvariantBroken` if a
    key has an order already (invariant 5).
    """
    changed: dict[str, Link] = {}
    added: dict[str, Link] = {}
    for key, number in sorted(orders):
        link = nearest[key]
        # Keys in the same gap follow each other: each comes after the one inserted before it.
        at = next(reversed(added), "")
        if link.key < at < key:
            link = added[at]
        if key in (link.key, at):
            raise InvariantBroken(f"key {key} has order {link.number} and order {number}")
        (added if link.key in added else changed)[link.key] = seal(link.key, link.number, key)
        added[key] = seal(key, number, link.next)
    return list(changed.values()), list(added.values())
