"""Market operations: what changes the market, what has been done already, and what is refused."""

import pytest

from twisted_bazaar.changes import decide_change
from twisted_bazaar.errors import ChangeRefused
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    MAX_PRICE,
    MAX_SHARES,
    MAX_STOCKS,
    Adopted,
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Moved,
    Repriced,
    Resumed,
    Side,
    Stock,
    Traded,
)
from twisted_bazaar.partitions import home


@pytest.fixture
def ledger() -> Ledger:
    """Two stocks that are traded and one that is halted."""
    ledger = Ledger()
    stocks = (Listing("FishCo", 2050, 100), Listing("BoarCo", 3400, 100), Listing("Łódź", 1, 1))
    ledger.apply(1, Listed(stocks))
    ledger.apply(2, Halted(("BoarCo",)))
    return ledger


@pytest.mark.parametrize(
    ("asked", "event"),
    [
        (Repriced("FishCo", 1), Repriced("FishCo", 1)),
        (Repriced("BoarCo", MAX_PRICE), Repriced("BoarCo", MAX_PRICE)),
        (Halted(("FishCo", "BoarCo", "FishCo")), Halted(("FishCo",))),
        (Halted(()), Halted(("FishCo", "Łódź"))),
        (Resumed(()), Resumed(("BoarCo",))),
        (Resumed(("BoarCo",)), Resumed(("BoarCo",))),
        (Listed((Listing("New", 5, 0),)), Listed((Listing("New", 5, 0),))),
        (
            Listed((Listing("New", 5, 9), Listing("FishCo", 2050, 100))),
            Listed((Listing("New", 5, 9),)),
        ),
    ],
)
def test_the_event_holds_what_is_not_so_already(
    ledger: Ledger, asked: Change, event: Change
) -> None:
    assert decide_change(ledger, asked) == event
    touched = ledger.apply(3, event)
    assert {ledger.stocks[name].version for name in touched} == {3}
    assert decide_change(ledger, asked) is None


@pytest.mark.parametrize(
    ("asked", "why", "message"),
    [
        (Repriced("Nobody", 5), ChangeRefusal.UNKNOWN_STOCK, "there is none named 'Nobody'"),
        (Halted(("FishCo", "X")), ChangeRefusal.UNKNOWN_STOCK, "there is none named 'X'"),
        (Resumed(("x" * 200,)), ChangeRefusal.UNKNOWN_STOCK, "xxx'…"),
        (Repriced("FishCo", 0), ChangeRefusal.INVALID, "to 1000000000000, not 0.00"),
        (Repriced("FishCo", -150), ChangeRefusal.INVALID, "not -1.50"),
        (Repriced("FishCo", MAX_PRICE + 1), ChangeRefusal.INVALID, "not 1000000000000.01"),
        (Listed((Listing("New", 0, 1),)), ChangeRefusal.INVALID, "price must be"),
        (Listed((Listing("New", 1, -1),)), ChangeRefusal.INVALID, "quantity must be"),
        (Listed((Listing("New", 1, MAX_SHARES + 1),)), ChangeRefusal.INVALID, "quantity must"),
        (Listed((Listing("FishCo", 2051, 100),)), ChangeRefusal.LISTED_ALREADY, "'FishCo' is"),
        (Listed((Listing("FishCo", 2050, 99),)), ChangeRefusal.LISTED_ALREADY, "'FishCo' is"),
        (Listed((Listing("fISHCO", 1, 1),)), ChangeRefusal.INVALID, "too like 'FishCo'"),
        (Listed((Listing("ŁÓDŹ", 1, 1),)), ChangeRefusal.INVALID, "too like"),
        (Listed((Listing("A", 1, 1), Listing("a", 1, 1))), ChangeRefusal.INVALID, "too like"),
        (Listed((Listing("..", 1, 1),)), ChangeRefusal.INVALID, "which a path cannot say"),
    ],
)
def test_what_is_refused_changes_nothing_and_one_line_says_why(
    ledger: Ledger, asked: Change, why: ChangeRefusal, message: str
) -> None:
    before = dict(ledger.stocks)
    with pytest.raises(ChangeRefused, match="^[^\n]*$") as refused:
        decide_change(ledger, asked)
    assert refused.value.refusal is why
    assert message in str(refused.value)
    assert ledger.stocks == before


def test_a_stock_that_was_traded_since_it_was_listed_is_listed_already(ledger: Ledger) -> None:
    ledger.apply(3, Traded(1, "key", "FishCo", Side.BUY, 1, 2050))
    ledger.apply(4, Traded(2, "other", "FishCo", Side.SELL, 1, 2050))
    with pytest.raises(ChangeRefused, match="listed already"):
        decide_change(ledger, Listed((Listing("FishCo", 2050, 100),)))


