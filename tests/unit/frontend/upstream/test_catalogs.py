"""Fail-over between catalogs: each in turn, and those that did not answer last."""

import pytest
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import Call, FakeCatalog, result_of
from twisted_bazaar.errors import BazaarError, Overloaded, Unavailable
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Subscription
from twisted_bazaar.timing import Timing

TIMING = Timing()
STOCKS = [Stock("A", 100, 5, 0, 1)]
SUBSCRIPTION = Subscription(address="127.0.0.1:8082", life=7, token="token")
MOMENT = TIMING.election_timeout
SOON = 0.001
"""A moment's end is this much later."""


class World:
    """A front-end that knows some catalogs."""

    def __init__(self, count: int) -> None:
        self.clock = Clock()
        self.fakes = [FakeCatalog() for _ in range(count)]
        self.catalogs = Catalogs(
            self.clock.seconds,
            self.fakes,  # type: ignore[arg-type]
            TIMING,
        )

    def look_up(self, *names: str) -> list[object]:
        return result_of(self.catalogs.look_up(names))

    def asked(self, name: str = "look_up") -> tuple[int, Call]:
        """The catalog that is asked now, and the call."""
        [(catalog, call)] = [
            (number, call) for number, fake in enumerate(self.fakes) for call in fake.open(name)
        ]
        return catalog, call

    def fail(self, error: Exception | None = None, name: str = "look_up") -> int:
        """The catalog that is asked now fails. Which it was."""
        catalog, call = self.asked(name)
        call.fail(error)
        return catalog

    def no_catalog_is_called(self) -> bool:
        return not any(fake.open("look_up") for fake in self.fakes)


@pytest.fixture
def world() -> World:
    return World(3)


def test_one_that_answers_is_enough(world: World) -> None:
    result = world.look_up("A", "B")
    catalog, call = world.asked()
    assert (catalog, call.arguments) == (0, (("A", "B"), MOMENT))
    call.reply(STOCKS)
    assert result == [STOCKS]
    assert world.no_catalog_is_called()


@pytest.mark.parametrize("error", [Unavailable("gone"), Overloaded("too many"), BazaarError("no")])
def test_when_one_fails_the_next_is_asked(world: World, error: BazaarError) -> None:
    result = world.look_up("A")
    assert [world.fail(error), world.fail(error)] == [0, 1]
    catalog, call = world.asked()
    assert catalog == 2
    call.reply(STOCKS)
    assert result == [STOCKS]


def test_the_one_that_answered_is_asked_first_next_time(world: World) -> None:
    world.look_up("A")
    world.fail()
    world.asked()[1].reply(STOCKS)
    world.clock.advance(MOMENT)
    world.look_up("A")
    assert [world.fail(), world.fail(), world.fail()] == [1, 2, 0]


def test_one_that_failed_is_passed_over_for_a_moment(world: World) -> None:
    result = world.look_up("A")
    world.fail()
    world.asked()[1].reply(STOCKS)
    world.clock.advance(MOMENT - SOON)
    result = world.look_up("A")
    assert [world.fail(), world.fail()] == [1, 2]
    assert isinstance(result[0], Unavailable), "the client does not wait for the other one"
    world.clock.advance(SOON)
    world.look_up("A")
    assert world.asked()[0] == 0


def test_when_all_fail_it_is_unavailable_and_for_a_moment_at_once(world: World) -> None:
    result = world.look_up("A")
    for _ in world.fakes:
        world.fail(Overloaded("too many calls"))
    assert [type(each) for each in result] == [Unavailable]
    [at_once] = world.look_up("A")
    assert isinstance(at_once, Unavailable)
    assert world.no_catalog_is_called()


def test_the_moment_begins_when_it_failed_not_when_it_was_asked() -> None:
    world = World(1)
    world.look_up("A")
    world.clock.advance(MOMENT)
    world.fail()
    assert isinstance(world.look_up("A")[0], Unavailable)
    world.clock.advance(MOMENT)
    world.look_up("A")
    assert world.asked()[0] == 0


def test_each_call_asks_all_catalogs_while_others_reorder_them(world: World) -> None:
    """No call asks a catalog twice, or leaves one out."""
    results = [world.look_up(name) for name in "AB"]
    for fake in world.fakes[:2]:
        for call in fake.open("look_up"):
            call.fail()
    for call in world.fakes[2].open("look_up"):
        call.reply(STOCKS)
    assert results == [[STOCKS], [STOCKS]]
    assert world.no_catalog_is_called()


def test_a_subscription_goes_to_the_first_catalog_that_takes_it(world: World) -> None:
    result = result_of(world.catalogs.subscribe(SUBSCRIPTION))
    assert world.fail(name="subscribe") == 0
    catalog, call = world.asked("subscribe")
    assert (catalog, call.arguments) == (1, (SUBSCRIPTION, MOMENT))
    call.reply()
    assert result == [None]


def test_an_unexpected_error_is_not_taken_for_a_catalog_s(world: World) -> None:
    result = world.look_up("A")
    world.fail(KeyError("a bug"))
    assert isinstance(result[0], KeyError)
    assert world.no_catalog_is_called()
    world.look_up("A")
    assert world.asked()[0] == 0
