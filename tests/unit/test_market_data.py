"""Lookups: everything asked while calls are under way is one call, and any catalog will do."""

import pytest
from twisted.internet.task import Clock

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend import market_data
from twisted_bazaar.frontend.market_data import MarketData
from twisted_bazaar.market import Stock
from twisted_bazaar.timing import Timing

from .fake_replicas import Call, FakeCatalog, result_of
from .leaks import nothing_leaks  # noqa: F401

TIMING = Timing()


def stock(name: str, version: int = 1) -> Stock:
    return Stock(name, 100, 5, 0, version)


class Market:
    """A front-end's market data over `count` catalogs."""

    def __init__(self, count: int = 1) -> None:
        self.clock = Clock()
        self.catalogs = [FakeCatalog() for _ in range(count)]
        self.data = MarketData(self.clock, self.catalogs, TIMING)  # type: ignore[arg-type]

    def look_up(self, *names: str) -> list[list[object]]:
        """Ask for these in one turn of the reactor; what comes of each."""
        results = [result_of(self.data.lookup(name)) for name in names]
        self.clock.advance(0)
        return results

    def calls(self, catalog: int = 0) -> list[Call]:
        return self.catalogs[catalog].open("lookup")


def names(call: Call) -> list[str]:
    return sorted(call.arguments[0])


def answer(call: Call) -> None:
    """There are all stocks that were asked for, but for those that start with a small n."""
    call.reply([stock(name) for name in call.arguments[0] if not name.startswith("n")])


def test_a_stock_is_looked_up_and_one_that_is_not_is_none() -> None:
    market = Market()
    found, not_found = market.look_up("A", "nope")
    [call] = market.calls()
    assert call.arguments[1] == TIMING.lease
    answer(call)
    assert (found, not_found) == ([stock("A")], [None])


def test_what_is_asked_in_one_turn_is_one_call_and_a_name_asked_twice_is_sent_once() -> None:
    market = Market()
    results = market.look_up("A", "B", "A")
    [call] = market.calls()
    assert names(call) == ["A", "B"]
    answer(call)
    assert results == [[stock("A")], [stock("B")], [stock("A")]]


def test_everything_asked_while_calls_are_under_way_is_one_call() -> None:
    market = Market()
    results = [market.look_up(name)[0] for name in "ABCDE"]
    first, second = market.calls()
    assert (names(first), names(second)) == (["A"], ["B"])
    answer(first)
    [_, third] = market.calls()
    assert names(third) == ["C", "D", "E"]
    answer(third)
    answer(second)
    assert results == [[stock(name)] for name in "ABCDE"]


def test_no_lookup_joins_a_call_that_was_sent_before_it_was_asked() -> None:
    """That call may carry what the stock was before a trade that the client knows of."""
    market = Market()
    [early] = market.look_up("A")
    [late] = market.look_up("A")
    first, second = market.calls()
    first.reply([stock("A", version=1)])
    assert (early, late) == ([stock("A", version=1)], [])
    second.reply([stock("A", version=2)])
    assert late == [stock("A", version=2)]


def test_a_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "_MAX_BATCH_NAMES", 2)
    market = Market()
    results = market.look_up("A", "B", "C", "D", "E")
    assert [names(call) for call in market.calls()] == [["A", "B"], ["C", "D"]]
    while market.calls():
        answer(market.calls()[0])
    assert results == [[stock(name)] for name in "ABCDE"]


def test_more_than_fits_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "_CAPACITY", 2)
    market = Market()
    waiting, also_waiting, refused = market.look_up("A", "B", "C")
    assert isinstance(refused[0], Unavailable)
    answer(market.calls()[0])
    assert (waiting, also_waiting) == ([stock("A")], [stock("B")])


def test_every_stock_is_asked_of_a_catalog() -> None:
    market = Market()
    result = result_of(market.data.all())
    market.catalogs[0].only("all").reply([stock("A"), stock("B")])
    assert result == [[stock("A"), stock("B")]]


def test_the_next_catalog_is_asked_when_one_fails_and_stays_the_first() -> None:
    market = Market(2)
    [result] = market.look_up("A")
    assert market.calls(1) == []
    market.calls(0)[0].fail()
    answer(market.calls(1)[0])
    assert result == [stock("A")]
    market.look_up("B")
    assert (market.calls(0), len(market.calls(1))) == ([], 1)
    answer(market.calls(1)[0])


def test_without_any_catalog_that_answers_a_lookup_is_unavailable() -> None:
    market = Market(2)
    results = market.look_up("A", "B")
    everything = result_of(market.data.all())
    for catalog in (0, 1):
        market.calls(catalog)[0].fail()
        market.catalogs[catalog].only("all").fail()
    assert [type(each[0]) for each in (*results, everything)] == [Unavailable] * 3
    [again] = market.look_up("A")
    answer(market.calls(0)[0])
    assert again == [stock("A")]


def test_each_lookup_asks_every_catalog_whatever_others_find_out_meanwhile() -> None:
    """Two calls fail at one catalog: neither may come back to it instead of asking the other."""
    market = Market(2)
    results = [market.look_up(name)[0] for name in "AB"]
    everything = result_of(market.data.all())
    for call in [*market.calls(0), market.catalogs[0].only("all")]:
        call.fail()
    for call in market.calls(1):
        answer(call)
    market.catalogs[1].only("all").reply([stock("A")])
    assert results == [[stock("A")], [stock("B")]]
    assert everything == [[stock("A")]]


def test_a_failure_that_nobody_foresaw_reaches_those_who_asked_and_nobody_else() -> None:
    market = Market(2)
    results = market.look_up("A", "B")
    market.calls(0)[0].fail(KeyError("a bug"))
    assert [type(each[0]) for each in results] == [KeyError, KeyError]
    assert market.calls(1) == []
    [later] = market.look_up("C")
    answer(market.calls(0)[0])
    assert later == [stock("C")]
