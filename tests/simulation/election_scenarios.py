"""Directed schedules for elections: slow disks, and replicas that cannot lead."""

from twisted_bazaar.consensus.role import Role

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .scenarios import elected, flows, hush, scenario, scenario_with, wait
from .truth import Violation

__all__ = ["bound", "committed", "keeps_its_place", "slow_disks"]


def slow_disks(bazaar: SimulatedBazaar, seconds: float) -> None:
    """From now on every write of every replica takes so long."""
    for order in bazaar.orders.values():
        order.disk.seconds = seconds


def committed(bazaar: SimulatedBazaar, within: float) -> OrderMember:
    """The leader, once it has committed an entry of its own term."""

    def found() -> OrderMember | None:
        for order in bazaar.orders.values():
            if order.alive and order.replica.leads and order.replica.commit >= order.replica.opened:
                return order
        return None

    wait(bazaar, found, "a leader that has committed in its term", within)
    leader = found()
    assert leader is not None
    return leader


def keeps_its_place(bazaar: SimulatedBazaar, leader: OrderMember, seconds: float) -> None:
    """Check that `leader` is not replaced, and that entries are committed."""
    terms, entries = bazaar.truth.terms, len(bazaar.truth.entries)
    bazaar.world.run(bazaar.world.now + seconds)
    if not leader.replica.leads or bazaar.truth.terms != terms:
        raise Violation(11, f"{leader.name} lost its place to a slow disk")
    if len(bazaar.truth.entries) == entries:
        raise Violation(11, f"nothing is committed in {seconds} s")


def bound(write: float) -> float:
    """Seconds until there is a leader that commits, where each write takes so long: the write under
    way, the candidate's vote, the voters' votes, and the first entry."""
    return 1.5 + 5 * write


def _elect_on_slow_disks(bazaar: SimulatedBazaar, write: float) -> None:
    world = bazaar.world
    leader = elected(bazaar)
    world.run(world.now + 0.3)
    slow_disks(bazaar, write)
    leader.crash()
    leader = committed(bazaar, bound(write))
    keeps_its_place(bazaar, leader, 1.0 + 6 * write)
    # Those who are left have shown how slow they are, and the third is back.
    for order in bazaar.orders.values():
        order.start()
    world.run(world.now + 0.5 + 3 * write)
    leader.crash()
    keeps_its_place(bazaar, committed(bazaar, bound(write)), 1.0 + 4 * write)


@scenario
def a_leader_is_elected_on_disks_that_take_160_ms(bazaar: SimulatedBazaar) -> None:
    _elect_on_slow_disks(bazaar, 0.16)
    flows(bazaar, 1.5)


@scenario
def a_leader_is_elected_on_disks_that_take_half_a_second(bazaar: SimulatedBazaar) -> None:
    _elect_on_slow_disks(bazaar, 0.5)


@scenario
def a_leader_is_elected_on_disks_that_take_two_seconds(bazaar: SimulatedBazaar) -> None:
    _elect_on_slow_disks(bazaar, 2.0)


@scenario
def a_bazaar_begins_on_slow_disks(bazaar: SimulatedBazaar) -> None:
    slow_disks(bazaar, 0.5)
    world = bazaar.world
    leader = committed(bazaar, bound(0.5))
    world.run(world.now + 2.0)
    keeps_its_place(bazaar, leader, 4.0)


@scenario
def all_restart_on_slow_disks(bazaar: SimulatedBazaar) -> None:
    """The replicas have forgotten how slow their disks are."""
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.5)
    slow_disks(bazaar, 1.0)
    for order in bazaar.orders.values():
        order.crash()
    for order in bazaar.orders.values():
        order.start()
    committed(bazaar, bound(1.0))


@scenario_with(replicas=5, frontends=2, confused=2)
def front_ends_that_disagree_elect_on_disks_that_take_two_seconds(bazaar: SimulatedBazaar) -> None:
    """Several stand at once. A vote waits for the write under way and for its own, and the voter
    asks others not to stand meanwhile."""
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    slow_disks(bazaar, 2.0)
    _bounce(*bazaar.orders.values())
    leader = committed(bazaar, 3 * bound(2.0))
    keeps_its_place(bazaar, leader, 8.0)


@scenario
def what_a_candidate_has_won_it_need_not_win_again(bazaar: SimulatedBazaar) -> None:
    """Its voter has the vote on disk, but is not heard until the candidate has given up."""
    gone = elected(bazaar)
    world, network = bazaar.world, bazaar.network
    world.run(world.now + 0.3)
    voter, candidate = gone.peers.values()
    slow_disks(bazaar, 1.0)
    world.run(world.now + 3.0)
    hush(bazaar, 30.0)
    gone.crash()
    world.run(world.now + 2.5)
    candidate.campaign(None, lambda _: None)
    world.run(world.now + 0.01)
    network.cut(voter.name, candidate.name, 30.0)
    term = candidate.replica.term
    wait(bazaar, lambda: candidate.replica.role is Role.FOLLOWER, "it gives up", 6.0)
    network.heal()
    hush(bazaar, 1.0)
    candidate.campaign(None, lambda _: None)
    wait(bazaar, lambda: candidate.replica.leads, "the votes that it has count", 0.7)
    if candidate.replica.term != term:
        raise Violation(11, f"{candidate.name} leads in a term for which all had to write anew")


