"""Directed schedules: replicas are added, removed and replaced while trades flow."""

from collections.abc import Callable
from typing import Any

from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember
from twisted_bazaar.errors import MembersRefused

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .scenarios import elected, flows, part, scenario, scenario_with, wait
from .truth import Violation

__all__ = ["begin", "ended"]


def _asked(leader: OrderMember, change: MembersChange) -> Any:
    """What `leader` answers to `change` now."""
    answers: list[Any] = []
    leader.change_members(change, answers.append)
    return answers[0]


def begin(bazaar: SimulatedBazaar, change: MembersChange) -> None:
    """Ask whoever leads for `change`, until it has begun."""
    wait(
        bazaar,
        lambda: isinstance(_asked(elected(bazaar), change), int),
        f"{change} begins",
        3.0,
    )


def ended(bazaar: SimulatedBazaar, *voters: int) -> None:
    """Wait until the members are `voters`, and no change is under way."""

    def so() -> bool:
        membership = bazaar.membership()
        return (membership.voters, membership.ids) == (voters, voters)

    wait(bazaar, so, f"the members are {voters}", 5.0)


def _joins(bazaar: SimulatedBazaar, number: int) -> OrderMember:
    """A new machine for replica `number` joins, and counts in the end."""
    order = bazaar.new_replica(number)
    order.start()
    begin(bazaar, AddMember(number, order.name))
    wait(bazaar, lambda: number in bazaar.membership().voters, f"{order.name} counts", 5.0)
    return order


def _stops(bazaar: SimulatedBazaar, order: OrderMember) -> None:
    wait(bazaar, lambda: not order.alive, f"{order.name} stops", 2.0)
    if "removed" not in order.stopped:
        raise Violation(11, f"{order.name} stopped: {order.stopped}")


def _two_are_left(bazaar: SimulatedBazaar) -> tuple[OrderMember, OrderMember]:
    """The leader, and the only other member."""
    leader = elected(bazaar)
    other, gone = (order for order in bazaar.orders.values() if order is not leader)
    begin(bazaar, RemoveMember(gone.number))
    ended(bazaar, *sorted((leader.number, other.number)))
    _stops(bazaar, gone)
    return elected(bazaar), next(order for order in (leader, other) if order is not elected(bazaar))


@scenario
def a_dead_replica_is_replaced_by_a_new_machine(bazaar: SimulatedBazaar) -> None:
    leader = elected(bazaar)
    dead, kept = (order for order in bazaar.orders.values() if order is not leader)
    flows(bazaar, 0.5)
    dead.crash()
    begin(bazaar, RemoveMember(dead.number))
    flows(bazaar, 1.0)
    _joins(bazaar, 4)
    ended(bazaar, *sorted((leader.number, kept.number, 4)))
    flows(bazaar, 0.5)
    # What was removed comes back, and disturbs nobody.
    terms = bazaar.truth.terms
    dead.start()
    _stops(bazaar, dead)
    if bazaar.truth.terms != terms:
        raise Violation(11, f"{dead.name} came back, and there was an election")


@scenario
def three_become_five_and_three_again(bazaar: SimulatedBazaar) -> None:
    elected(bazaar)
    for number in (4, 5):
        _joins(bazaar, number)
        flows(bazaar, 0.2)
    ended(bazaar, 1, 2, 3, 4, 5)
    for number in (1, 4):
        begin(bazaar, RemoveMember(number))
        wait(bazaar, lambda: number not in bazaar.members(), f"{number} is gone", 5.0)  # noqa: B023
        _stops(bazaar, bazaar.orders[number])
    ended(bazaar, 2, 3, 5)
    flows(bazaar, 1.0)


@scenario
def the_leader_is_removed(bazaar: SimulatedBazaar) -> None:
    """It leads until the change is done, and stops then; another leads."""
    leader = elected(bazaar)
    begin(bazaar, RemoveMember(leader.number))
    _stops(bazaar, leader)
    elected(bazaar, but=leader)
    flows(bazaar, 1.0)


@scenario
def who_is_joining_does_not_count(bazaar: SimulatedBazaar) -> None:
    """It is on no disk that matters: two of three trade on, and elect, while it is down."""
    leader = elected(bazaar)
    first, second = (order for order in bazaar.orders.values() if order is not leader)
    new = bazaar.new_replica(4)
    begin(bazaar, AddMember(4, new.name))
    first.crash()
    flows(bazaar, 0.5)
    first.start()
    flows(bazaar, 0.5)
    leader.crash()
    flows(bazaar, 2.0)
    if 4 in bazaar.membership().voters:
        raise Violation(11, "a replica counts that has nothing")
    leader.start()
    new.start()
    wait(bazaar, lambda: 4 in bazaar.membership().voters, "it counts", 5.0)
    assert second.alive


