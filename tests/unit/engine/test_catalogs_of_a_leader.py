"""What the leader of a log in an engine sends catalogs, and for which of them its answers wait."""

from msgspec.structs import replace

from tests.fakes.tenure import TICK, TIMING, TenureLife
from twisted_bazaar.engine.calls import Load, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.leases import kept

LEASE, HEARTBEAT = TIMING.lease, TIMING.heartbeat


def led(engine: MemoryEngine, *catalogs: str, keep: int = 4096) -> TenureLife:
    leader = TenureLife(engine, catalogs=catalogs, keep=keep)
    leader.win()
    leader.lists()
    return leader


def take_part(leader: TenureLife, name: str) -> None:
    """`name` comes to hold a lease."""
    leader.answer(name)
    leader.run(HEARTBEAT)
    leader.answer(name)
    leader.run(HEARTBEAT)
    assert leader.open[name].message.stamp is not None
    while name in leader.open:
        leader.answer(name)


def test_a_catalog_hears_of_proposals_while_the_engine_writes(engine: MemoryEngine) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    take_part(leader, "a")
    leader.propose("k")
    asked = leader.open["a"].message
    assert leader.call is not None
    assert [entry.index for entry in asked.proposed] == [3]
    assert asked.commit == leader.tenure.commit == 2


def test_an_order_is_released_once_it_is_committed_and_cleared(engine: MemoryEngine) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    take_part(leader, "a")
    leader.propose("k")
    leader.answer("a", cleared=3)
    assert leader.tenure.released == 2, "it is not committed"
    leader.do()
    assert leader.tenure.released == 3
    leader.propose("l")
    leader.settle()
    assert leader.tenure.commit == 4
    assert leader.tenure.released == 3, "it is not cleared"


def test_a_catalog_earns_no_lease_of_a_leader_that_may_have_been_replaced(
    engine: MemoryEngine,
) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    leader.answer("a")
    made = leader.now
    while leader.call is None:
        made += TICK
        leader.tick()
    leader.now = made + kept(TIMING.tenure)
    assert leader.tenure.leads
    leader.tenure.unreachable(leader.open["a"], leader.now)
    leader.pass_time(HEARTBEAT + TICK)
    leader.answer("a")
    leader.pass_time(HEARTBEAT + TICK)
    assert leader.open["a"].message.stamp is None
    leader.do()
    leader.settle()
    assert leader.tenure.holds_lease(leader.now)
    leader.answer("a")
    leader.run(HEARTBEAT)
    assert leader.open["a"].message.stamp is not None


def test_a_leader_that_leaves_grants_nothing(engine: MemoryEngine) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    take_part(leader, "a")
    earned = leader.tenure._led.learners._learners["a"].holder.earned_at
    leader.tenure.hand_over(leader.now)
    leader.carry_out()
    assert not leader.tenure.holds_lease(leader.now)
    leader.pass_time(HEARTBEAT + TICK)
    leader.answer("a")
    assert leader.tenure._led.learners._learners["a"].holder.earned_at == earned


def test_nothing_is_released_that_a_catalog_of_the_leader_before_lacks(
    engine: MemoryEngine,
) -> None:
    before = led(engine, "a")
    before.run(LEASE)
    take_part(before, "a")
    other = TenureLife(engine, member=2, catalogs=("a",), now=before.now)
    other.win()
    began = other.now
    released = other.tenure.released
    assert released < other.tenure.opened
    other.run(began + LEASE - TICK - other.now)
    assert other.tenure.released == released
    assert other.ready.released == released
    assert other.tenure.holds_lease(other.now)
    assert not other.tenure.can_answer(other.now)
    other.run(2 * TICK)
    assert other.tenure.released == other.tenure.opened
    assert other.tenure.can_answer(other.now)


