"""When a member may claim a partition whose log is in an engine, and what it knows after that."""

import attrs
import pytest
from msgspec.structs import replace

from tests.fakes.tenure import TICK, TIMING, TenureLife
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.engine.calls import Beat, Claim, Load, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import Released, Unknown

TENURE = TIMING.tenure


def test_a_partition_that_none_ever_led_is_claimed_at_once(life: TenureLife) -> None:
    life.look()
    ticket = life.nominate()
    assert isinstance(life.do(), Load)
    claim = life.call
    assert isinstance(claim, Claim)
    assert (claim.term, claim.leader, claim.longest_lease) == (1, 1, TIMING.lease)
    assert life.tenure.role is Role.CANDIDATE
    life.do()
    assert life.tenure.leads
    assert (life.replies[ticket].leader, life.replies[ticket].term) == (1, 1)
    assert life.ready.leading_term == 1
    assert [type(entry.event) for entry in life.ready.committed] == [Opened]
    assert life.tenure.opened == life.ready.committed[0].index == 1


def test_a_leader_is_replaced_only_when_it_has_written_nothing_for_a_tenure(
    leader: TenureLife, other: TenureLife
) -> None:
    other.pass_time(TENURE - TICK)
    other.look()
    ticket = other.nominate()
    assert other.call is None
    assert (other.replies[ticket].leader, other.replies[ticket].wait) == (1, pytest.approx(TICK))
    other.tick()
    other.look()
    other.nominate()
    other.settle()
    assert (other.tenure.leads, other.tenure.term) == (True, 2)


def test_any_write_of_the_leader_begins_the_tenure_anew(
    leader: TenureLife, other: TenureLife
) -> None:
    other.pass_time(TENURE)
    leader.run(TENURE / 4)
    other.look()
    other.nominate()
    assert other.call is None
    other.pass_time(TENURE - TICK)
    other.look()
    other.nominate()
    assert other.call is None


