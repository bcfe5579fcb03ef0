"""Network faults: injects the scenarios into a bazaar in network namespaces, one at a time."""

from collections.abc import Callable, Sequence
from random import Random

from twisted.internet.task import deferLater

from load.bazaar.folders import Folders
from load.bazaar.namespaces import NamespacedFleet
from load.errors import CannotRun
from load.history.records import Fault, History
from load.report.outputs import Tell

from .fault_types import matches
from .scenarios import LASTS_SECONDS, SCENARIOS, Roles, Scenario

__all__ = ["CALM_SECONDS", "Partitions"]

CALM_SECONDS = 0.5
RECOVERED_SECONDS = 30.0
"""Within this time after a fault every front-end reaches every replica, and trades flow."""


class Partitions:
    """Injects the scenarios into `fleet` until the time is over, and records them."""

    def __init__(
        self,
        fleet: NamespacedFleet,
        seconds: Callable[[], float],
        history: History,
        random: Random,
        tell: Tell,
        placed_at: Callable[[], float],
        folders: Folders,
        only: Sequence[str] = (),
    ) -> None:
        """`tell` is called with each fault; `placed_at` is when the last trade that was
        acknowledged had been sent; `folders` are those of the replicas of `fleet`. The names of
        scenarios must match `only`.
        """
        self._fleet = fleet
        self._seconds = seconds
        self._history = history
        self._random = random
        self._tell = tell
        self._placed_at = placed_at
        self._folders = folders
        self._all = [
            each
            for each in SCENARIOS
            if (fleet.redis() or not each.needs_redis) and matches(each.name, only)
        ]
        first = [scenario for scenario in self._all if scenario.trades_flow]
        rest = [scenario for scenario in self._all if not scenario.trades_flow]
        # Also a short run has the first four.
        self._left = [*first[:4], *self._shuffled([*first[4:], *rest])]

    def _shuffled(self, scenarios: Sequence[Scenario]) -> Sequence[Scenario]:
        return self._random.sample(scenarios, len(scenarios))

    async def run(self, seconds: float) -> None:
        """Inject faults for `seconds`; when this returns, the bazaar has recovered from all."""
        end = self._seconds() + seconds
        try:
            while (scenario := self._draw(end - self._seconds())) is not None:
                await self._inject(scenario)
                await self._recovered()
                await deferLater(self._fleet.reactor, CALM_SECONDS)
        finally:
            await self._fleet.mend()
            self._fleet.heal()

    def _draw(self, left: float) -> Scenario | None:
        """The next scenario that can end within `left` seconds."""
        if not any(scenario.lasts_seconds <= left for scenario in self._left):
            self._left += self._shuffled(self._all)
        for scenario in self._left:
            if scenario.lasts_seconds <= left:
                self._left.remove(scenario)
                return scenario
        return None

    async def _recovered(self) -> None:
        """Return when a fault has left nothing behind. Raises `NotInTime`."""
        done = self._seconds()

        async def recovered() -> bool:
            if self._placed_at() <= done or not await self._fleet.connected():
                return False
            return await self._folders.settled() and await self._fleet.caching()

        await self._fleet.until(recovered, "the bazaar has recovered", RECOVERED_SECONDS)

    async def _inject(self, scenario: Scenario) -> None:
        fleet = self._fleet
        leader = await fleet.until(fleet.leader, "a replica leads", LASTS_SECONDS)
        assert leader is not None
        followers = [name for name in fleet.orders if name != leader]
        self._random.shuffle(followers)
        frontends = self._random.sample(fleet.frontends, len(fleet.frontends))
        redis = [name for name in fleet.names() if name == "redis"]
        roles = Roles(leader, followers, "catalog", frontends, redis)
        cuts, down = scenario.cuts(roles), scenario.down(roles)
        diversions, old = scenario.diversions(roles), scenario.old_folders(roles)
        names = sorted({*down, *old, *(name for each in (*cuts, *diversions) for name in each)})
        self._tell(f"{scenario.name} (leader {leader})")
        began = self._seconds()
        await fleet.cut(cuts)
        for diversion in diversions:
            await fleet.divert(*diversion)
        copies = {name: await self._folders.copy(name) for name in old}
        for name in down:
            fleet.take_down(name)
        seconds = self._lasts_seconds(scenario)
        await deferLater(fleet.reactor, seconds / 4)
        for name in scenario.then_down(roles):
            fleet.take_down(name)
        await fleet.cut(scenario.then_cuts(roles))
        for name, copy in copies.items():
            if copy is None or not await self._folders.replace(name, copy):
                raise CannotRun(f"the folder of {name} cannot be put back")
        await deferLater(fleet.reactor, seconds * 3 / 4)
        ended = self._seconds()
        await fleet.mend()
        fleet.heal()
        self._history.add(Fault(what=scenario.name, names=tuple(names), began=began, ended=ended))

    def _lasts_seconds(self, scenario: Scenario) -> float:
        long = scenario.trades_flow or not scenario.may_be_short
        if long or self._random.random() < 0.5:
            return scenario.lasts_seconds
        return self._random.uniform(0.1, 0.5) * scenario.lasts_seconds
