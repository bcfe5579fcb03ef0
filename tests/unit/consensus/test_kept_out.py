"""Lease holders that delay others again and again: front-ends at a catalog, catalogs at a
leader."""

from collections.abc import Callable

import pytest

from tests.fakes.histories import history, ledger_of
from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.catalog.subscribers import OutgoingPush, Subscribers
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.leases import Lease, Stamp
from twisted_bazaar.rpc.push import PushReply, Subscription
from twisted_bazaar.timing import Timing

from .test_lease_grants import A, B, Leader

TIMING = Timing()
LEASE, HEARTBEAT = TIMING.lease, TIMING.heartbeat
LOG = history(2)
TICK = HEARTBEAT / 3
PUSH_SECONDS = LEASE / 4


class Catalog:
    """A catalog with front-ends, on one clock. It has a new entry all the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.subscribers = Subscribers(TIMING)
        self.lease = Lease(1)
        self.lease.until = float("inf")
        self.index = 4
        self.lives = 0
        self.frontends: list[Frontend] = []
        self.held_up = 0.0

    def run(self, seconds: float) -> float:
        """Let time pass; returns the share of it in which nothing was released."""
        ticks, self.held_up = round(seconds / TICK), 0.0
        for _ in range(ticks):
            released = self.subscribers.cleared(self.index, self.now)
            if released < self.index:
                self.held_up += TICK
            else:
                self.index += 1
            self.now += TICK
            for frontend in self.frontends:
                frontend.look()
            self.subscribers.tick(self.now)
            for pushed in self.subscribers.pushes(known(self.index), self.lease, self.now):
                (to,) = [f for f in self.frontends if f.address == pushed.subscription.address]
                to.told.append((self.now, pushed))
            for frontend in self.frontends:
                frontend.answer()
        return self.held_up / (ticks * TICK)


def known(index: int) -> Projection:
    """What a catalog knows after so many entries."""
    projection = Projection(ledger_of(LOG), Position(index))
    projection.history = "log"
    return projection


class Frontend:
    """A front-end, which stands still whenever `still` says so."""

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        still: Callable[[float], bool] = lambda now: False,
        takes_in: bool = True,
    ) -> None:
        self.catalog = catalog
        self.address = name
        self.still = still
        self.takes_in = takes_in
        self.told: list[tuple[float, OutgoingPush]] = []
        self.refusals: list[float] = []
        self.cached = 0.0
        self.floors = Floors(TIMING, self.life)
        catalog.frontends.append(self)

    def life(self) -> int:
        self.catalog.lives += 1
        return self.catalog.lives

    def look(self) -> None:
        now = self.catalog.now
        if self.still(now):
            return
        self.cached += TICK if self.floors.alive(now) else 0.0
        if self.floors.subscribe(now):
            subscription = Subscription(address=self.address, life=self.floors.life, token="token")
            if left := self.catalog.subscribers.add(subscription, now):
                self.refusals.append(left)
                self.floors.kept_out(left, now)

    def answer(self) -> None:
        now, subscribers = self.catalog.now, self.catalog.subscribers
        told, self.told = self.told, []
        for since, pushed in told:
            if now - since > PUSH_SECONDS:
                subscribers.unreachable(pushed, now)
            elif self.still(now):
                self.told.append((since, pushed))
            else:
                reply = self.floors.push(pushed.push, now)
                if not self.takes_in:
                    reply = PushReply(upto=0, stamp=reply.stamp)
                subscribers.answered(pushed, reply, now)


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


def again_and_again(still: float, awake: float) -> Callable[[float], bool]:
    return lambda now: now % (still + awake) < still


@pytest.mark.parametrize(("still", "awake"), [(1.0, 0.3), (0.5, 0.5), (0.25, 0.2), (1.5, 0.1)])
def test_one_that_stands_still_again_and_again_costs_the_others_little(
    catalog: Catalog, still: float, awake: float
) -> None:
    good = Frontend(catalog, "good")
    bad = Frontend(catalog, "bad", again_and_again(still, awake))
    assert catalog.run(4.0) > 0.3, "at first it does"
    assert catalog.run(16.0) < 0.2
    assert catalog.run(60.0) < 0.1
    assert good.cached > 0.7 * 80.0
    assert not good.refusals
    assert bad.refusals


def test_one_that_stands_still_once_is_not_kept_out(catalog: Catalog) -> None:
    Frontend(catalog, "good")
    bad = Frontend(catalog, "bad", lambda now: 101.0 < now < 104.0)
    catalog.run(4.1)
    assert catalog.run(1.0) == 0.0
    assert not bad.refusals
    assert bad.floors.alive(catalog.now)


def test_one_that_answers_and_never_takes_anything_in_is_not_waited_for(catalog: Catalog) -> None:
    Frontend(catalog, "bad", takes_in=False)
    assert catalog.run(10.0) == 0.0


def test_one_that_takes_nothing_in_any_more_is_waited_for_once(catalog: Catalog) -> None:
    bad = Frontend(catalog, "bad")
    catalog.run(1.0)
    bad.takes_in = False
    assert catalog.run(10.0) <= LEASE / 10.0 + 0.01


def test_one_that_is_slow_where_all_are_is_not_kept_out(catalog: Catalog) -> None:
    """It would have to ask a catalog for each lookup, which is slow, too."""
    for name in "one", "two", "three":
        Frontend(catalog, name, again_and_again(0.2, 0.2))
    catalog.run(20.0)
    assert not any(frontend.refusals for frontend in catalog.frontends)


def test_a_catalog_that_stands_still_itself_blames_nobody(catalog: Catalog) -> None:
    good = Frontend(catalog, "good")
    for _ in range(10):
        catalog.run(0.5)
        catalog.now += 1.5
    assert not good.refusals


def test_one_that_is_kept_out_is_waited_for_until_its_last_lease_has_run_out(
    catalog: Catalog,
) -> None:
    """It shows what it has until then, and what it has not taken in must not be released."""
    Frontend(catalog, "good")
    bad = Frontend(catalog, "bad", again_and_again(0.7, 0.3))
    shown_as_old = 0
    for _ in range(2000):
        catalog.run(TICK)
        if bad.floors.alive(catalog.now):
            released = catalog.subscribers.cleared(catalog.index, catalog.now)
            shown_as_old += released > bad.floors._upto
    assert bad.refusals
    assert shown_as_old == 0


def test_one_that_is_kept_out_gets_no_lease_whatever_it_answers(catalog: Catalog) -> None:
    """Its subscription of before is still there, and it answers again."""
    subscribers, now = catalog.subscribers, 100.0
    subscribers.add(Subscription(address="bad", life=1, token=""), now)
    subscribers._backoff.delayed("bad", 1.1 * LEASE, now)
    (pushed,) = subscribers.pushes(known(4), catalog.lease, now)
    subscribers.answered(pushed, PushReply(upto=4, stamp=Stamp(1, now)), now)
    (pushed,) = subscribers.pushes(known(4), catalog.lease, now + PUSH_SECONDS)
    assert pushed.push.stamp is None
    subscribers.tick(now + LEASE)
    assert not list(subscribers.pushes(known(4), catalog.lease, now + LEASE))
    assert subscribers.add(Subscription(address="bad", life=2, token=""), now + LEASE) > LEASE


# Catalogs at a leader.


def kept_out(leader: Leader) -> list[str]:
    """The catalogs that were kept out, one after the other."""
    assert leader.replica.backoff is not None
    return [news.holder for news in leader.replica.backoff.take_news()]


def flapping(leader: Leader, cycles: int, *others: str) -> int:
    """A stands still for a lease and wakes, so often. In how many of these cycles trades had to
    wait for longer than a heartbeat."""
    waited = 0
    for _ in range(cycles):
        leader.run(LEASE / 2, A, *others)
        leader.propose()
        leader.run(2 * HEARTBEAT, *others)
        waited += leader.released < leader.replica.commit
        leader.run(LEASE, *others)
        assert leader.released == leader.replica.commit
    return waited


def test_a_catalog_that_stands_still_again_and_again_costs_trades_little() -> None:
    leader = Leader()
    leader.run(LEASE + HEARTBEAT, A)
    assert flapping(leader, 4) >= 2
    assert flapping(leader, 20) <= 3
    assert kept_out(leader)[0] == A


def test_another_catalog_takes_the_place_of_one_that_is_kept_out() -> None:
    leader = Leader()
    leader.run(LEASE + HEARTBEAT, A)
    assert flapping(leader, 6, B) <= 2
    assert leader.granted(LEASE, A, B) == {B}


def test_a_catalog_that_answers_and_never_releases_is_not_waited_for_without_end() -> None:
    """It is told apart from one whose front-ends need a lease."""
    leader = Leader()
    leader.run(LEASE + HEARTBEAT, A)
    leader.propose()
    until = leader.now + 6 * LEASE
    while leader.now < until:
        leader.answer(A, released=3)
        leader.answer(B)
    assert leader.released == leader.replica.commit
    assert kept_out(leader) == [A]
    assert leader.granted(LEASE, A, B) == {B}


def test_a_catalog_whose_front_ends_need_a_lease_now_and_then_is_not_kept_out() -> None:
    """It is not its fault, and it will not wait for them more often than its own rule allows."""
    leader = Leader()
    leader.run(LEASE + HEARTBEAT, A)
    for _ in range(10):
        leader.propose()
        behind = leader.replica.commit - 1
        until = leader.now + LEASE
        while leader.now < until:
            leader.answer(A, released=behind)
        leader.run(3 * HEARTBEAT, A)
        assert leader.released == leader.replica.commit
    assert kept_out(leader) == []
