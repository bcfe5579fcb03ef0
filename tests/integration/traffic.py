"""Clients at every front-end of a cluster: all that they are told is recorded, and judged."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import cycle, pairwise
from random import Random
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from load.bazaar import state
from load.client.api import EXPECTED, Caller
from load.history.checker import check
from load.history.records import Call, History, LookupCall, TradeCall, Verdict
from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.requests import Request
from twisted_bazaar.client.session import Session
from twisted_bazaar.market import DEFAULT_LISTING, Side
from twisted_bazaar.runtime.services import monotonic_seconds

from .cluster import Cluster

__all__ = ["PATIENT_SECONDS", "STOCKS", "Traffic", "now", "traffic"]

STOCKS = [each.name for each in DEFAULT_LISTING]
TRADERS = 2
"""At each front-end."""
THINK_SECONDS = 0.04
"""Between what a client does: the machine is to be busy, and not more than that."""
PATIENT_SECONDS = 8.0
"""More than a client may have to wait for anything."""
HASTY_SECONDS = 0.3
"""For a lookup at a front-end that may be paused, by a client that must go on."""
RETRY_SECONDS = 0.05
SETTLE_SECONDS = 15.0
"""How long clients that are told to stop go on asking what became of their last trade."""
POLL_SECONDS = 0.02

T = TypeVar("T")

now = monotonic_seconds


class Shown(NamedTuple):
    """A lookup that was answered."""

    at: float
    url: str
    source: str
    """What `X-Cache` said."""


class _Observed(Session):
    """HTTP calls; notes where lookups were answered from."""

    def __init__(self, reactor: Any, connections: int) -> None:
        super().__init__(reactor, connections)
        self.shown: list[Shown] = []

    def send(self, url: str, request: Request, seconds: float) -> Deferred[Answer | Broken]:
        def note(reply: Answer | Broken) -> Answer | Broken:
            if isinstance(reply, Answer) and (source := reply.header("X-Cache")):
                self.shown.append(Shown(now(), url, source))
            return reply

        return super().send(url, request, seconds).addCallback(note)


class Traffic:
    """Clients at the front-ends `names` of `cluster`. `traffic` is the way to have them.

    At each front-end some trade, and look at once at any front-end whether what they traded is
    seen; one looks every stock up again and again, so that there is something to hit.
    """

    def __init__(self, reactor: Any, cluster: Cluster, names: Iterable[str]) -> None:
        self._reactor = reactor
        self._cluster = cluster
        self._via = {name: place for place, name in enumerate(names)}
        self._urls = [cluster.url_of(name) for name in self._via]
        self._session = _Observed(reactor, len(STOCKS) + TRADERS * len(self._urls) + 1)
        # Keys are made of it: another one each time, or old orders would be acknowledged.
        self._seed = f"traffic-{time.monotonic_ns()}"
        self._path = cluster.folder / f"{self._seed}.jsonl"
        self.history = History(self._path)
        self._leave_at = float("inf")
        self._running: list[Deferred[None]] = []

    async def start(self) -> None:
        await self._ready()
        opening = await state.opening(self._reactor, self._urls[0], now(), "")
        self.history.add(opening)
        doing = [self._read(via) for via in self._via.values()]
        doing += [self._trade(via, n) for via in self._via.values() for n in range(TRADERS)]
        self._running = [Deferred.fromCoroutine(each) for each in doing]

    async def stop(self) -> None:
        """Have every client finish what it does."""
        self._leave_at = now() + SETTLE_SECONDS
        await DeferredList(self._running, fireOnOneErrback=True, consumeErrors=True)

    async def judge(self) -> None:
        """Fail if any answer to any client breaks a promise."""
        await self._ready()
        self.history.add(await state.closing(self._reactor, self._urls[0], now()))
        calls = [each for each in self.history.records if isinstance(each, Call)]
        odd = [call for call in calls if call.status not in EXPECTED]
        assert not odd, f"{odd[:3]}\n{self._cluster.tail()}"
        assert "Traceback" not in self._cluster.log.read_text(), self._cluster.log
        violations = check(self.history.records)
        said = "\n".join(str(each) for each in violations[:5])
        assert not violations, f"{len(violations)} violations in {self._path}, such as\n{said}"

    async def close(self) -> None:
        self.history.close()
        await self._session.close()

    def _ready(self) -> Deferred[None]:
        # On a busy machine there may be no leader for a moment.
        return deferToThread(self._cluster.wait_ready)

    @property
    def _stopping(self) -> bool:
        return self._leave_at < float("inf")

    async def _read(self, via: int) -> None:
        caller = self._caller(via)
        for name in cycle(STOCKS):
            if self._stopping:
                break
            for _ in range(3):
                await caller.lookup(via, name, PATIENT_SECONDS)
            await self.pause(THINK_SECONDS)

    async def _trade(self, via: int, number: int) -> None:
        caller = self._caller(via)
        choose = Random(f"{self._seed}-{via}-{number}")
        count = 0
        while not self._stopping:
            count += 1
            name = choose.choice(STOCKS)
            key = f"{self._seed}-{via}-{number}-{count}"
            side = choose.choice((Side.BUY, Side.SELL))
            await self._settle(caller, via, key, name, side, choose.randint(1, 3))
            await caller.lookup(choose.randrange(len(self._urls)), name, HASTY_SECONDS)
            if choose.random() < 0.1:
                await caller.market(choose.randrange(len(self._urls)), HASTY_SECONDS)
            await self.pause(choose.expovariate(1 / THINK_SECONDS))

    async def _settle(
        self, caller: Caller, via: int, key: str, name: str, side: Side, quantity: int
    ) -> None:
        """Trade, and go on until the outcome is known."""
        while now() < self._leave_at:
            call = await caller.trade(via, key, name, side, quantity, PATIENT_SECONDS)
            if call.verdict not in (Verdict.UNKNOWN, Verdict.NOT_EXECUTED):
                return
            await self.pause(RETRY_SECONDS)

    def _caller(self, via: int) -> Caller:
        return Caller(self._session, now, self._urls, self.history, via)

    # What a test asks, and waits for.

    async def lookup(self, at: str, name: str) -> LookupCall:
        """Look the stock `name` up at the front-end `at`."""
        via = self._via[at]
        return await self._caller(via).lookup(via, name, PATIENT_SECONDS)

    async def until(self, happened: Callable[[], T], what: str, within: float = 15.0) -> T:
        """Let the clients go on until `happened()` is true, and return that."""
        deadline = now() + within
        while not (result := happened()):
            assert now() < deadline, f"not within {within} s: {what}\n{self._cluster.tail()}"
            await deferLater(self._reactor, POLL_SECONDS)
        return result

    async def pause(self, seconds: float) -> None:
        """Let all clients go on for so long."""
        await deferLater(self._reactor, seconds)

    async def trading(self, *names: str, orders: int = 3) -> None:
        """Wait until so many trades that are sent from now on are acknowledged at each."""
        since = now()
        for name in names:

            def placed(name: str = name) -> bool:
                return sum(each.sent >= since for each in self._placed(name)) >= orders

            await self.until(placed, f"trades at {name}")

    async def shown(self, source: str, *names: str, lookups: int = 3) -> None:
        """Wait until so many lookups more are answered from `source` at each."""
        since = now()
        for name in names:

            def seen(name: str = name) -> bool:
                return self.sources(name, since).count(source) >= lookups

            # One that has held others up before is kept out for a while.
            await self.until(seen, f"lookups at {name} with X-Cache: {source}", 30.0)

    def sources(self, name: str, since: float) -> list[str]:
        """Where lookups at the front-end `name` were answered from, one after the other."""
        url = self._cluster.url_of(name)
        return [each.source for each in self._session.shown if each.at >= since and each.url == url]

    def gaps(self, since: float, *names: str, lookups: bool = False) -> list[float]:
        """The times without an acknowledged trade, or lookup that was answered, at the
        front-ends `names` together (none: at all of them): in seconds and the longest first,
        from `since` to the last."""
        told = self._looked_up if lookups else self._placed
        times = sorted(
            call.ended for name in names or self._via for call in told(name) if call.ended >= since
        )
        gaps = (later - earlier for earlier, later in pairwise([since, *times]))
        return sorted(gaps, reverse=True)

    def _placed(self, name: str) -> list[TradeCall]:
        via = self._via[name] + 1
        return [
            each
            for each in self.history.records
            if isinstance(each, TradeCall)
            and each.verdict is Verdict.PLACED
            and each.via == via
            and not each.replayed
        ]

    def _looked_up(self, name: str) -> list[LookupCall]:
        via = self._via[name] + 1
        return [
            each
            for each in self.history.records
            if isinstance(each, LookupCall) and each.found is not None and each.via == via
        ]


@asynccontextmanager
async def traffic(cluster: Cluster, *names: str) -> AsyncIterator[Traffic]:
    """Clients at the front-ends `names` of `cluster` for as long as this lasts. In the end all
    that they were told must be true, and nothing stale; nobody else may trade meanwhile."""
    from twisted.internet import reactor

    running = Traffic(reactor, cluster, names)
    try:
        await running.start()
        try:
            yield running
        finally:
            await running.stop()
        await running.judge()
    finally:
        await running.close()
