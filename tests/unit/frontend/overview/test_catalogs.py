"""Catalogs are asked when somebody asks, and seldom."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import result_of
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.overview.catalogs import ASKED_EVERY_SECONDS, CatalogStatuses
from twisted_bazaar.frontend.overview.parts import Asked, AskedCatalog
from twisted_bazaar.rpc.catalog_status import CatalogStatus
from twisted_bazaar.runtime.address import Address

SAID = CatalogStatus(applied=830, released=829, lease_seconds=0.8, serving=True)


class FakeCatalog:
    def __init__(self, port: int) -> None:
        self.address = Address("127.0.0.1", port)
        self.asked: list[Deferred[CatalogStatus | None]] = []
        self.timeouts: list[float] = []

    def status(self, timeout: float) -> Deferred[CatalogStatus | None]:
        self.timeouts.append(timeout)
        self.asked.append(Deferred())
        return self.asked[-1]


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.first, self.second = FakeCatalog(7000), FakeCatalog(7009)
        self.leader_index = 830
        catalogs: Any = [self.first, self.second]
        self.statuses = CatalogStatuses(self.clock.seconds, catalogs, lambda: self.leader_index)

    def ask(self) -> list[Asked]:
        return result_of(self.statuses.ask())

    def answer(self) -> None:
        for each in (self.first, self.second):
            each.asked[-1].callback(SAID)


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_asked_before_somebody_asks(world: World) -> None:
    assert world.first.asked == []
    world.ask()
    assert world.first.timeouts == world.second.timeouts == [0.5]


def test_all_are_asked_at_once_and_the_answer_has_all_in_their_order(world: World) -> None:
    asked = world.ask()
    world.second.asked[0].callback(SAID)
    assert asked == []
    world.first.asked[0].errback(Unavailable("silent"))
    [[first, second]] = asked
    assert first == AskedCatalog(address=world.first.address, reachable=False)
    assert second == AskedCatalog(
        address=world.second.address, reachable=True, status=SAID, leader_index=830
    )


def test_an_unexpected_error_is_logged_and_all_who_ask_are_answered(
    world: World, logged_failures: list[Failure]
) -> None:
    asked = world.ask()
    world.first.asked[0].errback(ZeroDivisionError("a bug"))
    world.second.asked[0].callback(SAID)
    assert [each.reachable for each in asked[0]] == [False, True]
    [failure] = logged_failures
    assert failure.check(ZeroDivisionError)
    logged_failures.clear()


def test_one_of_an_earlier_release_is_reachable_and_says_nothing(world: World) -> None:
    asked = world.ask()
    world.first.asked[0].callback(None)
    world.second.asked[0].callback(SAID)
    [[first, _]] = asked
    assert (first.reachable, first.status) == (True, None)


def test_who_asks_meanwhile_or_within_a_second_is_given_the_same_answer(world: World) -> None:
    early, meanwhile = world.ask(), world.ask()
    world.clock.advance(0.4)
    world.answer()
    world.clock.advance(ASKED_EVERY_SECONDS - 0.5)
    late = world.ask()
    assert early == meanwhile == late
    assert len(early) == len(world.first.asked) == 1


def test_after_a_second_they_are_asked_again(world: World) -> None:
    world.ask()
    world.answer()
    world.clock.advance(ASKED_EVERY_SECONDS)
    again = world.ask()
    assert again == []
    world.answer()
    assert len(again) == 1
    assert len(world.first.asked) == 2


def test_one_that_owes_an_answer_is_not_asked_again(world: World) -> None:
    world.ask()
    world.clock.advance(5 * ASKED_EVERY_SECONDS)
    late = world.ask()
    assert len(world.first.asked) == 1
    world.answer()
    assert len(late) == 1


def test_the_leader_is_as_it_was_when_the_catalog_answered(world: World) -> None:
    """Else a catalog would seem to be behind by what has been traded since."""
    asked = world.ask()
    world.answer()
    world.leader_index = 900
    assert asked[0][0].leader_index == world.ask()[0][0].leader_index == 830
