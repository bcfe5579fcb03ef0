"""Directed schedules: what random ones meet too rarely, and what must hold *during* a fault.

Each is played on a new bazaar, which must recover afterwards, as in `run`.
"""

from collections.abc import Callable
from typing import Any

from twisted_bazaar.errors import BazaarError

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .truth import Violation
from .world import World

__all__ = ["SCENARIOS", "SETTINGS", "Scenario"]

Scenario = Callable[[SimulatedBazaar], None]
SCENARIOS: dict[str, Scenario] = {}
SETTINGS: dict[str, dict[str, Any]] = {}
"""By scenario: what of its plan is unlike that of others."""


def scenario(play: Scenario) -> Scenario:
    """Declare a scenario; its name is the function's."""
    SCENARIOS[play.__name__] = play
    return play


def scenario_with(**settings: Any) -> Callable[[Scenario], Scenario]:
    """Declare a scenario whose plan has these fields."""

    def declare(play: Scenario) -> Scenario:
        SETTINGS[play.__name__] = settings
        return scenario(play)

    return declare


def wait(bazaar: SimulatedBazaar, happened: Callable[[], object], what: str, within: float) -> None:
    """Let time pass until `happened`; a violation if that takes longer than `within` seconds."""
    world: World = bazaar.world
    deadline = world.now + within
    while not happened():
        if world.now >= deadline:
            raise Violation(11, f"not within {within} s: {what}")
        world.run(world.now + 0.0005)


def elected(bazaar: SimulatedBazaar, *, but: OrderMember | None = None) -> OrderMember:
    """The leader, other than `but`, once it has committed an entry of its term."""

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
    """`within` seconds from now, trades must be acknowledged again, though the faults last."""
    world, counts = bazaar.world, bazaar.truth.counts
    # Trades under way may still be answered by a leader that is about to be cut off.
    world.run(world.now + within)
    before = counts["placed"]
    world.run(world.now + 0.5)
    if counts["placed"] == before:
        raise Violation(11, f"no trade flows {within} s after the fault, while it lasts")


def hush(bazaar: SimulatedBazaar, seconds: float) -> None:
    """Cut all front-ends off from all replicas."""
    for order in bazaar.orders.values():
        for frontend in bazaar.frontends:
            bazaar.network.cut(frontend.name, order.name, seconds)


def part(bazaar: SimulatedBazaar, order: OrderMember, seconds: float) -> None:
    """Cut `order` off from its peers; front-ends and the catalog still reach it."""
    for peer in order.peers.values():
        bazaar.network.cut(order.name, peer.name, seconds)
        bazaar.network.cut(peer.name, order.name, seconds)


def leads(order: OrderMember) -> bool:
    return order.alive and order.replica.leads


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
    """Its clock is slow, and one front-end reaches it alone: it must not say that there is no order
    that the next leader has acknowledged."""
    leader = elected(bazaar)
    world = bazaar.world
    world.run(world.now + 0.3)
    bazaar.truth.clocks_are_true = False
    leader.slow_down(0.5)
    world.run(world.now + 0.3)
    reader = bazaar.frontends[1]
    for client in bazaar.clients:
        client.use(bazaar.frontends[:1])
        client.idle = True
    # What the leader proposed and cannot commit would hold its answers back.
    world.run(world.now + 0.3)
    part(bazaar, leader, 1.5)
    bazaar.network.cut(bazaar.frontends[0].name, leader.name, 1.5)
    for peer in leader.peers.values():
        bazaar.network.cut(reader.name, peer.name, 1.5)

    def read() -> None:
        number = bazaar.truth.acknowledged_number

        def answered(found: object) -> None:
            if not isinstance(found, BazaarError):
                bazaar.truth.read(number, found, number)  # type: ignore[arg-type]

        reader.get_order(number, answered)

    for client in bazaar.clients:
        client.idle = False
        client.started()
    for step in range(300):
        world.after(step * 0.005, read)
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
    # The second leader has its first entry on its own disk alone: it is cut off as soon as it
    # has been voted for.
    third = _voter(bazaar)
    if third is None:
        return
    second = next(each for each in bazaar.orders.values() if each not in (first, third))
    network.cut(second.name, third.name, 10.0)
    wait(bazaar, lambda: leads(second), "the second leads", 1.0)
    world.run(world.now + 0.01)
    second.crash()
    # The first one comes back, and has the third copy its entries, but not those of its new
    # term.
    network.heal()
    first.start()
    wait(bazaar, lambda: leads(first), "the first leads again", 3.0)
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


def _voter(bazaar: SimulatedBazaar) -> OrderMember | None:
    """A replica that has voted for another in a term without a leader yet; None: that moment was
    missed."""

    def voter() -> OrderMember | None:
        for order in bazaar.orders.values():
            if order.alive and order.replica.vote not in (0, order.number):
                candidate = bazaar.orders[order.replica.vote]
                if candidate.alive and not leads(candidate) and order.replica.term > 1:
                    return order
        return None

    wait(bazaar, lambda: voter() or bazaar.leader(), "a vote", 3.0)
    return voter()


def campaign(*candidates: OrderMember) -> None:
    for candidate in candidates:
        candidate.campaign(None, lambda _: None)


