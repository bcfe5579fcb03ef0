"""Process faults: kills, pauses, lost and old caches, replaced folders and slow disks, injected
in a random schedule.

Each fault type comes once before any comes again, which takes some two minutes. The leader is
determined when a fault for it begins.
"""

from collections.abc import Callable, Sequence
from random import Random

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from load.bazaar.fleet import Fleet
from load.bazaar.folders import Folders
from load.history.records import Fault, History
from load.report.outputs import Tell

from .engine_faults import EngineFaults
from .fault_types import (
    Action,
    FaultType,
    Target,
    Variant,
    engine_fault_types,
    fault_types,
    matches,
)

__all__ = ["ProcessFaults"]

SHORT_SECONDS = (0.1, 0.4)
"""About an election timeout."""
MIDDLE_SECONDS = (0.8, 2.0)
"""About a lease."""
LONG_SECONDS = (3.0, 6.0)
"""About the deadline of a trade."""
WITHIN_LEASE_SECONDS = (0.3, 0.8)
"""While the holder of a lease is paused, no order may be released: on waking it would show what
it knew."""
PAST_LEASE_SECONDS = (1.3, 2.5)
"""Orders were released without the holder of the lease, so what it knew is stale."""
REPEATS = (4, 6)
REPEATED_PAUSE_SECONDS = (1.1, 1.4)
REPEATED_AWAKE_SECONDS = (0.2, 0.4)
"""A repeated pause is a little longer than a lease, and then as long as a new lease takes."""
OLD_SECONDS = (0.3, 2.0)
"""The age of what comes back into Redis, or as a replica's folder."""
TRUSTED_SECONDS = 5.0
"""How long to wait until a replica has fetched what its replaced folder lacked."""
SLOW_SECONDS = (2.0, 4.0)
SLOW_WRITE_SECONDS = (0.02, 0.25)
"""The delay of each write: up to nearly an election timeout."""
CALM_SECONDS = (0.2, 2.0)
"""From when the bazaar has recovered to the next fault."""
OVERLAP = 0.25
"""The share of faults that the next one does not wait for."""
POLL_SECONDS = 0.02
SUCCESSOR_SECONDS = (0.3, 1.0)
CACHING_SECONDS = 3.0
"""How long a fault that needs caching waits for it: an overlapping fault may prevent it."""


