"""The ledger: the market data of every stock after a prefix of the order log. Pure.

Two ledgers that have applied the same entries are equal, on any machine. The leader decides
trades on the ledger at the end of its log; followers and catalogs only apply what was decided.
"""

from collections.abc import Iterable

import msgspec

from .errors import InvariantBroken
from .market import MAX_SHARES, MAX_VOLUME, Listed, Rejection, Side, Stock, Trade, Traded

__all__ = ["Ledger", "stocks_of"]


def stocks_of(event: msgspec.Struct) -> tuple[str, ...]:
    """The names of the stocks that an event changes: those that `Ledger.apply` returns."""
    if isinstance(event, Traded):
        return (event.stock,)
    if isinstance(event, Listed):
        return tuple(listing.name for listing in event.stocks)
    return ()


class Ledger:
    """Stocks by name, and the number of the last order."""

    def __init__(self, stocks: Iterable[Stock] = (), last_number: int = 0) -> None:
        self.stocks: dict[str, Stock] = {stock.name: stock for stock in stocks}
        self.last_number = last_number

    def copy(self) -> "Ledger":
        """An independent copy; the stocks are immutable and shared."""
        return Ledger(self.stocks.values(), self.last_number)

    def decide(self, trade: Trade) -> Traded | Rejection:
        """What becomes of `trade` now. The ledger changes only when the answer is applied."""
        stock = self.stocks.get(trade.stock)
        if stock is None:
            return Rejection.UNKNOWN_STOCK
        if trade.side is Side.BUY and stock.quantity < trade.quantity:
            return Rejection.NOT_ENOUGH_SHARES
        if trade.side is Side.SELL and stock.quantity + trade.quantity > MAX_SHARES:
            return Rejection.TOO_MANY_SHARES
        return Traded(self.last_number + 1, trade.key, trade.stock, trade.side, trade.quantity)

    def apply(self, index: int, event: msgspec.Struct) -> tuple[str, ...]:
        """Apply the event of log entry `index` and return the names of the stocks it changed.

        An event about no stock, such as a leader's `opened`, changes nothing. Raises
        `InvariantBroken` for an event that no leader can have decided on this ledger: a gap in
        the numbers (invariant 4), or shares that are not there (invariant 6).
        """
        if isinstance(event, Traded):
            return self._trade(index, event)
        if isinstance(event, Listed):
            return self._list(index, event)
        return ()

    def _trade(self, index: int, order: Traded) -> tuple[str, ...]:
        stock = self.stocks.get(order.stock)
        change = order.quantity if order.side is Side.SELL else -order.quantity
        if stock is None or order.quantity < 1 or not 0 <= stock.quantity + change <= MAX_SHARES:
            raise InvariantBroken(f"entry {index}: order {order.number} cannot be: {order}")
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
        for listing in event.stocks:
            self.stocks[listing.name] = Stock(
                listing.name, listing.price, listing.quantity, 0, index
            )
        return names
