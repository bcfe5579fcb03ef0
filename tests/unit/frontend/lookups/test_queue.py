"""The queue of lookups: what goes together, what may be shown, and what each is answered."""

from collections.abc import Mapping

import pytest

from tests.fakes.publisher import LEASE, TIMING, FakePublisher
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote, Source
from twisted_bazaar.frontend.lookups import queue
from twisted_bazaar.frontend.lookups.queue import CacheRead, LookupQueue, UpstreamCall

Tickets = Mapping[object, LookupResult | BazaarError]


def quote(version: int) -> Quote:
    return Quote(version, b"version %d" % version)


def hit(version: int) -> LookupResult:
    return LookupResult(quote(version), Source.HIT, "log-1")


def miss(version: int | None) -> LookupResult:
    return LookupResult(None if version is None else quote(version), Source.MISS)


class Desk:
    """The lookups of a front-end, with a lease and floors of 5 for A, B and C."""

    def __init__(self, leased: bool = True, in_flight: int = 2, capacity: int = 10_000) -> None:
        self.publisher = FakePublisher()
        self.lookups = LookupQueue(self.publisher.floors, capacity, in_flight)
        if leased:
            self.publisher.grant(A=5, B=5, C=5)

    @property
    def now(self) -> float:
        return self.publisher.now

    def ask(self, *names: str) -> list[object]:
        """Look these up, a ticket each."""
        tickets: list[object] = []
        for name in names:
            tickets.append(object())
            self.lookups.add(name, tickets[-1], self.now)
        return tickets

    def take_read(self) -> CacheRead:
        read = self.lookups.take_read()
        assert read is not None
        return read

    def read(self, read: CacheRead | None = None, /, **versions: int) -> None:
        """The cache has these."""
        quotes = {name: quote(version) for name, version in versions.items()}
        self.lookups.read_done(read or self.take_read(), quotes, self.now)

    def call(self) -> UpstreamCall:
        """Of what was asked nothing is in the cache, and the rest goes on its way."""
        while (read := self.lookups.take_read()) is not None:
            self.read(read)
        call = self.lookups.take_call()
        assert call is not None
        return call

    def answer(self, call: UpstreamCall, **versions: int) -> Mapping[str, Quote]:
        """There are these. Returns what is to be kept."""
        quotes = {name: quote(version) for name, version in versions.items()}
        return self.lookups.answered(call, quotes, self.now)

    def answered(self, *tickets: object) -> list[LookupResult | BazaarError | None]:
        """What these tickets were answered since the last time, each at most once."""
        answered = self.lookups.take_answered()
        assert len({id(ticket) for ticket, _ in answered}) == len(answered)
        by_ticket = dict(answered)
        assert by_ticket.keys() <= set(tickets)
        return [by_ticket.get(ticket) for ticket in tickets]

    def lose_lease(self) -> None:
        self.publisher.now += TIMING.lease
        assert not self.publisher.floors.alive(self.now)

    def idle(self) -> bool:
        """There is nothing to read or to call."""
        return self.lookups.take_read() is None and self.lookups.take_call() is None


@pytest.fixture
def desk() -> Desk:
    return Desk()


# From the cache.


def test_what_comes_together_is_read_together_and_a_stock_once(desk: Desk) -> None:
    tickets = desk.ask("A", "B", "A")
    read = desk.take_read()
    assert (read.history, sorted(read.names)) == (desk.publisher.history, ["A", "B"])
    desk.read(read, A=5, B=6)
    assert desk.answered(*tickets) == [hit(5), hit(6), hit(5)]
    assert desk.idle()


@pytest.mark.parametrize("version", [4, None])
def test_a_stock_that_is_not_in_the_cache_or_too_old_is_asked_of_a_catalog(
    desk: Desk, version: int | None
) -> None:
    tickets = desk.ask("A")
    desk.read(**{} if version is None else {"A": version})
    assert desk.answered(*tickets) == [None]
    call = desk.call()
    assert call.names == ["A"]
    desk.answer(call, A=7)
    assert desk.answered(*tickets) == [miss(7)]


def test_a_stock_that_no_floor_is_known_of_is_never_shown_from_the_cache(desk: Desk) -> None:
    desk.ask("New")
    desk.read(New=99)
    assert desk.call().names == ["New"]


