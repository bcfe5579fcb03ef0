"""The ledger: what it decides, and that applying what was decided keeps the books right."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.consensus.entries import Event, Opened
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.ledger import Ledger, first_prices, stocks_of
from twisted_bazaar.market import (
    MAX_PRICE,
    MAX_SHARES,
    MAX_VOLUME,
    Adopted,
    Halted,
    Listed,
    Listing,
    Moved,
    Rejection,
    Repriced,
    Resumed,
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
        Traded(1, "key", "GameStart", Side.BUY, 1, 1600),
        Traded(1, "key", "GameStart", Side.BUY, 1, 1599, limit=1598),
        Traded(1, "key", "GameStart", Side.SELL, 1, 1599, limit=1600),
        Repriced("Unheard", 1),
        Repriced("GameStart", -1),
        Repriced("GameStart", MAX_PRICE + 1),
        Halted(("GameStart", "Unheard")),
        Halted(("GameStart", "GameStart")),
        Resumed(("Unheard",)),
        Listed((GAME,)),
        Listed((Listing("New", 1, 1), Listing("New", 1, 1))),
        Listed((Listing("New", 1, 1), FISH)),
        Moved("Unheard", 1),
        Adopted("GameStart", 1, 1, 1, False, 1, 5),
        Adopted("New", -1, 1, 1, False, 1, 5),
        Adopted("New", MAX_PRICE + 1, 1, 1, False, 1, 5),
        Adopted("New", 1, MAX_SHARES + 1, 1, False, 1, 5),
        Adopted("New", 1, -1, 1, False, 1, 5),
        Adopted("New", 1, 1, MAX_VOLUME + 1, False, 1, 5),
        Adopted("New", 1, 1, -1, False, 1, 5),
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


# Prices, limits, times and halts.


def test_an_order_holds_the_price_of_its_stock_and_the_limit_of_its_trade() -> None:
    books = ledger()
    asked = Trade("key", "GameStart", Side.BUY, 1, made=True, limit=1600)
    decided = books.decide(asked)
    assert decided == Traded(1, "key", "GameStart", Side.BUY, 1, 1599, True, 1600)
    books.apply(2, Repriced("GameStart", 1600))
    assert books.decide(asked) == Traded(1, "key", "GameStart", Side.BUY, 1, 1600, True, 1600)


@pytest.mark.parametrize(
    ("side", "limit", "refused"),
    [
        (Side.BUY, 1600, False),
        (Side.BUY, 1599, False),
        (Side.BUY, 1598, True),
        (Side.SELL, 1600, True),
        (Side.SELL, 1599, False),
        (Side.SELL, 1598, False),
    ],
)
def test_a_buy_pays_no_more_than_its_limit_and_a_sale_gets_no_less(
    side: Side, limit: int, refused: bool
) -> None:
    decided = ledger().decide(Trade("key", "GameStart", side, 1, limit=limit))
    assert (decided is Rejection.PRICE_OUT_OF_BOUNDS) is refused


def test_a_trade_is_valid_up_to_its_time() -> None:
    asked = Trade("key", "GameStart", Side.BUY, 1, valid_until=1000)
    books = ledger()
    assert isinstance(books.decide(asked, 1000), Traded)
    assert books.decide(asked, 1001) is Rejection.EXPIRED


def test_the_first_of_several_reasons_is_given() -> None:
    books = ledger()
    late = Trade("key", "Unheard", Side.BUY, 10**6, limit=1, valid_until=5)
    assert books.decide(late, 6) is Rejection.EXPIRED
    assert books.decide(late, 5) is Rejection.UNKNOWN_STOCK
    asked = msgspec.structs.replace(late, stock="GameStart")
    assert books.decide(asked, 5) is Rejection.PRICE_OUT_OF_BOUNDS
    books.apply(2, Halted(("GameStart",)))
    assert books.decide(asked, 5) is Rejection.HALTED
    assert books.decide(msgspec.structs.replace(asked, limit=None), 5) is Rejection.HALTED
    books.apply(3, Resumed(("GameStart",)))
    unlimited = msgspec.structs.replace(asked, limit=None)
    assert books.decide(unlimited, 5) is Rejection.NOT_ENOUGH_SHARES


@pytest.mark.parametrize(
    ("event", "after"),
    [
        (Repriced("GameStart", 5), {"GameStart": Stock("GameStart", 5, 100, 0, 7)}),
        (Halted(("GameStart",)), {"GameStart": Stock("GameStart", 1599, 100, 0, 7, True)}),
        (
            Halted(("Fish", "GameStart")),
            {
                "Fish": Stock("Fish", 2050, 0, 0, 7, True),
                "GameStart": Stock("GameStart", 1599, 100, 0, 7, True),
            },
        ),
        (Halted(()), {}),
    ],
)
def test_a_change_gives_its_stocks_a_new_version(event: Event, after: dict[str, Stock]) -> None:
    books = ledger()
    before = dict(books.stocks)
    assert books.apply(7, event) == stocks_of(event) == tuple(after)
    assert books.stocks == before | after


def test_a_change_leaves_all_else_as_it_is() -> None:
    books = Ledger([Stock("GameStart", 1599, 5, 9, 1, True)])
    books.apply(7, Repriced("GameStart", 5))
    assert books.stocks["GameStart"] == Stock("GameStart", 5, 5, 9, 7, True)
    books.apply(8, Resumed(("GameStart",)))
    assert books.stocks["GameStart"] == Stock("GameStart", 5, 5, 9, 8)
    books.apply(9, Traded(1, "key", "GameStart", Side.BUY, 1, 5))
    assert books.stocks["GameStart"] == Stock("GameStart", 5, 4, 10, 9)


def test_no_order_of_a_halted_stock_can_be() -> None:
    books = ledger()
    books.apply(2, Halted(("GameStart",)))
    with pytest.raises(InvariantBroken, match="halted"):
        books.apply(3, Traded(1, "key", "GameStart", Side.BUY, 1, 1599))


def test_an_order_of_an_earlier_release_keeps_the_price_of_the_first_listing() -> None:
    books = ledger()
    old = Traded(1, "key", "GameStart", Side.BUY, 1)
    books.apply(2, old)
    books.apply(3, Repriced("GameStart", 5))
    books.apply(4, Listed((Listing("New", 7, 1),)))
    new = Traded(2, "key", "GameStart", Side.BUY, 1, 5)
    books.apply(5, new)
    started = Ledger(books.stocks.values(), 2, first_prices([Listed((GAME, FISH)), Listed(())]))
    for each in (books, books.copy(), started):
        assert (each.price_of(old), each.price_of(new)) == (1599, 5)


# Moves to another partition.


def test_a_stock_that_moved_is_not_traded_and_the_others_are() -> None:
    books = ledger()
    assert (
        books.apply(2, Moved("GameStart", 1)) == ("GameStart",) == stocks_of(Moved("GameStart", 1))
    )
    assert list(books.stocks) == ["Fish"]
    assert books.decide(buy(1)) is Rejection.UNKNOWN_STOCK
    with pytest.raises(InvariantBroken):
        books.apply(3, Traded(1, "key", "GameStart", Side.BUY, 1, 1599))
    assert isinstance(books.decide(Trade("key", "Fish", Side.SELL, 1)), Traded)


def test_a_stock_comes_as_it_left_and_its_version_is_of_its_new_log() -> None:
    books = ledger()
    adopted = Adopted("New", 5, 9, 7, True, 1, 812)
    assert books.apply(2, adopted) == ("New",) == stocks_of(adopted)
    assert books.stocks["New"] == Stock("New", 5, 9, 7, 2, True)


def test_a_ledger_and_its_copy_know_which_stocks_are_away() -> None:
    books = ledger()
    books.apply(2, Moved("GameStart", 1))
    assert books.copy().away == books.away == {"GameStart"}
    copy = books.copy()
    copy.apply(3, Adopted("GameStart", 1599, 100, 0, False, 1, 5))
    assert (books.away, copy.away) == ({"GameStart"}, set())
