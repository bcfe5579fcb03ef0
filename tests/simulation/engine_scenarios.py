"""Directed schedules for leaders whose log is in an engine: leases, claims and fail-overs of the
engine at the worst moment."""

from twisted_bazaar.engine.shared_log import HANDED_OVER

from .cache_scenarios import informed, watch
from .engine_bazaar import EngineBazaar
from .engine_members import EngineMember
from .frontends import FrontendMember
from .scenarios import elected, part, scenario_with, wait

__all__: list[str] = []


def _begin(bazaar: EngineBazaar) -> tuple[EngineMember, list[FrontendMember]]:
    """The leader, which alone reaches the catalogs from now on, and front-ends with caches, one of
    which does not reach it."""
    members = informed(bazaar)
    leader = elected(bazaar)
    assert isinstance(leader, EngineMember)
    for order in bazaar.orders.values():
        for catalog in bazaar.catalogs if order is not leader else ():
            bazaar.network.cut(order.name, catalog, 6.0)
    bazaar.network.cut(members[1].name, leader.name, 6.0)
    bazaar.network.cut(leader.name, members[1].name, 6.0)
    return leader, members


def _rest(bazaar: EngineBazaar, idle: bool) -> None:
    """Let clients place nothing more, or go on."""
    for client in bazaar.clients:
        if client.idle and not idle:
            client.idle = False
            client._next()
        client.idle = idle


def _written(bazaar: EngineBazaar) -> tuple[int, int, str]:
    """Names the last write to the log."""
    tail = bazaar.engines.engine.rows[0].tail
    return tail.term, tail.beat, tail.digest


def _stand(bazaar: EngineBazaar, leader: EngineMember, seconds: float = 2.0) -> None:
    """Nominate all but `leader` again and again, for so long, or until one leads."""
    world = bazaar.world
    others = [order for order in bazaar.orders.values() if order is not leader]
    for order in others:
        order.in_this_life(order.campaign)(None, lambda _: None)
    if seconds > 0 and not any(order.replica.leads for order in others):
        world.after(0.01, _stand, bazaar, leader, seconds - 0.01)


def _next_write(bazaar: EngineBazaar) -> None:
    """Wait until the leader has written once more."""
    before = _written(bazaar)
    wait(bazaar, lambda: _written(bazaar) != before, "a write", 1.0)


@scenario_with(partitions=1)
def a_leader_that_the_engine_does_not_answer_grants_no_lease(bazaar: EngineBazaar) -> None:
    leader, members = _begin(bazaar)
    part(bazaar, leader, 3.0)
    watch(bazaar, members, 3.5)


@scenario_with(partitions=1)
def a_leader_counts_on_a_write_from_when_it_sent_it(bazaar: EngineBazaar) -> None:
    """The engine's answers take nearly a tenure."""
    leader, members = _begin(bazaar)
    network, world = bazaar.network, bazaar.world
    _rest(bazaar, True)
    for server in bazaar.engines.servers:
        network.delay(server.name, leader.name, 0.5)
    world.run(world.now + 0.7)
    _next_write(bazaar)
    for server in bazaar.engines.servers:
        network.cut(leader.name, server.name, 3.0)
    _rest(bazaar, False)
    watch(bazaar, members, 3.0)


@scenario_with(partitions=1)
def a_leader_counts_on_a_write_from_when_it_sent_it_first(bazaar: EngineBazaar) -> None:
    """What the others were shown first is lost, and comes again."""
    leader, members = _begin(bazaar)
    engines, world = bazaar.engines, bazaar.world
    _rest(bazaar, True)
    world.run(world.now + 0.2)
    engines.part(1.0)
    _next_write(bazaar)
    for order in bazaar.orders.values():
        if order is not leader:
            engines.freeze(order.name, 1.2)
    world.run(world.now + 0.3)
    engines.fail_over(0.0)
    _next_write(bazaar)
    part(bazaar, leader, 3.0)
    _stand(bazaar, leader)
    _rest(bazaar, False)
    watch(bazaar, members, 3.0)


@scenario_with(partitions=1)
def a_claim_compares_the_beat(bazaar: EngineBazaar) -> None:
    """The leader stands still for a tenure, and writes again before the claim comes."""
    leader, members = _begin(bazaar)
    engines, world = bazaar.engines, bazaar.world
    _rest(bazaar, True)
    world.run(world.now + 0.2)
    leader.pause()
    engines.holding |= {(order.name, "claim") for order in bazaar.orders.values()}
    wait(bazaar, lambda: engines.held, "a claim", 1.1)
    leader.resume()
    _next_write(bazaar)
    part(bazaar, leader, 3.0)
    engines.release()
    _stand(bazaar, leader)
    _rest(bazaar, False)
    watch(bazaar, members, 3.0)


@scenario_with(partitions=1)
def a_late_copy_of_a_beat_changes_nothing(bazaar: EngineBazaar) -> None:
    """The others are shown it, and nothing that came after it."""
    leader, members = _begin(bazaar)
    engines, world = bazaar.engines, bazaar.world
    _rest(bazaar, True)
    world.run(world.now + 0.3)
    engines.copying.add((leader.name, "beat"))
    wait(bazaar, lambda: engines.held, "a beat", 1.0)
    _next_write(bazaar)
    for order in bazaar.orders.values():
        if order is not leader:
            engines.freeze(order.name, 1.5)
    world.run(world.now + 0.65)
    _next_write(bazaar)
    engines.release()
    part(bazaar, leader, 3.0)
    _stand(bazaar, leader)
    _rest(bazaar, False)
    watch(bazaar, members, 3.0)


@scenario_with(partitions=1)
def a_leader_that_has_left_relies_on_nothing(bazaar: EngineBazaar) -> None:
    """It does not hear that the engine has taken that down."""
    leader, members = _begin(bazaar)
    _rest(bazaar, True)
    bazaar.world.run(bazaar.world.now + 0.2)
    bazaar.hand_over(leader.name, "order-1" if leader.number > 1 else "order-2")
    led = leader.replica._led
    wait(bazaar, lambda: led.left, "the end of a leadership", 1.0)
    for server in bazaar.engines.servers:
        bazaar.network.cut(server.name, leader.name, 3.0)
    wait(bazaar, lambda: _written(bazaar)[1] == HANDED_OVER, "its last write", 1.0)
    _stand(bazaar, leader)
    _rest(bazaar, False)
    watch(bazaar, members, 3.0)