def test_a_floor_that_rises_while_the_cache_is_read_counts(desk: Desk) -> None:
    desk.ask("A", "B")
    read = desk.take_read()
    desk.publisher.push({"A": 6})
    desk.read(read, A=5, B=5)
    assert desk.call().names == ["A"]


def test_a_lease_that_ends_while_the_cache_is_read_counts(desk: Desk) -> None:
    tickets = desk.ask("A")
    read = desk.take_read()
    desk.lose_lease()
    desk.read(read, A=5)
    assert desk.answered(*tickets) == [None]
    assert desk.call().names == ["A"]


def test_what_was_read_under_another_order_log_is_not_shown(desk: Desk) -> None:
    """Its versions are indexes of another log, where they say something else."""
    desk.ask("A")
    read = desk.take_read()
    desk.lose_lease()
    desk.publisher.history = "log-2"
    desk.publisher.grant(A=1)
    desk.read(read, A=5)
    assert desk.call().names == ["A"]


def test_what_was_read_in_an_earlier_subscription_is_judged_by_the_present_one(desk: Desk) -> None:
    tickets = desk.ask("A", "B")
    read = desk.take_read()
    desk.lose_lease()
    desk.publisher.grant(A=6, B=5)
    desk.read(read, A=5, B=5)
    assert desk.answered(*tickets) == [None, hit(5)]
    assert desk.call().names == ["A"]


def test_a_read_asks_for_no_more_than_fits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_NAMES", 2)
    desk.ask("A", "B", "C")
    assert [sorted(desk.take_read().names) for _ in range(2)] == [["A", "B"], ["C"]]
    assert desk.lookups.take_read() is None


# Without a cache, or a lease.


def test_without_a_cache_nothing_is_read_joined_or_kept_and_the_answers_say_so() -> None:
    asking = LookupQueue(None)
    asking.add("A", 1, 0.0)
    assert asking.take_read() is None
    first = asking.take_call()
    asking.add("A", 2, 0.0)
    second = asking.take_call()
    assert first is not None
    assert second is not None
    assert asking.answered(first, {"A": quote(5)}, 0.0) == {}
    assert asking.take_answered() == [(1, LookupResult(quote(5), Source.OFF))]
    assert asking.answered(second, {}, 0.0) == {}
    assert asking.take_answered() == [(2, LookupResult(None, Source.OFF))]


def test_without_a_lease_nothing_is_read_joined_or_kept() -> None:
    desk = Desk(leased=False)
    tickets = desk.ask("A")
    assert desk.lookups.take_read() is None
    first = desk.call()
    tickets += desk.ask("A")
    second = desk.call()
    assert desk.answer(first, A=5) == {}
    assert desk.answered(*tickets) == [miss(5), None]
    assert desk.answer(second, A=5) == {}
    assert desk.answered(*tickets) == [None, miss(5)]


# From those who know.


def test_what_comes_together_goes_in_one_call_and_a_stock_once(desk: Desk) -> None:
    tickets = desk.ask("A", "B", "A", "nope")
    call = desk.call()
    assert sorted(call.names) == ["A", "B", "nope"]
    desk.answer(call, A=5, B=6)
    assert desk.answered(*tickets) == [miss(5), miss(6), miss(5), miss(None)]


def test_so_many_calls_are_under_way_and_the_next_takes_what_came_meanwhile(desk: Desk) -> None:
    desk.ask("A")
    assert desk.call().names == ["A"]
    desk.ask("B")
    second = desk.call()
    assert second.names == ["B"]
    desk.ask("C", "D", "C")
    desk.read()
    assert desk.lookups.take_call() is None
    desk.answer(second, B=5)
    assert sorted(desk.call().names) == ["C", "D"]


def test_a_call_asks_for_no_more_than_fits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_NAMES", 2)
    tickets = desk.ask("A", "B", "C", "A")
    first, second = desk.call(), desk.call()
    assert (sorted(first.names), second.names) == (["A", "B"], ["C"])
    desk.answer(first, A=5, B=5)
    desk.answer(second, C=5)
    assert desk.answered(*tickets) == [miss(5)] * 4


