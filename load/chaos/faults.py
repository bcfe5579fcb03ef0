"""What is done to the processes of a bazaar: kills, pauses, spoilt caches, replaced folders and
slow disks, dealt at random.

Each card of the deck is dealt before any comes again; some two minutes show all of them. Who
the leader is, is asked when its card comes.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from load.bazaar.fleet import Fleet
from load.bazaar.folders import Folders
from load.history.records import Fault, History

from .deck import (
    AGAIN,
    EMPTY_FOLDER,
    FLUSH,
    OLD_DUMP,
    OLD_FOLDER,
    PAST_LEASE,
    SLOW,
    SUCCESSOR,
    WITHIN_LEASE,
    Card,
    deck,
    is_wanted,
)

__all__ = ["Torment"]

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
AGAIN_TIMES = (4, 6)
AGAIN_STILL_SECONDS = (1.1, 1.4)
AGAIN_AWAKE_SECONDS = (0.2, 0.4)
"""Again and again it stands still for a little longer than a lease, and is awake for as long as
it takes to be granted another."""
OLD_SECONDS = (0.3, 2.0)
"""How old is what comes back into Redis, or as a replica's folder."""
TRUSTED_SECONDS = 5.0
"""A replica whose folder was replaced is watched for so long, until it has recalled all."""
SLOW_SECONDS = (2.0, 4.0)
SLOW_WRITE_SECONDS = (0.02, 0.25)
"""What a write takes longer then: up to nearly an election timeout."""
CALM_SECONDS = (0.2, 2.0)
"""From when the bazaar has recovered to the next fault."""
OVERLAP = 0.25
"""The share of faults that the next one does not wait for."""
POLL_SECONDS = 0.02
SUCCESSOR_SECONDS = 1.0
CACHING_SECONDS = 3.0
"""How long a fault that is for caches waits for them to be in use: others may still go on."""


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
        folders: Folders | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """`kill` and `pause` say how often each is dealt, compared with the other, and what
        spoils a cache or slows disks as often as the one dealt more; nothing is done to the
        processes in `spare`. `tell` is told of each fault; `placed_at` says when the last trade
        that was acknowledged had been sent. Folders are replaced if `folders` is given. `only`
        says which faults are dealt, as `is_wanted` has it.
        """
        self._fleet = fleet
        self._seconds = seconds
        self._history = history
        self._random = random
        self._tell = tell
        self._placed_at = placed_at
        self._shares = {"kill": kill, "pause": pause, "mix": min(kill, pause)}
        self._shares |= dict.fromkeys((FLUSH, OLD_DUMP, SLOW), max(kill, pause))
        self._shares |= dict.fromkeys((OLD_FOLDER, EMPTY_FOLDER), kill)
        self._folders = folders
        self._only = only
        self._spare = set(spare)
        self._left: list[Card] = []
        self._under_way: list[Deferred[Any]] = []

    async def run(self, seconds: float) -> None:
        """Torment for so long; every fault has ended when this returns."""
        end = self._seconds() + seconds
        try:
            while (left := end - self._seconds()) > 0:
                card = self._deal()
                if card is None:
                    await self._wait(POLL_SECONDS)
                    continue
                fault = Deferred.fromCoroutine(self._strike(card, left))
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

    def _deal(self) -> Card | None:
        """The next card; None: the rarer kinds were left out, and these were all."""
        if not self._left:
            kill, pause = self._shares["kill"] > 0, self._shares["pause"] > 0
            cards = deck(
                self._fleet.names(),
                kill=kill,
                pause=pause,
                folders=self._folders is not None,
                disks=self._fleet.disks() is not None,
            )
            most = max(self._shares.values())
            for card in cards:
                # The rarer kind is left out of some rounds.
                wanted = is_wanted(card.what, self._only)
                if wanted and self._random.random() * most < self._shares[card.deed]:
                    self._left.append(card)
            self._random.shuffle(self._left)
        return self._left.pop() if self._left else None

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
        names = await self._victims(card)
        if not names:
            return
        match card.deed:
            case "flush" | "old dump into":
                await self._spoil(card, names, left)
            case "old folder of" | "empty folder of":
                await self._replace_folder(card, names[0], left)
            case "slow disks of":
                await self._slow(card, names, left)
            case _ if card.target.endswith(AGAIN):
                await self._again_and_again(card, names, left)
            case _:
                await self._hurt(card, names, left)

    async def _hurt(self, card: Card, names: list[str], left: float) -> None:
        began = self._begin(card, names)
        paused = []
        for name in names:
            if card.deed == "pause" or (card.deed == "mix" and self._random.random() < 0.5):
                paused.append(name)
                self._fleet.pause(name)
            else:
                self._fleet.kill(name)
        if card.target == SUCCESSOR:
            await self._wait(self._random.uniform(0.3, SUCCESSOR_SECONDS))
            names = [*names, *await self._kill_leader()]
        if paused:
            await self._wait(min(left, self._hold(card)))
            for name in paused:
                self._fleet.resume(name)
        self._record(card, names, began)

    async def _kill_leader(self) -> Sequence[str]:
        """Kill whoever leads now, unless it is to be spared; who that was."""
        leader = await self._fleet.leader()
        if leader is None or leader in self._spare:
            return ()
        self._fleet.kill(leader)
        return (leader,)

    async def _again_and_again(self, card: Card, names: Sequence[str], left: float) -> None:
        if left < AGAIN_STILL_SECONDS[1]:
            return
        began = self._begin(card, names)
        for _ in range(self._random.randint(*AGAIN_TIMES)):
            still = self._random.uniform(*AGAIN_STILL_SECONDS)
            awake = self._random.uniform(*AGAIN_AWAKE_SECONDS)
            if self._seconds() + still > began + left:
                break
            for name in names:
                self._fleet.pause(name)
            await self._wait(still)
            for name in names:
                self._fleet.resume(name)
            await self._wait(min(awake, began + left - self._seconds()))
        self._record(card, names, began)

    async def _slow(self, card: Card, names: Sequence[str], left: float) -> None:
        disks = self._fleet.disks()
        # One file makes all of them slow.
        if disks is None or any(name.startswith("order-") for name in self._spare):
            return
        seconds = min(left, self._random.uniform(*SLOW_SECONDS))
        began = self._begin(card, names)
        disks.slow(self._random.uniform(*SLOW_WRITE_SECONDS))
        try:
            await self._wait(seconds / 3)
            if card.kills:
                await self._kill_leader()
            await self._wait(seconds * 2 / 3)
        finally:
            disks.restore()
        self._record(card, names, began)

    async def _replace_folder(self, card: Card, name: str, left: float) -> None:
        folders, end = self._folders, self._seconds() + left
        if folders is None or not await self._may_replace(folders, end):
            return
        try:
            if card.deed == OLD_FOLDER:
                new = await folders.copy(name)
                await self._wait(min(self._random.uniform(*OLD_SECONDS), end - self._seconds()))
            else:
                new = folders.empty(name)
            began = self._seconds()
            if new is None or not await folders.replace(name, new):
                return
        finally:
            folders.release()
        self._tell(f"{card.what} ({name})")
        # The fault goes on for as long as the replica may lack what it acknowledged.
        give_up = min(end, began + TRUSTED_SECONDS)
        while self._seconds() < give_up and not await folders.settled():
            await self._wait(POLL_SECONDS)
        self._record(card, [name], began)

    async def _may_replace(self, folders: Folders, end: float) -> bool:
        """Return whether a folder may be replaced, once it may, or soon."""
        give_up = min(end, self._seconds() + TRUSTED_SECONDS)
        while self._seconds() < give_up:
            if await folders.reserve():
                return True
            await self._wait(POLL_SECONDS)
        return False

    def _begin(self, card: Card, names: Sequence[str]) -> float:
        self._tell(f"{card.what} ({', '.join(names)})")
        return self._seconds()

    def _record(self, card: Card, names: Sequence[str], began: float) -> None:
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
        self._tell(f"{card.what} ({', '.join(names)})")
        self._record(card, names, began)

    def _hold(self, card: Card) -> float:
        if card.target.endswith(PAST_LEASE):
            return self._random.uniform(*PAST_LEASE_SECONDS)
        if card.target.endswith(WITHIN_LEASE):
            return self._random.uniform(*WITHIN_LEASE_SECONDS)
        spans = (SHORT_SECONDS, MIDDLE_SECONDS, LONG_SECONDS)
        (span,) = self._random.choices(spans, (3, 4, 1))
        return self._random.uniform(*span)

    async def _victims(self, card: Card) -> list[str]:
        target = card.target
        for suffix in (AGAIN, PAST_LEASE, WITHIN_LEASE):
            target = target.removesuffix(suffix)
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
            case "a replica":
                return self._some(replicas, 1)
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
