"""The first stocks of a market: one catalog after the other is asked until one answers."""

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.market import Listing
from twisted_bazaar.order.listing import FirstListing

STOCKS = [Listing("GameStart", 1599, 100)]
LOST = Unavailable("catalog: connection refused")


class Catalog:
    """A catalog that answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Sequence[Listing]]] = []

    def listing(self, partition: int = 0) -> Deferred[Sequence[Listing]]:
        self.asked.append(Deferred())
        return self.asked[-1]


class World:
    """A replica that leads a market without stocks, and two catalogs."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wanted = True
        self.catalogs = [Catalog(), Catalog()]
        self.came: list[Sequence[Listing] | None] = []
        self.failed: list[Failure] = []
        self.listing = FirstListing(
            self.clock,
            cast(Any, self.catalogs),
            lambda: self.wanted,
            self.came.append,
            self.failed.append,
            0.5,
        )

    @property
    def asked(self) -> list[int]:
        return [len(catalog.asked) for catalog in self.catalogs]


def test_the_first_that_answers_is_believed() -> None:
    world = World()
    world.listing.begin()
    world.listing.begin()
    assert world.asked == [1, 0], "it is under way"
    world.catalogs[0].asked[0].callback(STOCKS)
    assert (world.came, world.asked) == ([STOCKS], [1, 0])
    world.listing.begin()
    assert world.asked == [2, 0]


def test_one_that_does_not_answer_is_left_for_the_next() -> None:
    world = World()
    world.listing.begin()
    world.catalogs[0].asked[0].errback(LOST)
    world.catalogs[1].asked[0].callback(STOCKS)
    assert (world.came, world.asked) == ([STOCKS], [1, 1])


def test_after_all_were_asked_in_vain_there_is_a_pause() -> None:
    world = World()
    world.listing.begin()
    for catalog in world.catalogs:
        catalog.asked[0].errback(LOST)
    world.clock.advance(0.4)
    world.listing.begin()
    assert (world.came, world.asked) == ([], [1, 1])
    world.clock.advance(0.2)
    assert world.came == [None]
    world.listing.begin()
    assert world.asked == [2, 1]


def test_what_is_wanted_no_longer_is_not_asked_for() -> None:
    world = World()
    world.listing.begin()
    world.wanted = False
    world.catalogs[0].asked[0].errback(LOST)
    world.clock.advance(1.0)
    assert (world.came, world.asked) == ([None], [1, 0])


def test_an_unexpected_error_is_told() -> None:
    world = World()
    world.listing.begin()
    world.catalogs[0].asked[0].errback(ZeroDivisionError())
    assert [failure.type for failure in world.failed] == [ZeroDivisionError]
    assert world.came == []