def test_a_lookup_from_before_the_call_takes_any_answer(desk: Desk) -> None:
    """It was true after they had asked."""
    tickets = desk.ask("A", "B")
    call = desk.call()
    desk.publisher.push({"A": 7})
    desk.lose_lease()
    assert desk.answer(call, A=6) == {}
    assert desk.answered(*tickets) == [miss(6), miss(None)]


def test_a_call_without_an_answer_fails_all_its_lookups(desk: Desk) -> None:
    tickets = desk.ask("A", "B")
    call = desk.call()
    joined = desk.ask("A")
    desk.read()
    error = Unavailable("no catalog answers")
    desk.lookups.failed(call, error)
    assert desk.answered(*tickets, *joined) == [error] * 3
    assert desk.idle()
    again = desk.ask("A")
    desk.answer(desk.call(), A=5)
    assert desk.answered(*again) == [miss(5)], "the next call is not held up"


# Joining a call that is under way.


def test_a_lookup_joins_a_call_that_asks_for_its_stock(desk: Desk) -> None:
    first = desk.ask("A", "B")
    call = desk.call()
    joined = desk.ask("B", "A", "B")
    desk.read(A=4)
    assert desk.lookups.take_call() is None
    desk.answer(call, A=5, B=5)
    assert desk.answered(*first, *joined) == [miss(5)] * 5
    assert desk.idle()


def test_a_lookup_of_another_stock_joins_nothing(desk: Desk) -> None:
    desk.ask("A")
    desk.call()
    desk.ask("B")
    assert desk.call().names == ["B"]


def test_a_lookup_that_joined_is_not_answered_with_what_may_be_older(
    desk: Desk,
) -> None:
    """The call may have been answered before a trade that was acknowledged before they asked."""
    first = desk.ask("A")
    call = desk.call()
    desk.publisher.push({"A": 6})
    joined = desk.ask("A")
    desk.read()
    assert desk.answer(call, A=5) == {}
    assert desk.answered(*first, *joined) == [miss(5), None]
    again = desk.call()
    desk.publisher.push({"A": 8})
    desk.answer(again, A=7)
    assert desk.answered(*joined) == [miss(7)], "now they were there before the call"
    assert desk.idle()


def test_a_lookup_that_joined_is_not_told_that_there_is_no_such_stock(desk: Desk) -> None:
    first = desk.ask("New")
    call = desk.call()
    joined = desk.ask("New")
    desk.read()
    desk.answer(call)
    assert desk.answered(*first, *joined) == [miss(None), None]
    desk.answer(desk.call(), New=9)
    assert desk.answered(*joined) == [miss(9)]


def test_a_lookup_that_joined_is_sent_again_if_the_lease_has_ended_by_then(desk: Desk) -> None:
    first = desk.ask("A")
    call = desk.call()
    joined = desk.ask("A")
    desk.read()
    desk.lose_lease()
    desk.answer(call, A=5)
    assert desk.answered(*first, *joined) == [miss(5), None]
    desk.answer(desk.call(), A=5)
    assert desk.answered(*joined) == [miss(5)]


def test_no_lookup_joins_a_call_once_the_lease_has_ended(desk: Desk) -> None:
    desk.ask("A")
    desk.call()
    desk.ask("A")
    read = desk.take_read()
    desk.lose_lease()
    desk.read(read)
    assert desk.call().names == ["A"]


def test_a_lookup_that_joined_may_be_answered_under_a_later_lease(desk: Desk) -> None:
    """Whether a quote may be shown is decided when it comes, and by nothing before."""
    first = desk.ask("A", "B")
    call = desk.call()
    joined = desk.ask("A", "B")
    desk.read()
    desk.lose_lease()
    desk.publisher.grant(A=5, B=6)
    assert desk.answer(call, A=5, B=5) == {"A": quote(5)}
    assert desk.answered(*first, *joined) == [miss(5), miss(5), miss(5), None]


# What the cache keeps.


def test_what_may_be_shown_is_kept_and_nothing_else(desk: Desk) -> None:
    desk.ask("A", "B", "C", "New", "nope")
    call = desk.call()
    desk.publisher.push({"B": 6})
    kept = desk.answer(call, A=5, B=5, C=9, New=9)
    assert kept == {"A": quote(5), "C": quote(9)}
    assert call.history == desk.publisher.history


