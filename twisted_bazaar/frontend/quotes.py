"""A stock's market data as lookups answer it: a version, and the body that shows it. Pure."""

from enum import Enum

import msgspec

__all__ = ["Found", "Quote", "Source"]


class Quote(msgspec.Struct, frozen=True):
    """What one lookup is answered with."""

    version: int
    """Index of the last log entry that touched the stock; also its entity tag."""
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
