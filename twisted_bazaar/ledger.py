"""The ledger: the market data of every stock after a prefix of the order log. Pure.

Two ledgers that have applied the same entries are equal, on any machine. The leader decides
trades on the ledger at the end of its log; followers and catalogs only apply what was decided.
"""

from collections.abc import Iterable, Mapping

import msgspec

from .errors import InvariantBroken
from .market import (
    MAX_PRICE,
    MAX_SHARES,
    MAX_VOLUME,
    Adopted,
    Halted,
    Listed,
    Moved,
    Rejection,
    Repriced,
    Resumed,
    Side,
    Stock,
    Trade,
    Traded,
)

__all__ = ["Ledger", "first_prices", "stocks_of"]


def first_prices(events: Iterable[msgspec.Struct]) -> Mapping[str, int]:
    """The prices in the first `Listed` of `events`, by stock; none: there is no such event."""
    for event in events:
        if isinstance(event, Listed):
            return {listing.name: listing.price for listing in event.stocks}
    return {}


def stocks_of(event: msgspec.Struct) -> tuple[str, ...]:
    """The names of the stocks that an event changes: those that `Ledger.apply` returns."""
    if isinstance(event, Traded | Repriced | Moved | Adopted):
        return (event.stock,)
    if isinstance(event, Listed):
        return tuple(listing.name for listing in event.stocks)
    if isinstance(event, Halted | Resumed):
        return event.stocks
    return ()


