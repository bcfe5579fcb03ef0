"""A leader, two catalogs and two front-ends, each with its own clock: the code that ships, over a
network that delays, cuts and loses, in one true time that a test lets pass.

After every step two things are checked: no two catalogs hold leases, and no process whose lease
holds shows an older state than a client may have seen before.
"""

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from twisted_bazaar.catalog.market_file import Snapshot
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.catalog.subscribers import OutgoingPush
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.consensus.messages import Apply, ApplyReply, LearnerRequest
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.market import Listing, Side, Trade
from twisted_bazaar.order.desk import Batch, Known
from twisted_bazaar.rpc.push import Push, PushReply, Subscription

from .member import TICK, TIMING, Clock, Member

LEADER, CATALOGS, FRONTENDS = "leader", ("catalog", "standby"), ("frontend", "another")
NAMES = (LEADER, *CATALOGS, *FRONTENDS)
STOCKS = ("Boar", "Fish")
CALL_SECONDS = 0.3
PUSH_SECONDS = 0.25
SAVE_SECONDS = 0.25


class World:
    """True time, the network, and all processes."""

    def __init__(self, rates: Sequence[float] = (1.0,) * len(NAMES)) -> None:
        self.now = 0.0
        self.lives = count(1)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.cuts: set[tuple[str, str]] = set()
        self.delays: dict[tuple[str, str], float] = {}
        self.seen = dict.fromkeys(STOCKS, 0)
        """By stock: the newest version that a client may have seen."""
        self.leader = _Leader(self, LEADER, rates[0])
        self.catalogs = [
            _Catalog(self, name, rate) for name, rate in zip(CATALOGS, rates[1:3], strict=True)
        ]
        self.frontends = [
            _Frontend(self, name, rate) for name, rate in zip(FRONTENDS, rates[3:5], strict=True)
        ]
        self.processes: dict[str, _Process] = {
            process.name: process for process in (self.leader, *self.catalogs, *self.frontends)
        }
        for process in self.processes.values():
            process.start()

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), call))

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
            self.check()
        self.now = until
        self.check()

    def send(self, source: "_Process", to: "_Process", arrive: Callable[[], None]) -> None:
        """Have `arrive` called at `to`, if `source` reaches it."""
        link = source.name, to.name
        if link not in self.cuts:
            to.later(self.delays.get(link, 0.001), arrive, to.life)

    def check(self) -> None:
        for name, stock in self.leader.member.desk.released_stocks.items():
            self.seen[name] = max(self.seen[name], stock.version)
        informed = [catalog for catalog in self.catalogs if catalog.informed]
        assert len(informed) <= 1
        for catalog in informed:
            for name, version in self.seen.items():
                if catalog.publisher.wait_for(name) is not None:
                    continue
                shown = catalog.publisher.view.stocks.get(name)
                assert (shown.version if shown else 0) >= version
                self.seen[name] = shown.version if shown else 0
        for frontend in self.frontends:
            for name, version in self.seen.items():
                assert not frontend.floors.allow(name, version - 1, frontend.clock.now)


class _LocalClock(Clock):
    """The clock of one machine."""

    def __init__(self, world: World, rate: float) -> None:
        self._world, self.rate = world, rate

    @property
    def now(self) -> float:  # type: ignore[override]
        return self._world.now * self.rate


class _Process:
    """One process on a machine of its own. While it is paused, its calls wait."""

    def __init__(self, world: World, name: str, rate: float) -> None:
        self.world, self.name = world, name
        self.clock = _LocalClock(world, rate)
        self.life = 0
        self.paused_until = 0.0

    def start(self) -> None:
        """Begin a new life, also while an earlier one runs."""
        self.life += 1
        self.started()
        self._tick()

    def started(self) -> None:
        raise NotImplementedError

    def tick(self) -> None:
        raise NotImplementedError

    def _tick(self) -> None:
        self.tick()
        self.later(TICK / self.clock.rate, self._tick, self.life)

    def later(self, seconds: float, call: Callable[[], None], life: int) -> None:
        """Call `call` in so many seconds, or once it goes on, if it is still this life then."""

        def due() -> None:
            if self.life != life:
                return
            if self.world.now < self.paused_until:
                self.world.at(self.paused_until, due)
            else:
                call()

        self.world.at(self.world.now + seconds, due)


