"""Directed schedules for messages and writes that are under way when the term changes."""

import attrs

from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.market import DEFAULT_LISTING, Side, Trade
from twisted_bazaar.sending import UNGUARDED

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, probe, watch
from .frontends import FrontendMember
from .members import TIMING, OrderMember
from .scenarios import (
    campaign,
    elected,
    hush,
    leaderless,
    leads,
    part,
    scenario,
    scenario_with,
    wait,
)

__all__: list[str] = []


def _replaced_at_once(bazaar: SimulatedBazaar, *, written: bool) -> OrderMember:
    """A replica with a slow disk hears one leader alone, then the next, which lacks the first one's
    entry. `written`: that entry is being written by then; else it waits."""
    world, network = bazaar.world, bazaar.network
    leader = elected(bazaar)
    world.run(world.now + 0.5)
    first, bridge, *others = bazaar.orders.values()
    hush(bazaar, 10.0)
    leader.hear_of(leader.replica.term + 1)
    world.run(world.now + 0.4)
    bridge.disk.stuck = True
    campaign(first)

    def voters() -> list[OrderMember]:
        return [other for other in others if other.replica.vote == first.number]

    wait(bazaar, lambda: len(voters()) > 1, "votes", 0.2)
    for other in others:
        for one in (first, bridge):
            network.cut(one.name, other.name, 10.0)
    wait(bazaar, lambda: leads(first), "the first leads", 0.2)
    opened = first.replica.opened
    wait(bazaar, lambda: bridge.replica.log.last_index >= opened, "its entry", 0.2)
    if written:
        bridge.disk.finish()
    for other in others:
        for one in (first, bridge):
            network.cut(other.name, one.name, 10.0)
    second = others[-1]
    # Else it waits as long for those two as the acknowledgement does for its disk.
    second.replica._timing = attrs.evolve(TIMING, heartbeat=0.01)
    campaign(second)
    wait(bazaar, lambda: second.replica.role is Role.CANDIDATE, "a candidate", 0.5)
    network.heal()
    for other in others:
        network.cut(first.name, other.name, 1.0)
        network.cut(other.name, first.name, 1.0)
    wait(bazaar, lambda: leads(second), "the second leads", 0.5)
    wait(bazaar, lambda: bridge.replica.term == second.replica.term, "the next term", 1.0)
    return bridge


@scenario_with(replicas=5)
def what_was_truncated_before_it_was_written_is_not_acknowledged(bazaar: SimulatedBazaar) -> None:
    bridge = _replaced_at_once(bazaar, written=False)
    for _ in range(4):
        bridge.disk.finish()
        bazaar.world.run(bazaar.world.now + 0.01)


@scenario_with(replicas=5)
def what_was_truncated_while_it_was_written_is_not_indexed(bazaar: SimulatedBazaar) -> None:
    bridge = _replaced_at_once(bazaar, written=True)
    bridge.disk.finish()
    bazaar.world.run(bazaar.world.now + 1.5)
    bridge.crash()
    bridge.start()


@scenario
def a_leader_that_leads_again_does_not_count_its_old_rounds(bazaar: SimulatedBazaar) -> None:
    """Its last request of the earlier term is late. Then it stands still while another is elected,
    and reads a question before it looks at the time."""
    leader = elected(bazaar)
    world, network, truth = bazaar.world, bazaar.network, bazaar.truth
    world.run(world.now + 0.3)
    near, far = leader.peers.values()
    hush(bazaar, 10.0)
    for _ in range(60):
        leader.get_order(10**9, lambda _: None)
        world.run(world.now + 0.003)
    network.cut(leader.name, far.name, 10.0)
    world.run(world.now + 0.28)
    network.delay(leader.name, near.name, 0.2)
    leader.get_order(10**9, lambda _: None)
    world.run(world.now + 0.04)
    network.heal()
    hush(bazaar, 10.0)
    leader.hear_of(leader.replica.term + 1)
    campaign(leader)
    world.run(world.now + 0.25)
    if not leads(leader):
        return
    leader.pause()
    network.heal()
    part(bazaar, leader, 10.0)
    elected(bazaar, but=leader)
    number = truth.acknowledged_number
    wait(bazaar, lambda: truth.acknowledged_number > number, "an order", 2.0)
    number = truth.acknowledged_number

    def answered(found: object) -> None:
        if not isinstance(found, BazaarError):
            truth.read(number, found, number)  # type: ignore[arg-type]

    leader.in_this_life(leader.get_order)(number, answered)
    leader.resume(reads_first=True)
    world.run(world.now + 0.3)


@scenario
def what_a_deposed_leader_has_more_is_not_committed(bazaar: SimulatedBazaar) -> None:
    """Two later leaders overwrote its entries, and it hears the last one entry by entry."""
    world, network = bazaar.world, bazaar.network
    first = elected(bazaar)
    world.run(world.now + 0.3)
    for client in bazaar.clients:
        client.idle = True
    world.run(world.now + 0.4)
    for peer in first.peers.values():
        network.cut(peer.name, first.name, 10.0)
    # The first they have, but it does not know; the others are on its own disk alone.
    for number in range(4):
        trade = Trade(f"uncommitted {number}", DEFAULT_LISTING[0].name, Side.SELL, 1)
        first.trade(([trade], UNGUARDED), lambda _: None)
        world.run(world.now + 0.01)
    part(bazaar, first, 10.0)
    for client in bazaar.clients:
        client.idle = False
        client.started()
    second = elected(bazaar, but=first)
    world.run(world.now + 0.2)
    second.hear_of(second.replica.term + 1)
    world.run(world.now + 0.1)
    elected(bazaar, but=first)
    world.run(world.now + 0.1)
    network.heal()
    world.run(world.now + 0.3)


