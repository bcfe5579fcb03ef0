"""A stock that is not where it was asked for: the leader that was asked says where it went."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.errors import Unavailable

from .members import GIVE_UP, PAUSE, Members, at_home_in, moved

[STOCK] = at_home_in(0)
[OTHER] = at_home_in(0, 2)[1:]


@pytest.fixture
def members() -> Members:
    return Members()


def after(members: Members, stock: str = STOCK, asked: int = 0) -> list[Any]:
    """What is found, once it is."""
    found: list[Any] = []
    looked_for = Deferred.fromCoroutine(members.whereabouts.after(stock, asked, GIVE_UP))
    looked_for.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def test_an_unknown_stock_is_nowhere(members: Members) -> None:
    assert after(members) == [None]
    assert members.asked == [1]


def test_it_is_where_its_leader_has_moved_it_and_that_is_remembered(members: Members) -> None:
    members.placements = [moved(STOCK, 2)]
    assert after(members) == [2]
    assert members.known.of(STOCK) == 2


def test_one_that_is_on_its_way_is_waited_for(members: Members) -> None:
    members.placements = [moved(STOCK, 2, arrived=False)]
    found = after(members)
    members.clock.advance(PAUSE / 2)
    assert found == []
    members.clock.advance(PAUSE / 2)
    assert found == [2]


@pytest.mark.parametrize("fault", ["silent", "deposed"])
def test_only_the_leader_of_the_partition_says_that_a_stock_is_nowhere(
    members: Members, fault: str
) -> None:
    getattr(members, fault).add(1)
    found = after(members)
    assert found == []
    getattr(members, fault).clear()
    members.placements = [moved(STOCK, 1)]
    members.clock.advance(PAUSE)
    assert found == [1]


def test_without_a_leader_it_is_not_known_in_the_end(members: Members) -> None:
    members.leaderships[0].leader = 0
    found = after(members)
    members.clock.pump([PAUSE] * 60)
    [why] = found
    assert isinstance(why, Unavailable)
    assert members.asked == []
    assert members.clock.seconds() >= GIVE_UP


def test_all_that_wait_for_a_leader_share_a_question_that_was_sent_after_they_came(
    members: Members,
) -> None:
    members.held = []
    first = after(members)
    second, third = after(members, OTHER), after(members, OTHER)
    assert members.asked == [1], "one at a time"
    members.held.pop()[1].callback(members.says(1))
    assert (first, second, third) == ([None], [], [])
    assert members.asked == [1, 1], "what was said before they came may be too old for them"
    members.placements = [moved(OTHER, 1)]
    members.held.pop()[1].callback(members.says(1))
    assert (second, third) == ([1], [1])


def test_leaders_of_several_partitions_are_asked_side_by_side(members: Members) -> None:
    members.held = []
    found = after(members), after(members, at_home_in(2)[0], asked=2)
    assert members.asked == [1, 3]
    for member, answer in members.held:
        answer.callback(members.says(member))
    assert found == ([None], [None])
