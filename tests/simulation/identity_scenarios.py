"""Directed schedules: strangers at an address, and folders that are another bazaar's or copies."""

from collections.abc import Mapping

from .bazaar import SimulatedBazaar
from .catalogs import CatalogMember
from .members import TIMING, OrderMember
from .scenarios import elected, flows, scenario, wait
from .truth import Violation

__all__: list[str] = []


def _another(bazaar: SimulatedBazaar) -> SimulatedBazaar:
    """A second bazaar beside this one, which trades as well, in a network of its own."""
    other = SimulatedBazaar(bazaar.world, clients=2)
    other.start()
    elected(other)
    return other


def _lags(bazaar: SimulatedBazaar) -> tuple[OrderMember, OrderMember, OrderMember]:
    """The leader, a follower that has all its entries, and a third replica that is down and lacks
    some."""
    leader = elected(bazaar)
    world = bazaar.world
    world.run(world.now + 0.3)
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    bazaar.keep_copy(near.name)
    far.crash()
    flows(bazaar, 2.0)
    world.run(world.now + 0.3)
    return leader, near, far


@scenario
def an_older_copy_of_a_folder_is_put_back(bazaar: SimulatedBazaar) -> None:
    """Entries that two of three acknowledged are on one disk only, which is down: no replica may
    lead."""
    leader, near, far = _lags(bazaar)
    bazaar.put_back(near.name, 0.05)
    leader.crash()
    far.start()
    bazaar.world.run(bazaar.world.now + 2.0)
    if bazaar.leader():
        raise Violation(2, f"{bazaar.leader()} was elected by a copy that lacks entries")
    leader.start()


@scenario
def all_folders_are_put_back_together(bazaar: SimulatedBazaar) -> None:
    """Entries that no copy has are gone: the replicas go on from the copies."""
    leader = elected(bazaar)
    world = bazaar.world
    world.run(world.now + 0.3)
    for order in bazaar.orders.values():
        order.crash()
    for order in bazaar.orders.values():
        order.put_back(order.disk.copy())
        order.start()
    elected(bazaar)
    assert leader.alive


@scenario
def an_address_leads_to_another_bazaars_replica(bazaar: SimulatedBazaar) -> None:
    """It holds no entry of this log: nothing is committed by its answers, and no replica has to
    stop."""
    leader = elected(bazaar)
    other = _another(bazaar)
    world = bazaar.world
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    for caller in bazaar.orders.values():
        bazaar.network.lead_astray(caller.name, near.name, other.orders[near.number], 2.0)
    elsewhere = other.orders[leader.number]
    bazaar.network.lead_astray(near.name, leader.name, elsewhere, 2.0)
    far.crash()
    committed = leader.replica.commit
    world.run(world.now + 0.6)
    if leader.replica.commit > committed + 1:
        raise Violation(2, "the leader commits by the word of another bazaar's replica")
    far.start()
    world.run(world.now + 2.0)
    for order in (*bazaar.orders.values(), *other.orders.values()):
        if order.stopped:
            raise Violation(11, f"{order.name} stopped: {order.stopped}")
    flows(other, 2.0)


@scenario
def a_folder_is_another_bazaars(bazaar: SimulatedBazaar) -> None:
    """Its log is longer, and of as high a term. The replica says whose it is, and stops."""
    leader = elected(bazaar)
    other = _another(bazaar)
    world = bazaar.world
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    own = near.disk.storage
    near.crash()
    near.disk.storage = other.orders[near.number].disk.copy()
    near.indexed = 0
    near.start()
    wait(bazaar, lambda: near.stopped, "a line that says whose folder it is", 2.0)
    if "of cluster" not in near.stopped:
        raise Violation(11, f"{near.name} stopped: {near.stopped}")
    near.disk.storage, near.indexed = own, 0
    near.start()
    assert far.alive
    world.run(world.now + 0.5)


@scenario
def an_address_leads_to_another_replica_of_the_bazaar(bazaar: SimulatedBazaar) -> None:
    """What one replica acknowledged is not on the disk of the other. When the address is right
    again, the replica is a member at once."""
    leader = elected(bazaar)
    world = bazaar.world
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    for caller in bazaar.orders.values():
        bazaar.lead_astray(caller.name, far.name, near.name, 0.5)
    bazaar.lead_astray(near.name, leader.name, near.name, 0.5)
    flows(bazaar, 1.0)
    world.run(world.now + 0.6)

    def caught_up() -> bool:
        return far.replica.log.last_index >= leader.replica.log.last_index - 5

    wait(bazaar, caught_up, f"{far.name} gets appends again", 1.0)