class Ledger:
    """Stocks by name, and the number of the last order."""

    def __init__(
        self,
        stocks: Iterable[Stock] = (),
        last_number: int = 0,
        prices: Mapping[str, int] | None = None,
        away: Iterable[str] = (),
    ) -> None:
        """`prices` are the `first_prices` of the log. Only `price_of` needs them."""
        self.stocks: dict[str, Stock] = {stock.name: stock for stock in stocks}
        self.last_number = last_number
        self._first_prices: Mapping[str, int] = prices or {}
        self.away = set(away)
        """The stocks that have left the partition, and are not back. Matters to what is
        decided only: a stock that is elsewhere must not be listed."""

    def copy(self) -> "Ledger":
        """An independent copy; the stocks are immutable and shared."""
        return Ledger(self.stocks.values(), self.last_number, self._first_prices, self.away)

    def price_of(self, order: Traded) -> int:
        """In cents, what a share was traded at by `order`, which this ledger has applied.

        Earlier releases did not record it, and never changed the price of a stock.
        """
        return self._first_prices[order.stock] if order.price is None else order.price

    def decide(self, trade: Trade, at_milliseconds: int = 0) -> Traded | Rejection:
        """What becomes of `trade`, if its entry has this time. The ledger changes only when the
        answer is applied."""
        if trade.valid_until is not None and at_milliseconds > trade.valid_until:
            return Rejection.EXPIRED
        stock = self.stocks.get(trade.stock)
        if stock is None:
            return Rejection.UNKNOWN_STOCK
        if stock.halted:
            return Rejection.HALTED
        if not trade.accepts(stock.price):
            return Rejection.PRICE_OUT_OF_BOUNDS
        if trade.side is Side.BUY and stock.quantity < trade.quantity:
            return Rejection.NOT_ENOUGH_SHARES
        if trade.side is Side.SELL and stock.quantity + trade.quantity > MAX_SHARES:
            return Rejection.TOO_MANY_SHARES
        return Traded(
            self.last_number + 1,
            trade.key,
            trade.stock,
            trade.side,
            trade.quantity,
            stock.price,
            trade.made,
            trade.limit,
        )

    def apply(self, index: int, event: msgspec.Struct) -> tuple[str, ...]:
        """Apply the event of log entry `index` and return the names of the stocks it changed.

        An event about no stock, such as a leader's `opened`, changes nothing. Raises
        `InvariantBroken` for an event that no leader can have decided on this ledger: a gap in
        the numbers (invariant 4), shares that are not there (invariant 6), or another price than
        the stock's, one beyond the limit, or a trade that is halted (invariant 14). A stock that
        is `Moved` is in `stocks` no longer.
        """
        if isinstance(event, Traded):
            return self._trade(index, event)
        if isinstance(event, Listed):
            return self._list(index, event)
        if isinstance(event, Repriced):
            return self._reprice(index, event)
        if isinstance(event, Halted | Resumed):
            return self._halt(index, event.stocks, isinstance(event, Halted))
        if isinstance(event, Moved):
            return self._move(index, event)
        if isinstance(event, Adopted):
            return self._adopt(index, event)
        return ()

    def _trade(self, index: int, order: Traded) -> tuple[str, ...]:
        stock = self.stocks.get(order.stock)
        change = order.quantity if order.side is Side.SELL else -order.quantity
        if stock is None or order.quantity < 1 or not 0 <= stock.quantity + change <= MAX_SHARES:
            raise InvariantBroken(f"entry {index}: order {order.number} cannot be: {order}")
        if stock.halted:
            raise InvariantBroken(f"entry {index}: order {order.number} is of a halted stock")
        if order.price is not None and order.price != stock.price:
            raise InvariantBroken(
                f"entry {index}: order {order.number} is at {order.price} cents,"
                f" and {order.stock} at {stock.price}"
            )
        if order.limit is not None and (
            stock.price > order.limit if order.side is Side.BUY else stock.price < order.limit
        ):
            raise InvariantBroken(
                f"entry {index}: order {order.number} is beyond its limit: {order}"
            )
        if order.number != self.last_number + 1:
            raise InvariantBroken(
                f"entry {index}: order {order.number} follows order {self.last_number}"
            )
        volume = min(stock.volume + order.quantity, MAX_VOLUME)
        self.stocks[order.stock] = Stock(
            stock.name, stock.price, stock.quantity + change, volume, index
        )
        self.last_number = order.number
        return (order.stock,)

    def _list(self, index: int, event: Listed) -> tuple[str, ...]:
        names = tuple(listing.name for listing in event.stocks)
        if len(set(names)) < len(names) or not self.stocks.keys().isdisjoint(names):
            raise InvariantBroken(f"entry {index}: a stock is listed twice among {names}")
        if not self.stocks:
            self._first_prices = first_prices([event])
        for listing in event.stocks:
            self.stocks[listing.name] = Stock(
                listing.name, listing.price, listing.quantity, 0, index
            )
        return names

    def _reprice(self, index: int, event: Repriced) -> tuple[str, ...]:
        stock = self.stocks.get(event.stock)
        if stock is None or not 0 <= event.price <= MAX_PRICE:
            raise InvariantBroken(f"entry {index}: this price cannot be: {event}")
        self.stocks[stock.name] = Stock(
            stock.name, event.price, stock.quantity, stock.volume, index, stock.halted
        )
        return (stock.name,)

    def _halt(self, index: int, names: tuple[str, ...], halted: bool) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not self.stocks.keys() >= set(names):
            raise InvariantBroken(f"entry {index}: these stocks cannot be: {names}")
        for name in names:
            stock = self.stocks[name]
            self.stocks[name] = Stock(
                name, stock.price, stock.quantity, stock.volume, index, halted
            )
        return names

    def _move(self, index: int, event: Moved) -> tuple[str, ...]:
        if event.stock not in self.stocks:
            raise InvariantBroken(f"entry {index}: this stock cannot leave: {event}")
        del self.stocks[event.stock]
        self.away.add(event.stock)
        return (event.stock,)

    def _adopt(self, index: int, event: Adopted) -> tuple[str, ...]:
        if (
            event.stock in self.stocks
            or not 0 <= event.price <= MAX_PRICE
            or not 0 <= event.quantity <= MAX_SHARES
            or not 0 <= event.volume <= MAX_VOLUME
        ):
            raise InvariantBroken(f"entry {index}: this stock cannot come: {event}")
        self.stocks[event.stock] = Stock(
            event.stock, event.price, event.quantity, event.volume, index, event.halted
        )
        self.away.discard(event.stock)
        return (event.stock,)
