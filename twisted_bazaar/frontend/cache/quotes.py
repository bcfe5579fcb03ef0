"""A stock's market data as lookups answer it: a version, and the body that shows it. Pure."""

from collections.abc import Iterable
from enum import Enum

import msgspec

from twisted_bazaar.market import Stock

__all__ = ["Found", "Quote", "Shown", "Source"]


class Shown(list[Stock]):
    """The stocks that one catalog answered with."""

    def __init__(self, stocks: Iterable[Stock], history: str) -> None:
        """`history` names the order log that versions are indexes of; empty: it did not say."""
        super().__init__(stocks)
        self.history = history


class Quote(msgspec.Struct, frozen=True):
    """What one lookup is answered with."""

    version: int
    """Index of the last log entry that touched the stock."""
    body: bytes
    """The JSON body of the answer."""


class Source(Enum):
    """Where an answer came from: the value of the header `X-Cache`."""

    HIT = b"hit"
    MISS = b"miss"
    OFF = b"off"


class Found(msgspec.Struct, frozen=True):
    """The answer to a lookup."""

    quote: Quote | None
    """None: there is no such stock."""
    source: Source
    history: str = ""
    """Names the order log that the version is an index of; empty: nobody said."""
