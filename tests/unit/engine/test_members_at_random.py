"""Three members over one engine, with all that can go wrong on the way to it: by seeds."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest

from tests.fakes.tenure import TIMING, TenureLife
from twisted_bazaar.engine.calls import Call, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import EngineError, Snapshot, Tail, Unknown
from twisted_bazaar.leases import MAX_DRIFT
from twisted_bazaar.market import Traded

STEP = 0.02
SECONDS = 20.0


class Member:
    """One member, whose clock runs at a rate of its own, and who may stand still."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.rate = world.random.choice([1 - MAX_DRIFT, 1.0, 1 + MAX_DRIFT])
        self.began = world.random.uniform(0, 1e6)
        self.life = TenureLife(world.engine, number, now=self.clock())
        self.still_until = 0.0
        self.waiting: list[Callable[[], None]] = []
        """What came while it stood still."""
        self.rounds: dict[int, float] = {}
        """By round of this leadership: when it was begun."""
        self.term = 0
        self.seen = 0

    def clock(self) -> float:
        return self.began + self.rate * self.world.now

    def gets(self, news: Callable[[], None]) -> None:
        if self.world.now < self.still_until:
            self.waiting.append(news)
            return
        self.life.now = self.clock()
        news()
        self.after()

    def turn(self) -> None:
        if self.world.now < self.still_until:
            return
        waiting, self.waiting = self.waiting, []
        for news in waiting:
            self.gets(news)
        random, life = self.world.random, self.life
        life.tick_at(self.clock())
        if random.random() < 0.5:
            life.nominate()
        if life.tenure.leads and not life.tenure.leaving:
            self.lead()
        self.after()
        if random.random() < self.world.bad / 10:
            self.still_until = self.world.now + random.uniform(0.1, 3.0)

    def lead(self) -> None:
        random, life = self.world.random, self.life
        if "FishCo" not in life._tip.stocks:
            life.propose_listing()
        elif random.random() < 0.3:
            life.propose(f"{life.tenure.id} {next(self.world.keys)}")
        if random.random() < 0.1:
            self.rounds[life.tenure.confirm()] = self.world.now
        if random.random() < 0.003:
            life.tenure.hand_over(life.now)
        life.carry_out()

    def after(self) -> None:
        """Something happened: the call that came up goes out, and what is said must be true."""
        life, world = self.life, self.world
        for ready in life.readies[self.seen :]:
            if ready.leading_term != self.term:
                self.term, self.rounds = ready.leading_term, {}
            for entry in ready.committed:
                assert world.committed.setdefault(entry.index, entry.digest) == entry.digest
            for round_ in [each for each in self.rounds if each <= ready.confirmed]:
                began = self.rounds.pop(round_)
                later = [term for term, at in world.claimed.items() if at < began]
                assert max(later, default=0) <= self.term, "it led no longer when that was asked"
        self.seen = len(life.readies)
        if life.call is not None:
            call, life.call = life.call, None
            world.send(self, call)

    def polls(self) -> None:
        tail = self.world.engine.tails()[0][0]
        self.world.tails.append(tail)
        if self.world.random.random() < self.world.bad:
            tail = self.world.random.choice(self.world.tails[-200:])
        self.gets(lambda: self.sees(tail))

    def sees(self, tail: Tail) -> None:
        self.life.tenure.saw(tail, self.life.now)
        self.life.carry_out()


class World:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bad = self.random.choice([0.02, 0.05, 0.15, 0.3])
        """How much goes wrong."""
        self.now = 0.0
        self.engine = MemoryEngine("bazaar", 1)
        self.keys = count()
        self.committed: dict[int, str] = {}
        self.claimed: dict[int, float] = {}
        """By term: since when it is certain that a member leads in it."""
        self.tails: list[Tail] = []
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.ids = count()
        self.members = [Member(self, number) for number in (1, 2, 3)]

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        heappush(self.events, (self.now + seconds, next(self.ids), do))

    def send(self, member: Member, call: Call) -> None:
        """`call` lands soon, late, twice or never, and its answer may be lost."""
        random = self.random
        told = [False]

        def tell(answer: Snapshot | None, error: EngineError | None) -> None:
            if told[0]:
                return
            told[0] = True
            if error is None:
                member.gets(lambda: member.life.done(call, answer))
            else:
                member.gets(lambda: member.life.fail(call, error))

        def land() -> None:
            answer: Snapshot | None = None
            error: EngineError | None = None
            try:
                answer = make(call, member.life.log)
            except EngineError as why:
                error = why
            if random.random() > self.bad:
                self.later(random.uniform(0, 0.02), lambda: tell(answer, error))

        slow = random.random() < self.bad
        self.later(random.uniform(0, 3.0 if slow else 0.02), land)
        if random.random() < self.bad:
            self.later(random.uniform(0, 3.0), land)
        self.later(random.uniform(0.1, TIMING.tenure), lambda: tell(None, Unknown("late")))

    def breaks(self) -> None:
        random, engine = self.random, self.engine
        if random.random() < self.bad / 5:
            engine.replicates = False
        elif not engine.replicates and random.random() < 0.1:
            engine.replicates = True
            if random.random() < 0.7:
                engine.fail_over()
            else:
                engine.replicate()
        engine.full = random.random() < self.bad / 5

    def end_faults(self) -> None:
        self.bad = 0.0
        self.engine.replicates = True
        self.engine.replicate()

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += STEP
            while self.events and self.events[0][0] <= self.now:
                heappop(self.events)[2]()
                self.check()
            for member in self.members:
                if self.random.random() < 0.4:
                    member.polls()
                member.turn()
            self.breaks()
            self.check()

    def check(self) -> None:
        tail = self.engine.tails()[0][0]
        if self.engine.replicates:
            self.claimed.setdefault(tail.term, self.now)
        for member in self.members:
            tenure = member.life.tenure
            if tenure.holds_lease(member.clock()):
                assert tail.term <= tenure.term, "another leader has come"
        leading = [m for m in self.members if m.life.tenure.holds_lease(m.clock())]
        assert len(leading) <= 1, "two rely on it that they lead"


@pytest.mark.parametrize("seed", range(16))
def test_whatever_happens_to_calls_one_leads_and_what_is_committed_stays(seed: int) -> None:
    world = World(seed)
    world.run(SECONDS)
    before = len(world.committed)
    world.end_faults()
    world.run(6.0)
    assert len(world.committed) > before + 20, "once faults stop, trades flow"
    rows = world.engine.rows[0]
    assert {
        index: rows.entries[index - 1].digest for index in world.committed
    } == world.committed, "what was committed is in the log"
    numbers = [entry.event.number for entry in rows.orders if isinstance(entry.event, Traded)]
    assert numbers == [*range(1, len(numbers) + 1)]
