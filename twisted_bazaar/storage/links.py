"""Keys in a file that may go bad: each is linked to the next, so that absence can be proved.

A plain index cannot tell a key that was never there from one that has become unreadable. Here
the row of a key names the key that comes after it, and is sealed with a checksum. The row right
before the place of an absent key proves that it is absent; if no row does, the file is bad.
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
    """The key that comes after this one; empty: none does."""
    sum: int


def seal(key: str, number: int, next_key: str) -> Link:
    """The row that says this."""
    return Link(key, number, next_key, crc32(f"{key} {number} {next_key}".encode()))


HEAD = seal("", 0, "")
"""Comes before every key."""


def proves(link: Link, wanted: str) -> bool:
    """Whether `link` is as it was written, and is that of `wanted` or proves it absent."""
    return (
        link.key <= wanted
        and (not link.next or wanted < link.next)
        and link == seal(link.key, link.number, link.next)
    )


def insert(
    nearest: Mapping[str, Link], orders: Iterable[tuple[str, int]]
) -> tuple[list[Link], list[Link]]:
    """The rows that change, and those that are new, when the keys of `orders` are put in.

    `nearest` has, for each key, the row that proves it absent. Raises `InvariantBroken` if one
    has an order already.
    """
    changed: dict[str, Link] = {}
    added: dict[str, Link] = {}
    for key, number in sorted(orders):
        link = nearest[key]
        # The keys of one gap come one after the other, each after the one put in before it.
        at = next(reversed(added), "")
        if link.key < at < key:
            link = added[at]
        if key in (link.key, at):
            raise InvariantBroken(f"key {key} has order {link.number} and order {number}")
        (added if link.key in added else changed)[link.key] = seal(link.key, link.number, key)
        added[key] = seal(key, number, link.next)
    return list(changed.values()), list(added.values())
