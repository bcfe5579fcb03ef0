"""Leases: who may show something without asking, until when, and who waits for whom.

What each of those does who grant or hold them is in `test_lease_grants.py` (the leader),
`test_publisher.py` (a catalog), `test_subscribers.py` and `test_floors.py` (a front-end).
"""

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.fakes.lease_world import NAMES, STOCKS, World
from tests.fakes.member import TIMING
from twisted_bazaar.leases import MAX_DRIFT, Holder, Lease, Stamp, kept

LEASE = TIMING.lease
RATES = st.floats(1 - MAX_DRIFT, 1 + MAX_DRIFT)
LIFE, NEXT_LIFE = 7, 8


# What a holder holds.


def test_nobody_holds_a_lease_to_begin_with() -> None:
    assert not Lease(LIFE).alive(float("-1e9"))


def test_a_lease_is_counted_from_when_the_answer_was_sent() -> None:
    """However long it and the lease were on their way."""
    lease = Lease(LIFE)
    lease.granted(lease.stamp(100.0), 1.0)
    assert lease.alive(100.0)
    assert lease.alive(100.0 + kept(1.0) - 1e-6)
    assert not lease.alive(100.0 + kept(1.0))


def test_a_lease_that_comes_too_late_is_none() -> None:
    lease = Lease(LIFE)
    lease.granted(Stamp(LIFE, 100.0), 1.0)
    assert not lease.alive(101.0)


def test_a_lease_for_an_older_answer_takes_nothing_back() -> None:
    """Messages overtake each other; both of them are true."""
    lease = Lease(LIFE)
    lease.granted(Stamp(LIFE, 100.5), 1.0)
    lease.granted(Stamp(LIFE, 100.0), 1.0)
    lease.granted(Stamp(LIFE, 100.6), 0.1)
    assert lease.until == 100.5 + kept(1.0)


@pytest.mark.parametrize("stamp", [Stamp(NEXT_LIFE, 100.0), None])
def test_an_answer_of_another_life_or_none_brings_no_lease(stamp: Stamp | None) -> None:
    """Who acknowledged it then has forgotten it since."""
    lease = Lease(LIFE)
    lease.granted(stamp, 1.0)
    assert not lease.alive(100.0)


@given(st.floats(0.001, 3600), RATES, RATES)
def test_a_lease_ends_before_the_wait_for_it_whatever_the_clocks(
    seconds: float, holders: float, grantors: float
) -> None:
    """`kept` is what makes it so: without it the faster clock would wait less."""
    assert kept(seconds) / holders <= seconds / grantors * (1 + 1e-9)
    assert kept(seconds) > 0.9 * seconds, "or too little would be left"


# What a grantor knows.


def test_one_that_answered_is_waited_for_a_whole_lease_from_receipt() -> None:
    holder = Holder()
    assert not holder.attached(0.0)
    holder.answered(100.0, 1.0)
    assert holder.attached(100.999)
    assert not holder.attached(101.0)
    assert holder.earned is None, "it was not worth a lease"


def test_an_answer_that_earns_a_lease_is_waited_for() -> None:
    """Before the lease goes out: there is no moment in which it holds one and is not."""
    holder = Holder()
    holder.earns(Stamp(LIFE, 5.0), 100.0, 1.0)
    assert holder.attached(100.999)
    assert (holder.earned, holder.earned_at) == (Stamp(LIFE, 5.0), 100.0)


def test_a_wait_does_not_become_shorter() -> None:
    holder = Holder()
    holder.answered(100.0, 1.0)
    holder.answered(99.0, 1.0)
    holder.earns(Stamp(LIFE, 5.0), 99.5, 1.0)
    assert holder.attached_until == 101.0


delays = st.floats(0, 3)


@given(st.lists(st.tuples(delays, delays, delays), min_size=1), RATES, RATES)
def test_whoever_holds_a_lease_is_waited_for(
    answers: list[tuple[float, float, float]], holders: float, grantors: float
) -> None:
    """However late answers and leases come, and in any order. An answer is sent some time
    after the one before, and is so long on its way; so is the lease. All of that in true time,
    which the two clocks run faster or slower than."""
    lease, holder = Lease(LIFE), Holder()
    now = 0.0
    ahead: list[tuple[float, int, Stamp, float | None]] = []
    for number, (pause, there, back) in enumerate(answers):
        now += pause
        ahead.append((now + there, number, lease.stamp(now * holders), back))
    heapq.heapify(ahead)
    while ahead:
        now, number, stamp, back = heapq.heappop(ahead)
        if back is not None:
            holder.earns(stamp, now * grantors, 1.0)
            assert holder.earned is not None
            heapq.heappush(ahead, (now + back, number + len(answers), holder.earned, None))
            continue
        lease.granted(stamp, 1.0)
        if lease.alive(now * holders):
            assert holder.attached(now * grantors)
            assert lease.until / holders <= holder.attached_until / grantors + 1e-9


# All of it, over a network, with clocks that differ.


class Leases(RuleBasedStateMachine):
    """See `lease_world`, which checks what must hold after each step."""

    @initialize(rates=st.tuples(*[st.sampled_from([1 - MAX_DRIFT, 1.0, 1 + MAX_DRIFT])] * 5))
    def begin(self, rates: tuple[float, ...]) -> None:
        self.world = World(rates)
        self.world.pass_time(2.5 * LEASE)

    links = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))

    @rule(
        stocks=st.lists(st.sampled_from(STOCKS), max_size=3),
        seconds=st.sampled_from([0.002, 0.03, 0.1, 0.3, 0.7, 1.1]),
    )
    def go_on(self, stocks: list[str], seconds: float) -> None:
        for stock in stocks:
            self.world.leader.trade(stock)
            self.world.pass_time(0.005)
        self.world.pass_time(seconds)

    @rule(link=links)
    def cut(self, link: tuple[str, str]) -> None:
        self.world.cuts.add(link)

    @rule(link=links, seconds=st.sampled_from([0.02, 0.2, 0.6]))
    def slow_down(self, link: tuple[str, str], seconds: float) -> None:
        self.world.delays[link] = seconds

    @rule()
    def heal(self) -> None:
        self.world.cuts.clear()
        self.world.delays.clear()

    @rule(name=st.sampled_from(NAMES))
    def restart(self, name: str) -> None:
        self.world.processes[name].start()

    @rule(name=st.integers(0, 1))
    def lose_its_file_and_restart(self, name: int) -> None:
        self.world.catalogs[name].wipe()
        self.world.catalogs[name].start()

    @rule(name=st.sampled_from(NAMES), seconds=st.sampled_from([0.1, 0.5, 1.0]))
    def pause(self, name: str, seconds: float) -> None:
        self.world.processes[name].paused_until = self.world.now + seconds

    def teardown(self) -> None:
        """Once faults stop, all hold leases again, and nothing is held back."""
        if hasattr(self, "world"):
            self.heal()
            self.world.pass_time(5 * LEASE)
            replica = self.world.leader.member.replica
            assert replica.released == replica.log.last_index
            assert sum(catalog.informed for catalog in self.world.catalogs) == 1
            assert all(frontend.informed for frontend in self.world.frontends)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
