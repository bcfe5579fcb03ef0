"""Directed schedules for leases: clocks, restarts and late messages at the worst moment."""

from twisted_bazaar.frontend.cache.quotes import LookupReply, LookupResult, Source
from twisted_bazaar.market import DEFAULT_LISTING

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, watch
from .catalogs import CatalogMember
from .frontends import FrontendMember, quote_of
from .scenarios import elected, part, scenario, scenario_with

__all__: list[str] = []


@scenario_with(drift=0.2)
def a_catalog_has_a_slow_clock_and_its_leader_a_fast_one(bazaar: SimulatedBazaar) -> None:
    members = informed(bazaar)
    bazaar.catalog.slow_down(0.8)
    for order in bazaar.orders.values():
        order.slow_down(1.2)
    bazaar.world.run(bazaar.world.now + 1.0)
    for order in bazaar.orders.values():
        bazaar.network.cut(order.name, bazaar.catalog.name, 1.5)
    watch(bazaar, members, 1.5)


@scenario
def a_catalog_that_has_to_rebuild_waits_for_what_it_promised(bazaar: SimulatedBazaar) -> None:
    """Its file was replaced by one of another log; the leader does not know what it promised
    either."""
    first = informed(bazaar)[0]
    for index in (5, 10**6):
        _forget_all_leases(bazaar, first, index)


@scenario
def a_catalog_restarts_while_the_leader_changes(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    for _ in range(2):
        _forget_all_leases(bazaar, first)


def _forget_all_leases(bazaar: SimulatedBazaar, holder: FrontendMember, file: int = 0) -> None:
    """The catalog and the leader crash at once, while `holder` goes on; the catalog comes back, if
    `file` is above 0 with a file of another log that ends there."""
    world, catalog, leader = bazaar.world, bazaar.catalog, elected(bazaar)
    watch(bazaar, [holder], 0.1)
    bazaar.network.cut(catalog.name, holder.name, 1.4)
    catalog.crash()
    if file:
        catalog.replace_file(file, 1)
    leader.crash()
    world.run(world.now + 0.02)
    catalog.start()
    watch(bazaar, [holder], 1.2)
    leader.start()
    world.run(world.now + 2.5)


@scenario_with(stale=0.5)
def a_late_push_changes_nothing(bazaar: SimulatedBazaar) -> None:
    """The catalog has given it up, and has pushed more since."""
    first = informed(bazaar)[0]
    world, network, catalog = bazaar.world, bazaar.network, bazaar.catalog
    for _ in range(5):
        watch(bazaar, [first], 0.1)
        network.delay(catalog.name, first.name, 0.45)
        world.run(world.now + 0.03)
        network.delay(catalog.name, first.name, 0.0)
        watch(bazaar, [first], 0.6)
        world.run(world.now + 0.5)


@scenario
def a_leader_that_stood_still_grants_no_lease_before_it_looks_at_the_time(
    bazaar: SimulatedBazaar,
) -> None:
    """A catalog's answer is the first message that it reads; another replica leads by then."""
    members = informed(bazaar)
    leader = elected(bazaar)
    world, network, catalog = bazaar.world, bazaar.network, bazaar.catalog
    network.delay(leader.name, catalog.name, 0.85)
    world.run(world.now + 0.07)
    leader.pause()
    part(bazaar, leader, 3.0)
    network.delay(leader.name, catalog.name, 0.0)
    for peer in leader.peers.values():
        network.cut(peer.name, catalog.name, 3.0)
    world.run(world.now + 0.87)
    leader.resume(reads_first=True)
    watch(bazaar, members, 1.5)


@scenario
def a_front_end_is_cut_off_just_as_it_gets_a_lease(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    for _ in range(3):
        first.crash()
        first.start()
        bazaar.snare(1, 1.1)
        watch(bazaar, [first], 1.3)


@scenario
def what_a_lost_push_said_is_said_again(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    for _ in range(5):
        watch(bazaar, [first], 0.1)
        bazaar.network.cut(bazaar.catalog.name, first.name, 0.05)
        watch(bazaar, [first], 0.6)


@scenario_with(catalogs=2)
def a_standby_follows_and_answers_nothing(bazaar: SimulatedBazaar) -> None:
    """One front-end reaches the standby alone."""
    members = informed(bazaar)
    name = bazaar.catalog.name
    bazaar.network.cut(members[1].name, name, 3.0)
    bazaar.network.cut(name, members[1].name, 3.0)
    watch(bazaar, members, 2.0)


@scenario
def what_a_front_end_has_missed_it_does_not_show(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    name = bazaar.catalog.name
    for _ in range(3):
        watch(bazaar, [first], 0.1)
        bazaar.network.cut(first.name, name, 1.2)
        bazaar.network.cut(name, first.name, 1.2)
        bazaar.world.run(bazaar.world.now + 1.2)
        watch(bazaar, [first], 0.4)


@scenario
def a_catalog_that_has_just_started_shows_nothing_of_its_file(bazaar: SimulatedBazaar) -> None:
    """The leader has not noticed the restart, and sends the lease that the earlier life had
    earned."""
    informed(bazaar)
    world, catalog = bazaar.world, bazaar.catalog
    for _ in range(3):
        catalog.crash()
        world.run(world.now + 0.01)
        catalog.start()
        for _ in range(100):
            _ask(bazaar, catalog)
            world.run(world.now + 0.001)
        world.run(world.now + 1.3)


def _ask(bazaar: SimulatedBazaar, catalog: CatalogMember) -> None:
    truth = bazaar.truth
    names = [listing.name for listing in DEFAULT_LISTING[:3]]
    least = {name: truth.seen_version(name) for name in names}

    def answered(answer: object) -> None:
        for stock in answer.stocks if isinstance(answer, LookupReply) else ():
            shown = LookupResult(quote_of(stock), Source.MISS)
            truth.looked_up(stock.name, shown, least[stock.name])

    catalog.lookup(names, answered)