class ProcessFaults:
    """Injects faults into `fleet` until the time is over, and records them."""

    def __init__(
        self,
        fleet: Fleet,
        seconds: Callable[[], float],
        history: History,
        random: Random,
        tell: Tell,
        placed_at: Callable[[], float],
        *,
        kill: float,
        pause: float,
        spare: Sequence[str] = (),
        folders: Folders | None = None,
        engine: EngineFaults | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """`kill` and `pause` are the weights of these actions; those on caches and disks have the
        larger of the two, those on folders that of `kill`. `tell` is called with each fault;
        `placed_at` is when the last trade that was acknowledged had been sent. Processes in
        `spare` are left alone; folders are replaced if `folders` is given, and the engine's
        servers have faults if `engine` is; fault types must match `only`.
        """
        self._fleet = fleet
        self._seconds = seconds
        self._history = history
        self._random = random
        self._tell = tell
        self._placed_at = placed_at
        most = max(kill, pause)
        self._weights = {
            Action.KILL: kill,
            Action.PAUSE: pause,
            Action.MIX: min(kill, pause),
            Action.FLUSH: most,
            Action.OLD_DUMP: most,
            Action.SLOW: most,
            Action.FILL: most,
            Action.SWITCH: most,
            Action.OLD_FOLDER: kill,
            Action.EMPTY_FOLDER: kill,
        }
        self._folders = folders
        self._engine = engine
        self._only = only
        self._spare = set(spare)
        self._left: list[FaultType] = []
        """What is left of the current round."""
        self._overlapping: list[Deferred[None]] = []

    async def run(self, seconds: float) -> None:
        """Inject faults for `seconds`; all of them have ended when this returns."""
        end = self._seconds() + seconds
        try:
            while (left := end - self._seconds()) > 0:
                next_type = self._draw()
                if next_type is None:
                    await self._wait(POLL_SECONDS)
                    continue
                fault = Deferred.fromCoroutine(self._inject(next_type, left))
                if self._random.random() < OVERLAP:
                    self._overlapping.append(fault)
                else:
                    await fault
                    await self._recovered(end)
                calm = self._random.uniform(*CALM_SECONDS)
                await self._wait(min(calm, max(0.0, end - self._seconds())))
            await DeferredList(self._overlapping, fireOnOneErrback=True, consumeErrors=True)
        finally:
            self._fleet.heal()

    def _draw(self) -> FaultType | None:
        """The next fault type; None: this round has none, as those with low weights may be left
        out of it."""
        if not self._left:
            kill, pause = (self._weights[each] > 0 for each in (Action.KILL, Action.PAUSE))
            found = fault_types(
                self._fleet.names(),
                kill=kill,
                pause=pause,
                folders=self._folders is not None,
                disks=self._fleet.disks() is not None,
            )
            if self._engine is not None:
                found += engine_fault_types(kill=kill, pause=pause, fill=self._engine.can_fill)
            most = max(self._weights.values())
            for each in found:
                wanted = matches(each.name, self._only)
                if wanted and self._random.random() * most < self._weights[each.action]:
                    self._left.append(each)
            self._random.shuffle(self._left)
        return self._left.pop() if self._left else None

    async def _recovered(self, end: float) -> None:
        """Return when a trade that was sent after now has been acknowledged."""
        done = self._seconds()
        while self._placed_at() < done and self._seconds() < end:
            await self._wait(POLL_SECONDS)

    async def _caching(self, left: float) -> float:
        """Return when every front-end caches, or after a limit; the result is how long it took."""
        began = self._seconds()
        give_up = began + min(left, CACHING_SECONDS)
        while self._seconds() < give_up and not await self._fleet.caching():
            await self._wait(POLL_SECONDS)
        return self._seconds() - began

    async def _inject(self, fault: FaultType, left: float) -> None:
        """Inject one fault, and return when it has ended: within `left` seconds."""
        if fault.of_servers:
            await self._harm_servers(fault, left)
            return
        if fault.needs_caching:
            left -= await self._caching(left)
        names = await self._targets(fault)
        if not names:
            return
        match fault.action:
            case Action.FLUSH | Action.OLD_DUMP:
                await self._change_redis(fault, names, left)
            case Action.OLD_FOLDER | Action.EMPTY_FOLDER:
                await self._replace_folder(fault, names[0], left)
            case Action.SLOW:
                await self._slow_disks(fault, names, left)
            case _ if fault.variant is Variant.REPEATED:
                await self._pause_repeatedly(fault, names, left)
            case _:
                await self._kill_or_pause(fault, names, left)

    async def _harm_servers(self, fault: FaultType, left: float) -> None:
        assert self._engine is not None
        async with self._engine.chosen(fault, left) as names:
            if names:
                began = self._begin(fault, names)
                await self._engine.inject(fault)
                self._record(fault, names, began)

    async def _kill_or_pause(self, fault: FaultType, names: list[str], left: float) -> None:
        began = self._begin(fault, names)
        paused = []
        for name in names:
            mixed = fault.action is Action.MIX
            if fault.action is Action.PAUSE or (mixed and self._random.random() < 0.5):
                paused.append(name)
                self._fleet.pause(name)
            else:
                self._fleet.kill(name)
        if fault.target is Target.LEADER_AND_SUCCESSOR:
            await self._wait(self._random.uniform(*SUCCESSOR_SECONDS))
            names = [*names, *await self._kill_leader()]
        if paused:
            await self._wait(min(left, self._pause_seconds(fault)))
            for name in paused:
                self._fleet.resume(name)
        self._record(fault, names, began)

    async def _kill_leader(self) -> Sequence[str]:
        """Kill the current leader, unless it is spared; the result has its name."""
        leader = await self._fleet.leader()
        if leader is None or leader in self._spare:
            return ()
        self._fleet.kill(leader)
        return (leader,)

    async def _pause_repeatedly(self, fault: FaultType, names: Sequence[str], left: float) -> None:
        if left < REPEATED_PAUSE_SECONDS[1]:
            return
        began = self._begin(fault, names)
        for _ in range(self._random.randint(*REPEATS)):
            paused = self._random.uniform(*REPEATED_PAUSE_SECONDS)
            awake = self._random.uniform(*REPEATED_AWAKE_SECONDS)
            if self._seconds() + paused > began + left:
                break
            for name in names:
                self._fleet.pause(name)
            await self._wait(paused)
            for name in names:
                self._fleet.resume(name)
            await self._wait(min(awake, began + left - self._seconds()))
        self._record(fault, names, began)

    async def _slow_disks(self, fault: FaultType, names: Sequence[str], left: float) -> None:
        disks = self._fleet.disks()
        # The delay applies to the disks of all replicas.
        if disks is None or any(name.startswith("order-") for name in self._spare):
            return
        seconds = min(left, self._random.uniform(*SLOW_SECONDS))
        began = self._begin(fault, names)
        disks.slow(self._random.uniform(*SLOW_WRITE_SECONDS))
        try:
            await self._wait(seconds / 3)
            if fault.kills_leader:
                await self._kill_leader()
            await self._wait(seconds * 2 / 3)
        finally:
            disks.restore()
        self._record(fault, names, began)

    async def _replace_folder(self, fault: FaultType, name: str, left: float) -> None:
        folders, end = self._folders, self._seconds() + left
        if folders is None or not await self._reserved(folders, end):
            return
        try:
            if fault.action is Action.OLD_FOLDER:
                new = await folders.copy(name)
                await self._wait(min(self._random.uniform(*OLD_SECONDS), end - self._seconds()))
            else:
                new = folders.empty(name)
            began = self._seconds()
            if new is None or not await folders.replace(name, new):
                return
        finally:
            folders.release()
        self._tell(f"{fault.name} ({name})")
        # The fault lasts for as long as the replica may lack entries that it acknowledged.
        give_up = min(end, began + TRUSTED_SECONDS)
        while self._seconds() < give_up and not await folders.settled():
            await self._wait(POLL_SECONDS)
        self._record(fault, [name], began)

    async def _reserved(self, folders: Folders, end: float) -> bool:
        """Return when the right to replace a folder is reserved; False: not before the limit."""
        give_up = min(end, self._seconds() + TRUSTED_SECONDS)
        while self._seconds() < give_up:
            if await folders.reserve():
                return True
            await self._wait(POLL_SECONDS)
        return False

    def _begin(self, fault: FaultType, names: Sequence[str]) -> float:
        self._tell(f"{fault.name} ({', '.join(names)})")
        return self._seconds()

    def _record(self, fault: FaultType, names: Sequence[str], began: float) -> None:
        ended = self._seconds()
        self._history.add(Fault(what=fault.name, names=tuple(names), began=began, ended=ended))

    async def _change_redis(self, fault: FaultType, names: Sequence[str], left: float) -> None:
        redis = self._fleet.redis()
        if redis is None:
            return
        try:
            if fault.action is Action.OLD_DUMP:
                old = await redis.quotes()
                await self._wait(min(left, self._random.uniform(*OLD_SECONDS)))
                began = self._seconds()
                await redis.put_back(old)
            else:
                began = self._seconds()
                await redis.flush()
        except OSError:
            # An overlapping fault has killed or paused it.
            return
        self._tell(f"{fault.name} ({', '.join(names)})")
        self._record(fault, names, began)

    def _pause_seconds(self, fault: FaultType) -> float:
        match fault.variant:
            case Variant.PAST_LEASE:
                return self._random.uniform(*PAST_LEASE_SECONDS)
            case Variant.WITHIN_LEASE:
                return self._random.uniform(*WITHIN_LEASE_SECONDS)
        spans = (SHORT_SECONDS, MIDDLE_SECONDS, LONG_SECONDS)
        (span,) = self._random.choices(spans, (3, 4, 1))
        return self._random.uniform(*span)

    async def _targets(self, fault: FaultType) -> list[str]:
        """The names of the processes to inject a fault into; empty: they are spared."""
        names = [name for name in self._fleet.names() if name not in self._spare]
        replicas = [name for name in names if name.startswith("order-")]
        leader = await self._fleet.leader()
        if leader not in replicas:
            leader = self._random.choice(replicas) if replicas else None
        match fault.target:
            case Target.FOLLOWER:
                return self._some([name for name in replicas if name != leader], 1)
            case Target.FRONTEND:
                return self._some([name for name in names if name.startswith("frontend")], 1)
            case Target.A_REPLICA:
                return self._some(replicas, 1)
            case Target.TWO_REPLICAS:
                return self._some(replicas, 2)
            case Target.ALL_REPLICAS:
                return replicas
            case Target.SEVERAL:
                return self._some(names, self._random.randint(2, 4))
            case Target.EVERYTHING:
                return names
            case Target.CATALOG | Target.REDIS:
                return [name for name in names if name == fault.target]
        return [leader] if leader is not None else []

    def _some(self, names: Sequence[str], count: int) -> list[str]:
        return self._random.sample(names, min(count, len(names)))

    async def _wait(self, seconds: float) -> None:
        # The time may have run out while the state of the caches was polled.
        await deferLater(self._fleet.reactor, max(0.0, seconds))
