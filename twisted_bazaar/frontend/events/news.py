"""What a replica answers to a front-end that watches it. Pure."""

from collections.abc import Sequence

import msgspec

__all__ = ["EVERYONE", "News", "OrderEvent", "QuoteEvent"]

EVERYONE = "*"
"""In place of a client's name: all clients. No client has this name."""


class OrderEvent(msgspec.Struct, frozen=True):
    """A released order, encoded once for all readers."""

    number: int
    stock: str
    event: bytes
    """Without an id where there are several partitions."""
    at_milliseconds: int = 0
    """When it was decided; 0 where there is one partition, as nothing is merged by it."""
    client: str = ""
    """Who placed it; empty: no client, or there is no file of clients."""
    whole: bytes = b""
    """The event that says who placed it, if `event` does not; empty: there is no file of
    clients."""

    def shown(self, sees: str) -> bytes:
        """The event for a reader that `sees` orders of this client, or of `EVERYONE`."""
        if sees and self.whole and sees in (EVERYONE, self.client):
            return self.whole
        return self.event


class QuoteEvent(msgspec.Struct, frozen=True):
    """The market data of a stock, encoded once for all readers."""

    stock: str
    event: bytes


class News(msgspec.Struct, frozen=True):
    """What was released after an order and after an entry that the front-end named."""

    orders: Sequence[OrderEvent]
    """By number, the first of them following on the order that was named. There may be more."""
    quotes: Sequence[QuoteEvent]
    """Of the stocks that changed, ascending by version."""
    last_number: int
    """The number of the last order that the replica knows to be released."""
    version: int
    """The last entry that it knows to be released: that of the quotes."""
    digest: str
    """Of that entry: names the whole history up to it."""
    before: str
    """The digest of the entry that was named; empty: the replica does not know it to be
    released."""
