"""Remembered orders: each one that differs from what was acknowledged is found."""

import pytest

from load.history.records import Order, OrderCall, TradeCall, Verdict
from load.history.remembered import Comparison, Remembered
from twisted_bazaar.market import Side


def placed(number: int, name: str = "Fish", side: Side = Side.BUY, quantity: int = 3) -> TradeCall:
    return TradeCall(
        client=1, sent=0.0, ended=1.0, status=200, key=f"k{number}", name=name, type=side,
        quantity=quantity, verdict=Verdict.PLACED, number=number,
    )  # fmt: skip


def answer(number: int, status: int, found: Order | None = None, message: str = "") -> OrderCall:
    return OrderCall(
        client=1, sent=2.0, ended=3.0, status=status, message=message, number=number, found=found
    )


def test_what_reads_back_as_it_was_acknowledged_is_confirmed() -> None:
    remembered = Remembered()
    for number in (1, 2):
        order = remembered.acknowledge(placed(number))
        assert remembered.compare(order, answer(number, 200, Order(number, "Fish", Side.BUY, 3)))
    assert remembered.comparison() == Comparison(2, 2, 0, 0)
    assert remembered.comparison().kept


@pytest.mark.parametrize(
    ("status", "found", "message", "says"),
    [
        (404, None, "there is no order number 7", "is not there"),
        (200, Order(8, "Fish", Side.BUY, 3), "", "is shown as order 8, buy 3 Fish"),
        (200, Order(7, "Wish", Side.BUY, 3), "", "is shown as order 7, buy 3 Wish"),
        (200, Order(7, "Fish", Side.SELL, 3), "", "is shown as order 7, sell 3 Fish"),
        (200, Order(7, "Fish", Side.BUY, 4), "", "is shown as order 7, buy 4 Fish"),
        (200, None, "a malformed body: b''", "its answer is a malformed body"),
    ],
)
def test_a_mismatch_is_found(status: int, found: Order | None, message: str, says: str) -> None:
    remembered = Remembered()
    order = remembered.acknowledge(placed(7))
    assert remembered.compare(order, answer(7, status, found, message))
    comparison = remembered.comparison()
    assert (comparison.confirmed, comparison.wrong, comparison.unread) == (0, 1, 0)
    assert comparison.examples[0].startswith("order 7 was acknowledged for buy 3 Fish, and ")
    assert says in comparison.examples[0]
    assert not comparison.kept


def test_a_number_that_was_acknowledged_twice_is_a_mismatch_though_it_reads_back() -> None:
    remembered = Remembered()
    for order in [remembered.acknowledge(placed(7)) for _ in range(2)]:
        assert remembered.compare(order, answer(7, 200, Order(7, "Fish", Side.BUY, 3)))
    comparison = remembered.comparison()
    assert (comparison.remembered, comparison.wrong, comparison.unread) == (2, 1, 0)
    assert comparison.examples[0].endswith("and for another trade before")


@pytest.mark.parametrize("status", [0, 500, 503])
def test_an_order_without_an_answer_is_unread_until_it_has_one(status: int) -> None:
    remembered = Remembered()
    order = remembered.acknowledge(placed(7))
    assert not remembered.compare(order, answer(7, status))
    assert remembered.comparison() == Comparison(1, 0, 0, 1)
    assert not remembered.comparison().kept
    assert remembered.compare(order, answer(7, 200, Order(7, "Fish", Side.BUY, 3)))
    assert remembered.comparison().kept


def test_only_the_first_mismatches_are_kept_as_examples() -> None:
    remembered = Remembered()
    for number in range(1, 101):
        remembered.compare(remembered.acknowledge(placed(number)), answer(number, 404))
    comparison = remembered.comparison()
    assert (comparison.wrong, len(comparison.examples)) == (100, 10)
