"""The checker accepts histories of a correct bazaar, and finds each broken invariant."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from load.history.book import lowest
from load.history.checker import check, sections
from load.history.records import Closing, Opening, Order, Quote, Record, TradeCall, Verdict
from tests.fakes import forged_conditions  # noqa: F401 - they declare themselves
from tests.fakes.forged import FORGERIES, Forgery
from tests.fakes.recorded import Model
from twisted_bazaar.market import Side

OVERLAPS = (0.001, 0.2, 1.0, 3.0)
ENOUGH_PLACES = 25
"""In how many histories each forgery must have a place, and be found."""


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    calls=st.integers(0, 120),
    keys=st.booleans(),
    overlap=st.sampled_from(OVERLAPS),
)
def test_histories_of_a_correct_bazaar_are_accepted(
    seed: int, calls: int, keys: bool, overlap: float
) -> None:
    assert check(Model(Random(seed), keys=keys, overlap=overlap).records(calls)) == []


@pytest.mark.parametrize("keys", [True, False], ids=["keys-known", "keys-unknown"])
@pytest.mark.parametrize(
    ("invariant", "forgery"),
    FORGERIES,
    ids=[f"{invariant}-{forgery.__name__}" for invariant, forgery in FORGERIES],
)
def test_each_forgery_violates_the_invariant_that_it_breaks(
    invariant: int, forgery: Forgery, keys: bool
) -> None:
    forged = 0
    for seed in range(20 * ENOUGH_PLACES):
        overlap = OVERLAPS[seed % len(OVERLAPS)]
        records = forgery(Model(Random(seed), keys=keys, overlap=overlap).records(40))
        if records is None:
            continue
        found = {violation.invariant for violation in check(records)}
        assert invariant in found, f"seed {seed}: {found}"
        forged += 1
        if forged == ENOUGH_PLACES:
            return
    raise AssertionError(f"only {forged} places for this forgery")


@given(
    values=st.lists(st.integers(-9, 9), min_size=1, max_size=30),
    data=st.data(),
)
def test_the_minimum_of_each_range_is_found(values: list[int], data: st.DataObject) -> None:
    place = st.integers(0, len(values) - 1)
    ranges = data.draw(st.lists(st.tuples(place, st.integers(-1, len(values) - 1))))
    wanted = [min(values[first : last + 1], default=None) for first, last in ranges]
    assert lowest(values, ranges) == wanted


def section(
    *calls: Record, orders: Sequence[Order] = (), left: int = 5, known: int = 0
) -> list[Record]:
    volume = sum(order.quantity for order in orders)
    closing = Closing(at=99.0, orders=tuple(orders), market=(Quote("Fish", 1.0, left, volume),))
    return [Opening(at=0.0, listed={"Fish": 5}, known=known), *calls, closing]


def trade(key: str, sent: float, verdict: Verdict, number: int | None = None) -> TradeCall:
    return TradeCall(
        client=1, sent=sent, ended=sent + 1.0, key=key, name="Fish", type=Side.BUY,
        quantity=3, verdict=verdict, number=number,
    )  # fmt: skip


BOUGHT = Order(1, "Fish", Side.BUY, 3)


def test_an_unknown_outcome_may_be_an_order_or_none() -> None:
    unknown = trade("a", 1.0, Verdict.UNKNOWN)
    assert check(section(unknown)) == []
    assert check(section(unknown, orders=[BOUGHT], left=2)) == []


def test_a_trade_of_unknown_outcome_may_be_executed_long_after_the_client_gave_up() -> None:
    calls = [
        trade("a", 1.0, Verdict.UNKNOWN),
        trade("b", 5.0, Verdict.PLACED, 1),
        trade("c", 7.0, Verdict.REJECTED),
    ]
    assert check(section(*calls, orders=[BOUGHT], left=2)) == []
    # The late order justifies a rejection only if it can have been placed before.
    sold = Order(1, "Fish", Side.SELL, 1)
    late = [sold, Order(2, "Fish", Side.BUY, 3)]
    assert check(section(*calls[:1], orders=late, left=3, known=1)) == []


def test_an_unknown_outcome_is_one_order_at_most() -> None:
    unknown = trade("a", 1.0, Verdict.UNKNOWN)
    twice = [BOUGHT, Order(2, "Fish", Side.BUY, 1), Order(3, "Fish", Side.BUY, 1)]
    found = check(section(unknown, orders=twice, left=0))
    assert [violation.invariant for violation in found] == [5, 5]


@pytest.mark.parametrize("verdict", [Verdict.JUDGED, Verdict.UNKNOWN])
def test_a_trade_that_was_to_be_validated_is_no_order(verdict: Verdict) -> None:
    call = replace(trade("a", 1.0, verdict), validate=True, price=1.0)
    assert check(section(call)) == []
    order = replace(BOUGHT, key="a")
    assert [each.invariant for each in check(section(call, orders=[order], left=2))] == [7]


def test_orders_from_before_the_history_need_no_call() -> None:
    assert check(section(orders=[BOUGHT], left=2, known=1)) == []
    assert [each.invariant for each in check(section(orders=[BOUGHT], left=2))] == [5]


def test_a_violation_names_the_calls_that_show_it() -> None:
    calls = [trade("a", 1.0, Verdict.PLACED, 1), trade("b", 3.0, Verdict.PLACED, 2)]
    found = check(section(*calls, orders=[BOUGHT], left=2))
    assert str(found[0]) == "invariant 7: order 2 is acknowledged and not there (records 2)"


def test_a_file_is_split_into_its_sections() -> None:
    one, other = section(), section(trade("a", 1.0, Verdict.UNKNOWN))
    assert list(sections([*one, *other])) == [one, other]
    assert list(sections([])) == []


def test_a_section_without_opening_or_closing_cannot_be_checked() -> None:
    for cut in (section()[1:], section()[:-1], []):
        with pytest.raises(ValueError, match="one opening and one closing"):
            check(cut)


def test_missing_market_data_is_not_checked() -> None:
    records = section(trade("a", 1.0, Verdict.PLACED, 1), orders=[BOUGHT], left=2)
    assert check([*records[:-1], Closing(at=99.0, orders=(BOUGHT,))]) == []
