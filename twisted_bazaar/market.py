"""The vocabulary of the market: stocks, trades, orders, and the events that the order log holds.

All are frozen values. Quantities are whole shares and prices whole cents, so that no sum is
rounded. Pure.
"""

import re
from enum import StrEnum

import msgspec

__all__ = [
    "DEFAULT_LISTING",
    "MAX_NAME_CHARACTERS",
    "MAX_PRICE",
    "MAX_SHARES",
    "MAX_STOCKS",
    "MAX_TRADE_QUANTITY",
    "MAX_VOLUME",
    "Adopted",
    "Change",
    "ChangeRefusal",
    "Halted",
    "Judged",
    "Listed",
    "Listing",
    "Move",
    "Moved",
    "Order",
    "Placed",
    "Rejection",
    "Repriced",
    "Resumed",
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

MAX_PRICE = 10**14
"""Cents that a share may cost at most."""

MAX_NAME_CHARACTERS = 64
"""Characters that the name of a stock may have at most."""

MAX_STOCKS = 20_000
"""Stocks that a market may list. With the longest names, the listing still fits into one log
entry, one gRPC message and one push."""

_MADE_KEY = re.compile(r"[a-z2-7]{10}-[0-9a-f]{8,}-[0-9a-f]{12}")
"""The form of the keys that front-ends make."""


class Side(StrEnum):
    """Which way the shares go, seen from the client."""

    BUY = "buy"
    SELL = "sell"


class Rejection(StrEnum):
    """Why the market refuses a trade. A refused trade leaves no trace and its key stays free."""

    UNKNOWN_STOCK = "unknown stock"
    NOT_ENOUGH_SHARES = "not enough shares"
    TOO_MANY_SHARES = "more shares than a stock can hold"
    PRICE_OUT_OF_BOUNDS = "the price is beyond the limit"
    EXPIRED = "the trade has expired"
    HALTED = "trading is halted"


class ChangeRefusal(StrEnum):
    """Why the market is not changed as its operator asks."""

    UNKNOWN_STOCK = "unknown stock"
    LISTED_ALREADY = "listed already"
    INVALID = "invalid"
    TOO_MANY_STOCKS = "too many stocks"


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
    halted: bool = False
    """Whether trades of it are refused."""


class Trade(msgspec.Struct, frozen=True):
    """What a client asks for."""

    key: str
    """The idempotency key: at most one order ever carries it (invariant 5)."""
    stock: str
    side: Side
    quantity: int
    """Shares, 1 … `MAX_TRADE_QUANTITY`."""
    made: bool = False
    """Whether a front-end made the key: the client chose none."""
    limit: int | None = None
    """In cents, 0 … `MAX_PRICE`: a buy pays no more a share, a sell gets no less. None: the trade
    is executed at any price."""
    valid_until: int | None = None
    """Milliseconds since 1970: the trade is refused if its entry would be later. None: never."""
    validate: bool = False
    """Judge the trade, and do not execute it."""

    def accepts(self, price: int) -> bool:
        """Whether `price` is within the limit."""
        if self.limit is None:
            return True
        return price <= self.limit if self.side is Side.BUY else price >= self.limit


class Order(msgspec.Struct, frozen=True):
    """A trade that succeeded, as clients read it."""

    number: int
    """1, 2, 3 … with no gap and no repeat (invariant 4)."""
    stock: str
    side: Side
    quantity: int
    at_milliseconds: int
    """When the leader decided it, since 1970."""
    key: str = ""
    """The idempotency key. Empty: a replica of an earlier release answered."""
    made: bool = False
    """Whether a front-end made the key."""
    price: int | None = None
    """In cents, what a share was traded at. None: a replica of an earlier release answered."""
    limit: int | None = None
    """In cents, the limit that the trade named; None: none."""
    partition: int | None = None
    """The partition that it is in, if `number` is what clients see of several; None: there is one,
    or `number` is that within it."""
    client: str | msgspec.UnsetType | None = msgspec.UNSET
    """The client that placed it, as a client is shown it; None: none, or the client is not told.
    Unset: the key says it, or there is no file of clients."""


class Placed(msgspec.Struct, frozen=True):
    """The answer to a trade that succeeded."""

    number: int
    """The number of the order."""
    replayed: bool
    """Whether an earlier sending of the same key made the order."""
    price: int | None = None
    """In cents, what a share was traded at. None: a leader of an earlier release answered."""
    partition: int | None = None
    """The partition that has the order, if that is not the one that was asked: the stock was moved
    since."""


class Judged(msgspec.Struct, frozen=True):
    """The answer to a trade that was to be validated, and would be executed."""

    price: int
    """In cents, what a share would be traded at."""


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


class Repriced(msgspec.Struct, frozen=True, tag_field="kind", tag="repriced"):
    """Log event: from here on, a stock is traded at another price."""

    stock: str
    price: int
    """In cents, 0 … `MAX_PRICE`."""


class Halted(msgspec.Struct, frozen=True, tag_field="kind", tag="halted"):
    """Log event: trades of these stocks are refused until they are `Resumed`."""

    stocks: tuple[str, ...]


class Resumed(msgspec.Struct, frozen=True, tag_field="kind", tag="resumed"):
    """Log event: these stocks are traded again."""

    stocks: tuple[str, ...]


class Moved(msgspec.Struct, frozen=True, tag_field="kind", tag="moved"):
    """Log event: a stock leaves this partition."""

    stock: str
    to: int
    """The partition that takes it."""


class Adopted(msgspec.Struct, frozen=True, tag_field="kind", tag="adopted"):
    """Log event: a stock that left another partition is in this one, as it was there."""

    stock: str
    price: int
    """In cents, 0 … `MAX_PRICE`."""
    quantity: int
    """Shares for sale, 0 … `MAX_SHARES`."""
    volume: int
    """Shares bought and sold since the stock was listed, 0 … `MAX_VOLUME`."""
    halted: bool
    """Whether trades of it are refused."""
    before: int
    """The partition that it left."""
    moved: int
    """The index of the `moved` entry there. With `before` it names this move, and no other."""


class Move(msgspec.Struct, frozen=True):
    """Asks that a stock be in another partition."""

    stock: str
    to: int


Change = Listed | Repriced | Halted | Resumed | Move
"""What an operator may ask for. `Halted` and `Resumed` without names are of every stock."""


class Traded(msgspec.Struct, frozen=True, tag_field="kind", tag="traded", omit_defaults=True):
    """Log event: a trade succeeded and is order `number`."""

    number: int
    """1, 2, 3 … with no gap and no repeat (invariant 4)."""
    key: str
    stock: str
    side: Side
    quantity: int
    price: int | None = None
    """In cents, what a share was traded at. None: an earlier release wrote this, and the price is
    that of the first listing (`Ledger.price_of`)."""
    made: bool = False
    """Whether a front-end made the key. An earlier release does not say (`has_made_key`)."""
    limit: int | None = None
    """In cents, the limit that the trade named; None: none."""

    def fulfils(self, trade: Trade) -> bool:
        """Whether this order is what `trade`, which has the same key, asks for."""
        return (
            self.stock == trade.stock
            and self.side is trade.side
            and self.quantity == trade.quantity
            and self.limit == trade.limit
        )

    def shown(self, at_milliseconds: int) -> Order:
        """The order as clients read it, of an entry with that time."""
        return Order(
            self.number,
            self.stock,
            self.side,
            self.quantity,
            at_milliseconds,
            self.key,
            self.made,
            self.price,
            self.limit,
        )

    @property
    def has_made_key(self) -> bool:
        """Whether a front-end made the key, as far as an entry of an earlier release shows."""
        return self.made or (self.price is None and _MADE_KEY.fullmatch(self.key) is not None)


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