def test_an_answer_that_was_not_asked_for_is_not_kept(desk: Desk) -> None:
    desk.ask("A")
    assert desk.answer(desk.call(), A=5, B=5) == {"A": quote(5)}


def test_nothing_is_kept_after_the_lease(desk: Desk) -> None:
    desk.ask("A")
    call = desk.call()
    desk.publisher.now += LEASE
    assert desk.answer(call, A=5) == {}


def test_nothing_is_kept_of_a_call_that_was_sent_under_another_order_log(desk: Desk) -> None:
    desk.ask("A")
    call = desk.call()
    desk.lose_lease()
    desk.publisher.history = "log-2"
    desk.publisher.grant(A=1)
    assert desk.answer(call, A=5) == {}


def test_nothing_is_kept_of_what_was_answered_from_another_order_log(desk: Desk) -> None:
    """The catalog may not have heard of a new leader yet, or be ahead of a restored log."""
    first = desk.ask("A")
    call = desk.call()
    joined = desk.ask("A")
    desk.read()
    assert desk.lookups.answered(call, {"A": quote(5)}, desk.now, "log-2") == {}
    found = desk.answered(*first, *joined)
    assert found == [LookupResult(quote(5), Source.MISS, "log-2"), None]
    call = desk.call()
    kept = desk.lookups.answered(call, {"A": quote(5)}, desk.now, "log-1")
    assert kept == {"A": quote(5)}


def test_nothing_is_kept_of_a_call_that_was_sent_before_the_log_was_known() -> None:
    """There is no history to keep it under."""
    desk = Desk(leased=False)
    desk.ask("A")
    call = desk.call()
    desk.publisher.grant(A=5)
    assert desk.answer(call, A=5) == {}


# Too much.


def test_more_lookups_than_fit_are_refused_until_some_are_answered() -> None:
    desk = Desk(capacity=2)
    tickets = desk.ask("A", "B")
    with pytest.raises(Unavailable, match="too many"):
        desk.ask("C")
    desk.read(A=5)
    assert desk.answered(*tickets) == [hit(5), None]
    desk.ask("C")
    with pytest.raises(Unavailable, match="too many"):
        desk.ask("C")


# Stocks that a catalog holds.


def miss_of(version: int) -> LookupResult:
    return LookupResult(quote(version), Source.MISS, "log-1")


def answer_held(desk: Desk, call: UpstreamCall, *held: str, **versions: int) -> None:
    quotes = {name: quote(version) for name, version in versions.items()}
    desk.lookups.answered(call, quotes, desk.now, "log-1", held)


def test_a_stock_that_a_catalog_holds_is_asked_for_again_and_the_others_are_answered() -> None:
    desk = Desk()
    held, other = desk.ask("A", "B")
    answer_held(desk, desk.call(), "A", B=5)
    assert desk.answered(held, other) == [None, miss_of(5)]
    again = desk.lookups.take_call()
    assert again is not None
    assert (again.names, again.again) == (["A"], True)
    answer_held(desk, again, A=6)
    assert desk.answered(held) == [miss_of(6)]


def test_stocks_that_are_held_keep_no_other_lookup_waiting() -> None:
    """They have a call of their own, and one only."""
    desk = Desk(in_flight=1)
    desk.ask("A")
    answer_held(desk, desk.call(), "A")
    again = desk.lookups.take_call()
    assert again is not None
    (other,) = desk.ask("B")
    call = desk.call()
    assert call.names == ["B"]
    answer_held(desk, call, B=5)
    assert desk.answered(other) == [miss_of(5)]
    desk.ask("C")
    answer_held(desk, desk.call(), "C")
    assert desk.lookups.take_call() is None, "one is under way"
    answer_held(desk, again, "A")
    both = desk.lookups.take_call()
    assert both is not None
    assert sorted(both.names) == ["A", "C"]


def test_lookups_that_joined_are_asked_for_again_as_well() -> None:
    desk = Desk()
    first = desk.ask("A")
    call = desk.call()
    second = desk.ask("A")
    desk.read()
    answer_held(desk, call, "A")
    again = desk.lookups.take_call()
    assert again is not None
    answer_held(desk, again, A=7)
    assert desk.answered(*first, *second) == [miss_of(7), miss_of(7)]
