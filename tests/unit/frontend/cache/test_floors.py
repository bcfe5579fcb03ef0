"""Floors: a quote may be shown under a lease, from its floor to the last index pushed."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.fakes.publisher import HISTORY, LEASE, TIMING, FakePublisher
from twisted_bazaar.leases import MAX_DRIFT, Stamp
from twisted_bazaar.rpc.push import Push, PushReply

SOON = 0.001
"""A moment later."""


@pytest.fixture
def publisher() -> FakePublisher:
    publisher = FakePublisher()
    assert publisher.floors.subscribe(publisher.now)
    return publisher


def allows(publisher: FakePublisher, name: str, *versions: int) -> list[bool]:
    return [publisher.floors.allow(name, version, publisher.now) for version in versions]


# Floors.


def test_a_quote_at_its_floor_or_above_may_be_shown_and_none_below(
    publisher: FakePublisher,
) -> None:
    publisher.grant(A=5)
    assert allows(publisher, "A", 4, 5, 6) == [False, True, True]


def test_a_stock_without_a_floor_is_not_shown(publisher: FakePublisher) -> None:
    """It came to the market after the last push, or never."""
    publisher.grant(A=5)
    assert allows(publisher, "B", 0, 1, 9, 10**15) == [False] * 4


def test_a_quote_above_what_was_pushed_is_not_shown(publisher: FakePublisher) -> None:
    """No catalog has shown it: it is of a log that was lost, or of an unknown one."""
    publisher.grant(A=5)
    assert allows(publisher, "A", 9, 10, 10**15) == [True, False, False]
    publisher.push(upto=12)
    publisher.push(upto=3)
    assert allows(publisher, "A", 12, 13) == [True, False]


def test_a_push_is_answered_with_what_is_known_now_and_when(publisher: FakePublisher) -> None:
    publisher.now = 12.5
    reply = publisher.push({"A": 5}, upto=7)
    assert reply == PushReply(upto=7, stamp=Stamp(publisher.floors.life, 12.5))


def test_a_push_that_comes_late_or_again_lowers_nothing(publisher: FakePublisher) -> None:
    publisher.grant(A=5)
    for floor in 9, 3, 9, 5:
        reply = publisher.push({"A": floor}, upto=floor)
        assert reply == PushReply(upto=floor, stamp=Stamp(publisher.floors.life, publisher.now))
    assert allows(publisher, "A", 8, 9) == [False, True]


# The lease.


def test_a_market_is_current_between_the_highest_floor_and_what_was_pushed(
    publisher: FakePublisher,
) -> None:
    publisher.grant(A=5, B=8)
    current = [upto for upto in range(12) if publisher.floors.current(HISTORY, upto, publisher.now)]
    assert current == [8, 9]
    assert not publisher.floors.current("another log", 8, publisher.now)
    assert not publisher.floors.current("", 8, publisher.now)
    publisher.now += LEASE
    assert not publisher.floors.current(HISTORY, 8, publisher.now)


def test_no_floor_is_above_the_highest(publisher: FakePublisher) -> None:
    publisher.grant(A=5, B=8)
    assert publisher.floors.highest == 8
    publisher.push({"A": 6, "B": 7})
    assert publisher.floors.highest == 8
    publisher.push({"A": 9})
    assert publisher.floors.highest == 9
    publisher.now += 3 * TIMING.lease
    publisher.grant(A=7)
    assert publisher.floors.highest == 7, "each subscription begins anew"


def test_without_a_lease_nothing_is_shown(publisher: FakePublisher) -> None:
    publisher.push({"A": 5})
    assert not publisher.floors.alive(publisher.now)
    assert allows(publisher, "A", 5, 6) == [False, False]


def test_a_lease_is_counted_from_when_the_answer_was_sent(publisher: FakePublisher) -> None:
    sent = publisher.now
    reply = publisher.push({"A": 5})
    publisher.now += 0.8
    publisher.push(stamp=reply.stamp)
    publisher.now = sent + LEASE - SOON
    assert allows(publisher, "A", 5) == [True]
    publisher.now = sent + LEASE
    assert allows(publisher, "A", 5) == [False]


def test_a_lease_that_comes_after_its_end_is_none(publisher: FakePublisher) -> None:
    reply = publisher.push({"A": 5})
    publisher.now += LEASE
    publisher.push(stamp=reply.stamp)
    assert allows(publisher, "A", 5) == [False]


def test_a_shorter_lease_that_comes_late_takes_nothing_away(publisher: FakePublisher) -> None:
    first = publisher.grant(A=5)
    publisher.now += 0.5
    publisher.grant(A=5)
    publisher.push(stamp=first)
    publisher.now += LEASE - SOON
    assert allows(publisher, "A", 5) == [True]


def test_a_lease_that_an_earlier_life_earned_is_worth_nothing(publisher: FakePublisher) -> None:
    old = publisher.grant(A=5)
    publisher.now += TIMING.lease
    assert publisher.floors.subscribe(publisher.now)
    publisher.push({"A": 5}, Stamp(old.life, publisher.now))
    assert allows(publisher, "A", 5) == [False]


def test_on_the_slowest_clock_a_lease_ends_before_the_fastest_stops_waiting() -> None:
    longest = LEASE / (1 - MAX_DRIFT)
    assert longest <= TIMING.lease / (1 + MAX_DRIFT)
    assert longest > 0.8 * TIMING.lease, "and is of use"


# Subscriptions.


def test_a_new_subscription_begins_with_nothing_known(publisher: FakePublisher) -> None:
    publisher.grant(A=5, B=5)
    floors, life = publisher.floors, publisher.floors.life
    assert floors.history == publisher.history
    publisher.now += TIMING.lease
    assert floors.subscribe(publisher.now)
    assert floors.life != life
    assert (floors.history, floors.alive(publisher.now)) == ("", False)
    publisher.grant(A=1)
    assert allows(publisher, "A", 1) == [True]
    assert allows(publisher, "B", 5) == [False]


def test_a_push_of_another_subscription_is_told_so_and_changes_nothing(
    publisher: FakePublisher,
) -> None:
    old = publisher.floors.life
    publisher.now += TIMING.lease
    assert publisher.floors.subscribe(publisher.now)
    stamp = Stamp(publisher.floors.life, publisher.now)
    assert publisher.push({"A": 1}, stamp, old, upto=7) == PushReply(upto=7, stamp=None)
    assert (publisher.floors.history, publisher.floors.alive(publisher.now)) == ("", False)
    publisher.grant(B=1)
    assert allows(publisher, "A", 1) == [False]


def test_a_push_of_another_order_log_ends_the_subscription(publisher: FakePublisher) -> None:
    """Its versions say nothing of those that are known here: one of the two is over."""
    stamp = publisher.grant(A=5)
    publisher.history = "log-2"
    assert publisher.push({"A": 1}, stamp, upto=7) == PushReply(upto=7, stamp=None)
    assert publisher.floors.life != stamp.life
    assert (publisher.floors.history, publisher.floors.alive(publisher.now)) == ("", False)
    assert allows(publisher, "A", 1, 5) == [False, False]
    publisher.history = "log-1"
    assert publisher.push({"A": 5}, stamp, stamp.life) == PushReply(upto=9, stamp=None)
    assert publisher.floors.subscribe(publisher.now), "at once: it knows that it has none"
    assert not publisher.floors.subscribe(publisher.now), "and then no more often than ever"


def test_a_subscription_is_asked_for_only_without_a_lease(publisher: FakePublisher) -> None:
    publisher.grant(A=5)
    publisher.now += 0.5
    renewed = publisher.grant(A=5)
    publisher.now = renewed.at_seconds + LEASE - SOON
    assert not publisher.floors.subscribe(publisher.now)
    assert publisher.floors.life == renewed.life
    publisher.now = renewed.at_seconds + LEASE
    assert publisher.floors.subscribe(publisher.now)
    assert publisher.floors.life != renewed.life


def test_a_subscription_has_a_lease_s_time_to_be_worth_something(publisher: FakePublisher) -> None:
    life = publisher.floors.life
    assert not publisher.floors.subscribe(publisher.now + TIMING.lease - SOON)
    assert publisher.floors.life == life
    assert publisher.floors.subscribe(publisher.now + TIMING.lease)


def test_a_refused_subscription_is_asked_for_again_a_heartbeat_later(
    publisher: FakePublisher,
) -> None:
    publisher.floors.refused(publisher.now)
    assert not publisher.floors.subscribe(publisher.now + TIMING.heartbeat - SOON)
    assert publisher.floors.subscribe(publisher.now + TIMING.heartbeat)


# Any pushes in any order.

THIS_LIFE = 2
"""`FakePublisher` counts them: this is that of the first subscription."""
LIVES = st.sampled_from((1, THIS_LIFE, THIS_LIFE, THIS_LIFE, 3))
NAMES = "A", "B", "C"
VERSIONS = st.integers(1, 6)
STAMPS = st.builds(Stamp, LIVES, st.floats(8.0, 10.0))
PUSHES = st.lists(
    st.builds(
        Push,
        life=LIVES,
        history=st.just("log-1"),
        upto=st.integers(0, 9),
        floors=st.dictionaries(st.sampled_from(NAMES), VERSIONS),
        stamp=st.none() | STAMPS,
        seconds=st.floats(0.0, 1.0),
    ),
    max_size=12,
)


def highest(pushes: Sequence[Push]) -> Mapping[str, int]:
    """The highest floor of each stock that has one."""
    floors: dict[str, int] = {}
    for push in pushes:
        for name, floor in push.floors.items():
            floors[name] = max(floor, floors.get(name, 0))
    return floors


@settings(deadline=None)
@given(PUSHES, st.floats(9.0, 11.0))
def test_of_any_pushes_in_any_order_the_highest_floors_and_the_longest_lease_count(
    pushes: list[Push], now: float
) -> None:
    publisher = FakePublisher()
    publisher.floors.subscribe(publisher.now)
    assert publisher.floors.life == THIS_LIFE
    ours = [push for push in pushes if push.life == THIS_LIFE]
    replies = [publisher.floors.push(push, publisher.now) for push in pushes]
    taken = [push for push, reply in zip(pushes, replies, strict=True) if reply.stamp is not None]
    assert taken == ours
    floors = highest(ours)
    stamps = [(push.stamp, push.seconds) for push in ours if push.stamp is not None]
    until = [
        stamp.at_seconds + LEASE * seconds / TIMING.lease
        for stamp, seconds in stamps
        if stamp.life == THIS_LIFE
    ]
    assume(not any(abs(now - each) < SOON for each in until))
    alive = any(now < each for each in until)
    assert publisher.floors.alive(now) == alive
    upto = max((push.upto for push in ours), default=0)
    for name in NAMES:
        for version in range(11):
            shown = alive and name in floors and floors[name] <= version <= upto
            assert publisher.floors.allow(name, version, now) == shown
