"""When a leader leads no longer, and what becomes of what it had begun."""

import pytest

from tests.fakes.tenure import TICK, TIMING, TenureLife
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.engine.calls import Beat, Claim, Load, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import HANDED_OVER, Lost, Released
from twisted_bazaar.errors import NotLeader

TENURE = TIMING.tenure


def test_a_leader_that_lost_its_place_steps_down(leader: TenureLife, other: TenureLife) -> None:
    other.win()
    leader.now = other.now
    leader.propose("a")
    leader.do()
    assert not leader.tenure.leads
    assert leader.ready.leading_term == 0
    with pytest.raises(NotLeader):
        leader.tenure.propose([Opened(leader=1)])
    assert other.log.snapshot().tail.last_number == 0


def test_a_leader_that_writes_nothing_for_two_tenures_steps_down(leader: TenureLife) -> None:
    leader.propose("a")
    call = leader.call
    assert call is not None
    leader.pass_time(2 * TENURE - TICK)
    assert leader.tenure.leads
    leader.pass_time(3 * TICK)
    assert not leader.tenure.leads
    assert leader.ready.leading_term == 0


def test_an_append_that_lands_after_its_leader_stepped_down_leaves_one_log(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    leader.propose("a")
    late = leader.call
    assert late is not None
    leader.pass_time(2 * TENURE + 2 * TICK)
    assert not leader.tenure.leads
    other.pass_time(2 * TENURE)
    other.look()
    other.nominate()
    other.do()
    make(late, leader.log)
    ended = other.do()
    assert isinstance(ended, Claim)
    assert not other.tenure.leads, "what it has loaded is no longer the end of the log"
    other.win()
    assert other.tenure.led is not None
    assert other.tenure.led.tail.last_number == 1
    with pytest.raises(Lost):
        leader.log.beat(term=1, beat=99, released=Released())


def test_an_append_of_a_leader_that_was_replaced_never_lands(
    engine: MemoryEngine, leader: TenureLife, other: TenureLife
) -> None:
    leader.propose("a")
    late = leader.call
    assert late is not None
    other.win()
    with pytest.raises(Lost):
        make(late, leader.log)
    assert other.log.find(["a"]).orders == {}


def test_what_is_under_way_when_a_leader_steps_down_matters_no_more(leader: TenureLife) -> None:
    leader.propose("a")
    late = leader.call
    assert late is not None
    leader.pass_time(2 * TENURE + 2 * TICK)
    leader.look()
    leader.pass_time(TENURE)
    leader.look()
    leader.nominate()
    assert leader.call is late, "the engine's thread is busy"
    make(late, leader.log)
    leader.done(late)
    assert not leader.tenure.leads
    assert isinstance(leader.call, Load)


def test_an_answer_that_comes_twice_counts_once(leader: TenureLife) -> None:
    leader.propose("a")
    first = leader.do()
    leader.propose("b")
    second = leader.call
    assert second is not None
    leader.tenure.done(first, None, leader.now)
    leader.tenure.failed(first, Lost("late"), leader.now)
    leader.carry_out()
    assert leader.tenure.leads
    assert leader.tenure.commit == 3
    assert leader.call is second


def test_a_leader_that_sees_a_higher_term_steps_down(leader: TenureLife, other: TenureLife) -> None:
    other.win()
    leader.look()
    assert not leader.tenure.leads
    assert leader.tenure.known_leader(leader.now) == 2


def test_a_leader_whose_catalog_heard_a_higher_term_steps_down(engine: MemoryEngine) -> None:
    leader = TenureLife(engine, catalogs=("c",))
    leader.win()
    leader.answer("c", applied=0, cleared=0, term=9)
    assert not leader.tenure.leads
    assert leader.tenure.term == 9


def test_a_member_that_leads_again_begins_anew(leader: TenureLife, other: TenureLife) -> None:
    leader.propose("a", "b")
    leader.settle()
    leader.tenure.confirm()
    leader.settle()
    history = leader.tenure.history
    other.win()
    other.tenure.hand_over(other.now)
    other.carry_out()
    other.settle()
    leader.look()
    leader.now = other.now
    leader.win()
    assert leader.tenure.term == 3
    assert leader.tenure.history not in ("", history)
    assert leader.tenure.led is not None
    assert leader.ready.confirmed == 0
    assert leader.tenure.led.tail.index == leader.tenure.opened - 1 == 5
    assert leader.ledger.last_number == 2
    round_ = leader.tenure.confirm()
    assert round_ == 1
    leader.propose("c")
    leader.settle()
    assert leader.ready.confirmed == 1
    assert leader.log.snapshot().tail.last_number == 3


# Leaving.


def test_a_leader_that_leaves_settles_what_is_open_first(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    leader.propose("a")
    leader.propose("b")
    round_ = leader.tenure.confirm()
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    assert leader.tenure.leaving
    kinds = []
    while leader.call is not None:
        call = leader.do()
        kinds.append(call.beat if isinstance(call, Beat) else "append")
        assert leader.tenure.leads is (call is not leader.calls[-1] or leader.call is not None)
    assert kinds == ["append", "append", HANDED_OVER]
    assert max(ready.confirmed for ready in leader.readies) == round_
    assert max(ready.released for ready in leader.readies) == 4
    tail = engine.tails()[0][0]
    assert (tail.beat, tail.last_number, tail.released) == (
        HANDED_OVER, 2, Released(index=4, number=2),
    )  # fmt: skip


def test_a_leader_relies_on_nothing_once_it_says_that_it_leaves(leader: TenureLife) -> None:
    assert leader.tenure.holds_lease(leader.now)
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    assert isinstance(leader.call, Beat)
    assert leader.tenure.leads
    assert not leader.tenure.holds_lease(leader.now)


def test_a_leader_that_leaves_is_not_the_answer_to_a_nomination(leader: TenureLife) -> None:
    leader.tenure.hand_over(leader.now)
    ticket = leader.nominate()
    assert leader.replies[ticket].leader == 0


def test_a_leader_that_leaves_answers_what_it_was_asked_first(leader: TenureLife) -> None:
    leader.propose("a")
    round_ = leader.tenure.confirm()
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    leader.do()
    beat = leader.do()
    assert isinstance(beat, Beat)
    assert beat.beat != HANDED_OVER
    assert leader.tenure.leads
    assert leader.ready.confirmed == round_
    leader.do()
    assert not leader.tenure.leads


def test_a_leader_that_leaves_waits_until_its_orders_are_released(engine: MemoryEngine) -> None:
    leader = TenureLife(engine, catalogs=("c",))
    leader.win()
    leader.lists()
    leader.run(TIMING.lease)
    while "c" in leader.open:
        leader.answer("c")
    leader.run(TIMING.heartbeat)
    leader.answer("c")
    leader.propose("a")
    leader.settle()
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    assert leader.call is None
    leader.run(TIMING.heartbeat)
    assert leader.tenure.leads
    leader.answer("c", cleared=3)
    leader.settle()
    assert not leader.tenure.leads
    assert engine.tails()[0][0].released == Released(index=3, number=1)


def test_a_leader_that_has_left_to_another_gives_it_the_time_to_come(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    engine.prefer(0, 2)
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    leader.settle()
    ticket = leader.nominate()
    assert (leader.replies[ticket].leader, leader.replies[ticket].wait) == (0, TIMING.heartbeat)
    leader.tick()
    leader.look()
    leader.nominate()
    assert leader.call is None
    leader.pass_time(TENURE)
    leader.look()
    leader.nominate()
    leader.settle()
    assert leader.tenure.leads


@pytest.mark.parametrize("preferred", [0, 1])
def test_a_leader_that_has_left_comes_back_as_soon_as_that_is_wanted(
    engine: MemoryEngine, leader: TenureLife, preferred: int
) -> None:
    engine.prefer(0, 2)
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    leader.settle()
    engine.prefer(0, preferred)
    leader.nominate()
    assert leader.call is None, "it has not seen it"
    leader.tick()
    leader.look()
    leader.nominate()
    leader.settle()
    assert leader.tenure.leads


def test_leaving_takes_a_bounded_time(engine: MemoryEngine, leader: TenureLife) -> None:
    leader.tenure.hand_over(leader.now)
    began = leader.now
    while leader.tenure.leads:
        leader.propose(f"more {leader.now}")
        leader.tick()
        if leader.call is not None:
            leader.propose(f"and more {leader.now}")
            leader.do()
        assert leader.now - began <= TIMING.lease + TENURE + 3 * TICK
    assert leader.now - began >= TIMING.lease
    assert engine.tails()[0][0].beat == HANDED_OVER
