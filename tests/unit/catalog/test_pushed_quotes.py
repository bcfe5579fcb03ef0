"""Quotes in pushes: what was released since the last one, to front-ends that take them."""

import msgspec
import pytest

from tests.unit.catalog.test_subscribers import FIRST, SECOND, Catalog, subscription
from twisted_bazaar.catalog.subscribers import QUOTE_SECONDS
from twisted_bazaar.errors import Malformed
from twisted_bazaar.market import MAX_NAME_CHARACTERS, MAX_SHARES, MAX_VOLUME, Stock
from twisted_bazaar.rpc.bounds import MAX_PRICE
from twisted_bazaar.rpc.push import (
    MAX_QUOTES,
    Push,
    PushedQuote,
    decode_push,
    encode,
)

STOCK = Stock(name="GameStart", price=1599, quantity=99, volume=1, version=6)
QUOTE = PushedQuote("GameStart", 1599, 99, 1, 6)
PUSH = Push(life=1, history="c0ffee", upto=9, floors={"A": 9}, stamp=None, seconds=0.0)


class Quoting(Catalog):
    """A catalog with one front-end that takes quotes, and holds a lease, and one that does not."""

    def __init__(self, leased: bool = True) -> None:
        super().__init__(SECOND)
        self.index = 6
        takes = msgspec.structs.replace(subscription(FIRST), quotes=True)
        self.subscribers.add(takes, self.now)
        if leased:
            self.attach()

    def pushes(self) -> dict[int, Push]:
        known = self.projection()
        out = list(self.subscribers.pushes(known, self.lease, self.now))
        self.outgoing.update({id(each.push): each for each in out})
        return {each.push.life: each.push for each in out}

    def release(self, *stocks: Stock) -> None:
        self.subscribers.released(stocks, self.now)


@pytest.fixture
def catalog() -> Quoting:
    return Quoting()


def test_quotes_go_with_the_next_push(catalog: Quoting) -> None:
    catalog.release(STOCK)
    catalog.tip = 7
    pushes = catalog.pushes()
    assert list(pushes[FIRST].quotes) == [QUOTE]
    assert pushes[SECOND].quotes == ()
    catalog.answer(pushes[FIRST])
    catalog.pass_time(QUOTE_SECONDS)
    assert FIRST not in catalog.pushes(), "they go once"


def test_a_quote_says_whether_its_stock_is_halted(catalog: Quoting) -> None:
    catalog.release(msgspec.structs.replace(STOCK, halted=True))
    catalog.tip = 7
    pushed = decode_push(encode(catalog.pushes()[FIRST]))
    assert list(pushed.quotes) == [msgspec.structs.replace(QUOTE, halted=True)]


def test_a_quote_of_an_earlier_release_is_of_a_stock_that_is_traded() -> None:
    body = encode(msgspec.structs.replace(PUSH, quotes=(QUOTE,)))
    earlier = body.replace(b",1,6,false]", b",1,6]")
    assert earlier != body
    assert list(decode_push(earlier).quotes) == [QUOTE]


def test_without_one_a_push_goes_out_for_them_soon(catalog: Quoting) -> None:
    assert catalog.subscribers.quotes_due() is None
    catalog.release(STOCK)
    assert catalog.pushes() == {}
    due = catalog.subscribers.quotes_due()
    assert due == catalog.now + QUOTE_SECONDS
    catalog.now += QUOTE_SECONDS / 2
    catalog.release(msgspec.structs.replace(STOCK, name="Fish, Co"))
    assert catalog.subscribers.quotes_due() == due
    catalog.now = due
    ((life, push),) = catalog.pushes().items()
    assert (life, [each.name for each in push.quotes]) == (FIRST, ["GameStart", "Fish, Co"])
    assert catalog.subscribers.quotes_due() is None


def test_none_goes_out_while_a_push_is_under_way(catalog: Quoting) -> None:
    catalog.tip = 7
    push = catalog.pushes()[FIRST]
    catalog.release(STOCK)
    catalog.now += 2 * QUOTE_SECONDS
    assert (catalog.pushes(), catalog.subscribers.quotes_due()) == ({}, None)
    catalog.answer(push)
    assert list(catalog.pushes()[FIRST].quotes) == [QUOTE]


def test_the_latest_quote_of_a_stock_goes_and_none_that_a_floor_forbids(catalog: Quoting) -> None:
    older = msgspec.structs.replace(STOCK, version=5)
    catalog.release(older, STOCK, msgspec.structs.replace(STOCK, name="Fish, Co", version=3))
    catalog.tip = 7
    push = catalog.pushes()[FIRST]
    assert (push.floors, list(push.quotes)) == ({"Fish, Co": 7}, [QUOTE])


def test_a_front_end_without_a_lease_gets_no_quotes() -> None:
    catalog = Quoting(leased=False)
    catalog.release(STOCK)
    assert catalog.subscribers.quotes_due() is None
    assert catalog.pushes()[FIRST].quotes == ()


def test_quotes_are_bounded_and_the_latest_stay(catalog: Quoting) -> None:
    longest = Stock("\0" * (MAX_NAME_CHARACTERS - 5), MAX_PRICE, MAX_SHARES, MAX_VOLUME, 2**53 - 1)
    names = [f"{number:05}" for number in range(MAX_QUOTES + 10)]
    catalog.release(*(msgspec.structs.replace(longest, name=longest.name + each) for each in names))
    catalog.now += QUOTE_SECONDS
    push = catalog.pushes()[FIRST]
    assert [each.name[-5:] for each in push.quotes] == names[10:]
    assert len(encode(push)) < 64 * 1024
    assert decode_push(encode(push)) == msgspec.structs.replace(push, quotes=list(push.quotes))


def test_a_push_without_quotes_is_as_an_earlier_release_knows_it() -> None:
    assert b"quotes" not in encode(PUSH)
    assert b"quotes" in encode(msgspec.structs.replace(PUSH, quotes=(QUOTE,)))
    assert decode_push(encode(PUSH)).quotes == ()


@pytest.mark.parametrize(
    "wrong",
    [
        [["A" * (MAX_NAME_CHARACTERS + 1), 1, 1, 1, 1]],
        [["A", -1, 1, 1, 1]],
        [["A", 1, MAX_SHARES + 1, 1, 1]],
        [["A", 1, 1, 1, 2**53]],
        [["A", 1, 1, 1]],
        [["A", 1, 1, 1, 1]] * (MAX_QUOTES + 1),
    ],
)
def test_quotes_out_of_bounds_are_refused(wrong: object) -> None:
    fields = {**msgspec.json.decode(encode(PUSH)), "quotes": wrong}
    with pytest.raises(Malformed):
        decode_push(msgspec.json.encode(fields))