def test_a_member_that_starts_waits_for_a_whole_tenure(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    late = TenureLife(engine, member=3, now=1000.0)
    late.nominate()
    assert late.call is None, "it has seen nothing"
    late.pass_time(TENURE / 2)
    late.look()
    late.pass_time(TENURE - TICK)
    late.look()
    late.nominate()
    assert late.call is None


def test_a_leader_that_has_left_is_replaced_at_once(leader: TenureLife, other: TenureLife) -> None:
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    leader.settle()
    assert not leader.tenure.leads
    other.look()
    assert other.tenure.known_leader(other.now) == 0
    other.nominate()
    other.settle()
    assert other.tenure.leads


def test_a_front_end_asks_again_soon_as_a_leader_may_have_left(
    leader: TenureLife, other: TenureLife
) -> None:
    ticket = other.nominate()
    assert (other.replies[ticket].leader, other.replies[ticket].wait) == (1, TIMING.heartbeat)


def test_a_claim_is_of_what_was_seen_unchanged_and_of_nothing_newer(
    leader: TenureLife, other: TenureLife
) -> None:
    """The leader writes after the last poll, before the state is loaded."""
    other.pass_time(TENURE)
    leader.run(TENURE / 4)
    ticket = other.nominate()
    assert isinstance(other.do(), Load)
    assert other.call is None
    assert other.replies[ticket].leader == 1
    assert other.tenure.role is Role.FOLLOWER


def test_a_claim_that_another_write_came_before_is_lost(
    leader: TenureLife, other: TenureLife
) -> None:
    """The candidate stands still between its decision and its call."""
    other.pass_time(TENURE)
    other.look()
    ticket = other.nominate()
    other.do()
    leader.run(TENURE / 4)
    assert isinstance(other.do(), Claim)
    assert not other.tenure.leads
    assert other.replies[ticket].leader == 0
    assert other.call is None
    leader.run(TENURE)
    assert leader.tenure.leads


def test_two_claims_of_one_term_are_told_apart(engine: MemoryEngine, leader: TenureLife) -> None:
    """One was visible, and lost at a fail-over. The other has the same term and beat."""
    first, second, third = (TenureLife(engine, member) for member in (2, 3, 1))
    for life in (first, second):
        life.look()
        life.pass_time(TENURE)
        life.look()
        life.nominate()
        life.do()
    engine.replicates = False
    first.do()
    third.look()
    engine.fail_over()
    engine.replicates = True
    third.pass_time(TENURE - TICK)
    second.now = third.now
    second.do()
    assert second.tenure.leads
    third.tick()
    third.look()
    third.nominate()
    assert third.call is None
    assert second.tenure.holds_lease(second.now)


def test_a_claim_whose_outcome_is_unknown_is_made_again_the_very_same(
    engine: MemoryEngine, life: TenureLife
) -> None:
    life.look()
    ticket = life.nominate()
    life.do()
    claim = life.call
    assert claim is not None
    make(claim, life.log)
    life.fail(claim, Unknown("lost"))
    assert life.call is None
    assert not life.tenure.leads
    life.tick(0.05)
    assert life.call is claim
    life.do()
    assert life.tenure.leads
    assert life.replies[ticket].leader == 1


def test_a_claim_that_was_known_late_is_worth_no_lease(life: TenureLife) -> None:
    life.look()
    life.nominate()
    life.do()
    claim = life.call
    assert claim is not None
    life.now += TENURE
    life.fail(claim, Unknown("lost"))
    life.tick(0.05)
    life.do()
    assert life.tenure.leads
    assert not life.tenure.holds_lease(life.now)
    assert isinstance(life.call, Beat), "it proves at once that it leads"
    life.do()
    assert life.tenure.holds_lease(life.now)


def test_a_claim_that_landed_though_it_was_given_up_is_no_leadership(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    other.pass_time(TENURE)
    other.look()
    ticket = other.nominate()
    other.do()
    claim = other.call
    assert isinstance(claim, Claim)
    while other.tenure.role is Role.CANDIDATE:
        if other.call is not None:
            other.fail(claim, Unknown("no answer"))
        other.tick()
        other.look()
    assert other.replies[ticket].campaigning
    make(claim, other.log)
    other.look()
    assert not other.tenure.leads
    assert other.tenure.known_leader(other.now) == 0
    other.nominate()
    assert other.call is None, "it waits for itself as for another"
    other.pass_time(TENURE)
    other.look()
    other.nominate()
    other.settle()
    assert (other.tenure.leads, other.tenure.term) == (True, claim.term + 1)


def test_a_member_that_saw_a_higher_term_during_its_claim_leads_in_no_lower_one(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    other.pass_time(TENURE)
    other.look()
    ticket = other.nominate()
    other.do()
    claim = other.call
    assert isinstance(claim, Claim)
    other.tenure.saw(replace(engine.tails()[0][0], term=9), other.now)
    other.do()
    assert not other.tenure.leads
    assert other.replies[ticket].leader == 0
    assert other.tenure.term == 9
    assert other.call is None


def test_a_claim_is_not_given_up_while_it_is_under_way(life: TenureLife) -> None:
    life.look()
    life.nominate()
    life.do()
    life.pass_time(3 * TENURE)
    assert life.tenure.role is Role.CANDIDATE
    life.do()
    assert life.tenure.leads


def test_no_term_is_taken_twice_by_a_member_that_saw_it_taken(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    """Though the claim that took it is lost at a fail-over."""
    engine.replicates = False
    other.win_in_vain()
    late = TenureLife(engine, member=3)
    late.look()
    assert late.tenure.term == 2
    engine.fail_over()
    engine.replicates = True
    late.win()
    assert late.tenure.term == 3


def test_a_claim_takes_over_what_leaders_before_may_have_granted(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    rows = engine.rows[0]
    rows.tail = replace(rows.tail, longest_lease=3.0, catalogs=("b", "z"))
    other = TenureLife(engine, member=2, catalogs=("a", "b"))
    other.win()
    tail = engine.tails()[0][0]
    assert (tail.longest_lease, tail.catalogs) == (3.0, ("a", "b", "z"))


def test_a_leader_with_a_longer_tenure_is_waited_for_so_long(engine: MemoryEngine) -> None:
    long = attrs.evolve(TIMING, tenure=3 * TIMING.tenure)
    TenureLife(engine, member=3, timing=long).win()
    assert engine.tails()[0][0].tenure == long.tenure
    other = TenureLife(engine, member=2)
    other.look()
    other.pass_time(2 * TENURE)
    other.look()
    assert other.tenure.known_leader(other.now) == 3
    other.pass_time(TENURE)
    other.look()
    assert other.tenure.known_leader(other.now) == 0


def test_the_time_of_a_log_never_goes_back(leader: TenureLife, other: TenureLife) -> None:
    at = leader.tenure.log.last_at_milliseconds
    other.milliseconds = at - 500
    other.win()
    assert other.tenure.log.last_at_milliseconds == at
    assert other.tenure.next_at_milliseconds() == at


def test_a_claim_that_the_engine_refuses_is_given_up_in_time(
    engine: MemoryEngine, life: TenureLife
) -> None:
    engine.full = True
    life.look()
    ticket = life.nominate()
    for _ in range(200):
        life.tick()
        life.look()
        if life.call is not None:
            life.do()
        if life.tenure.role is Role.FOLLOWER:
            break
    assert life.replies[ticket].campaigning, "after an election timeout it is told to ask again"
    life.nominate()
    assert life.tenure.role is Role.CANDIDATE
    engine.full = False
    life.settle()
    assert life.tenure.leads


def test_a_member_that_the_engine_does_not_answer_leaves_it_to_others(life: TenureLife) -> None:
    life.look()
    life.pass_time(TENURE + TICK)
    ticket = life.nominate()
    assert life.replies[ticket].unable == "the engine does not answer it"
    assert life.call is None


# What is seen.


def test_a_member_knows_who_leads_for_a_tenure_after_its_last_write(
    leader: TenureLife, other: TenureLife
) -> None:
    assert leader.tenure.known_leader(leader.now) == 1
    assert other.tenure.known_leader(other.now) == 1
    other.pass_time(TENURE)
    assert other.tenure.known_leader(other.now) == 0


def test_the_engine_is_told_how_far_clients_may_see_and_the_number_there(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    leader.propose("a", "b")
    leader.settle()
    assert leader.tenure.released == 4
    assert leader.tenure.told_released < 4
    leader.run(TENURE / 2)
    assert leader.tenure.told_released == 4
    other.look()
    assert engine.tails()[0][0].released == Released(index=4, number=2)
    assert (other.tenure.released, other.tenure.commit) == (4, 4)


def test_a_leader_says_what_orders_before_it_are_released(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    leader.propose("a", "b")
    leader.settle()
    other.win()
    other.run(TENURE / 2)
    assert engine.tails()[0][0].released == Released(index=5, number=2)
