"""What an order replica counts and measures: the stages of a batch of trades, and its state."""

from collections.abc import Mapping

import pytest

from tests.fakes.cluster import Cluster, Parcel, buy
from tests.fakes.member import TICK, TIMING, hear_of_term
from twisted_bazaar.consensus.messages import AppendReply, ApplyReply
from twisted_bazaar.market import Trade
from twisted_bazaar.metrics.figures import Family, Gauges, Histogram, Labels, Metrics
from twisted_bazaar.order.desk import Batch, Known
from twisted_bazaar.order.figures import OrderFigures, show_replica
from twisted_bazaar.order.watches import Watches

CATALOG = "127.0.0.1:7000"


class World:
    """Replica 3 of three leads, and a catalog has its lease; the figures of replica 3."""

    def __init__(self) -> None:
        self.cluster = cluster = Cluster(learners=(CATALOG,))
        cluster.open_market(3)
        cluster.pass_time(2 * TIMING.lease)
        self.leader = leader = cluster.members[3]
        self.metrics = Metrics()
        self.figures = OrderFigures(self.metrics, leader.replica)
        watches = Watches(None, leader.replica, leader.desk)  # type: ignore[arg-type]
        show_replica(self.metrics, leader.replica, leader.desk, watches, lambda: cluster.clock.now)
        self.come()

    def come(self) -> None:
        """What the node does whenever something has happened."""
        self.figures.came_to(self.leader.desk.released, self.cluster.clock.now)

    def trade(self, *trades: Trade, took: float = 0.0) -> None:
        desk, now = self.leader.desk, self.cluster.clock.now
        first_index = self.leader.replica.log.last_index + 1
        assert desk.decide(Batch(trades), Known({}, desk.applied), now)
        self.figures.decided(len(trades), first_index, now, took)
        self.cluster.carry_out(self.leader)
        self.come()

    def seconds(self, stage: str) -> tuple[int, float]:
        """How many were observed in `stage`, and their sum."""
        family = {each.name: each for each in self.metrics}["bazaar_trade_stage_seconds"]
        assert isinstance(family, Family)
        values = family.of(stage)
        assert isinstance(values, Histogram)
        return values.count, pytest.approx(values.total)

    def shown(self, name: str) -> Mapping[Labels, float]:
        gauges = {each.name: each for each in self.metrics}[f"bazaar_{name}"]
        assert isinstance(gauges, Gauges)
        return gauges.read()


@pytest.fixture
def world() -> World:
    return World()


def appended(parcel: Parcel) -> bool:
    return isinstance(parcel.message, AppendReply)


def applied(parcel: Parcel) -> bool:
    return isinstance(parcel.message, ApplyReply)


def test_each_stage_ends_when_its_condition_holds(world: World) -> None:
    cluster = world.cluster
    world.trade(buy("one"), buy("two"), took=0.25)
    assert world.seconds("decide") == (1, 0.25)
    cluster.clock.now += 0.01
    cluster.run(leave=appended)
    world.come()
    assert [world.seconds(stage)[0] for stage in ("replicate", "apply", "answer")] == [0, 1, 0]
    cluster.clock.now += 0.02
    cluster.run()
    world.come()
    assert world.seconds("replicate") == (1, 0.03)
    assert world.seconds("answer") == (1, 0.03)
    assert world.seconds("apply") == (1, 0.01)


def test_an_answer_may_wait_for_the_catalog_longer_than_for_the_disks(world: World) -> None:
    cluster = world.cluster
    world.trade(buy("one"))
    cluster.run(leave=applied)
    world.come()
    assert [world.seconds(stage)[0] for stage in ("replicate", "apply", "answer")] == [1, 0, 0]
    cluster.clock.now += 0.05
    cluster.run()
    world.come()
    assert world.seconds("apply") == world.seconds("answer") == (1, 0.05)


