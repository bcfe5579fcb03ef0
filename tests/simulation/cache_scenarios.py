"""Directed schedules for lookups: what leases, floors and pushes keep true during faults."""

from twisted_bazaar.frontend.cache.quotes import LookupReply, LookupResult, Quote, Source
from twisted_bazaar.leases import MAX_DRIFT
from twisted_bazaar.market import DEFAULT_LISTING, Side, Trade

from .bazaar import SimulatedBazaar
from .frontends import FrontendMember, quote_of
from .members import TIMING
from .scenarios import elected, flows, scenario, wait
from .truth import Violation

__all__: list[str] = []


def informed(bazaar: SimulatedBazaar) -> list[FrontendMember]:
    """The front-ends, once each holds a lease and some lookups were hits."""
    elected(bazaar)
    members = bazaar.frontends

    def are() -> bool:
        return all(each.floors.alive(each.seconds) for each in members)

    wait(bazaar, are, "leases for all front-ends", 4.0)
    wait(bazaar, lambda: bazaar.truth.counts["hit"] > 5, "hits", 4.0)
    return members


def keeps_flowing(bazaar: SimulatedBazaar, seconds: float) -> None:
    """After one lease, trades are delayed no longer."""
    world, counts = bazaar.world, bazaar.truth.counts
    flows(bazaar, TIMING.lease * 1.3)
    for _ in range(int(seconds / 0.5)):
        before = counts["placed"]
        world.run(world.now + 0.5)
        if counts["placed"] == before:
            raise Violation(11, "trades are held up more than once")