@scenario
def a_change_that_is_overwritten_is_none(bazaar: SimulatedBazaar) -> None:
    """A leader that is cut off proposes it; the next leader's entries take its place."""
    leader = elected(bazaar)
    first, second = (order for order in bazaar.orders.values() if order is not leader)
    bazaar.world.run(bazaar.world.now + 0.3)
    _ready(bazaar, leader)
    part(bazaar, leader, 2.0)
    if not isinstance(_asked(leader, RemoveMember(first.number)), int):
        raise Violation(11, "the leader does not propose what it is asked for")
    flows(bazaar, 1.5)
    wait(
        bazaar,
        lambda: (
            leader.replica.log.last_index >= elected(bazaar).replica.commit > 0
            and not leader.replica.leads
        ),
        "the leader of before follows",
        3.0,
    )
    if leader.replica.membership.index:
        raise Violation(3, "a change counts that was overwritten")
    assert second.alive


def _ready(bazaar: SimulatedBazaar, leader: OrderMember) -> None:
    """Wait until `leader` knows that all members are of this release."""
    wait(bazaar, lambda: not _unknown(leader), "all have said of which release they are", 2.0)


def _unknown(leader: OrderMember) -> list[int]:
    state = leader.replica._leader_state
    assert state is not None
    unknown = state.unknown_levels(leader.replica._levels, leader.seconds)
    if unknown:
        leader.replica._ask_levels(unknown)
        leader.carry_out()
    return unknown


@scenario_with(replicas=5)
def there_is_one_change_at_a_time(bazaar: SimulatedBazaar) -> None:
    """A leader with one of five must not shrink the bazaar to the two of them."""
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    _ready(bazaar, leader)
    near, *far = (order for order in bazaar.orders.values() if order is not leader)
    for one in (leader, near):
        for other in (*far, *bazaar.frontends):
            bazaar.network.cut(one.name, other.name, 3.0)
            bazaar.network.cut(other.name, one.name, 3.0)
    answers = [_asked(leader, RemoveMember(other.number)) for other in far]
    flows(bazaar, 2.0)
    if not any(isinstance(answer, MembersRefused) for answer in answers):
        raise Violation(11, f"several changes were begun at once: {answers}")


def _forgets(bazaar: SimulatedBazaar, is_time: Callable[[OrderMember], bool]) -> None:
    """Two become three, and one of the two is cut off once `is_time` says so of the leader. The
    leader loses its disk; when it is back, it reaches that one only."""
    leader, lagging = _two_are_left(bazaar)
    new = bazaar.new_replica(4)
    new.start()
    begin(bazaar, AddMember(4, new.name))
    wait(bazaar, lambda: is_time(leader), "the change is under way", 5.0)
    part(bazaar, lagging, 0.8)
    world = bazaar.world
    world.run(world.now + 0.8)
    new.crash()
    leader.crash()
    leader.wipe()
    leader.start()
    world.run(world.now + 2.0)
    new.start()


@scenario
def one_of_two_that_become_three_forgets_all_in_between(bazaar: SimulatedBazaar) -> None:
    """No entry is committed that the other does not have, before the change is done."""

    def has_caught_up(leader: OrderMember) -> bool:
        state = leader.replica._leader_state
        return state is not None and state._peers[4].match > 0

    _forgets(bazaar, has_caught_up)


@scenario
def one_of_two_that_became_three_forgets_all(bazaar: SimulatedBazaar) -> None:
    """It asks the third, of which only another replica can tell it."""

    def is_done(leader: OrderMember) -> bool:
        return 4 in bazaar.membership().voters and leader.replica.membership_settled

    _forgets(bazaar, is_done)


@scenario
def a_leader_is_lost_while_the_voters_change(bazaar: SimulatedBazaar) -> None:
    """Whoever leads then is elected by both majorities, and ends the change."""
    elected(bazaar)
    new = bazaar.new_replica(4)
    new.start()
    begin(bazaar, AddMember(4, new.name))
    wait(bazaar, lambda: elected(bazaar).replica.membership.before, "voters change", 5.0)
    leader = elected(bazaar)
    leader.crash()
    flows(bazaar, 2.0)
    leader.start()
    ended(bazaar, 1, 2, 3, 4)
