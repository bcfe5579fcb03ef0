"""The lookup service: the cache, then a catalog, then the leader's ledger; each is answered."""

from collections.abc import Mapping, Sequence

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.publisher import HISTORY, LEASE, FakePublisher
from tests.fakes.replicas import Call, FakeStocks, result_of
from twisted_bazaar.errors import NotLeader, Unavailable
from twisted_bazaar.frontend.cache.memory import MemoryCache
from twisted_bazaar.frontend.cache.quotes import LookupReply, LookupResult, Quote, Source
from twisted_bazaar.frontend.cache.recent import Recent
from twisted_bazaar.frontend.lookups.queue import LookupQueue
from twisted_bazaar.frontend.lookups.service import LookupService
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot, WholeMarketQueue
from twisted_bazaar.http import answers
from twisted_bazaar.market import Stock


def stock(name: str, version: int = 5) -> Stock:
    return Stock(name, 100, 5, 0, version)


def quote(name: str, version: int = 5) -> Quote:
    return Quote(version, answers.stock(stock(name, version)))


def found(name: str, version: int = 5, source: Source = Source.MISS) -> LookupResult:
    return LookupResult(quote(name, version), source, "log-1" if source is Source.HIT else "")


class SlowCache(MemoryCache):
    """A cache whose answers wait for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, list[str]]] = []
        self._waiting: list[tuple[Deferred[Mapping[str, Quote]], Mapping[str, Quote]]] = []

    def get(self, history: str, names: Sequence[str]) -> Deferred[Mapping[str, Quote]]:
        self.reads.append((history, sorted(names)))
        answer: Deferred[Mapping[str, Quote]] = Deferred()
        there: list[Mapping[str, Quote]] = []
        super().get(history, names).addCallback(there.append)
        self._waiting.append((answer, there[0]))
        return answer

    def answer(self) -> None:
        """The oldest read, with what there was then."""
        answer, there = self._waiting.pop(0)
        answer.callback(there)


class Market:
    """A lookup service. With a cache it has floors of 5 for A to E, and a lease."""

    def __init__(self, cache: MemoryCache | None = None, leased: bool = True) -> None:
        self.clock = Clock()
        self.publisher = FakePublisher()
        self.cache = cache
        self.recent = Recent()
        self.catalogs, self.leader = FakeStocks(), FakeStocks()
        self.lookups = LookupQueue(self.publisher.floors if cache is not None else None)
        self.service = LookupService(
            self.clock,
            lambda: self.publisher.now,
            self.lookups,
            WholeMarketQueue(self.publisher.floors if cache is not None else None),
            cache,
            self.catalogs,
            self.leader,
            self.recent,
        )
        if leased:
            self.publisher.grant(A=5, B=5, C=5, D=5, E=5)

    def look_up(self, *names: str) -> list[list[object]]:
        """Ask for these in one turn of the reactor; what comes of each."""
        results = [result_of(self.service.look_up(name)) for name in names]
        self.clock.advance(0)
        return results

    def calls(self) -> list[Call]:
        return self.catalogs.open("look_up")


def names(call: Call) -> list[str]:
    return sorted(call.arguments[0])


def answer(call: Call, version: int = 5) -> None:
    """There are all stocks that were asked for, but for those that start with a small n."""
    there = [stock(name, version) for name in call.arguments[0] if not name.startswith("n")]
    call.reply(LookupReply(there))


# Without a cache.


def test_a_stock_is_looked_up_and_one_that_is_not_is_none() -> None:
    market = Market()
    results = market.look_up("A", "nope")
    answer(market.catalogs.only("look_up"))
    assert results == [[found("A", source=Source.OFF)], [LookupResult(None, Source.OFF)]]
    assert market.leader.asked == []


def test_what_is_asked_in_one_turn_is_one_call_and_a_name_asked_twice_is_sent_once() -> None:
    market = Market()
    results = market.look_up("A", "B", "A")
    call = market.catalogs.only("look_up")
    assert names(call) == ["A", "B"]
    answer(call)
    assert [each for [each] in results] == [
        found(name, source=Source.OFF) for name in ("A", "B", "A")
    ]


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
    assert results == [[found(name, source=Source.OFF)] for name in "ABCDE"]


# With one.


def test_a_miss_is_a_hit_the_next_time() -> None:
    market = Market(MemoryCache())
    [first] = market.look_up("A")
    answer(market.catalogs.only("look_up"))
    [second] = market.look_up("A")
    assert (first, second) == ([found("A")], [found("A", source=Source.HIT)])
    assert market.calls() == []


def test_what_is_asked_in_one_turn_is_one_command_to_the_cache() -> None:
    cache = SlowCache()
    market = Market(cache)
    cache.put(HISTORY, {"A": quote("A"), "B": quote("B", 4)})
    results = market.look_up("A", "B", "C", "A")
    assert cache.reads == [(HISTORY, ["A", "B", "C"])]
    assert market.calls() == []
    cache.answer()
    call = market.catalogs.only("look_up")
    assert names(call) == ["B", "C"]
    answer(call)
    hit = found("A", source=Source.HIT)
    assert results == [[hit], [found("B")], [found("C")], [hit]]


def test_what_the_cache_had_is_judged_by_what_is_known_when_it_comes() -> None:
    cache = SlowCache()
    market = Market(cache)
    cache.put(HISTORY, {"A": quote("A")})
    [result] = market.look_up("A")
    market.publisher.push({"A": 6})
    cache.answer()
    answer(market.catalogs.only("look_up"), 6)
    assert result == [found("A", 6)]


def test_what_the_cache_had_is_not_shown_if_the_lease_has_ended_by_then() -> None:
    cache = SlowCache()
    market = Market(cache)
    cache.put(HISTORY, {"A": quote("A")})
    [result] = market.look_up("A")
    market.publisher.now += LEASE
    cache.answer()
    assert result == []
    answer(market.catalogs.only("look_up"))
    assert result == [found("A")]


def test_what_a_catalog_says_is_kept_only_if_it_may_be_shown() -> None:
    cache = MemoryCache()
    market = Market(cache)
    results = market.look_up("A", "B", "nope")
    market.publisher.push({"A": 6})
    answer(market.catalogs.only("look_up"), 5)
    assert results == [[found("A")], [found("B")], [LookupResult(None, Source.MISS)]]
    assert result_of(cache.get(HISTORY, ["A", "B", "nope"])) == [{"B": quote("B")}]


def test_without_a_lease_the_cache_is_left_alone() -> None:
    cache = SlowCache()
    market = Market(cache, leased=False)
    cache.put("", {"A": quote("A")})
    [result] = market.look_up("A")
    answer(market.catalogs.only("look_up"))
    assert result == [found("A")]
    assert cache.reads == []


def test_a_lookup_that_joins_a_call_is_asked_again_if_it_must_be() -> None:
    market = Market(MemoryCache())
    [first] = market.look_up("A")
    call = market.catalogs.only("look_up")
    market.publisher.push({"A": 6})
    [joined] = market.look_up("A")
    assert market.calls() == [call]
    answer(call, 5)
    assert (first, joined) == ([found("A", 5)], [])
    answer(market.catalogs.only("look_up"), 6)
    assert joined == [found("A", 6)]


def test_as_many_lookups_as_there_may_be_are_answered_in_one_turn() -> None:
    market = Market(MemoryCache())
    many = [f"stock-{number}" for number in range(10_000)]
    results = market.look_up(*many)
    assert isinstance(result_of(market.service.look_up("A"))[0], Unavailable)
    while market.calls():
        answer(market.calls()[0])
    assert results == [[found(name)] for name in many]


# When a server fails.


@pytest.mark.parametrize("error", [Unavailable("no catalog answers"), NotLeader()])
def test_when_no_catalog_answers_the_leader_is_asked(error: Exception) -> None:
    market = Market(MemoryCache())
    results = market.look_up("A", "nope")
    for call in market.calls():
        call.fail(error)
    call = market.leader.only("look_up")
    assert names(call) == ["A", "nope"]
    answer(call)
    assert results == [[found("A")], [LookupResult(None, Source.MISS)]]
    assert market.look_up("A") == [[found("A", source=Source.HIT)]]


def test_without_an_answer_a_lookup_is_unavailable_and_the_next_is_not_delayed() -> None:
    market = Market(MemoryCache())
    results = market.look_up("A", "B")
    results += market.look_up("A")
    everything = all_in(market)
    for call in (*market.calls(), *market.catalogs.open("market")):
        call.fail()
    for call in (*market.leader.open("look_up"), *market.leader.open("market")):
        call.fail()
    assert [type(each) for [each] in [*results, everything]] == [Unavailable] * 4
    [again] = market.look_up("A")
    answer(market.catalogs.only("look_up"))
    assert again == [found("A")]


def test_an_unexpected_error_is_logged_and_delays_no_lookup(
    logged_failures: list[Failure],
) -> None:
    market = Market(MemoryCache())
    results = market.look_up("A", "B")
    results += market.look_up("A")
    market.catalogs.only("look_up").fail(KeyError("a bug"))
    assert [type(each) for [each] in results] == [Unavailable] * 3
    [failure] = logged_failures
    assert failure.check(KeyError)
    logged_failures.clear()
    assert market.leader.asked == []
    later = [market.look_up(name)[0] for name in "ABC"]
    while market.calls():
        answer(market.calls()[0])
    assert later == [[found(name)] for name in "ABC"]


def test_a_cache_that_fails_to_keep_a_quote_costs_no_answer(
    logged_failures: list[Failure],
) -> None:
    class BrokenCache(MemoryCache):
        def put(self, history: str, quotes: Mapping[str, Quote]) -> None:
            raise KeyError("a bug")

    market = Market(BrokenCache())
    [result] = market.look_up("A")
    answer(market.catalogs.only("look_up"))
    assert result == [found("A")]
    [failure] = logged_failures
    assert failure.check(KeyError)
    logged_failures.clear()


def all_in(market: Market) -> list[bytes | Exception]:
    """The body that a client is answered who asks for the whole market, once it is."""
    return result_of(market.service.look_up_all().addCallback(lambda found: found.body))


def whole(version: int = 5) -> MarketSnapshot:
    return MarketSnapshot.of([stock("A", version), stock("B", version)], HISTORY, version)


def test_the_whole_market_is_fetched_once_for_all_waiting_clients() -> None:
    market = Market(MemoryCache())
    results = [all_in(market) for _ in range(100)]
    market.catalogs.only("market").reply(whole())
    assert results == [[whole().body]] * 100
    assert all_in(market) == [whole().body], "it is kept"
    assert len(market.catalogs.asked) == 1


def test_the_whole_market_is_asked_for_again_after_a_pause_with_what_is_known() -> None:
    market = Market(MemoryCache())
    all_in(market)
    market.catalogs.only("market").reply(known := whole())
    market.publisher.grant(A=6)
    result = all_in(market)
    assert market.catalogs.open("market") == []
    market.publisher.now += known.cost
    market.clock.advance(known.cost)
    call = market.catalogs.only("market")
    assert call.arguments == (known,)
    call.reply(known.changed([stock("A", 6)], 6))
    assert result == [answers.stocks([stock("A", 6), stock("B", 5)])]


def test_when_no_catalog_answers_the_leader_is_asked_for_the_whole_market() -> None:
    market = Market(MemoryCache())
    results = all_in(market), all_in(market)
    market.catalogs.only("market").fail()
    market.leader.only("market").fail()
    assert type(results[0][0]) is Unavailable
    market.catalogs.only("market").fail()
    market.leader.only("market").reply(MarketSnapshot.of([stock("A")], "", 0))
    assert results[1] == [answers.stocks([stock("A")])]


def test_no_query_is_sent_for_clients_that_have_hung_up() -> None:
    market = Market(MemoryCache())
    first = all_in(market)
    later = [market.service.look_up_all() for _ in range(10)]
    results = [result_of(each) for each in later]
    for each in later:
        each.cancel()
    assert all(type(result[0]) is Unavailable for result in results)
    market.publisher.grant(A=9)
    market.catalogs.only("market").reply(whole())
    market.clock.advance(1)
    assert first == [whole().body]
    assert market.catalogs.open("market") == []
    assert market.clock.getDelayedCalls() == []


def test_lookups_count_by_what_the_cache_had() -> None:
    market = Market(MemoryCache())
    figures = market.service._figures
    market.look_up("A", "A", "B")
    answer(market.catalogs.only("look_up"))
    assert (figures.hit.value, figures.miss.value, figures.off.value) == (0, 3, 0)
    market.look_up("A", "B")
    market.clock.advance(0)
    assert (figures.hit.value, figures.miss.value, figures.off.value) == (2, 3, 0)
    uncached = Market()
    uncached.look_up("A")
    answer(uncached.catalogs.only("look_up"))
    assert uncached.service._figures.off.value == 1


def test_a_lookup_that_fails_is_neither_hit_nor_miss() -> None:
    market = Market()
    market.look_up("A")
    market.catalogs.only("look_up").fail()
    market.leader.only("look_up").fail()
    figures = market.service._figures
    assert (figures.hit.value, figures.miss.value, figures.off.value) == (0, 0, 0)
