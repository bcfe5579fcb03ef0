"""What a leader writes to the engine, and what each write that succeeded is worth."""

import pytest

from tests.fakes.tenure import TIMING, TenureLife
from twisted_bazaar.engine.calls import Append, Beat, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import Refused, Unknown
from twisted_bazaar.leases import kept
from twisted_bazaar.market import Moved

TENURE = TIMING.tenure


def test_all_that_comes_up_during_a_write_is_the_next_one(leader: TenureLife) -> None:
    leader.propose("a")
    first = leader.call
    assert isinstance(first, Append)
    leader.propose("b", "c")
    assert leader.call is first
    leader.do()
    assert leader.tenure.commit == 3, "and not what came up since"
    second = leader.call
    assert isinstance(second, Append)
    assert [entry.index for entry in second.batch.entries] == [4, 5]
    assert (second.batch.previous, second.batch.last_number) == (
        first.batch.entries[-1].digest,
        3,
    )
    assert [(stock.name, stock.version) for stock in second.batch.stocks] == [("FishCo", 5)]
    assert second.beat == first.beat + 1


def test_a_write_takes_a_batch_at_most(engine: MemoryEngine) -> None:
    leader = TenureLife(engine, batch=2)
    leader.win()
    leader.lists()
    leader.propose("a")
    leader.propose("b", "c", "d", "e")
    sizes = []
    while leader.call is not None:
        call = leader.do()
        assert isinstance(call, Append)
        sizes.append(len(call.batch.entries))
    assert sizes == [1, 2, 2]
    assert engine.tails()[0][0].last_number == 5


def test_an_entry_is_committed_once_its_append_has_succeeded(leader: TenureLife) -> None:
    leader.propose("a")
    call = leader.call
    assert isinstance(call, Append)
    make(call, leader.log)
    leader.tick()
    assert leader.tenure.commit == 2
    leader.done(call)
    assert leader.tenure.commit == leader.ready.committed[-1].index == 3


@pytest.mark.parametrize("error", [Unknown("01000"), Refused("full")])
def test_a_write_that_did_not_succeed_is_made_again_the_very_same(
    leader: TenureLife, error: Unknown | Refused
) -> None:
    leader.propose("a")
    call = leader.call
    assert call is not None
    pauses = []
    for _ in range(4):
        leader.fail(call, error)
        leader.propose(f"later {len(pauses)}")
        began = leader.now
        while leader.call is None:
            assert leader.tenure.wake_at is not None
            leader.tick(leader.tenure.wake_at - leader.now)
        assert leader.call is call
        assert leader.tenure.commit == 2, "nothing is known of it"
        pauses.append(round(leader.now - began, 3))
    assert pauses == [0.05, 0.1, 0.2, 0.4]


def test_an_append_that_was_lost_at_a_fail_over_is_in_the_log_once(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    engine.replicates = False
    leader.propose("a")
    leader.do()
    assert engine.tails()[0][0].index == 3
    engine.fail_over()
    engine.replicates = True
    leader.run(0.1)
    assert [entry.index for entry in leader.log.read(0, 99)] == [1, 2, 3]
    assert leader.tenure.commit == 3


def test_without_anything_to_append_a_leader_writes_four_beats_a_tenure(
    engine: MemoryEngine, leader: TenureLife
) -> None:
    calls = len(leader.calls)
    leader.run(2 * TENURE)
    assert {type(call) for call in leader.calls[calls:]} == {Beat}
    assert len(leader.calls) - calls == pytest.approx(8, abs=1)
    assert leader.tenure.leads


def test_beats_never_repeat(engine: MemoryEngine, leader: TenureLife) -> None:
    for key in "abc":
        leader.propose(key)
        leader.run(TENURE / 2)
    beats = [call.beat for call in leader.calls if isinstance(call, Append | Beat)]
    assert beats == [*range(1, len(beats) + 1)]


# The lease.


def test_a_lease_counts_from_when_the_write_was_made_not_from_its_answer(
    leader: TenureLife,
) -> None:
    leader.run(TENURE)
    while leader.call is None:
        leader.tick()
    made = leader.now
    leader.now += TENURE / 2
    leader.do()
    assert leader.tenure.holds_lease(made + kept(TENURE) - 0.001)
    assert not leader.tenure.holds_lease(made + kept(TENURE))


def test_a_lease_counts_from_when_the_write_was_made_first(
    leader: TenureLife, other: TenureLife
) -> None:
    """Another member may have seen the beat of the first time."""
    while leader.call is None:
        leader.tick()
    call, made = leader.call, leader.now
    leader.now += TENURE / 2
    leader.fail(call, Unknown("lost"))
    leader.tick(0.05)
    assert leader.call is call
    leader.do()
    assert not leader.tenure.holds_lease(made + kept(TENURE))


def test_a_leader_that_stood_still_relies_on_nothing(leader: TenureLife) -> None:
    leader.now += 10.0
    assert not leader.tenure.holds_lease(leader.now)
    assert not leader.tenure.can_answer(leader.now)


# Rounds.


def test_a_round_is_confirmed_by_a_write_that_was_made_after_it(leader: TenureLife) -> None:
    leader.propose("a")
    under_way = leader.call
    round_ = leader.tenure.confirm()
    leader.do()
    assert leader.ready.confirmed < round_, "that write was made before"
    assert isinstance(leader.call, Beat), "at once"
    assert leader.call is not under_way
    leader.do()
    assert leader.ready.confirmed == round_


def test_a_write_that_is_made_again_confirms_only_rounds_from_before_it_came_up(
    leader: TenureLife,
) -> None:
    leader.propose("a")
    call = leader.call
    assert call is not None
    leader.fail(call, Unknown("lost"))
    round_ = leader.tenure.confirm()
    leader.tick(0.05)
    assert leader.call is call
    leader.do()
    assert leader.ready.confirmed < round_
    leader.do()
    assert leader.ready.confirmed == round_


# What moves to another partition.


def test_a_batch_says_what_leaves_as_it_was_just_before(engine: MemoryEngine) -> None:
    engine = MemoryEngine("bazaar", 2)
    leader = TenureLife(engine)
    leader.win()
    leader.lists()
    leader.propose("first")
    leader.propose("a", "b")
    leader.tenure.propose([Moved("FishCo", 1)])
    leader.propose("c", stock="BoarCo")
    leader.do()
    call = leader.call
    assert isinstance(call, Append)
    assert [stock.name for stock in call.batch.stocks] == ["BoarCo"]
    [gone] = call.batch.gone
    assert (gone.name, gone.volume, gone.version) == ("FishCo", 3, 5)
    leader.do()
    assert [stock.name for stock in leader.log.snapshot().stocks] == ["BoarCo"]