@scenario
def a_replica_that_recalled_votes_for_nobody_in_that_term(bazaar: SimulatedBazaar) -> None:
    """Its vote is late while it loses its disk, and it recalls the term from others that do not
    know of that vote; then another candidate of the same term asks."""
    one, other, voter = leaderless(bazaar)
    world, network = bazaar.world, bazaar.network
    other.slow_down(0.2)
    voter.slow_down(10.0)
    voter.disk.stuck = True
    campaign(one, other)
    wait(bazaar, lambda: voter.replica.vote == one.number, "a vote", 0.3)
    network.delay(voter.name, one.name, 0.1)
    voter.disk.finish()
    network.delay(voter.name, one.name, 0.0)
    voter.crash()
    voter.wipe()
    voter.start()
    wait(bazaar, lambda: not voter.replica.suspect, "it recalls", 0.09)
    network.cut(one.name, voter.name, 10.0)
    wait(bazaar, lambda: leads(one), "the first candidate leads", 0.3)
    world.run(world.now + 0.4)


@scenario
def a_vote_of_an_earlier_term_is_none_of_this_one(bazaar: SimulatedBazaar) -> None:
    """It comes while its candidate asks in a later term, in which another is elected."""
    one, other, voter = leaderless(bazaar)
    world, network = bazaar.world, bazaar.network
    voter.disk.stuck = True
    campaign(one)
    wait(bazaar, lambda: voter.replica.vote == one.number, "a vote", 0.3)
    network.delay(voter.name, one.name, 0.15)
    voter.disk.stuck = False
    voter.disk.finish()
    network.delay(voter.name, one.name, 0.0)
    one.disk.stuck = True
    for candidate in (one, other):
        candidate.hear_of(voter.replica.term + 1)
    one.disk.finish()
    campaign(one, other)
    wait(bazaar, lambda: one.replica.role is Role.CANDIDATE, "a candidate", 0.1)
    network.cut(one.name, voter.name, 10.0)
    one.disk.finish()
    one.disk.stuck = False
    world.run(world.now + 0.3)


@scenario
def the_first_leader_has_heard_of_every_replica(bazaar: SimulatedBazaar) -> None:
    """One crashes before its disk holds anything, and another loses its disk. If there had been a
    leader by then, no replica could say that the first one has nothing to forget."""
    world = bazaar.world
    late, wiped, third = bazaar.orders.values()
    late.disk.stuck = True
    wait(bazaar, lambda: not (wiped.replica.suspect or third.replica.suspect), "trust", 1.0)
    late.crash()
    world.run(world.now + 1.0)
    wiped.crash()
    wiped.wipe()
    wiped.start()
    late.start()


def _read_ahead(bazaar: SimulatedBazaar, order: OrderMember, reader: FrontendMember) -> None:
    """Read the order after the last that a client was told of, then what `reader` shows."""
    truth = bazaar.truth
    last = truth.acknowledged_number

    def answered(found: object) -> None:
        if not isinstance(found, BazaarError):
            truth.read(last + 1, found, last)  # type: ignore[arg-type]

    if order.alive:
        order.get_order(last + 1, answered)
    for listing in DEFAULT_LISTING[:3]:
        probe(bazaar, reader, listing.name)
    bazaar.world.run(bazaar.world.now + 0.005)


@scenario
def no_replica_shows_an_order_that_a_cache_may_not_know_of(bazaar: SimulatedBazaar) -> None:
    """A front-end is cut off: a committed entry is not released before its lease has run out."""
    first = informed(bazaar)[0]
    leader = elected(bazaar)
    for attempt in range(4):
        watch(bazaar, [first], 0.1)
        bazaar.network.cut(bazaar.catalog.name, first.name, 1.1)
        for step in range(200):
            order = leader if step % 2 else leader.peers[min(leader.peers)]
            _read_ahead(bazaar, order, first)
        bazaar.world.run(bazaar.world.now + 0.8 + attempt / 10)


@scenario
def without_a_leader_no_order_is_shown_before_all_leases_have_run_out(
    bazaar: SimulatedBazaar,
) -> None:
    first = informed(bazaar)[0]
    for attempt in range(3):
        leader = elected(bazaar)
        follower = leader.peers[min(leader.peers)]
        watch(bazaar, [first], 0.1)
        if not first.floors.alive(first.seconds):
            break  # It is kept out: no order waits for it.
        bazaar.network.cut(bazaar.catalog.name, first.name, 1.2)
        # All clients may be waiting for answers.
        trade = Trade(f"waits {attempt}", DEFAULT_LISTING[0].name, Side.SELL, 1)
        leader.trade(([trade], UNGUARDED), lambda _: None)
        wait(
            bazaar,
            lambda follower=follower: (
                follower.desk.ledger.last_number > follower.desk.released_number
            ),
            "an order that waits",
            1.0,
        )
        hush(bazaar, 0.9)
        leader.crash()
        for _ in range(150):
            _read_ahead(bazaar, follower, first)
        leader.start()
        bazaar.world.run(bazaar.world.now + 2.0)