def test_a_longer_lease_of_a_leader_before_is_waited_for(engine: MemoryEngine) -> None:
    before = led(engine)
    engine.rows[0].tail = replace(
        engine.rows[0].tail, longest_lease=3 * LEASE, catalogs=("elsewhere",)
    )
    other = TenureLife(engine, member=2, now=before.now)
    other.win()
    released, began = other.tenure.released, other.now
    other.run(began + 3 * LEASE - TICK - other.now)
    assert other.tenure.released == released
    other.run(2 * TICK)
    assert other.tenure.released == other.tenure.opened


def test_the_engine_is_told_only_what_was_released_when_the_write_came_up(
    engine: MemoryEngine,
) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    take_part(leader, "a")
    leader.propose("k")
    leader.settle()
    leader.run(HEARTBEAT)
    while leader.call is None:
        leader.tick()
    leader.answer("a", cleared=3)
    assert leader.tenure.released == 3
    leader.do()
    assert leader.tenure.told_released == 2


def test_an_answer_to_an_earlier_term_is_none(engine: MemoryEngine) -> None:
    leader = led(engine, "a")
    leader.run(LEASE)
    leader.answer("a", term=0)
    leader.run(HEARTBEAT)
    assert leader.tenure.catalog_lags() == {"a": 2}


def test_a_leader_that_does_not_know_a_catalog_waits_for_its_lease_to_run_out(
    engine: MemoryEngine,
) -> None:
    before = led(engine, "a")
    before.run(LEASE)
    take_part(before, "a")
    other = TenureLife(engine, member=2, catalogs=("b",), now=before.now)
    other.win()
    released, began = other.tenure.released, other.now
    other.answer("b")
    other.run(began + LEASE - TICK - other.now)
    assert other.tenure.released == released
    other.run(2 * TICK)
    assert other.tenure.released == other.tenure.opened


def test_a_catalog_that_kept_up_goes_on_under_the_next_leader(engine: MemoryEngine) -> None:
    """With a snapshot, it would be silent for a lease."""
    before = led(engine)
    before.propose("a", "b")
    before.settle()
    leader = TenureLife(engine, member=2, catalogs=("a",), now=before.now)
    leader.win()
    leader.answer("a", applied=2)
    _, asked = leader.asked[1]
    assert asked.snapshot is None
    assert (asked.previous_index, [entry.index for entry in asked.entries]) == (2, [3, 4, 5])


def test_entries_that_were_read_of_another_history_are_none_of_the_leader(
    engine: MemoryEngine,
) -> None:
    """They are read after the market data, perhaps at a server that was deposed."""
    led(engine)
    leader = TenureLife(engine, member=2)
    leader.look()
    leader.pass_time(TIMING.tenure)
    leader.look()
    leader.nominate()
    load = leader.call
    assert isinstance(load, Load)
    found = make(load, leader.log)
    assert found is not None
    assert len(found.recent) == 2
    leader.done(load, replace(found, recent=found.recent[:-1]))
    leader.settle()
    assert leader.tenure.leads
    assert leader.tenure.log.base == leader.tenure.opened - 1
    assert leader.tenure.log.digest_at(2) == found.tail.digest


def test_a_catalog_that_is_far_behind_is_sent_the_market(engine: MemoryEngine) -> None:
    leader = led(engine, "a", keep=8)
    leader.run(LEASE)
    leader.answer("a")
    leader.run(HEARTBEAT)
    for number in range(30):
        leader.propose(f"k{number}")
        leader.settle()
    leader.run(LEASE)
    assert leader.tenure.log.base > 3
    leader.answer("a", applied=3)
    leader.run(HEARTBEAT)
    asked = leader.open["a"].message
    assert asked.rebuild
    assert asked.snapshot == leader.market
    assert asked.previous_index == asked.snapshot.index == 32


def test_a_catalog_that_begins_is_sent_the_market_not_the_log(engine: MemoryEngine) -> None:
    led(engine)
    leader = TenureLife(engine, member=2, catalogs=("a",))
    leader.win()
    leader.answer("a", applied=0, cleared=0)
    leader.run(HEARTBEAT)
    asked = leader.open["a"].message
    assert asked.snapshot is not None
    assert {stock.name for stock in asked.snapshot.stocks} == {"FishCo", "BoarCo"}