@scenario
def trades_flow_while_a_front_end_does_not_hear_the_catalog(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    bazaar.network.cut(bazaar.catalog.name, first.name, 6.0)
    keeps_flowing(bazaar, 2.5)


@scenario
def trades_flow_while_the_catalog_does_not_hear_a_front_end(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    bazaar.network.cut(first.name, bazaar.catalog.name, 6.0)
    keeps_flowing(bazaar, 2.5)


@scenario
def a_front_end_that_stands_still_costs_one_lease_once(bazaar: SimulatedBazaar) -> None:
    first, second = informed(bazaar)[:2]
    for client in bazaar.clients:
        client.use([second])
    first.pause()
    keeps_flowing(bazaar, 1.5)
    for client in bazaar.clients:
        client.use([first, second])
    first.resume()
    bazaar.world.run(bazaar.world.now + 0.5)


def waited(bazaar: SimulatedBazaar, seconds: float) -> float:
    """Let time pass; returns how many seconds of it were tenths without an acknowledged trade."""
    world, counts, lost = bazaar.world, bazaar.truth.counts, 0
    steps = round(seconds / 0.1)
    for _ in range(steps):
        before = counts["placed"]
        world.run(world.now + 0.1)
        lost += counts["placed"] == before
    return lost * 0.1


@scenario
def a_front_end_that_stands_still_again_and_again_costs_little(bazaar: SimulatedBazaar) -> None:
    first, second = informed(bazaar)[:2]
    for client in bazaar.clients:
        client.use([second])
    lost = 0.0
    for _ in range(8):
        first.pause()
        lost += waited(bazaar, 1.0)
        first.resume()
        lost += waited(bazaar, 0.3)
    if lost > 4.5 * TIMING.lease:
        raise Violation(11, f"{first.name} held up the others' trades for {lost:.1f} s of 10.4")


@scenario
def a_catalog_that_stands_still_again_and_again_costs_little(bazaar: SimulatedBazaar) -> None:
    informed(bazaar)
    lost = 0.0
    for _ in range(8):
        bazaar.catalog.pause()
        lost += waited(bazaar, 1.0)
        bazaar.catalog.resume()
        lost += waited(bazaar, 0.3)
    if lost > 5.5 * TIMING.lease:
        raise Violation(11, f"the catalog held up trades for {lost:.1f} s of 10.4")


@scenario
def one_that_holds_others_up_again_and_again_shows_nothing_old(bazaar: SimulatedBazaar) -> None:
    """A front-end that is kept out may still hold a lease for a while."""
    first, second = informed(bazaar)[:2]
    for client in bazaar.clients:
        client.use([second])
    for kind in ("not heard", "still"):
        for _ in range(4):
            if kind == "not heard":
                bazaar.network.cut(bazaar.catalog.name, first.name, 0.85)
            else:
                bazaar.catalog.pause()
                bazaar.world.after(0.85, bazaar.catalog.resume)
            for step in range(120):
                probe(bazaar, first, DEFAULT_LISTING[step % 3].name)
                bazaar.world.run(bazaar.world.now + 0.01)


@scenario
def a_catalog_that_stood_still_shows_nothing_old(bazaar: SimulatedBazaar) -> None:
    informed(bazaar)
    for pause in (0.2, 0.9, 1.1, 2.0):
        bazaar.catalog.pause()
        bazaar.world.run(bazaar.world.now + pause)
        bazaar.catalog.resume()
        bazaar.world.run(bazaar.world.now + 1.2)


@scenario
def a_catalog_that_is_cut_off_shows_nothing_old(bazaar: SimulatedBazaar) -> None:
    informed(bazaar)
    for order in bazaar.orders.values():
        bazaar.network.cut(order.name, bazaar.catalog.name, 3.0)
    flows(bazaar, 1.5)
    bazaar.world.run(bazaar.world.now + 1.5)


@scenario
def clocks_may_drift_as_far_as_clocks_do(bazaar: SimulatedBazaar) -> None:
    members = informed(bazaar)
    for process in (*bazaar.orders.values(), *members):
        process.slow_down(1 + MAX_DRIFT)
    bazaar.catalog.slow_down(1 - MAX_DRIFT)
    bazaar.world.run(bazaar.world.now + 1.0)
    for order in bazaar.orders.values():
        bazaar.network.cut(order.name, bazaar.catalog.name, 3.0)
    for step in range(160):
        probe(bazaar, members[step % 2], DEFAULT_LISTING[step % 3].name)
        bazaar.world.run(bazaar.world.now + 0.01)


@scenario
def a_catalog_that_restarts_waits_for_what_it_promised(bazaar: SimulatedBazaar) -> None:
    members = informed(bazaar)
    for member in members[:1]:
        # It goes on showing what it has, and hears nothing.
        bazaar.network.cut(bazaar.catalog.name, member.name, 1.6)
    for _ in range(3):
        bazaar.catalog.crash()
        bazaar.world.run(bazaar.world.now + 0.02)
        bazaar.catalog.start()
        bazaar.world.run(bazaar.world.now + 0.4)


@scenario
def a_leader_and_the_catalogs_part(bazaar: SimulatedBazaar) -> None:
    """The old leader is cut off together with the catalog, and front-ends reach both sides."""
    informed(bazaar)
    leader = elected(bazaar)
    for peer in leader.peers.values():
        for other in (leader.name, bazaar.catalog.name):
            bazaar.network.cut(peer.name, other, 3.0)
            bazaar.network.cut(other, peer.name, 3.0)
    flows(bazaar, 2.0)


@scenario
def a_redis_goes_back_in_time(bazaar: SimulatedBazaar) -> None:
    informed(bazaar)
    for _ in range(6):
        for redis in bazaar.redises:
            redis.dump()
        bazaar.world.run(bazaar.world.now + 0.3)
        for redis in bazaar.redises:
            redis.restore()


@scenario
def a_backup_of_the_order_logs_is_put_back_and_caches_remember_more(
    bazaar: SimulatedBazaar,
) -> None:
    """Catalogs, Redis and front-ends go on. The same versions come again, with other trades."""
    informed(bazaar)
    for _ in range(3):
        bazaar.copy_logs()
        bazaar.world.run(bazaar.world.now + 0.7)
        bazaar.restore_logs(0.01)
        elected(bazaar)
        flows(bazaar, 2 * TIMING.lease)
        informed(bazaar)


@scenario
def a_catalog_that_is_ahead_of_restored_logs_is_not_heard(bazaar: SimulatedBazaar) -> None:
    """It hears the new leader, is not told to rebuild, and shows what it has while its lease lasts,
    but under the name of the lost log. So none of that is a hit when its versions come again."""
    first = informed(bazaar)[0]
    world, (one, other) = bazaar.world, [listing.name for listing in DEFAULT_LISTING[:2]]
    bazaar.copy_logs()
    world.run(world.now + 0.7)
    for client in bazaar.clients:
        client.idle = True
    world.run(world.now + 0.3)
    bazaar.restore_logs(0.001)
    for order in bazaar.orders.values():
        bazaar.network.cut(bazaar.catalog.name, order.name, 1.2)
    for step in range(120):
        probe(bazaar, bazaar.frontends[step % 2], one)
        world.run(world.now + 0.01)
    wait(bazaar, lambda: first.floors.alive(first.seconds), "a lease", 4.0)
    for count in range(60):
        first.place(Trade(f"other-{count}", other, Side.SELL, 1), lambda _: None)
        world.run(world.now + 0.03)
        for member in bazaar.frontends:
            probe(bazaar, member, one)
    for client in bazaar.clients:
        client.idle = False
        client.started()


@scenario
def a_redis_holds_what_no_catalog_has_shown(bazaar: SimulatedBazaar) -> None:
    members, name = informed(bazaar), DEFAULT_LISTING[0].name
    for _ in range(40):
        quote = Quote(bazaar.truth.acknowledged_index + 1000, b"123456")
        for member in members:
            for redis in bazaar.redises:
                redis.put((member.floors.history, {name: quote}), lambda _: None)
            probe(bazaar, member, name)
        bazaar.world.run(bazaar.world.now + 0.01)


@scenario
def a_front_end_restarts_over_and_over(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    for _ in range(8):
        first.crash()
        bazaar.world.run(bazaar.world.now + 0.05)
        first.start()
        bazaar.world.run(bazaar.world.now + 0.35)


@scenario
def a_catalog_that_restarts_and_cannot_answer_shows_nothing_old(bazaar: SimulatedBazaar) -> None:
    informed(bazaar)
    catalog = bazaar.catalog
    catalog.crash()
    for order in bazaar.orders.values():
        bazaar.network.cut(catalog.name, order.name, 3.0)
    catalog.start()
    bazaar.world.run(bazaar.world.now + 2.0)


def probe(bazaar: SimulatedBazaar, frontend: FrontendMember, name: str) -> None:
    """Look a stock up now, and check the answer against what clients had seen before."""
    least = bazaar.truth.seen_version(name)

    def answered(found: object) -> None:
        if isinstance(found, LookupResult):
            bazaar.truth.looked_up(name, found, least)

    frontend.lookup(name, answered)


def watch(bazaar: SimulatedBazaar, members: list[FrontendMember], seconds: float) -> None:
    """Look every stock up at each of `members`, all the time, for `seconds`."""
    world = bazaar.world
    until = world.now + seconds
    while world.now < until:
        for member in members:
            for listing in DEFAULT_LISTING[:3]:
                probe(bazaar, member, listing.name)
        world.run(world.now + 0.004)


@scenario
def a_slow_lookup_is_overtaken_by_a_trade_of_its_stock(bazaar: SimulatedBazaar) -> None:
    """A lookup that joins a call whose answer is on its way must not get the quantity of before the
    trade."""
    first = informed(bazaar)[0]
    world, weather = bazaar.world, bazaar.network.weather
    for attempt in range(60):
        for redis in bazaar.redises:
            redis.crash()
            redis.start()
        name = DEFAULT_LISTING[attempt % 3].name
        probe(bazaar, first, name)
        world.run(world.now + 0.0013)  # Redis has nothing: the catalog is asked.
        weather.slow = 1.0  # Its answer is late.
        world.run(world.now + 0.0026)
        weather.slow = 0.0
        for _ in range(10):
            world.run(world.now + 0.01)
            probe(bazaar, first, name)
        world.run(world.now + 0.2)


@scenario
def the_leader_shows_no_more_than_a_front_end_with_a_cache(bazaar: SimulatedBazaar) -> None:
    first = informed(bazaar)[0]
    leader = elected(bazaar)
    world, weather, truth = bazaar.world, bazaar.network.weather, bazaar.truth
    for client in bazaar.clients:
        client.idle = True
    world.run(world.now + 0.5)
    one, other = (listing.name for listing in DEFAULT_LISTING[:2])

    def ask_the_leader() -> None:
        least = truth.seen_version(other)

        def answered(answer: object) -> None:
            if isinstance(answer, LookupReply):
                quote = quote_of(answer.stocks[0])
                truth.looked_up(other, LookupResult(quote, Source.MISS), least)

        leader.lookup([other], answered)

    for attempt in range(40):
        probe(bazaar, first, other)
        world.run(world.now + 0.01)
        first.place(Trade(f"one-{attempt}", one, Side.SELL, 1), lambda _: None)
        world.run(world.now + 0.003)
        weather.slow = 0.4
        ask_the_leader()
        first.place(Trade(f"other-{attempt}", other, Side.SELL, 1), lambda _: None)
        for _ in range(60):
            world.run(world.now + 0.005)
            probe(bazaar, first, other)
        weather.slow = 0.0
        world.run(world.now + 0.3)
    for client in bazaar.clients:
        client.idle = False
        client.started()
