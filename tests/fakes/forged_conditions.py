"""Forgeries of prices, halts, and the conditions of trades."""

from typing import Any

from msgspec.structs import replace

from load.history.conditions import milliseconds
from load.history.records import (
    Change,
    Closing,
    LookupCall,
    Order,
    OrderCall,
    PageCall,
    Record,
    TradeCall,
    Verdict,
)
from tests.fakes.recorded import WALL
from twisted_bazaar.market import Side

from .forged import Records, breaks, buy, closing, finally_, first, opening, placed

__all__: list[str] = []


@breaks(9)
def a_quote_has_a_price_that_never_was(records: Records) -> Records | None:
    lookup = first(each for each in records if isinstance(each, LookupCall) and each.found)
    other = lookup and replace(lookup, found=replace(lookup.found, price=12345.0))
    return lookup and [*records[:-1], other, records[-1]]


@breaks(9)
def a_stock_is_shown_as_halted_that_is_not(records: Records) -> Records | None:
    traded = [each for each in records if not isinstance(each, Change) or each.halted is None]
    lookup = first(each for each in traded if isinstance(each, LookupCall) and each.found)
    other = lookup and replace(lookup, found=replace(lookup.found, halted=True))
    return lookup and [*traded[:-1], other, traded[-1]]


@breaks(10)
def a_trade_is_beyond_a_limit_that_it_does_not_have(records: Records) -> Records | None:
    reason = {"verdict": Verdict.REJECTED, "reason": "price_out_of_bounds"}
    return finally_(records, lambda at: buy(at, **reason))


@breaks(10)
def a_trade_is_beyond_a_limit_that_is_far_away(records: Records) -> Records | None:
    reason = {"verdict": Verdict.REJECTED, "reason": "price_out_of_bounds"}
    return finally_(records, lambda at: buy(at, limit_price=10.0**6, **reason))


@breaks(10)
def a_trade_has_expired_that_is_valid(records: Records) -> Records | None:
    reason = {"verdict": Verdict.REJECTED, "reason": "expired"}
    return finally_(records, lambda at: buy(at, valid_until=2 * WALL, **reason))


@breaks(10)
def a_trade_is_halted_where_no_stock_is(records: Records) -> Records | None:
    traded = [each for each in records if not isinstance(each, Change) or each.halted is None]
    reason = {"verdict": Verdict.REJECTED, "reason": "halted"}
    return finally_(traded, lambda at: buy(at, **reason))


@breaks(10)
def a_trade_is_judged_at_a_price_that_never_was(records: Records) -> Records | None:
    judged = {"verdict": Verdict.JUDGED, "validate": True, "price": 12345.0}
    return finally_(records, lambda at: buy(at, **judged))


# 14: an order keeps the conditions of its trade, and has the price of its time.


def _all_show(records: Records, order: Order, **changes: Any) -> Records:
    """`records`, in which everything shows `order` with these changes."""

    def shown(found: Order) -> Order:
        return replace(found, **changes) if found.number == order.number else found

    def told(record: Record) -> Record:
        match record:
            case OrderCall(found=Order() as found):
                return replace(record, found=shown(found))
            case PageCall():
                return replace(record, found=tuple(map(shown, record.found)))
            case TradeCall() if record.number == order.number and "price" in changes:
                return replace(record, price=changes["price"])
            case Closing():
                return replace(record, orders=tuple(map(shown, record.orders)))
        return record

    return [told(record) for record in records]


def _is_settled(records: Records, order: Order) -> bool:
    """Whether an answer to the trade of `order` was recorded."""
    return any(call.number == order.number for call in placed(records))


def _settled(records: Records) -> Order | None:
    return first(order for order in closing(records).orders if _is_settled(records, order))


@breaks(14)
def an_order_is_at_a_price_that_never_was(records: Records) -> Records | None:
    order = _settled(records)
    return order and _all_show(records, order, price=12345.0)


@breaks(14)
def an_order_is_at_a_price_of_long_ago(records: Records) -> Records | None:
    """It cost less from before the history on, as far as the price changes say."""
    order = _settled(records)
    if order is None:
        return None
    priced = [
        each
        for each in records
        if not (isinstance(each, Change) and each.name == order.name and each.price is not None)
    ]
    change = Change(client=2, sent=0.5, ended=0.6, status=200, name=order.name, price=7.0)
    old = opening(records).prices[order.name]
    return _all_show([priced[0], change, *priced[1:]], order, price=old)


@breaks(14)
def one_answer_shows_another_price(records: Records) -> Records | None:
    order = first(closing(records).orders)
    found = order and replace(order, price=(order.price or 0.0) + 1.0, key=None)
    return order and finally_(
        records,
        lambda at: OrderCall(
            client=9, sent=at, ended=at, status=200, number=order.number, found=found
        ),
    )


@breaks(14)
def a_trade_is_told_another_price(records: Records) -> Records | None:
    told = first(placed(records))
    return told and finally_(
        records, lambda at: replace(told, sent=at, ended=at, price=(told.price or 0.0) + 1.0)
    )


@breaks(14)
def a_buy_pays_more_than_its_limit(records: Records) -> Records | None:
    order = first(
        order
        for order in closing(records).orders
        if order.type is Side.BUY and _is_settled(records, order)
    )
    return order and _all_show(records, order, limit_price=(order.price or 0.0) - 0.01)


@breaks(14)
def a_sale_gets_less_than_its_limit(records: Records) -> Records | None:
    order = first(
        order
        for order in closing(records).orders
        if order.type is Side.SELL and _is_settled(records, order)
    )
    return order and _all_show(records, order, limit_price=(order.price or 0.0) + 0.01)


@breaks(14)
def an_expired_trade_is_executed(records: Records) -> Records | None:
    order = _settled(records)
    if order is None:
        return None
    key = first(call.key for call in placed(records) if call.number == order.number)
    late = milliseconds(order.time) - 1
    return [
        replace(each, valid_until=late) if isinstance(each, TradeCall) and each.key == key else each
        for each in records
    ]


@breaks(14)
def a_halted_stock_is_traded(records: Records) -> Records | None:
    order = _settled(records)
    if order is None:
        return None
    kept = [each for each in records if not isinstance(each, Change) or each.name != order.name]
    halt = Change(client=2, sent=0.5, ended=0.6, status=200, name=order.name, halted=True)
    return [kept[0], halt, *kept[1:]]
