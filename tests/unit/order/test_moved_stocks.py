"""Stocks that came from another partition: taken once, and their keys keep their orders."""

import msgspec
import pytest

from tests.fakes.cluster import buy
from tests.fakes.histories import ledger_of
from twisted_bazaar.errors import KeyReused, Rejected
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Adopted, Moved, Placed, Rejection, Side, Stock, Traded
from twisted_bazaar.order.desk import Batch, Known, Outcome, TradingDesk

from .test_desk_of_a_leadership import LOG, Leadership, Tenant

COMES = Adopted("GameCo", 100, 50, 7, False, 1, 12)
ADOPTED = len(LOG) + 2
"""The index of its entry."""
THERE = Traded(4, "old", "GameCo", Side.BUY, 5, 100)
"""An order of the stock in partition 1."""


@pytest.fixture
def leadership() -> Leadership:
    """It has just adopted the stock, which was in partitions 1 and 2 before."""
    leadership = Leadership(ledger_of(LOG), released_number=4, opens_empty=True)
    leadership.commit(released=len(LOG) + 1)
    leadership.desk.adopt(COMES, (1, 2))
    return leadership


def decide(leadership: Leadership, known: Known, key: str = "new", quantity: int = 5) -> Batch:
    batch = Batch([buy(key, quantity, "GameCo")])
    assert leadership.desk.decide(batch, known, 0.0)
    return batch


def outcome_of(leadership: Leadership, known: Known, *trade: object) -> Outcome | None:
    batch = decide(leadership, known, *trade)  # type: ignore[arg-type]
    leadership.commit(released=leadership.tenant.last_index)
    return batch.outcomes[0]


def searched(index: int = ADOPTED, **elsewhere: tuple[int, Traded]) -> Known:
    return Known({}, index, elsewhere, (1, 2))


def test_a_stock_is_traded_as_it_came(leadership: Leadership) -> None:
    assert outcome_of(leadership, searched()) == Placed(5, False, 100)
    stock = leadership.desk.released_stocks["GameCo"]
    assert stock == Stock("GameCo", 100, 45, 12, ADOPTED + 1)


def test_a_stock_is_adopted_once(leadership: Leadership) -> None:
    leadership.desk.adopt(COMES, (1, 2))
    leadership.desk._tip.apply(ADOPTED + 1, Moved("GameCo", 1))  # type: ignore[union-attr]
    leadership.tenant.propose([Moved("GameCo", 1)])
    leadership.desk.adopt(COMES, (1, 2))
    made = [entry.event for entry in leadership.tenant.made]
    assert made.count(COMES) == 1, "a placement that is shown late is of a move that has ended"


def test_no_stock_is_adopted_before_the_market_is_open() -> None:
    """The first listing is of a market without stocks."""
    leadership = Leadership(Ledger(), released_number=0, opens_empty=False)
    leadership.commit(released=len(LOG) + 1)
    leadership.desk.adopt(COMES, (1,))
    assert leadership.desk.wants_listing
    assert leadership.tenant.last_index == len(LOG) + 1


def test_a_key_that_has_an_order_where_the_stock_was_keeps_it(leadership: Leadership) -> None:
    """Else the trade would be executed a second time."""
    known = searched(old=(1, THERE))
    batch = decide(leadership, known, "old")
    assert batch.outcomes == [Placed(4, True, 100, 1)], "what moved is released"
    assert isinstance(outcome_of(leadership, known, "old", 6), KeyReused)


def test_an_order_of_another_stock_elsewhere_says_nothing(leadership: Leadership) -> None:
    """It may be visible, and be lost yet."""
    other = Traded(4, "old", "FishCo", Side.BUY, 5, 100)
    outcome = outcome_of(leadership, searched(old=(1, other)), "old")
    assert outcome == Placed(5, False, 100)


@pytest.mark.parametrize(
    "known",
    [
        Known({}, ADOPTED, {}, (1,)),
        Known({}, ADOPTED),
        Known({}, ADOPTED - 1, {}, (1, 2)),
    ],
    ids=["a partition is missing", "it began before the stock came", "the server is behind"],
)
def test_a_look_up_that_may_lack_the_orders_of_a_stock_is_to_be_repeated(
    leadership: Leadership, known: Known
) -> None:
    assert not leadership.desk.decide(Batch([buy("old", 5, "GameCo")]), known, 0.0)
    assert leadership.desk.decide(Batch([buy("new", 5, "GameStart")]), known, 0.0)


def test_it_is_known_where_to_search(leadership: Leadership) -> None:
    assert set(leadership.desk.former_of(["GameStart"])) == set()
    assert set(leadership.desk.former_of(["GameStart", "GameCo"])) == {1, 2}


def test_the_next_leader_searches_there_as_well() -> None:
    stocks = [Stock("GameCo", 100, 50, 7, 3)]
    tenant = Tenant()
    desk = TradingDesk(
        tenant,
        Ledger(stocks, 4),
        len(LOG),
        place=(3, 4),
        released_number=4,
        opens_empty=True,
        former={"GameCo": (1, 3)},
    )
    leadership = Leadership.__new__(Leadership)
    leadership.tenant, leadership.desk = tenant, desk
    leadership.commit(released=len(LOG) + 1)
    assert set(desk.former_of(["GameCo"])) == {1}, "its own orders are looked for anyway"
    assert not desk.decide(Batch([buy("old", 5, "GameCo")]), Known({}, len(LOG)), 0.0)
    known = Known({}, len(LOG), {"old": (1, THERE)}, (1,))
    assert outcome_of(leadership, known, "old") == Placed(4, True, 100, 1)


def test_a_stock_that_is_not_here_is_unknown() -> None:
    leadership = Leadership(ledger_of(LOG), released_number=4, opens_empty=True)
    leadership.commit(released=len(LOG) + 1)
    outcome = outcome_of(leadership, Known({}, len(LOG)), "new")
    assert isinstance(outcome, Rejected)
    assert outcome.rejection is Rejection.UNKNOWN_STOCK


def test_that_a_stock_is_elsewhere_is_said_before_that_the_trade_is_late() -> None:
    """It may have been executed there in time."""
    leadership = Leadership(ledger_of(LOG), released_number=4, opens_empty=True)
    leadership.commit(released=len(LOG) + 1)
    late = msgspec.structs.replace(buy("old", 5, "GameCo"), valid_until=1)
    for partitions, reason in ((1, Rejection.EXPIRED), (2, Rejection.UNKNOWN_STOCK)):
        leadership.desk._place = (0, partitions)
        batch = Batch([late])
        leadership.desk.decide(batch, Known({}, len(LOG)), 0.0)
        leadership.commit(released=leadership.tenant.last_index)
        (outcome,) = batch.outcomes
        assert isinstance(outcome, Rejected)
        assert outcome.rejection is reason
