"""Directed schedules: what random ones meet too rarely, and what must hold *during* a fault.

Each is played on a fresh bazaar, and then everything has to become well again, as in `run`.
"""

from collections.abc import Callable

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .truth import Violation
from .world import World

__all__ = ["SCENARIOS", "Scenario"]

Scenario = Callable[[SimulatedBazaar], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    """Declare a scenario; its name is the function's."""
    SCENARIOS[play.__name__] = play
    return play


def wait(bazaar: SimulatedBazaar, happened: Callable[[], object], what: str, within: float) -> None:
    """Let time pass until `happened`; it is a violation if it does not come in time."""
    world: World = bazaar.world
    deadline = world.now + within
    while not happened():
        if world.now >= deadline:
            raise Violation(11, f"not within {within} s: {what}")
        world.run(world.now + 0.0005)


def elected(bazaar: SimulatedBazaar, *, but: OrderMember | None = None) -> OrderMember:
    """The leader, once there is one other than `but` that has committed in its term."""

    def leader() -> OrderMember | None:
        for order in bazaar.orders.values():
            if (
                order is not but
                and order.alive
                and order.replica.leads
                and order.desk.ledger.stocks
            ):
                return order
        return None

    wait(bazaar, leader, "a leader", 3.0)
    found = leader()
    assert found is not None
    return found


def flows(bazaar: SimulatedBazaar, within: float) -> None:
    """Trades must be acknowledged again within `within` seconds, whatever is broken now."""
    world, counts = bazaar.world, bazaar.truth.counts
    # What is under way may still be answered by whoever is about to be cut off.
    world.run(world.now + within)
    before = counts["placed"]
    world.run(world.now + 0.5)
    if counts["placed"] == before:
        raise Violation(11, f"no trade flows {within} s after the fault, while it lasts")


def part(bazaar: SimulatedBazaar, order: OrderMember, seconds: float) -> None:
    """Cut `order` off from its peers; front-ends and the catalog still reach it."""
    for peer in order.peers.values():
        bazaar.network.cut(order.name, peer.name, seconds)
        bazaar.network.cut(peer.name, order.name, seconds)


@scenario
def trades_flow_while_the_leader_is_parted_from_its_peers(bazaar: SimulatedBazaar) -> None:
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    part(bazaar, leader, 4.0)
    flows(bazaar, 1.5)


@scenario
def trades_flow_while_the_leader_cannot_hear(bazaar: SimulatedBazaar) -> None:
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    for peer in leader.peers.values():
        bazaar.network.cut(peer.name, leader.name, 4.0)
    flows(bazaar, 1.5)


@scenario
def trades_flow_while_the_catalog_does_not_hear_the_leader(bazaar: SimulatedBazaar) -> None:
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    bazaar.network.cut(leader.name, bazaar.catalog.name, 4.0)
    flows(bazaar, 2.0)


@scenario
def trades_flow_while_the_leader_does_not_hear_the_catalog(bazaar: SimulatedBazaar) -> None:
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    bazaar.network.cut(bazaar.catalog.name, leader.name, 4.0)
    flows(bazaar, 2.0)


@scenario
def trades_flow_while_one_replica_is_down_for_good(bazaar: SimulatedBazaar) -> None:
    elected(bazaar).crash()
    flows(bazaar, 1.5)
    elected(bazaar)


@scenario
def trades_flow_while_the_catalog_is_down_for_good(bazaar: SimulatedBazaar) -> None:
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    bazaar.catalog.crash()
    flows(bazaar, 2.0)


@scenario
def a_leader_that_is_about_to_step_down_tells_no_old_news(bazaar: SimulatedBazaar) -> None:
    """Its clock is slow, and one front-end hears only it: it must not say that an order is
    not there which the next leader has acknowledged."""
    leader = elected(bazaar)
    world = bazaar.world
    world.run(world.now + 0.3)
    leader.slow_down(0.5)
    world.run(world.now + 0.3)
    part(bazaar, leader, 1.5)
    for peer in leader.peers.values():
        bazaar.network.cut(bazaar.frontends[1].name, peer.name, 1.5)
    world.run(world.now + 1.5)


@scenario
def an_entry_of_an_earlier_term_is_not_committed_by_counting(bazaar: SimulatedBazaar) -> None:
    """Figure 8 of the Raft paper, with messages that carry one entry each."""
    world, network = bazaar.world, bazaar.network
    first = elected(bazaar)
    world.run(world.now + 0.3)
    # Entries of its term that are on its own disk alone.
    part(bazaar, first, 10.0)
    world.run(world.now + 0.1)
    first.crash()
    # The second leader has its first entry on its own disk alone.
    second = _won(bazaar)
    for peer in second.peers.values():
        network.cut(second.name, peer.name, 10.0)
    world.run(world.now + 0.01)
    second.crash()
    # The first one comes back, and has the third copy its entries, but not those of its new
    # term.
    network.heal()
    first.start()
    third = next(order for order in bazaar.orders.values() if order not in (first, second))
    wait(bazaar, lambda: _leads(first), "the first leads again", 3.0)
    opened = first.replica.opened
    wait(bazaar, lambda: third.replica.log.last_index >= opened - 1, "copied", 1.0)
    network.cut(first.name, third.name, 10.0)
    world.run(world.now + 0.02)
    first.crash()
    # The second one, whose log ends in the later term, overwrites them.
    network.heal()
    second.start()
    elected(bazaar, but=first)
    world.run(world.now + 0.5)


def _leads(order: OrderMember) -> bool:
    return order.alive and order.replica.leads


def _won(bazaar: SimulatedBazaar) -> OrderMember:
    def leader() -> OrderMember | None:
        return next(filter(_leads, bazaar.orders.values()), None)

    wait(bazaar, leader, "a leader", 3.0)
    found = leader()
    assert found is not None
    return found
