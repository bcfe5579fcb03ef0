"""Directed schedules for entries that are cleared before they are committed."""

from twisted_bazaar.market import DEFAULT_LISTING, Placed, Side, Trade

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, probe
from .frontends import FrontendMember
from .members import TIMING, OrderMember
from .scenarios import elected, part, scenario, wait
from .truth import Violation

__all__: list[str] = []

ONE, OTHER, THIRD = (listing.name for listing in DEFAULT_LISTING[:3])


def quiet(bazaar: SimulatedBazaar) -> OrderMember:
    """No client does anything; returns the leader."""
    for client in bazaar.clients:
        client.idle = True
    bazaar.world.run(bazaar.world.now + 0.5)
    return elected(bazaar)


def busy_again(bazaar: SimulatedBazaar) -> None:
    for client in bazaar.clients:
        client.idle = False
        client.started()


def place(
    bazaar: SimulatedBazaar, frontend: FrontendMember, key: str, name: str, answered: list[float]
) -> None:
    """Sell a share of a stock; `answered` is told when that was acknowledged."""
    trade, before = Trade(key, name, Side.SELL, 1), bazaar.truth.acknowledged_number

    def done(outcome: object) -> None:
        if isinstance(outcome, Placed):
            bazaar.truth.placed(trade, outcome, before, True)
            answered.append(bazaar.world.now)

    frontend.place(trade, done)


def propose_in_vain(bazaar: SimulatedBazaar, leader: OrderMember, attempt: int) -> None:
    """`leader` proposes trades of `ONE` and `OTHER` that its peers never get. The catalog clears
    them, and then `leader` crashes."""
    first = bazaar.frontends[0]
    tip = leader.replica.log.last_index
    part(bazaar, leader, 2.0)
    for count, name in enumerate((ONE, OTHER)):
        place(bazaar, first, f"vain-{attempt}-{count}", name, [])
    wait(bazaar, lambda: bazaar.catalog.projection.tip > tip + 1, "proposals at the catalog", 0.4)
    bazaar.world.run(bazaar.world.now + 0.02)
    leader.crash()


@scenario
def what_was_answered_is_shown_before_the_catalog_hears_of_its_commit(
    bazaar: SimulatedBazaar,
) -> None:
    """The catalog cleared it, and hears late that it is committed."""
    members = informed(bazaar)
    leader = quiet(bazaar)
    for attempt in range(12):
        bazaar.network.delay(leader.name, bazaar.catalog.name, 0.02)
        place(bazaar, members[0], f"late-{attempt}", ONE, [])
        for _ in range(40):
            for member in members:
                probe(bazaar, member, ONE)
            bazaar.world.run(bazaar.world.now + 0.002)
        bazaar.network.delay(leader.name, bazaar.catalog.name, 0.0)
        bazaar.world.run(bazaar.world.now + 0.1)
    busy_again(bazaar)


@scenario
def a_catalog_hears_of_a_commit_at_once(bazaar: SimulatedBazaar) -> None:
    """A lookup of what is traded takes no longer than a few messages do."""
    members = informed(bazaar)
    quiet(bazaar)
    world = bazaar.world
    for attempt in range(40):
        answered: list[float] = []
        place(bazaar, members[0], f"quick-{attempt}", ONE, answered)
        wait(bazaar, lambda answered=answered: answered, "an answer", 1.0)  # type: ignore[misc]
        shown: list[float] = []
        members[1].lookup(ONE, lambda _, shown=shown: shown.append(world.now))  # type: ignore[misc]
        within = TIMING.heartbeat / 3
        wait(bazaar, lambda shown=shown: shown, "a lookup", within)  # type: ignore[misc]
        world.run(world.now + 0.001)
    busy_again(bazaar)


@scenario
def what_was_cleared_and_truncated_is_waited_for_no_longer(bazaar: SimulatedBazaar) -> None:
    members = informed(bazaar)
    leader = quiet(bazaar)
    world = bazaar.world
    propose_in_vain(bazaar, leader, 0)
    # The front-end gives up what it would send again.
    members[0].crash()
    members[0].start()
    elected(bazaar, but=leader)
    world.run(world.now + 0.1)
    shown: list[object] = []
    for name in (ONE, OTHER):
        members[1].lookup(name, shown.append)
    wait(bazaar, lambda: len(shown) == 2, "lookups of what was truncated", 0.1)
    leader.start()
    busy_again(bazaar)


@scenario
def what_was_cleared_of_another_log_is_not_cleared(bazaar: SimulatedBazaar) -> None:
    """The next leader's entries have the same indexes, and are of other stocks."""
    informed(bazaar)
    for attempt in range(4):
        for client in bazaar.clients:
            client.idle = True
        bazaar.world.run(bazaar.world.now + 0.5)
        first, second = informed(bazaar)[:2]
        leader = elected(bazaar)
        probe(bazaar, second, THIRD)
        bazaar.world.run(bazaar.world.now + 0.01)
        propose_in_vain(bazaar, leader, attempt)
        first.crash()
        first.start()
        elected(bazaar, but=leader)
        answered: list[float] = []
        for count in range(100):
            place(bazaar, first, f"third-{attempt}-{count}", THIRD, answered)
            for _ in range(4):
                probe(bazaar, second, THIRD)
                bazaar.world.run(bazaar.world.now + 0.0015)
        if not answered:
            raise Violation(11, "no trade within 0.6 s of an election")
        leader.start()
        busy_again(bazaar)
        bazaar.world.run(bazaar.world.now + 0.5)


@scenario
def what_a_leader_answered_before_it_died_is_shown(bazaar: SimulatedBazaar) -> None:
    """The catalog cleared it, and hears from the next leader that it is committed."""
    members = informed(bazaar)
    for attempt in range(4):
        leader = quiet(bazaar)
        answered: list[float] = []
        place(bazaar, members[0], f"last-{attempt}", ONE, answered)
        known = bazaar.catalog.projection
        wait(bazaar, lambda known=known: known.proposed, "a proposal", 0.2)  # type: ignore[misc]
        bazaar.network.cut(leader.name, bazaar.catalog.name, 1.0)
        for order in leader.peers.values():
            bazaar.network.delay(order.name, bazaar.catalog.name, 0.03)
        wait(bazaar, lambda answered=answered: answered, "an answer", 0.5)  # type: ignore[misc]
        leader.crash()
        for _ in range(150):
            for member in members:
                probe(bazaar, member, ONE)
            bazaar.world.run(bazaar.world.now + 0.004)
        for order in leader.peers.values():
            bazaar.network.delay(order.name, bazaar.catalog.name, 0.0)
        leader.start()
        busy_again(bazaar)
        bazaar.world.run(bazaar.world.now + 1.0)
