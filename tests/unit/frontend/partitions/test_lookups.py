"""Lookups of several partitions, and the whole market put together of all."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote, Source
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.frontend.partitions.lookups import LookupRouter
from twisted_bazaar.market import Stock

from .members import PARTITIONS, PAUSE, Members, at_home_in, moved, outcome_of

HOME = [at_home_in(partition)[0] for partition in range(PARTITIONS)]
WITHIN = 2.5
NONE = LookupResult(None, Source.MISS, "log")


class Service:
    """Stands in for the `LookupService` of one partition."""

    def __init__(self) -> None:
        self.single: list[tuple[str, Deferred[Any]]] = []
        self.whole: list[Deferred[Any]] = []

    def look_up(self, name: str) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.single.append((name, answer))
        return answer

    def look_up_all(self) -> Deferred[Any]:
        def gone(answer: Deferred[Any]) -> None:
            answer.errback(Unavailable("the client has gone"))

        self.whole.append(Deferred(gone))
        return self.whole[-1]


class World:
    def __init__(self) -> None:
        self.members = Members()
        self.services = [Service() for _ in range(PARTITIONS)]
        services: Any = self.services
        self.router = LookupRouter(
            self.members.clock,  # type: ignore[arg-type]
            self.members.clock.seconds,
            services,
            self.members.whereabouts,
            WITHIN,
            PAUSE,
        )

    def show(self, *markets: MarketSnapshot) -> None:
        """Each partition answers its last question."""
        for service, market in zip(self.services, markets, strict=True):
            service.whole.pop().callback(market)


@pytest.fixture
def world() -> World:
    return World()


def quote(version: int) -> LookupResult:
    return LookupResult(Quote(version, b"{}"), Source.HIT, "log")


def market(partition: int, upto: int, *stocks: str) -> MarketSnapshot:
    return MarketSnapshot.of(
        [Stock(each, 100, 10, 0, upto) for each in stocks], f"log-{partition}", upto
    )


def test_a_stock_is_looked_up_where_it_is(world: World) -> None:
    for partition, stock in enumerate(HOME):
        answer = world.router.look_up(stock)
        [(name, asked)] = world.services[partition].single
        assert name == stock
        asked.callback(quote(partition))
        assert outcome_of(answer) == quote(partition)


def test_one_that_is_nowhere_is_not_there(world: World) -> None:
    answer = world.router.look_up(HOME[1])
    world.services[1].single[0][1].callback(NONE)
    assert outcome_of(answer) == NONE
    assert world.members.asked == [2]


def test_one_that_was_moved_is_looked_up_there(world: World) -> None:
    world.members.placements = [moved(HOME[1], 2)]
    answer = world.router.look_up(HOME[1])
    world.services[1].single[0][1].callback(NONE)
    world.services[2].single[0][1].callback(quote(8))
    assert outcome_of(answer) == quote(8)


def test_one_that_is_on_its_way_for_too_long_cannot_be_looked_up(world: World) -> None:
    world.members.placements = [moved(HOME[1], 2, arrived=False)]
    found: list[Any] = []
    world.router.look_up(HOME[1]).addErrback(lambda failure: found.append(failure.value))
    world.services[1].single[0][1].callback(NONE)
    for _ in range(int(WITHIN / PAUSE) + 2):
        world.members.clock.advance(PAUSE)
        for _, answer in world.services[2].single:
            if not answer.called:
                answer.callback(NONE)
    [why] = found
    assert isinstance(why, Unavailable)


# The whole market.


def test_the_whole_market_is_by_name_and_has_a_tag_of_its_own(world: World) -> None:
    answer = world.router.look_up_all()
    world.show(market(0, 4, "C", "A"), market(1, 5, "B"), market(2, 1))
    whole = outcome_of(answer)
    assert list(whole.shown) == ["A", "B", "C"]
    assert (
        whole.body
        == MarketSnapshot.of(
            [Stock("A", 100, 10, 0, 4), Stock("B", 100, 10, 0, 5), Stock("C", 100, 10, 0, 4)], "", 0
        ).body
    )
    answer = world.router.look_up_all()
    world.show(market(0, 4, "C", "A"), market(1, 6, "B"), market(2, 1))
    later = outcome_of(answer)
    assert (later.history, later.upto) != (whole.history, whole.upto)
    answer = world.router.look_up_all()
    world.show(market(0, 5, "C", "A"), market(1, 5, "B"), market(2, 1))
    other = outcome_of(answer)
    assert other.upto == later.upto
    assert other.history != later.history, "the same sum of other places"


def test_a_market_that_is_shown_again_is_put_together_once(world: World) -> None:
    parts = market(0, 4, "A"), market(1, 5, "B"), market(2, 1, "C")
    wholes = []
    for _ in range(2):
        answer = world.router.look_up_all()
        world.show(*parts)
        wholes.append(outcome_of(answer))
    assert wholes[0] is wholes[1]


def test_a_market_as_of_an_unknown_entry_has_no_tag(world: World) -> None:
    answer = world.router.look_up_all()
    world.show(market(0, 4, "A"), MarketSnapshot.of([], "log-1", 0), market(2, 1, "C"))
    whole = outcome_of(answer)
    assert (whole.history, whole.upto) == ("", 0)


def test_a_stock_that_two_partitions_show_is_asked_for_again(world: World) -> None:
    """The one has answered before it was moved, and the other after."""
    found: list[Any] = []
    world.router.look_up_all().addCallback(found.append)
    world.show(market(0, 4, "A"), market(1, 5, "A", "B"), market(2, 1, "C"))
    assert found == []
    world.members.clock.advance(PAUSE)
    world.show(market(0, 5), market(1, 5, "A", "B"), market(2, 1, "C"))
    assert list(found[0].shown) == ["A", "B", "C"]


def test_a_stock_that_no_partition_shows_as_it_moves_is_waited_for(world: World) -> None:
    answer = world.router.look_up_all()
    world.show(market(0, 4, "A"), market(1, 5, "B"), market(2, 1))
    assert len(outcome_of(answer).shown) == 2
    world.members.placements = [moved("A", 2, arrived=False)]
    found: list[Any] = []
    world.router.look_up_all().addCallback(found.append)
    world.show(market(0, 5), market(1, 5, "B"), market(2, 1))
    world.members.clock.advance(PAUSE)
    assert found == []
    world.members.clock.advance(PAUSE)
    world.show(market(0, 5), market(1, 5, "B"), market(2, 2, "A"))
    assert list(found[0].shown) == ["A", "B"]


def test_a_stock_that_a_restored_log_has_not_is_gone(world: World) -> None:
    stock = at_home_in(0)[0]
    for stocks in [(stock,), ()]:
        answer = world.router.look_up_all()
        world.show(market(0, 4 + len(stocks), *stocks), market(1, 5, "B"), market(2, 1))
        assert len(outcome_of(answer).shown) == 1 + len(stocks)


def test_a_partition_that_cannot_be_asked_fails_the_whole(world: World) -> None:
    answer = world.router.look_up_all()
    why = Unavailable("gone")
    world.services[1].whole[0].errback(why)
    assert outcome_of(answer) is why


def test_a_client_that_has_gone_is_withdrawn_from_all(world: World) -> None:
    answer = world.router.look_up_all()
    answer.cancel()
    assert isinstance(outcome_of(answer), Unavailable)
    assert all(service.whole[0].called for service in world.services)