def test_what_is_released_without_a_catalog_was_not_cleared(world: World) -> None:
    cluster = world.cluster
    cluster.cut(CATALOG)
    world.trade(buy("one"))
    cluster.pass_time(3 * TIMING.lease)
    world.come()
    assert [world.seconds(stage)[0] for stage in ("replicate", "apply", "answer")] == [1, 0, 1]
    cluster.heal()
    cluster.pass_time(3 * TIMING.lease)
    world.trade(buy("two"))
    cluster.run()
    world.come()
    assert world.seconds("apply") == (1, 0.0)


def test_a_batch_that_proposes_nothing_is_only_decided(world: World) -> None:
    world.trade(buy("one", stock="there is none"))
    world.cluster.pass_time(TIMING.heartbeat)
    world.come()
    assert world.seconds("decide")[0] == 1
    assert [world.seconds(stage)[0] for stage in ("replicate", "apply", "answer")] == [0, 0, 0]


def test_what_a_leader_that_is_deposed_proposed_comes_to_no_stage(world: World) -> None:
    world.trade(buy("one"))
    hear_of_term(world.leader, world.leader.replica.term + 1)
    world.come()
    world.figures.came_to(2**40, world.cluster.clock.now)
    assert [world.seconds(stage)[0] for stage in ("replicate", "apply", "answer")] == [0, 0, 0]


def test_a_write_is_a_stage_in_the_leader_only(world: World) -> None:
    world.figures.wrote(0.5)
    assert world.seconds("fsync") == (1, 0.5)
    hear_of_term(world.leader, world.leader.replica.term + 1)
    world.come()
    world.figures.wrote(0.5)
    assert world.seconds("fsync") == (1, 0.5)


def test_the_state_is_read_when_it_is_wanted(world: World) -> None:
    leader = world.leader
    world.trade(buy("one"))
    world.cluster.pass_time(TIMING.heartbeat)
    last = leader.replica.log.last_index
    assert world.shown("raft_role") == {
        ("suspect",): 0, ("follower",): 0, ("candidate",): 0, ("leader",): 1
    }  # fmt: skip
    assert world.shown("raft_term") == {(): leader.replica.term}
    assert world.shown("raft_last_index") == {(): last}
    assert world.shown("raft_commit_index") == {(): last}
    assert world.shown("raft_released_index") == {(): last}
    assert world.shown("raft_suspect") == {(): False}
    assert world.shown("orders_last_number") == {(): 1}
    assert world.shown("raft_elections_total") == {("started",): 1, ("won",): 1}
    assert world.shown("raft_follower_lag_entries") == {("1",): 0, ("2",): 0}
    assert world.shown("raft_follower_lag_seconds") == {("1",): 0, ("2",): 0}
    assert world.shown("catalog_lag_entries") == {(CATALOG,): 0}
    assert world.shown("catalog_kept_out") == {(): 0}
    assert world.shown("index_lag_entries") == {(): last}
    assert world.shown("watches") == {(): 0}


def test_a_follower_and_a_catalog_that_are_cut_off_fall_behind(world: World) -> None:
    cluster = world.cluster
    cluster.cut(1)
    cluster.cut(CATALOG)
    world.trade(buy("one"))
    cluster.pass_time(5 * TICK)
    assert world.shown("raft_follower_lag_entries") == {("1",): 1, ("2",): 0}
    assert world.shown("raft_follower_lag_seconds")[("1",)] == pytest.approx(5 * TICK)
    assert world.shown("catalog_lag_entries") == {(CATALOG,): 1}


def test_only_a_leader_shows_how_far_others_are(world: World) -> None:
    hear_of_term(world.leader, world.leader.replica.term + 1)
    world.cluster.carry_out(world.leader)
    for name in (
        *("raft_follower_lag_entries", "raft_follower_lag_seconds"),
        *("catalog_lag_entries", "catalog_kept_out"),
    ):
        assert world.shown(name) == {}
