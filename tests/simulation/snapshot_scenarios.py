"""Directed schedules: what a replica must not forget when it begins anew with a snapshot."""

from twisted_bazaar.consensus.beginning import condensed
from twisted_bazaar.consensus.membership import RemoveMember

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .membership_scenarios import begin, ended
from .scenarios import campaign, elected, flows, leaderless, leads, scenario, wait
from .truth import Violation

__all__: list[str] = []


def _indexed(bazaar: SimulatedBazaar, order: OrderMember) -> None:
    wait(bazaar, lambda: order.indexed == order.replica.log.last_index, "all is indexed", 2.0)


def _begins_anew(bazaar: SimulatedBazaar, order: OrderMember) -> None:
    """It loses its disk, and takes a snapshot."""
    order.crash()
    order.wipe()
    order.start()
    wait(bazaar, lambda: order.disk.storage.beginning.index, "it has a snapshot", 3.0)


@scenario
def who_took_a_snapshot_knows_the_members_and_who_led(bazaar: SimulatedBazaar) -> None:
    """Its options are older than a change of the members, which is before its log."""
    leader = elected(bazaar)
    other, gone = leader.peers.values()
    begin(bazaar, RemoveMember(gone.number))
    ended(bazaar, *sorted((leader.number, other.number)))
    flows(bazaar, 0.5)
    leader = elected(bazaar)
    (other,) = (each for each in bazaar.orders.values() if each not in (leader, gone))
    _indexed(bazaar, leader)
    leader.archiving.archive(0)
    _begins_anew(bazaar, other)
    wait(bazaar, lambda: other.alive and not other.replica.suspect, "it is trusted", 3.0)
    if other.replica.membership.voters != leader.replica.membership.voters:
        raise Violation(11, f"it takes {other.replica.membership.voters} for the members")
    kept, known = leader.disk.storage, other.disk.storage
    led = condensed(each for each in kept.openings if each[0] <= known.beginning.index)
    if known.beginning.openings != led:
        raise Violation(9, "it does not know who led, and which leases were given")
    flows(bazaar, 0.5)


@scenario
def a_voter_takes_a_snapshot_between_two_requests_of_one_term(bazaar: SimulatedBazaar) -> None:
    """It has what the snapshot has: so it loses nothing but its log, and its vote must stay."""
    one, other, voter = leaderless(bazaar)
    world, network = bazaar.world, bazaar.network
    snapshot = other.disk.storage.snapshot(other.indexed)
    other.slow_down(0.2)
    voter.slow_down(10.0)
    campaign(one, other)
    wait(bazaar, lambda: leads(one), "the first candidate leads", 1.0)
    network.cut(one.name, voter.name, 10.0)
    voter.crash()
    voter.install(snapshot)
    voter.start()
    world.run(world.now + 0.4)


@scenario
def a_suspect_that_took_a_snapshot_lacks_what_came_after_it(bazaar: SimulatedBazaar) -> None:
    """It held, with the leader alone, entries that the leader had not indexed. It loses its disk,
    takes a snapshot, and the leader is gone: only the replica is left that never had them."""
    leader = elected(bazaar)
    lost, lagging = leader.peers.values()
    flows(bazaar, 0.3)
    _indexed(bazaar, leader)
    leader.archiving.archive(0)
    # Nothing is indexed from here on.
    leader._indexing = True
    for one, two in ((leader, lagging), (lagging, leader)):
        bazaar.network.cut(one.name, two.name, 1.0)
    flows(bazaar, 0.5)
    lost.crash()
    lost.wipe()
    bazaar.network.heal()
    # It hears both of the others; what it lacks does not come from the leader by itself.
    bazaar.network.cut(leader.name, lagging.name, 5.0)
    lost.start()
    wait(bazaar, lambda: lost.disk.storage.beginning.index, "it has a snapshot", 3.0)
    leader.crash()
    bazaar.world.run(bazaar.world.now + 2.0)
    leader.start()
