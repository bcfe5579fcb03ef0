"""What is done to the processes of a bazaar: a deck of kills, pauses and spoilt caches, dealt
at random.

Each card is dealt before any comes again, so that a minute shows all of them. Who the leader
is, is asked when its card comes.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from .fleet import Fleet
from .history import Fault, History

__all__ = ["Torment", "deck"]

SHORT_SECONDS = (0.1, 0.4)
"""About an election timeout."""
MIDDLE_SECONDS = (0.8, 2.0)
"""About a lease."""
LONG_SECONDS = (3.0, 6.0)
"""About the deadline of a trade."""
WITHIN_LEASE_SECONDS = (0.3, 0.8)
"""Nothing may change meanwhile for whoever holds a lease: it would go on showing what it knew."""
PAST_LEASE_SECONDS = (1.3, 2.5)
"""What it knew has changed since, and nobody has waited for it."""
OLD_SECONDS = (0.3, 2.0)
"""How old is what comes back into Redis."""
CALM_SECONDS = (0.2, 2.0)
"""From when the bazaar has recovered to the next fault."""
OVERLAP = 0.25
"""The share of faults that the next one does not wait for."""
POLL_SECONDS = 0.02
SUCCESSOR_SECONDS = 1.0
CACHING_SECONDS = 3.0
"""How long a fault that is for caches waits for them to be in use: others may still go on."""

LEADER, FOLLOWER, FRONTEND = "leader", "follower", "front-end"
TWO, ALL_REPLICAS = "two replicas", "all replicas"
SEVERAL, EVERYTHING = "several at once", "everything at once"
WITHIN_LEASE, PAST_LEASE = " within its lease", " past its lease"
FLUSH, OLD_DUMP = "flush", "old dump into"


class Card(NamedTuple):
    """A fault to come."""

    deed: str
    """`kill`, `pause`, or `mix`: each victim is killed or paused, as it happens. `flush` or
    `old dump into`: it runs on, and what it holds is lost, or what it held some time ago again.
    """
    target: str

    @property
    def what(self) -> str:
        return f"{self.deed} {self.target}"

    @property
    def is_for_caches(self) -> bool:
        """Where nothing is cached, it would show nothing."""
        return self.deed in (FLUSH, OLD_DUMP) or self.target.endswith((WITHIN_LEASE, PAST_LEASE))


def deck(names: Sequence[str], *, kill: bool, pause: bool) -> list[Card]:
    """All that can be done to processes of these names."""
    targets = [LEADER, FOLLOWER, FRONTEND, TWO, ALL_REPLICAS, SEVERAL, EVERYTHING]
    targets += [name for name in ("catalog", "redis") if name in names]
    deeds = [deed for deed, wanted in (("kill", kill), ("pause", pause)) if wanted]
    cards = [Card(deed, target) for deed in deeds for target in targets]
    if "redis" in names:
        cards += [Card(FLUSH, "redis"), Card(OLD_DUMP, "redis")]
    if pause:
        holders = [name for name in (FRONTEND, "catalog") if name in targets]
        cards += [Card("pause", f"{holder}{PAST_LEASE}") for holder in holders]
        cards.append(Card("pause", f"{FRONTEND}{WITHIN_LEASE}"))
    if kill:
        cards.append(Card("kill", "leader and its successor"))
    if kill and pause:
        cards.append(Card("mix", SEVERAL))
    return cards


class Torment:
    """Deals faults to `fleet` until the time is over, and records them."""

    def __init__(
        self,
        fleet: Fleet,
        seconds: Callable[[], float],
        history: History,
        random: Random,
        tell: Callable[[str], None],
        placed_at: Callable[[], float],
        *,
        kill: float,
        pause: float,
        spare: Sequence[str] = (),
    ) -> None:
        """`kill` and `pause` say how often each is dealt, compared with the other, and what
        spoils a cache as often as the one dealt more; nothing is done to the processes in
        `spare`. `tell` is told of each fault; `placed_at` says when
        the last trade that was acknowledged had been sent.
        """
        self._fleet = fleet
        self._seconds = seconds
        self._history = history
        self._random = random
        self._tell = tell
        self._placed_at = placed_at
        self._shares = {"kill": kill, "pause": pause, "mix": min(kill, pause)}
        self._shares |= dict.fromkeys((FLUSH, OLD_DUMP), max(kill, pause))
        self._spare = set(spare)
        self._left: list[Card] = []
        self._under_way: list[Deferred[Any]] = []

    async def run(self, seconds: float) -> None:
        """Torment for so long; every fault has ended when this returns."""
        end = self._seconds() + seconds
        try:
            while (left := end - self._seconds()) > 0:
                fault = Deferred.fromCoroutine(self._strike(self._deal(), left))
                if self._random.random() < OVERLAP:
                    self._under_way.append(fault)
                else:
                    await fault
                    await self._recovered(end)
                calm = self._random.uniform(*CALM_SECONDS)
                await self._wait(min(calm, max(0.0, end - self._seconds())))
            await DeferredList(self._under_way, fireOnOneErrback=True, consumeErrors=True)
        finally:
            self._fleet.heal()

    def _deal(self) -> Card:
        if not self._left:
            kill, pause = self._shares["kill"] > 0, self._shares["pause"] > 0
            cards = deck(self._fleet.names(), kill=kill, pause=pause)
            most = max(self._shares.values())
            for card in cards:
                # The rarer kind is left out of some rounds.
                if self._random.random() * most < self._shares[card.deed]:
                    self._left.append(card)
            self._random.shuffle(self._left)
        return self._left.pop()

    async def _recovered(self, end: float) -> None:
        """Return when a trade has been sent and acknowledged after all that was done."""
        done = self._seconds()
        while self._placed_at() < done and self._seconds() < end:
            await self._wait(POLL_SECONDS)

    async def _caching(self, left: float) -> float:
        """Return when every front-end caches, or soon; how long that took."""
        began = self._seconds()
        give_up = began + min(left, CACHING_SECONDS)
        while self._seconds() < give_up and not await self._fleet.caching():
            await self._wait(POLL_SECONDS)
        return self._seconds() - began

    async def _strike(self, card: Card, left: float) -> None:
        if card.is_for_caches:
            left -= await self._caching(left)
        target = card.target.removesuffix(PAST_LEASE).removesuffix(WITHIN_LEASE)
        names = await self._victims(target)
        if not names:
            return
        if card.deed in (FLUSH, OLD_DUMP):
            await self._spoil(card, names, left)
            return
        began = self._seconds()
        self._tell(f"{card.what} ({', '.join(names)})")
        paused = []
        for name in names:
            if card.deed == "pause" or (card.deed == "mix" and self._random.random() < 0.5):
                paused.append(name)
                self._fleet.pause(name)
            else:
                self._fleet.kill(name)
        if card.target == "leader and its successor":
            await self._wait(self._random.uniform(0.3, SUCCESSOR_SECONDS))
            leader = await self._fleet.leader()
            if leader is not None and leader not in self._spare:
                names = [*names, leader]
                self._fleet.kill(leader)
        if paused:
            await self._wait(min(left, self._hold(card)))
            for name in paused:
                self._fleet.resume(name)
        ended = self._seconds()
        self._history.add(Fault(what=card.what, names=tuple(names), began=began, ended=ended))

    async def _spoil(self, card: Card, names: Sequence[str], left: float) -> None:
        redis = self._fleet.redis()
        if redis is None:
            return
        try:
            if card.deed == OLD_DUMP:
                old = await redis.quotes()
                await self._wait(min(left, self._random.uniform(*OLD_SECONDS)))
            began = self._seconds()
            await (redis.put_back(old) if card.deed == OLD_DUMP else redis.flush())
        except OSError:
            # It is down or stands still already.
            return
        ended = self._seconds()
        self._tell(f"{card.what} ({', '.join(names)})")
        self._history.add(Fault(what=card.what, names=tuple(names), began=began, ended=ended))

    def _hold(self, card: Card) -> float:
        if card.target.endswith(PAST_LEASE):
            return self._random.uniform(*PAST_LEASE_SECONDS)
        if card.target.endswith(WITHIN_LEASE):
            return self._random.uniform(*WITHIN_LEASE_SECONDS)
        spans = (SHORT_SECONDS, MIDDLE_SECONDS, LONG_SECONDS)
        (span,) = self._random.choices(spans, (3, 4, 1))
        return self._random.uniform(*span)

    async def _victims(self, target: str) -> list[str]:
        names = [name for name in self._fleet.names() if name not in self._spare]
        replicas = [name for name in names if name.startswith("order-")]
        leader = await self._fleet.leader()
        if leader not in replicas:
            leader = self._random.choice(replicas) if replicas else None
        match target:
            case "follower":
                others = [name for name in replicas if name != leader]
                return self._some(others, 1)
            case "front-end":
                return self._some([name for name in names if name.startswith("frontend")], 1)
            case "two replicas":
                return self._some(replicas, 2)
            case "all replicas":
                return replicas
            case "several at once":
                return self._some(names, self._random.randint(2, 4))
            case "everything at once":
                return names
            case "catalog" | "redis":
                return [name for name in names if name == target]
        return [leader] if leader is not None else []

    def _some(self, names: Sequence[str], count: int) -> list[str]:
        return self._random.sample(names, min(count, len(names)))

    async def _wait(self, seconds: float) -> None:
        # The time may be over by now: whether caches are in use had to be found out first.
        await deferLater(self._fleet.reactor, max(0.0, seconds))
