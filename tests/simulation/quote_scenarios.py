"""Directed schedules for the quotes that pushes carry."""

from twisted_bazaar.catalog.subscribers import QUOTE_SECONDS

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, probe
from .proposal_scenarios import ONE, busy_again, place, quiet
from .scenarios import scenario
from .truth import Violation

__all__: list[str] = []


@scenario
def what_was_traded_is_in_the_cache_soon_after_its_release(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    quiet(bazaar)
    answered: list[float] = []
    for attempt in range(10):
        place(bazaar, first, f"kept-{attempt}", ONE, answered)
        bazaar.world.run(bazaar.world.now + 0.1 + QUOTE_SECONDS)
        probe(bazaar, first, ONE)
        bazaar.world.run(bazaar.world.now + 0.1)
    if first.pushed < len(answered) - 2:
        raise Violation(11, f"{first.pushed} quotes of {len(answered)} trades were pushed")
    busy_again(bazaar)


@scenario
def a_quote_waits_until_every_front_end_knows_its_floor(bazaar: SimulatedBazaar) -> None:
    """One front-end hears late what the other has answered long ago."""
    first, second = informed(bazaar)[:2]
    quiet(bazaar)
    for attempt in range(8):
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.06)
        place(bazaar, first, f"waits-{attempt}", ONE, [])
        for _ in range(40):
            for member in (first, second):
                probe(bazaar, member, ONE)
            bazaar.world.run(bazaar.world.now + 0.003)
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.0)
        bazaar.world.run(bazaar.world.now + 0.2)
    busy_again(bazaar)


@scenario
def a_quote_that_is_older_than_the_floor_is_not_shown(bazaar: SimulatedBazaar) -> None:
    """A trade is released while the next of its stock is cleared and not yet committed."""
    first = informed(bazaar)[0]
    leader = quiet(bazaar)
    for attempt in range(10):
        for order in leader.peers.values():
            bazaar.network.delay(leader.name, order.name, 0.03)
        for count in range(2):
            place(bazaar, first, f"older-{attempt}-{count}", ONE, [])
            bazaar.world.run(bazaar.world.now + 0.012)
        for _ in range(80):
            probe(bazaar, first, ONE)
            bazaar.world.run(bazaar.world.now + 0.001)
        for order in leader.peers.values():
            bazaar.network.delay(leader.name, order.name, 0.0)
        bazaar.world.run(bazaar.world.now + 0.2)
    busy_again(bazaar)