@scenario
def a_replica_recalls_while_an_address_leads_elsewhere(bazaar: SimulatedBazaar) -> None:
    """It takes no other replica's answer for that of the one that it asked, and recalls once it
    reaches all."""
    leader = elected(bazaar)
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    bazaar.lead_astray(near.name, far.name, leader.name, 0.5)
    near.crash()
    near.wipe()
    near.start()
    bazaar.world.run(bazaar.world.now + 0.3)
    if not near.replica.suspect:
        raise Violation(2, "one of the others was not asked")
    wait(bazaar, lambda: not near.replica.suspect, "it recalls once it reaches all others", 1.5)


@scenario
def replicas_that_disagree_on_the_members_elect_nobody(bazaar: SimulatedBazaar) -> None:
    """One is told that it is alone: a majority of one must not decide for three."""
    leader = elected(bazaar)
    world = bazaar.world
    near, far = (order for order in bazaar.orders.values() if order is not leader)
    peers, far.peers = far.peers, {leader.number: leader}
    far.crash()
    far.start()
    world.run(world.now + 0.5)
    far.peers = peers
    far.crash()
    far.start()
    assert near.alive


def _restarted(
    bazaar: SimulatedBazaar,
    leases: Mapping[int, float],
    catalogs: Mapping[int, Mapping[str, CatalogMember]],
) -> OrderMember:
    """Restart all replicas with these options; returns the leader, once lookups are cached."""
    elected(bazaar)
    for number, order in bazaar.orders.items():
        order.crash()
        order.lease, order.catalogs = leases[number], catalogs[number]
    for order in bazaar.orders.values():
        order.start()
    leader = elected(bazaar)
    hits = bazaar.truth.counts["hit"]
    if leader.catalogs:
        wait(bazaar, lambda: bazaar.truth.counts["hit"] > hits + 5, "hits", 6.0)
    return leader


@scenario
def a_catalog_holds_a_longer_lease_than_the_next_leader_grants(bazaar: SimulatedBazaar) -> None:
    """The option is being changed. The leader must wait for the lease that the catalog holds."""
    known = dict.fromkeys(bazaar.orders, bazaar.catalogs)
    for _ in range(3):
        leader = _restarted(bazaar, {1: 0.4, 2: 0.4, 3: 1.6}, known)
        for order in bazaar.orders:
            for way in ((f"order-{order}", "catalog"), ("catalog", f"order-{order}")):
                bazaar.network.cut(*way, 2.0)
        leader.crash()
        bazaar.world.run(bazaar.world.now + 2.2)
        leader.start()


@scenario
def a_catalog_is_known_to_an_earlier_leader_only(bazaar: SimulatedBazaar) -> None:
    """The list of catalogs is being changed. The next leader knows of the lease from the log."""
    leases = dict.fromkeys(bazaar.orders, TIMING.lease)
    known = {1: {}, 2: {}, 3: bazaar.catalogs}
    for _ in range(3):
        leader = _restarted(bazaar, leases, known)
        leader.crash()
        bazaar.world.run(bazaar.world.now + 1.5)
        leader.start()
    _restarted(bazaar, leases, dict.fromkeys(bazaar.orders, bazaar.catalogs))


@scenario
def an_address_leads_to_another_catalog(bazaar: SimulatedBazaar) -> None:
    """The first catalog shows what it knows for as long as its lease lasts."""
    world = bazaar.world
    second = CatalogMember(world, "catalog-2", bazaar.network, bazaar.truth, 1.0)
    second.frontends = bazaar.catalog.frontends
    second.start()
    both = {"catalog": bazaar.catalog, "catalog-2": second}
    leases = dict.fromkeys(bazaar.orders, TIMING.lease)
    for order in bazaar.orders.values():
        order.crash()
        order.catalogs = both
        order.start()
    world.run(world.now + 2 * TIMING.lease)  # so that the second one has learned all there is
    for _ in range(3):
        leader = _restarted(bazaar, leases, dict.fromkeys(bazaar.orders, bazaar.catalogs))
        bazaar.network.lead_astray(leader.name, "catalog", second, 1.5)
        world.run(world.now + 1.6)


@scenario
def a_catalog_answers_the_next_leader_and_holds_a_longer_lease(bazaar: SimulatedBazaar) -> None:
    """The leader waits for as long as that lease lasts, not for one of its own."""
    known = dict.fromkeys(bazaar.orders, bazaar.catalogs)
    for _ in range(3):
        leader = _restarted(bazaar, {1: 0.4, 2: 0.4, 3: 1.6}, known)
        leader.crash()
        elected(bazaar, but=leader)
        bazaar.world.run(bazaar.world.now + 0.01)
        for order in bazaar.orders:
            for way in ((f"order-{order}", "catalog"), ("catalog", f"order-{order}")):
                bazaar.network.cut(*way, 2.0)
        bazaar.world.run(bazaar.world.now + 2.2)
        leader.start()