@scenario
def split_votes_are_not_kept(bazaar: SimulatedBazaar) -> None:
    """The two that are left are nominated at once, and each votes for itself."""
    gone = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    left = list(gone.peers.values())
    hush(bazaar, 30.0)
    gone.crash()
    bazaar.world.run(bazaar.world.now + 0.5)
    for member in left:
        member.campaign(None, lambda _: None)
    for attempt in range(6):
        bazaar.world.run(bazaar.world.now + 0.5)
        if not any(member.replica.leads for member in left):
            left[attempt % 2].campaign(None, lambda _: None)
    wait(bazaar, lambda: any(member.replica.leads for member in left), "a leader", 0.5)


# The highest id cannot lead: the others are not held up.


def _cut(bazaar: SimulatedBazaar, one: OrderMember, other: OrderMember) -> None:
    bazaar.network.cut(one.name, other.name, 30.0)
    bazaar.network.cut(other.name, one.name, 30.0)


def _bounce(*orders: OrderMember) -> None:
    for order in orders:
        order.crash()
    for order in orders:
        order.start()


def _led_by_another(bazaar: SimulatedBazaar, highest: OrderMember, within: float) -> None:
    leader = committed(bazaar, within)
    if leader is highest:
        raise Violation(2, f"{leader.name} leads, and cannot")
    flows(bazaar, 1.5)


@scenario
def the_highest_is_suspect_and_reaches_not_all(bazaar: SimulatedBazaar) -> None:
    elected(bazaar)
    first, second, highest = bazaar.orders.values()
    bazaar.world.run(bazaar.world.now + 0.3)
    highest.crash()
    highest.wipe()
    _cut(bazaar, first, highest)
    highest.start()
    elected(bazaar, but=highest)
    _bounce(second)
    _led_by_another(bazaar, highest, 2.0)


@scenario_with(replicas=5)
def one_of_five_is_suspect_one_is_down_and_the_others_restart(bazaar: SimulatedBazaar) -> None:
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    *others, highest = bazaar.orders.values()
    highest.crash()
    highest.wipe()
    others[0].crash()
    highest.start()
    bazaar.world.run(bazaar.world.now + 1.0)
    _bounce(others[-1])
    _led_by_another(bazaar, highest, 2.0)


@scenario_with(replicas=5)
def the_highest_reaches_nobody_but_one_that_is_suspect(bazaar: SimulatedBazaar) -> None:
    """The answer of the suspect replica makes no other wait."""
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    *others, suspect, highest = bazaar.orders.values()
    suspect.crash()
    suspect.wipe()
    _cut(bazaar, suspect, others[0])
    for other in others:
        _cut(bazaar, highest, other)
    suspect.start()
    bazaar.world.run(bazaar.world.now + 1.0)
    _bounce(*others, highest)
    _led_by_another(bazaar, highest, 2.5)


@scenario
def the_highest_restarts_again_and_again(bazaar: SimulatedBazaar) -> None:
    """It has just started whenever it is nominated."""
    leader = elected(bazaar)
    world, highest = bazaar.world, bazaar.orders[len(bazaar.orders)]
    world.run(world.now + 0.3)

    restarting = [True]

    def restart() -> None:
        if restarting:
            _bounce(highest)
            world.after(0.2, restart)

    restart()
    leader.crash()
    leader.start()
    _led_by_another(bazaar, highest, 2.0)
    restarting.clear()


@scenario
def the_disk_of_the_highest_hangs(bazaar: SimulatedBazaar) -> None:
    elected(bazaar)
    *_, highest = bazaar.orders.values()
    bazaar.world.run(bazaar.world.now + 0.3)
    highest.crash()
    leader = elected(bazaar, but=highest)
    highest.start()
    bazaar.world.run(bazaar.world.now + 0.5)
    highest.disk.stuck = True
    bazaar.world.run(bazaar.world.now + 1.5)
    _bounce(leader)
    _led_by_another(bazaar, highest, 0.8)
    _bounce(highest)


@scenario
def the_disk_of_the_highest_hangs_while_another_is_down(bazaar: SimulatedBazaar) -> None:
    """As soon as that one is back, there is a majority without the highest."""
    elected(bazaar)
    *_, highest = bazaar.orders.values()
    world = bazaar.world
    world.run(world.now + 0.3)
    highest.crash()
    leader = elected(bazaar, but=highest)
    highest.start()
    world.run(world.now + 0.5)
    highest.disk.stuck = True
    world.run(world.now + 1.0)
    leader.crash()
    world.run(world.now + 2.5)
    leader.start()
    _led_by_another(bazaar, highest, 1.5)
    _bounce(highest)


@scenario_with(replicas=5)
def the_highest_answers_pings_and_no_nomination(bazaar: SimulatedBazaar) -> None:
    """Nor does the next: the others have their turn."""
    elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    *others, next_, highest = bazaar.orders.values()
    for order in (next_, highest):
        order.campaign = lambda message, reply: None  # type: ignore[method-assign]
    _bounce(next_, highest)
    leader = committed(bazaar, 3.0)
    if leader not in others:
        raise Violation(2, f"{leader.name} leads, and was not asked")
    flows(bazaar, 1.5)


# What front-ends say of who leads.


@scenario
def who_is_named_as_the_leader_deposes_nobody(bazaar: SimulatedBazaar) -> None:
    """A front-end names leaders of terms in which none was elected, again and again."""
    leader = elected(bazaar)
    world = bazaar.world
    world.run(world.now + 0.3)
    terms = bazaar.truth.terms
    for _ in range(20):
        for order in bazaar.orders.values():
            bazaar.depose(bazaar.frontends[0].name, order.name)
        world.run(world.now + 0.15)
    if bazaar.truth.terms != terms or not leader.replica.leads:
        raise Violation(11, f"{leader.name} was deposed by a front-end's word")
