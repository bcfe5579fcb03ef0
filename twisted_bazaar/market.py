"""The vocabulary of the market: stocks, trades, orders, and the events that the order log holds.

All are frozen values. Quantities are whole shares and prices whole cents, so that no sum is
rounded. Pure.
"""

from enum import StrEnum

import msgspec

__all__ = [
    "DEFAULT_LISTING",
    "MAX_NAME_CHARACTERS",
    "MAX_SHARES",
    "MAX_STOCKS",
    "MAX_TRADE_QUANTITY",
    "MAX_VOLUME",
    "Listed",
    "Listing",
    "Order",
    "Placed",
    "Rejection",
    "Side",
    "Stock",
    "Trade",
    "Traded",
]

MAX_TRADE_QUANTITY = 10**9
"""Shares that one trade may buy or sell at most."""

MAX_SHARES = 2**53 - 1
"""Shares that a stock may hold: the largest integer every JSON reader keeps."""

MAX_VOLUME = 2**63 - 1
"""The volume of a stock saturates here; no trade is refused for it."""

MAX_NAME_CHARACTERS = 64
"""Characters that the name of a stock may have at most."""

MAX_STOCKS = 20_000
"""Stocks that a market may list. With the longest names, the listing still fits into one log
entry, one gRPC message and one push."""


class Side(StrEnum):
    """Which way the shares go, seen from the client."""

    BUY = "buy"
    SELL = "sell"


class Rejection(StrEnum):
    """Why the market refuses a trade. A refused trade leaves no trace and its key stays free."""

    UNKNOWN_STOCK = "unknown stock"
    NOT_ENOUGH_SHARES = "not enough shares"
    TOO_MANY_SHARES = "more shares than a stock can hold"


class Stock(msgspec.Struct, frozen=True):
    """The market data of one stock after log entry `version`."""

    name: str
    price: int
    """In cents."""
    quantity: int
    """Shares for sale, 0 … `MAX_SHARES`."""
    volume: int
    """Shares bought and sold since the stock was listed, 0 … `MAX_VOLUME`."""
    version: int
    """Index of the last log entry that changed this stock."""


class Trade(msgspec.Struct, frozen=True):
    """What a client asks for."""

    key: str
    """The idempotency key: at most one order ever carries it (invariant 5)."""
    stock: str
    side: Side
    quantity: int
    """Shares, 1 … `MAX_TRADE_QUANTITY`."""


class Order(msgspec.Struct, frozen=True):
    """A trade that succeeded, as clients read it."""

    number: int
    """1, 2, 3 … with no gap and no repeat (invariant 4)."""
    stock: str
    side: Side
    quantity: int
    at_milliseconds: int
    """When the leader decided it, since 1970."""


class Placed(msgspec.Struct, frozen=True):
    """The answer to a trade that succeeded."""

    number: int
    """The number of the order."""
    replayed: bool
    """Whether an earlier sending of the same key made the order."""


class Listing(msgspec.Struct, frozen=True):
    """A stock as it enters the market."""

    name: str
    price: int
    """In cents."""
    quantity: int
    """Shares for sale at first."""


class Listed(msgspec.Struct, frozen=True, tag_field="kind", tag="listed"):
    """Log event: these stocks are listed, all of them or none."""

    stocks: tuple[Listing, ...]


class Traded(msgspec.Struct, frozen=True, tag_field="kind", tag="traded"):
    """Log event: a trade succeeded and is order `number`."""

    number: int
    """1, 2, 3 … with no gap and no repeat (invariant 4)."""
    key: str
    stock: str
    side: Side
    quantity: int

    def fulfils(self, trade: Trade) -> bool:
        """Whether this order is what `trade`, which has the same key, asks for."""
        return (self.stock, self.side, self.quantity) == (trade.stock, trade.side, trade.quantity)


DEFAULT_LISTING = (
    Listing("GameStart", 1599, 100),
    Listing("FishCo", 2050, 100),
    Listing("BoarCo", 3400, 100),
    Listing("MenhirCo", 4999, 100),
    Listing("FreedomCo", 1225, 100),
    Listing("CityCorp", 7310, 100),
    Listing("MindComp", 6120, 100),
    Listing("BankCo", 2715, 100),
    Listing("DruidCo", 875, 100),
    Listing("RomanCo", 9040, 100),
)
"""What a new bazaar lists unless its operator gives another listing: 100 shares of each."""
