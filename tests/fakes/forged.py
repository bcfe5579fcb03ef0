"""Forgeries: changes of a history of a correct bazaar, each of which breaks one invariant.

A forgery takes the records of a section and returns changed ones, or None if this history has no
place for it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from load.history.book import Book
from load.history.records import (
    Change,
    Closing,
    LookupCall,
    Opening,
    Order,
    OrderCall,
    PageCall,
    Quote,
    Record,
    TradeCall,
    Verdict,
)
from twisted_bazaar.market import Side

Records = Sequence[Record]
Forgery = Callable[[Records], Records | None]

FORGERIES: list[tuple[int, Forgery]] = []


def breaks(invariant: int) -> Callable[[Forgery], Forgery]:
    def declare(forgery: Forgery) -> Forgery:
        FORGERIES.append((invariant, forgery))
        return forgery

    return declare


# Reading a history.


def opening(records: Records) -> Opening:
    assert isinstance(records[0], Opening)
    return records[0]


def closing(records: Records) -> Closing:
    assert isinstance(records[-1], Closing)
    return records[-1]


def book(records: Records) -> Book:
    return Book(closing(records).orders, opening(records).listed)


def trades(records: Records, verdict: Verdict) -> list[TradeCall]:
    return [each for each in records if isinstance(each, TradeCall) and each.verdict is verdict]


def placed(records: Records) -> list[TradeCall]:
    """One trade for each acknowledged order."""
    return list({call.number: call for call in trades(records, Verdict.PLACED)}.values())


def first_sent(records: Records, key: str) -> float:
    return min(each.sent for each in records if isinstance(each, TradeCall) and each.key == key)


def first(found: Any) -> Any:
    return next(iter(found), None)


def content(of: Order | TradeCall) -> tuple[str, Side, int]:
    return of.name, of.type, of.quantity


# Changing a history.


def swapped(records: Records, old: Any, new: Any) -> Records:
    return [new if each is old else each for each in records]


def finally_(records: Records, call: Callable[[float], Record]) -> Records:
    """`records` with one more call, sent when all others have ended."""
    at = max(getattr(each, "ended", 0.0) for each in records) + 1.0
    return [*records[:-1], call(at), records[-1]]


def with_orders(records: Records, orders: Sequence[Order]) -> Records:
    """`records` with other orders in the closing, and the market data that follows from them."""
    changed = Book(orders, opening(records).listed)
    market = tuple(
        replace(
            quote,
            quantity=changed.stocks[quote.name].quantities[-1],
            volume=changed.stocks[quote.name].volumes[-1],
        )
        for quote in closing(records).market
    )
    return [*records[:-1], replace(closing(records), orders=tuple(orders), market=market)]


def buy(at: float, **changes: Any) -> TradeCall:
    call = TradeCall(
        client=9, sent=at, ended=at + 0.1, key="forged", name="Boar", type=Side.BUY,
        quantity=1, verdict=Verdict.UNKNOWN,
    )  # fmt: skip
    return replace(call, **changes)


# 4 and 5: numbers and keys.


@breaks(4)
def there_is_a_gap(records: Records) -> Records | None:
    orders = closing(records).orders
    middle = len(orders) // 2
    gap = 0 < middle < len(orders) - 1
    return with_orders(records, orders[:middle] + orders[middle + 1 :]) if gap else None


@breaks(4)
def a_number_is_there_twice(records: Records) -> Records | None:
    orders = closing(records).orders
    return with_orders(records, [*orders, orders[-1]]) if orders else None


@breaks(4)
def two_keys_are_told_one_number(records: Records) -> Records | None:
    told = placed(records)
    if len(told) < 2:
        return None
    return swapped(records, told[0], replace(told[0], number=told[1].number))


@breaks(5)
def a_key_is_told_two_numbers(records: Records) -> Records | None:
    told = trades(records, Verdict.PLACED)
    twice = first(
        call
        for place, call in enumerate(told)
        if any(call.key == other.key for other in told[:place])
    )
    return twice and swapped(records, twice, replace(twice, number=twice.number % 2 + 1))


@breaks(5)
def a_trade_is_executed_twice(records: Records) -> Records | None:
    orders = closing(records).orders
    unknown = {content(call) for call in trades(records, Verdict.UNKNOWN)}
    twice = first(
        order for order in orders if order.type is Side.SELL and content(order) not in unknown
    )
    return twice and with_orders(records, [*orders, replace(twice, number=len(orders) + 1)])


@breaks(5)
def a_key_is_known_to_have_two_orders(records: Records) -> Records | None:
    orders = closing(records).orders
    sold = first(order for order in orders if order.type is Side.SELL)
    if sold is None:
        return None
    keyed = [replace(order, key=order.key or f"given-{order.number}") for order in orders]
    again = replace(keyed[sold.number - 1], number=len(orders) + 1)
    return with_orders(records, [*keyed, again])


# 6: sums.


@breaks(6)
def more_is_sold_than_there_is(records: Records) -> Records | None:
    orders = closing(records).orders
    left = book(records).stocks["Boar"].quantities[-1]
    much = Order(len(orders) + 1, "Boar", Side.BUY, left + 1)
    asked = finally_(records, lambda at: buy(at, quantity=left + 1))
    return with_orders(asked, [*orders, much])


@breaks(6)
def the_market_is_not_what_the_orders_make(records: Records) -> Records | None:
    one, *others = closing(records).market
    wrong = replace(one, quantity=one.quantity + 1)
    return [*records[:-1], replace(closing(records), market=(wrong, *others))]


@breaks(6)
def a_lookup_shows_what_never_was(records: Records) -> Records | None:
    lookup = first(each for each in records if isinstance(each, LookupCall) and each.found)
    wrong = lookup and replace(lookup.found, quantity=lookup.found.quantity + 1)
    return lookup and swapped(records, lookup, replace(lookup, found=wrong))


# 7: what is acknowledged stays.


@breaks(7)
def the_last_order_is_lost(records: Records) -> Records | None:
    orders = closing(records).orders
    told = {call.number for call in placed(records)}
    return with_orders(records, orders[:-1]) if orders and orders[-1].number in told else None


@breaks(7)
def an_order_is_changed(records: Records) -> Records | None:
    told = {call.number for call in placed(records)}
    orders = list(closing(records).orders)
    old = first(order for order in orders if order.number in told and order.type is Side.SELL)
    if old is None:
        return None
    orders[old.number - 1] = replace(old, quantity=old.quantity + 1)
    return with_orders(records, orders)


@breaks(7)
def an_order_reads_otherwise(records: Records) -> Records | None:
    call = first(each for each in records if isinstance(each, OrderCall) and each.found)
    other = call and replace(call.found, quantity=call.found.quantity + 1)
    return call and swapped(records, call, replace(call, found=other))


@breaks(7)
def an_order_is_not_found(records: Records) -> Records | None:
    told = first(placed(records))
    if told is None:
        return None
    return finally_(
        records,
        lambda at: OrderCall(client=9, sent=at, ended=at, status=404, number=told.number),
    )


@breaks(7)
def a_page_leaves_one_out(records: Records) -> Records | None:
    page = first(each for each in records if isinstance(each, PageCall) and len(each.found) > 2)
    return page and swapped(records, page, replace(page, found=page.found[:1] + page.found[2:]))


@breaks(7)
def the_pages_end_early(records: Records) -> Records | None:
    if not placed(records):
        return None
    return finally_(
        records, lambda at: PageCall(client=9, sent=at, ended=at, status=200, after=0, limit=5)
    )


@breaks(7)
def what_was_not_executed_is_an_order(records: Records) -> Records | None:
    told = first(placed(records))
    if told is None:
        return None
    denied = [
        replace(each, verdict=Verdict.NOT_EXECUTED, number=None)
        if isinstance(each, TradeCall) and each.key == told.key
        else each
        for each in records
    ]
    keyed = [
        replace(order, key=told.key if order.number == told.number else order.key)
        for order in closing(records).orders
    ]
    return with_orders(denied, keyed)


# 8: what came later has a higher number.


@breaks(8)
def two_orders_change_places(records: Records) -> Records | None:
    told = sorted(placed(records), key=lambda call: call.number or 0)
    for early in told:
        for late in told[::-1]:
            if early.ended < first_sent(records, late.key):
                return _change_places(records, early, late)
    return None


def _change_places(records: Records, early: TradeCall, late: TradeCall) -> Records:
    numbers = {early.key: late.number, late.key: early.number}
    changed = [
        replace(each, number=numbers[each.key])
        if isinstance(each, TradeCall) and each.key in numbers and each.number
        else each
        for each in records
    ]
    orders = list(closing(records).orders)
    a, b = (early.number or 0) - 1, (late.number or 0) - 1
    orders[a], orders[b] = (
        replace(orders[b], number=a + 1),
        replace(orders[a], number=b + 1),
    )
    return with_orders(changed, orders)


@breaks(8)
def an_order_is_read_before_it_is_sent(records: Records) -> Records | None:
    told = first(call for call in placed(records) if first_sent(records, call.key) == call.sent)
    if told is None:
        return None
    at = told.sent - 1.0
    seen = OrderCall(
        client=9, sent=at, ended=at, status=200, number=told.number,
        found=Order(told.number, *content(told)),
    )  # fmt: skip
    return [records[0], seen, *records[1:]]


# 9: no lookup is stale.


def _quote(records: Records, name: str, position: int) -> Quote:
    stock = book(records).stocks[name]
    return Quote(name, 1.0, stock.quantities[position], stock.volumes[position])


@breaks(9)
def a_lookup_is_stale(records: Records) -> Records | None:
    told = first(placed(records))
    if told is None:
        return None
    before = _quote(
        records, told.name, book(records).stocks[told.name].position_at(told.number) - 1
    )
    return finally_(
        records,
        lambda at: LookupCall(
            client=9, sent=at, ended=at, status=200, name=told.name, found=before
        ),
    )


@breaks(9)
def lookups_go_backwards(records: Records) -> Records | None:
    lookups = [each for each in records if isinstance(each, LookupCall) and each.found]
    for early in lookups:
        for late in lookups:
            if early.ended < late.sent and early.name == late.name and early.found != late.found:
                back = swapped(records, early, replace(early, found=late.found))
                return swapped(back, late, replace(late, found=early.found))
    return None


@breaks(9)
def an_order_that_was_read_is_not_in_a_lookup(records: Records) -> Records | None:
    orders = closing(records).orders
    if not orders:
        return None
    name, stock = orders[-1].name, book(records).stocks[orders[-1].name]
    shown = Order(orders[-1].number, *content(orders[-1]))
    read = finally_(
        records,
        lambda at: OrderCall(
            client=9, sent=at, ended=at, status=200, number=shown.number, found=shown
        ),
    )
    stale = _quote(records, name, len(stock.numbers) - 1)
    return finally_(
        read,
        lambda at: LookupCall(client=9, sent=at, ended=at, status=200, name=name, found=stale),
    )


@breaks(9)
def a_version_goes_back(records: Records) -> Records | None:
    lookup = first(
        each
        for each in records
        if isinstance(each, LookupCall) and each.found and each.found.volume
    )
    if lookup is None:
        return None
    older = replace(_quote(records, lookup.name, 0), version=10**6)
    seen = LookupCall(client=9, sent=1.0, ended=1.0, status=200, name=lookup.name, found=older)
    return [records[0], seen, *records[1:]]


@breaks(9)
def one_state_has_two_versions(records: Records) -> Records | None:
    changed = {each.name for each in records if isinstance(each, Change)}
    lookup = first(
        each
        for each in records
        if isinstance(each, LookupCall) and each.found and each.name not in changed
    )
    other = lookup and replace(lookup, found=replace(lookup.found, version=10**6))
    return lookup and [*records[:-1], other, records[-1]]


@breaks(9)
def a_listed_stock_is_not_found(records: Records) -> Records | None:
    return finally_(
        records, lambda at: LookupCall(client=9, sent=at, ended=at, status=404, name="Fish")
    )


# 10: no rejection is wrong.


@breaks(10)
def a_trade_is_rejected_where_there_is_enough(records: Records) -> Records | None:
    if min(book(records).stocks["Boar"].quantities) < 1:
        return None
    return finally_(records, lambda at: buy(at, verdict=Verdict.REJECTED))


@breaks(10)
def a_sale_is_rejected(records: Records) -> Records | None:
    return finally_(records, lambda at: buy(at, type=Side.SELL, verdict=Verdict.REJECTED))


@breaks(10)
def a_trade_is_rejected_whose_order_is_there(records: Records) -> Records | None:
    told = first(placed(records))
    again = {"verdict": Verdict.REJECTED, "number": None}
    return told and finally_(records, lambda at: replace(told, sent=at, ended=at + 1.0, **again))


@breaks(10)
def a_fresh_key_is_said_to_be_used(records: Records) -> Records | None:
    return finally_(records, lambda at: buy(at, verdict=Verdict.REUSED))


@breaks(10)
def a_listed_stock_cannot_be_traded(records: Records) -> Records | None:
    return finally_(records, lambda at: buy(at, verdict=Verdict.NOT_EXECUTED, status=400))
