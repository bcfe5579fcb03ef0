"""No lookup is answered with less than what was acknowledged before it was asked (invariant 9)."""

from collections.abc import Callable
from random import Random

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.fakes.cached_world import World

Event = Callable[[World], None]

EVENTS: tuple[Event, ...] = (
    *[World.clients_ask, World.cache_answers, World.call_ends] * 8,
    *[World.frontends_get_leases, World.something_changes, World.time_passes] * 4,
    *[World.catalog_pushes, World.push_arrives, World.reply_arrives, World.catalog_looks_up] * 2,
    World.frontends_subscribe,
    World.subscription_arrives,
    World.pushes_arrive_and_are_answered,
    World.push_is_lost,
    World.push_is_given_up,
    World.catalog_starts_again,
    World.another_market_begins,
)
"""What matters more is there more often."""


def world_after(seed: int, count: int, say: Callable[[str], None] = lambda _: None) -> World:
    """`count` events, which are the first of more for a higher `count`."""
    random = Random(seed)
    world = World(random)
    for _ in range(count):
        event = random.choice(EVENTS)
        say(event.__name__)
        event(world)
    world.finish()
    return world


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300))
def test_no_lookup_is_answered_with_less_than_was_acknowledged_before(
    seed: int, count: int
) -> None:
    world_after(seed, count, note)


def test_what_happens_there_is_what_can_go_wrong() -> None:
    """Hits, misses, failures and lookups that joined: else the test above shows nothing."""
    world = world_after(seed=1, count=10_000)
    for outcome in ("HIT", "MISS", "failed", "joined"):
        assert world.count[outcome] > 100, outcome
