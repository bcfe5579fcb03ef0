"""Histories of a market of several partitions are judged as that of each."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.history.checker import check
from load.history.records import (
    Change,
    Closing,
    LookupCall,
    MarketCall,
    Opening,
    Order,
    OrderCall,
    PageCall,
    Quote,
    Record,
    TradeCall,
    Verdict,
)
from tests.fakes import forged_conditions  # noqa: F401 - they declare themselves
from tests.fakes.forged import FORGERIES, Forgery
from tests.fakes.recorded import Model
from tests.unit.load.history.test_checker import OVERLAPS
from twisted_bazaar.market import Side

replace = msgspec.structs.replace
ENOUGH_PLACES = 4


def of_partition(records: Sequence[Record], partition: int) -> list[Record]:
    """A history of one partition of several, which has other stocks and keys than others."""

    def renamed(name: str) -> str:
        return f"{name}-{partition}"

    def order(given: Any) -> Any:
        key = given.key and renamed(given.key)
        shown = given.client_order_id and renamed(given.client_order_id)
        number = given.number * 1000 + partition
        return replace(
            given, number=number, name=renamed(given.name), key=key, client_order_id=shown
        )

    def quote(given: Any) -> Any:
        return replace(given, name=renamed(given.name))

    def changed(record: Any) -> Any:
        match record:
            case Opening():
                return replace(
                    record,
                    listed={renamed(name): left for name, left in record.listed.items()},
                    prices={renamed(name): cost for name, cost in record.prices.items()},
                    positions=(record.known,),
                )
            case Closing():
                return replace(
                    record,
                    orders=tuple(map(order, record.orders)),
                    market=tuple(map(quote, record.market)),
                )
            case TradeCall():
                number = None if record.number is None else record.number * 1000 + partition
                return replace(
                    record, name=renamed(record.name), key=renamed(record.key), number=number
                )
            case MarketCall():
                return replace(record, found=tuple(map(quote, record.found)))
            case OrderCall():
                found = record.found and order(record.found)
                return replace(record, number=record.number * 1000 + partition, found=found)
            case PageCall():
                after = record.after * 1000 + partition if record.after else 0
                found = tuple(map(order, record.found))
                return replace(record, after=after, found=found, partition=partition)
        found = getattr(record, "found", None)
        shown = {"found": quote(found)} if found else {}
        return replace(record, name=renamed(record.name), **shown)

    return [changed(record) for record in records]


def together(*histories: Sequence[Record]) -> list[Record]:
    """One history of several partitions."""
    openings: list[Any] = [records[0] for records in histories]
    closings: list[Any] = [records[-1] for records in histories]
    calls = [record for records in histories for record in records[1:-1]]
    calls.sort(key=lambda call: getattr(call, "ended", 0.0))
    opening = replace(
        openings[0],
        listed={name: left for each in openings for name, left in each.listed.items()},
        prices={name: cost for each in openings for name, cost in each.prices.items()},
        positions=tuple(each.positions[0] for each in openings),
        known=0,
    )
    orders = [order for each in closings for order in each.orders]
    closing = replace(
        closings[0],
        at=max(each.at for each in closings),
        orders=tuple(orders),
        market=tuple(quote for each in closings for quote in each.market),
    )
    return [opening, *calls, closing]


def history(seed: int, calls: int, forgery: Forgery | None = None) -> list[Record] | None:
    """Of two partitions; the second is forged, if that finds a place."""
    overlap = OVERLAPS[seed % len(OVERLAPS)]
    models = [Model(Random(2 * seed + each), keys=True, overlap=overlap) for each in (0, 1)]
    first, second = (model.records(calls) for model in models)
    forged = second if forgery is None else forgery(second)
    if forged is None:
        return None
    return together(of_partition(first, 0), of_partition(forged, 1))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), calls=st.integers(0, 60))
def test_histories_of_a_correct_bazaar_are_accepted(seed: int, calls: int) -> None:
    records = history(seed, calls)
    assert records is not None
    assert check(records) == []


@pytest.mark.parametrize(
    ("invariant", "forgery"),
    FORGERIES,
    ids=[f"{invariant}-{forgery.__name__}" for invariant, forgery in FORGERIES],
)
def test_each_forgery_of_one_partition_is_found(invariant: int, forgery: Forgery) -> None:
    forged = 0
    for seed in range(40 * ENOUGH_PLACES):
        records = history(seed, 40, forgery)
        if records is None:
            continue
        found = {violation.invariant for violation in check(records)}
        assert invariant in found, f"seed {seed}: {found}"
        forged += 1
        if forged == ENOUGH_PLACES:
            return
    raise AssertionError(f"only {forged} places for this forgery")


# A stock that is moved: "Fish", from partition 0 to partition 1.


def moved(*orders: Order, left: int, calls: Sequence[Record] = ()) -> list[Record]:
    volume = sum(order.quantity for order in orders if order.name == "Fish")
    boars = sum(order.quantity for order in orders if order.name == "Boar")
    market = (Quote("Boar", 1.0, 9 - boars, boars), Quote("Fish", 1.0, left, volume))
    return [
        Opening(at=0.0, listed={"Fish": 5, "Boar": 9}, positions=(0, 0)),
        *(bought(order, at) for at, order in enumerate(orders, 1)),
        *calls,
        Closing(at=99.0, orders=orders, market=market),
    ]


def bought(order: Order, at: float) -> TradeCall:
    return TradeCall(
        client=1, sent=at, ended=at + 0.5, key=order.key or "", name=order.name, type=order.type,
        quantity=order.quantity, verdict=Verdict.PLACED, number=order.number, status=200,
    )  # fmt: skip


def buy(number: int, name: str, quantity: int, at: int) -> Order:
    return Order(number, name, Side.BUY, quantity, f"key-{number}", time=f"2026-01-01T00:00:0{at}Z")


MOVED = [buy(1000, "Fish", 2, 1), buy(1001, "Boar", 1, 2), buy(2001, "Fish", 3, 3)]


def test_a_stock_that_was_moved_keeps_its_shares() -> None:
    assert check(moved(*MOVED, left=0)) == []


def test_shares_of_a_stock_that_was_moved_are_not_sold_twice() -> None:
    sold = [*MOVED[:2], buy(2001, "Fish", 5, 3)]
    found = check(moved(*sold, left=-2))
    assert [violation.invariant for violation in found] == [6]
    assert "Fish" in found[0].what


def test_an_order_that_is_missing_in_a_partition_is_found() -> None:
    found = check(moved(MOVED[0], MOVED[2], left=0))
    assert found[0].invariant == 4
    assert "order 2001 is listed, and is not order 1 of partition 1" in found[0].what


def test_a_page_with_a_gap_is_found_also_where_a_stock_was_moved() -> None:
    page = PageCall(
        client=1, sent=50.0, ended=51.0, status=200, after=0, limit=9, found=(MOVED[2],),
        partition=1,
    )  # fmt: skip
    found = check(moved(*MOVED, left=0, calls=[page]))
    assert [(violation.invariant, violation.calls) for violation in found] == [(7, (4,))]


def test_an_order_of_another_partition_acknowledges_no_trade() -> None:
    calls = [replace(bought(MOVED[0], 40.0), number=1001, key="another")]
    found = check(moved(*MOVED, left=0, calls=calls))
    assert 7 in {violation.invariant for violation in found}


def test_orders_of_a_stock_that_was_moved_go_on_where_it_went() -> None:
    orders = [buy(1001, "Fish", 1, 1), buy(1000, "Fish", 3, 2)]
    between = LookupCall(
        client=1, sent=1.6, ended=1.8, status=200, name="Fish", found=Quote("Fish", 1.0, 4, 1)
    )
    assert check(moved(*orders, left=1, calls=[between])) == []
    never = replace(between, found=Quote("Fish", 1.0, 2, 3))
    assert [each.invariant for each in check(moved(*orders, left=1, calls=[never]))] == [6]


def test_a_stock_that_was_moved_without_a_trade_has_versions_of_two_logs() -> None:
    shown = [
        LookupCall(
            client=1, sent=at, ended=at + 0.5, status=200, name="Fish",
            found=Quote("Fish", 1.0, 3, 2, version=version),
        )
        for at, version in ((20.0, 9), (40.0, 4))
    ]  # fmt: skip
    orders = MOVED[:1]
    records = moved(*orders, left=3, calls=shown)
    assert {each.invariant for each in check(records)} == {9}
    move = Change(client=0, sent=30.0, ended=31.0, status=0, name="Fish", partition=1)
    assert check(moved(*orders, left=3, calls=[shown[0], move, shown[1]])) == []
