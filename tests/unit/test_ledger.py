"""The ledger: what it decides, and that applying what was decided keeps the books right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    MAX_SHARES,
    MAX_VOLUME,
    Listed,
    Listing,
    Rejection,
    Side,
    Stock,
    Trade,
    Traded,
)

GAME = Listing("GameStart", 1599, 100)
FISH = Listing("Fish", 2050, 0)


def ledger(*listings: Listing) -> Ledger:
    made = Ledger()
    made.apply(1, Listed(listings or (GAME, FISH)))
    return made


def contents(of: Ledger) -> tuple[dict[str, Stock], int]:
    return dict(of.stocks), of.last_number


def buy(quantity: int, name: str = "GameStart") -> Trade:
    return Trade("key", name, Side.BUY, quantity)


def sell(quantity: int, name: str = "GameStart") -> Trade:
    return Trade("key", name, Side.SELL, quantity)


trades = st.builds(
    Trade,
    st.text(max_size=5),
    st.sampled_from(["GameStart", "Fish", "Unheard"]),
    st.sampled_from(Side),
    st.integers(1, 60),
)


@given(st.lists(trades, max_size=60))
def test_quantity_is_listed_minus_bought_plus_sold_after_any_trades(asked: list[Trade]) -> None:
    """Invariants 4 and 6, and that what is decided can be applied, here and elsewhere."""
    ours, theirs = ledger(), ledger()
    bought = {GAME.name: 0, FISH.name: 0}
    sold = dict(bought)
    number = 0
    for index, trade in enumerate(asked, 2):
        before = contents(ours)
        decided = ours.decide(trade)
        assert contents(ours) == before
        if isinstance(decided, Rejection):
            continue
        number += 1
        assert decided.number == number
        assert decided.fulfils(trade)
        (bought if trade.side is Side.BUY else sold)[trade.stock] += trade.quantity
        assert ours.apply(index, decided) == (trade.stock,)
        theirs.apply(index, decided)
        assert ours.stocks[trade.stock].version == index
    for listing in (GAME, FISH):
        stock = ours.stocks[listing.name]
        name = listing.name
        assert stock.quantity == listing.quantity - bought[name] + sold[name] >= 0
        assert stock.volume == bought[name] + sold[name]
        assert stock.price == listing.price
    assert contents(ours) == contents(theirs)


def test_the_last_share_can_be_bought_and_no_more() -> None:
    books = ledger()
    last = books.decide(buy(100))
    assert isinstance(last, Traded)
    books.apply(2, last)
    assert books.decide(buy(1)) is Rejection.NOT_ENOUGH_SHARES
    assert books.stocks["GameStart"] == Stock("GameStart", 1599, 0, 100, 2)


@pytest.mark.parametrize(
    ("trade", "why"),
    [
        (buy(1, "Unheard"), Rejection.UNKNOWN_STOCK),
        (sell(1, "Unheard"), Rejection.UNKNOWN_STOCK),
        (buy(101), Rejection.NOT_ENOUGH_SHARES),
        (buy(1, "Fish"), Rejection.NOT_ENOUGH_SHARES),
        (sell(MAX_SHARES - 99), Rejection.TOO_MANY_SHARES),
    ],
)
def test_an_impossible_trade_is_refused_with_the_reason(trade: Trade, why: Rejection) -> None:
    assert ledger().decide(trade) is why


def test_a_stock_holds_at_most_max_shares() -> None:
    books = ledger()
    assert isinstance(books.decide(sell(MAX_SHARES - 100)), Traded)
    full = Ledger([Stock("GameStart", 1, MAX_SHARES, 0, 1)])
    assert full.decide(sell(1)) is Rejection.TOO_MANY_SHARES


@pytest.mark.parametrize(
    ("volume", "after"),
    [
        (MAX_SHARES - 1, MAX_SHARES + 3),
        (MAX_SHARES, MAX_SHARES + 4),
        (MAX_VOLUME - 4, MAX_VOLUME),
        (MAX_VOLUME - 1, MAX_VOLUME),
        (MAX_VOLUME, MAX_VOLUME),
    ],
)
def test_a_stock_can_be_traded_at_any_volume(volume: int, after: int) -> None:
    books = Ledger([Stock("GameStart", 1, 5, volume, 1)])
    for index, trade in enumerate((buy(2), sell(2)), 2):
        decided = books.decide(trade)
        assert isinstance(decided, Traded)
        books.apply(index, decided)
    assert books.stocks["GameStart"] == Stock("GameStart", 1, 5, after, 3)


@pytest.mark.parametrize(
    "event",
    [
        Traded(2, "key", "GameStart", Side.BUY, 1),
        Traded(0, "key", "GameStart", Side.BUY, 1),
        Traded(1, "key", "Unheard", Side.SELL, 1),
        Traded(1, "key", "GameStart", Side.BUY, 101),
        Traded(1, "key", "GameStart", Side.BUY, 0),
        Traded(1, "key", "GameStart", Side.SELL, -1),
        Traded(1, "key", "GameStart", Side.SELL, MAX_SHARES),
        Listed((GAME,)),
        Listed((Listing("New", 1, 1), Listing("New", 1, 1))),
        Listed((Listing("New", 1, 1), FISH)),
    ],
)
def test_an_event_that_no_leader_can_have_decided_raises_and_changes_nothing(event: object) -> None:
    books = ledger()
    before = contents(books)
    with pytest.raises(InvariantBroken, match="^entry 9: "):
        books.apply(9, event)
    assert contents(books) == before


def test_an_opened_entry_changes_no_stock() -> None:
    books = ledger()
    before = contents(books)
    assert books.apply(2, Opened(leader=3)) == ()
    assert contents(books) == before


def test_a_copy_is_independent() -> None:
    books = ledger()
    copy = books.copy()
    order = copy.decide(buy(1))
    copy.apply(2, order)
    assert (books.last_number, copy.last_number) == (0, 1)
    assert books.stocks["GameStart"].quantity == 100
    assert copy.stocks["GameStart"].quantity == 99


def test_a_listing_returns_the_names_of_its_stocks() -> None:
    books = ledger()
    assert books.apply(5, Listed((Listing("New", 1, 2), Listing("Newer", 3, 4)))) == (
        "New",
        "Newer",
    )
    assert books.stocks["Newer"] == Stock("Newer", 3, 4, 0, 5)
