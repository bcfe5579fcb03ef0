"""Market data as lookups carry it. Pure.

Versions are indexes of the order log that `history` names; empty: the log is unknown.
"""

from collections.abc import Collection, Sequence
from enum import Enum

import msgspec

from twisted_bazaar.market import Stock

__all__ = ["LookupReply", "LookupResult", "Quote", "Source"]


class Quote(msgspec.Struct, frozen=True):
    """One stock."""

    version: int
    """Index of the last log entry that changed the stock."""
    body: bytes
    """The JSON body that shows it."""


class LookupReply(msgspec.Struct, frozen=True):
    """What a catalog or the leader answers to a lookup of several stocks."""

    stocks: Sequence[Stock]
    """Those of the stocks asked for that exist."""
    history: str = ""
    held: Collection[str] = ()
    """Those that cannot be shown yet, as a trade of theirs is about to be committed, or not: to be
    asked for again."""


class Source(Enum):
    """Where the answer to a lookup came from: the value of the header `X-Cache`."""

    HIT = b"hit"
    MISS = b"miss"
    OFF = b"off"


class LookupResult(msgspec.Struct, frozen=True):
    """What the lookup of one stock is answered with."""

    quote: Quote | None
    """None: there is no such stock."""
    source: Source
    history: str = ""