def leaderless(bazaar: SimulatedBazaar) -> tuple[OrderMember, OrderMember, OrderMember]:
    """Two candidates that do not reach each other, and a voter. No replica leads, and no front-end
    reaches any."""
    leader = elected(bazaar)
    world, network = bazaar.world, bazaar.network
    world.run(world.now + 0.3)
    one, other, voter = bazaar.orders.values()
    hush(bazaar, 10.0)
    network.cut(one.name, other.name, 10.0)
    network.cut(other.name, one.name, 10.0)
    leader.hear_of(leader.replica.term + 1)
    world.run(world.now + 0.8)
    return one, other, voter


@scenario
def what_a_deposed_leader_sent_arrives_late(bazaar: SimulatedBazaar) -> None:
    """Its last appends are on their way while another is elected and commits other entries in their
    place."""
    world, network = bazaar.world, bazaar.network
    for _ in range(4):
        leader = elected(bazaar)
        world.run(world.now + 0.3)
        network.weather.slow = 1.0
        world.run(world.now + 0.05)
        leader.crash()
        network.weather.slow = 0.0
        elected(bazaar, but=leader)
        world.run(world.now + 0.5)
        leader.start()


@scenario
def two_candidates_ask_one_voter_at_once(bazaar: SimulatedBazaar) -> None:
    one, other, _ = leaderless(bazaar)
    campaign(one, other)
    bazaar.world.run(bazaar.world.now + 0.2)


@scenario
def a_voter_restarts_between_two_requests_of_one_term(bazaar: SimulatedBazaar) -> None:
    """The second candidate has polled before the first one won, and its clock is slow, so that it
    asks for votes long after that, in the same term."""
    one, other, voter = leaderless(bazaar)
    world, network = bazaar.world, bazaar.network
    other.slow_down(0.2)
    voter.slow_down(10.0)
    campaign(one, other)
    wait(bazaar, lambda: leads(one), "the first candidate leads", 1.0)
    network.cut(one.name, voter.name, 10.0)
    voter.crash()
    voter.start()
    world.run(world.now + 0.4)


@scenario
def a_leader_loses_what_its_disk_did_not_hold_yet(bazaar: SimulatedBazaar) -> None:
    """Only one follower hears it; then both crash."""
    leader = elected(bazaar)
    world, network = bazaar.world, bazaar.network
    world.run(world.now + 0.3)
    near, far = leader.peers.values()
    network.cut(leader.name, far.name, 10.0)
    leader.disk.stuck = True
    world.run(world.now + 0.2)
    leader.crash()
    near.crash()
    network.heal()
    leader.start()
    world.run(world.now + 1.0)


@scenario
def a_follower_loses_what_its_disk_did_not_hold_yet(bazaar: SimulatedBazaar) -> None:
    """It is the only one that hears the leader; then the leader crashes, and the follower restarts
    without the entry."""
    leader = elected(bazaar)
    world, network = bazaar.world, bazaar.network
    world.run(world.now + 0.3)
    near, far = leader.peers.values()
    network.cut(leader.name, far.name, 10.0)
    near.disk.stuck = True
    world.run(world.now + 0.2)
    leader.crash()
    near.crash()
    network.heal()
    near.start()
    world.run(world.now + 1.5)


def _written_by_two(bazaar: SimulatedBazaar) -> tuple[OrderMember, OrderMember, OrderMember]:
    """A leader and a follower that hold acknowledged orders, and a third that lacks them."""
    leader = elected(bazaar)
    world, network = bazaar.world, bazaar.network
    world.run(world.now + 0.3)
    near, far = leader.peers.values()
    network.cut(leader.name, far.name, 10.0)
    network.cut(near.name, far.name, 10.0)
    world.run(world.now + 0.2)
    return leader, near, far


@scenario
def a_wiped_replica_waits_for_the_one_that_knows(bazaar: SimulatedBazaar) -> None:
    """It helped to commit entries that the third one lacks; those two must not elect."""
    leader, near, _ = _written_by_two(bazaar)
    leader.crash()
    near.crash()
    near.wipe()
    bazaar.network.heal()
    near.start()
    bazaar.world.run(bazaar.world.now + 2.0)
    if bazaar.leader():
        raise Violation(2, f"{bazaar.leader()} was elected without the one that knows")


@scenario
def a_wiped_replica_acknowledges_nothing_before_it_recalled(bazaar: SimulatedBazaar) -> None:
    """The leader reaches the wiped replica only: it must not commit by its acknowledgements."""
    leader, near, far = _written_by_two(bazaar)
    world = bazaar.world
    near.crash()
    near.wipe()
    near.start()
    before = len(bazaar.truth.entries)
    world.run(world.now + 0.6)
    if leader.replica.commit > before + 1:
        raise Violation(2, "the leader commits by the word of one that may have forgotten")
    bazaar.network.heal()
    world.run(world.now + 1.0)
    assert far.alive


@scenario
def two_wiped_replicas_stop_and_say_so(bazaar: SimulatedBazaar) -> None:
    leader, near, far = _written_by_two(bazaar)
    world = bazaar.world
    for order in (leader, near):
        order.crash()
        order.wipe()
    bazaar.network.heal()
    leader.start()
    near.start()
    for _ in range(3):
        # The supervisor starts the one that stopped first again.
        world.run(world.now + 2.5)
        for order in (leader, near):
            order.start()
    if bazaar.leader():
        raise Violation(2, f"{bazaar.leader()} was elected though two have forgotten")
    for order in (leader, near):
        if "nobody to recall" not in order.stopped:
            raise Violation(11, f"{order.name} did not say why it cannot go on")
    bazaar.lost = True
    assert far.alive