def test_a_market_lists_no_more_stocks_than_fit() -> None:
    ledger = Ledger(Stock(f"stock {number}", 1, 1, 0, 1) for number in range(MAX_STOCKS - 1))
    one = Listed((Listing("one more", 1, 1),))
    assert decide_change(ledger, one) == one
    with pytest.raises(ChangeRefused) as refused:
        decide_change(ledger, Listed((*one.stocks, Listing("two more", 1, 1))))
    assert refused.value.refusal is ChangeRefusal.TOO_MANY_STOCKS


def test_one_partition_has_room_for_all_stocks_however_they_are_moved() -> None:
    names = (f"stock {number}" for number in range(4 * MAX_STOCKS))
    here = [name for name in names if home(name, 4) == 1][: MAX_STOCKS // 4 + 1]
    one, two = (Listed((Listing(name, 1, 1),)) for name in here[-2:])
    elsewhere = next(name for name in map(str, range(99)) if home(name, 4) == 2)
    stocks = [Stock(name, 1, 1, 0, 1) for name in [*here[:-3], elsewhere]]
    # One that has left counts, and one that has come does not.
    ledger = Ledger(stocks, away=[here[-3]])
    assert decide_change(ledger, one, 1, 4) == one
    with pytest.raises(ChangeRefused, match=f"at most {MAX_STOCKS // 4} stocks") as refused:
        decide_change(ledger, Listed(one.stocks + two.stocks), 1, 4)
    assert refused.value.refusal is ChangeRefusal.TOO_MANY_STOCKS


# Partitions.

AT_HOME = next(name for name in map(str, range(99)) if home(name, 3) == 2)
ABROAD = next(name for name in map(str, range(99)) if home(name, 3) == 0)


def test_a_stock_moves_once_however_often_that_is_asked(ledger: Ledger) -> None:
    asked = Move("FishCo", 0)
    moved = decide_change(ledger, asked, 2, 3)
    assert moved == Moved("FishCo", 0)
    assert decide_change(ledger, Move("FishCo", 2), 2, 3) is None, "it is there already"
    assert decide_change(ledger, Move("BoarCo", 0), 2, 3) == Moved("BoarCo", 0), "it is halted"
    ledger.apply(3, moved)
    with pytest.raises(ChangeRefused) as refused:
        decide_change(ledger, asked, 2, 3)
    assert refused.value.refusal is ChangeRefusal.UNKNOWN_STOCK


@pytest.mark.parametrize(("to", "partitions"), [(3, 3), (-1, 3), (1, 1)])
def test_a_stock_moves_only_to_a_partition_that_is_there(
    ledger: Ledger, to: int, partitions: int
) -> None:
    with pytest.raises(ChangeRefused, match=f"^there is no partition {to}: .* to {partitions - 1}"):
        decide_change(ledger, Move("FishCo", to), 0, partitions)


def test_a_stock_is_listed_where_it_is_at_home_only(ledger: Ledger) -> None:
    here, there = Listed((Listing(AT_HOME, 5, 9),)), Listed((Listing(ABROAD, 5, 9),))
    assert decide_change(ledger, here, 2, 3) == here
    with pytest.raises(ChangeRefused, match="in partition 0$") as refused:
        decide_change(ledger, there, 2, 3)
    assert refused.value.refusal is ChangeRefusal.INVALID


def test_a_stock_that_is_in_another_partition_is_not_listed_a_second_time(ledger: Ledger) -> None:
    listed = Listed((Listing(AT_HOME, 5, 9),))
    ledger.apply(3, listed)
    ledger.apply(4, Moved(AT_HOME, 0))
    with pytest.raises(ChangeRefused, match="was moved") as refused:
        decide_change(ledger, listed, 2, 3)
    assert refused.value.refusal is ChangeRefusal.LISTED_ALREADY
    ledger.apply(5, Adopted(AT_HOME, 5, 9, 0, False, 0, 8))
    assert decide_change(ledger, listed, 2, 3) is None


def test_a_stock_that_came_from_elsewhere_is_not_listed_a_second_time(ledger: Ledger) -> None:
    ledger.apply(3, Adopted(ABROAD, 5, 9, 3, False, 0, 8))
    with pytest.raises(ChangeRefused) as refused:
        decide_change(ledger, Listed((Listing(ABROAD, 5, 9),)), 2, 3)
    assert refused.value.refusal is ChangeRefusal.LISTED_ALREADY