class _Leader(_Process):
    """A cluster of one, so that it has a majority whenever it runs. Each life is a leadership."""

    def __init__(self, world: World, name: str, rate: float) -> None:
        super().__init__(world, name, rate)
        self._storage = MemoryStorage()
        self._keys = count(1)

    def started(self) -> None:
        self.member = Member(1, (), CATALOGS, self._storage, self.clock)

    def tick(self) -> None:
        replica = self.member.replica
        replica.tick(self.clock.now)
        if not replica.leads:
            replica.campaign("nomination", self.clock.now)
        self._carry_out()
        if self.member.desk.wants_listing:
            self.member.desk.list_stocks([Listing(name, 100, 10**6) for name in STOCKS])
            self._carry_out()

    def trade(self, stock: str) -> None:
        batch = Batch([Trade(f"key-{next(self._keys)}", stock, Side.BUY, 1)])
        self.member.desk.decide(batch, Known({}, 0), self.clock.now)
        self._carry_out()

    def _carry_out(self) -> None:
        self.member.carry_out()
        for request in self.member.take(Apply):
            self._ask(request, self.member, self.life)

    def _ask(self, request: LearnerRequest, member: Member, life: int) -> None:
        catalog = self.world.processes[request.to]
        assert isinstance(catalog, _Catalog)

        def answered(reply: ApplyReply) -> None:
            member.replica.applied(catalog.name, reply, self.clock.now)
            self._carry_out()

        def lost() -> None:
            member.replica.unreachable(request, self.clock.now)

        def respond(reply: ApplyReply) -> None:
            self.world.send(catalog, self, lambda: answered(reply) if self.life == life else None)

        self.later(CALL_SECONDS, lost, life)
        self.world.send(self, catalog, lambda: catalog.apply(request.message, respond))


class _Catalog(_Process):
    """A catalog, whose file is a little behind."""

    def __init__(self, world: World, name: str, rate: float) -> None:
        super().__init__(world, name, rate)
        self.wipe()

    def wipe(self) -> None:
        """Its next life finds no file."""
        self._saved = Snapshot((), Position(), 0)

    def started(self) -> None:
        self._projection = self._saved.projection()
        self.publisher = Publisher(
            self._projection, TIMING, lambda: next(self.world.lives), self.clock.now
        )
        self._saved_at = self.clock.now

    @property
    def informed(self) -> bool:
        return self.clock.now < self.publisher.view.until

    def tick(self) -> None:
        self.publisher.tick(self.clock.now)
        self._carry_out()
        if self.clock.now >= self._saved_at + SAVE_SECONDS:
            self._saved, self._saved_at = Snapshot.of(self._projection), self.clock.now

    def apply(self, message: Any, respond: Callable[[ApplyReply], None]) -> None:
        self.publisher.apply(message, respond, self.clock.now)
        self._carry_out()

    def subscribe(self, subscription: Subscription) -> bool:
        try:
            self.publisher.subscribe(subscription, self.clock.now)
        except BazaarError:
            return False
        self._carry_out()
        return True

    def _carry_out(self) -> None:
        for respond, reply in self.publisher.take_answers():
            respond(reply)  # type: ignore[operator]
        for pushed in self.publisher.take_pushes(self.clock.now):
            self._push(pushed, self.publisher)

    def _push(self, pushed: OutgoingPush, publisher: Publisher) -> None:
        frontend = self.world.processes[pushed.subscription.address]
        assert isinstance(frontend, _Frontend)
        open_ = [True]

        def answered(reply: PushReply) -> None:
            if open_.pop():
                publisher.answered(pushed, reply, self.clock.now)
                self._carry_out()

        def lost() -> None:
            if open_.pop():
                publisher.unreachable(pushed, self.clock.now)

        def respond(reply: PushReply) -> None:
            self.world.send(frontend, self, lambda: answered(reply) if open_ else None)

        self.later(PUSH_SECONDS, lambda: lost() if open_ else None, self.life)
        self.world.send(self, frontend, lambda: frontend.push(pushed.push, respond))


class _Frontend(_Process):
    """The subscription and the floors of a front-end."""

    def started(self) -> None:
        self.floors = Floors(TIMING, lambda: next(self.world.lives))

    def tick(self) -> None:
        if not self.floors.subscribe(self.clock.now):
            return
        subscription = Subscription(address=self.name, life=self.floors.life, token="token")
        refused = [False, False]

        def ask(catalog: _Catalog, position: int) -> None:
            def answer() -> None:
                refused[position] = True
                if all(refused) and self.floors.life == subscription.life:
                    self.floors.refused(self.clock.now)

            if not catalog.subscribe(subscription):
                self.world.send(catalog, self, answer)

        for position, catalog in enumerate(self.world.catalogs):
            # The same life goes to both, as when the first one's answer is lost.
            self.world.send(self, catalog, lambda c=catalog, p=position: ask(c, p))

    def push(self, push: Push, respond: Callable[[PushReply], None]) -> None:
        respond(self.floors.push(push, self.clock.now))

    @property
    def informed(self) -> bool:
        return self.floors.alive(self.clock.now)
