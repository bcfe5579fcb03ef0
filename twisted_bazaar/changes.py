"""Market operations: what becomes of a change that whoever runs the bazaar asks for. Pure.

The leader decides it on the ledger at the tip of its log, as it decides trades, and what changes
the market becomes an entry. So every replica, catalog and cache follows by the rules for trades. To
ask for the same again is safe: where nothing is left to be changed, there is no second entry.
"""

from collections.abc import Mapping, Sequence

from .errors import ChangeRefused
from .ledger import Ledger
from .market import (
    MAX_PRICE,
    MAX_SHARES,
    MAX_STOCKS,
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Moved,
    Repriced,
    Resumed,
    Stock,
)
from .partitions import home
from .stock_names import StockNames, shown

__all__ = ["decide_change"]


def decide_change(
    ledger: Ledger, asked: Change, partition: int = 0, partitions: int = 1
) -> Listed | Repriced | Halted | Resumed | Moved | None:
    """The event that makes `asked` true on `ledger`, which is that of `partition` of so many;
    None: it is true already. The ledger changes only when the event is applied. Raises
    `ChangeRefused`.

    A stock is listed where it is at home, and nowhere while it is in another partition. So it is
    in one partition at most.
    """
    stocks = ledger.stocks
    match asked:
        case Listed(listings):
            for each in listings:
                _check_may_be_listed(each.name, ledger, partition, partitions)
            new = _to_list(stocks, listings)
            _check_room(ledger, len(new), partition, partitions)
            return Listed(new) if new else None
        case Repriced(name, price):
            _check_price(price)
            return asked if _stock(stocks, name).price != price else None
        case Halted(names):
            halted = _those(stocks, names, halted=False)
            return Halted(halted) if halted else None
        case Resumed(names):
            resumed = _those(stocks, names, halted=True)
            return Resumed(resumed) if resumed else None
        case Move(name, to):
            if not 0 <= to < partitions:
                message = f"there is no partition {to}: they are numbered 0 to {partitions - 1}"
                raise ChangeRefused(ChangeRefusal.INVALID, message)
            _stock(stocks, name)
            return Moved(name, to) if to != partition else None


def _check_may_be_listed(name: str, ledger: Ledger, partition: int, partitions: int) -> None:
    if name in ledger.away:
        message = f"{shown(name)} is listed already, and was moved to another partition"
        raise ChangeRefused(ChangeRefusal.LISTED_ALREADY, message)
    if partitions > 1 and name not in ledger.stocks and home(name, partitions) != partition:
        message = f"{shown(name)} is to be listed in partition {home(name, partitions)}"
        raise ChangeRefused(ChangeRefusal.INVALID, message)


def _those(stocks: Mapping[str, Stock], names: Sequence[str], *, halted: bool) -> tuple[str, ...]:
    """Those of the stocks `names`, or of all if there are none, that are `halted`, or not."""
    chosen = [_stock(stocks, name) for name in dict.fromkeys(names or stocks)]
    return tuple(stock.name for stock in chosen if stock.halted is halted)


def _stock(stocks: Mapping[str, Stock], name: str) -> Stock:
    if name not in stocks:
        message = f"unknown stock: there is none named {shown(name)}"
        raise ChangeRefused(ChangeRefusal.UNKNOWN_STOCK, message)
    return stocks[name]


def _to_list(stocks: Mapping[str, Stock], listings: Sequence[Listing]) -> tuple[Listing, ...]:
    """Those of `listings` that are not in the market as they are listed here."""
    names = StockNames()
    for name in stocks:
        names.know(name)
    new: list[Listing] = []
    for each in listings:
        known = stocks.get(each.name)
        if known is not None:
            # As a repeated call finds it that was executed before.
            if (known.price, known.quantity, known.volume) != (each.price, each.quantity, 0):
                message = f"{shown(each.name)} is listed already"
                raise ChangeRefused(ChangeRefusal.LISTED_ALREADY, message)
            continue
        _check_price(each.price)
        if not 0 <= each.quantity <= MAX_SHARES:
            message = f"quantity must be an integer from 0 to {MAX_SHARES}, not {each.quantity}"
            raise ChangeRefused(ChangeRefusal.INVALID, message)
        try:
            names.add(each.name)
        except ValueError as why:
            raise ChangeRefused(ChangeRefusal.INVALID, str(why)) from None
        new.append(each)
    return tuple(new)


def _check_room(ledger: Ledger, new: int, partition: int, partitions: int) -> None:
    """Refuse `new` stocks more than a market may have. Each partition lists its share of them, so
    that one partition has room for all, wherever they are moved."""
    most = MAX_STOCKS // partitions
    known = {*ledger.stocks, *ledger.away}
    listed = len(known)
    if partitions > 1:
        listed = sum(home(name, partitions) == partition for name in known)
    if new and listed + new > most:
        where = "market" if partitions == 1 else f"partition of {partitions}"
        message = f"a {where} lists at most {most} stocks, and {listed} are listed"
        raise ChangeRefused(ChangeRefusal.TOO_MANY_STOCKS, message)


def _check_price(price: int) -> None:
    if not 1 <= price <= MAX_PRICE:
        message = f"price must be from 0.01 to {MAX_PRICE // 100}, not {amount(price)}"
        raise ChangeRefused(ChangeRefusal.INVALID, message)


def amount(cents: int) -> str:
    """`cents` as people write them: 15.99."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"
