"""What is done to a network of services: cuts, one way or both, services that stay down,
addresses that lead elsewhere, and folders that are put back.

Some of these a bazaar must trade through, once it has noticed; they come first, and how it
does is measured while they last. The rest must only do no harm.
"""

from collections.abc import Callable, Sequence
from random import Random

import msgspec
from twisted.internet.task import deferLater

from load.bazaar.folders import Folders
from load.bazaar.namespaces import NamespacedFleet
from load.errors import CannotRun
from load.history.records import Fault, History

from .deck import is_wanted
from .gaps import GAP_BOUND_SECONDS

__all__ = ["LASTS_SECONDS", "Partitions", "SCENARIOS", "Roles", "Scenario"]

LASTS_SECONDS = 3.5
"""A fault that must be traded through lasts this long; others do, or less."""
LONG_SECONDS = 13.0
"""Long enough for TCP to wait long between two attempts."""
ONE_LEASE_SECONDS = 2.0
"""A lease, and as much again for a busy machine."""
CALM_SECONDS = 0.5
WHOLE_SECONDS = 30.0
"""Within this time after a fault every front-end reaches every replica, and trades flow."""

Cuts = Sequence[tuple[str, str]]
Strays = Sequence[tuple[str, str, str]]


class Roles(msgspec.Struct, frozen=True):
    """Who is who as a fault begins."""

    leader: str
    followers: Sequence[str]
    catalog: str
    frontends: Sequence[str]
    redis: Sequence[str] = ()
    """One, or none."""

    @property
    def replicas(self) -> Sequence[str]:
        return [self.leader, *self.followers]

    @property
    def everybody(self) -> Sequence[str]:
        return [self.leader, *self.followers, self.catalog, *self.frontends]


class Scenario(msgspec.Struct, frozen=True):
    """One state of the network."""

    what: str
    cuts: Callable[[Roles], Cuts] = lambda _: ()
    down: Callable[[Roles], Sequence[str]] = lambda _: ()
    then_down: Callable[[Roles], Sequence[str]] = lambda _: ()
    """Who goes down when a quarter of the time is over."""
    then_cuts: Callable[[Roles], Cuts] = lambda _: ()
    """What is cut then as well."""
    old_folders: Callable[[Roles], Sequence[str]] = lambda _: ()
    """Whose folder is copied in the beginning, and put back when a quarter of the time is over;
    one at most."""
    strays: Callable[[Roles], Strays] = lambda _: ()
    """What the first of each sends to the address of the second gets to the third."""
    trades_flow: bool = True
    """Whether the bazaar must trade, and answer lookups, while it lasts."""
    bound: float = GAP_BOUND_SECONDS
    """For how long nobody may be answered, where that is so."""
    lasts: float = LASTS_SECONDS
    may_be_short: bool = True
    """Whether it shows something even if it lasts for much less, where trades need not flow."""
    needs_redis: bool = False


def both(one: str, others: Sequence[str]) -> Cuts:
    """Nothing gets from `one` to `others`, nor back."""
    return [*one_way([one], others), *one_way(others, [one])]


def one_way(sources: Sequence[str], targets: Sequence[str]) -> Cuts:
    return [(source, target) for source in sources for target in targets if source != target]


SCENARIOS = (
    Scenario(
        "leader without a majority, which can be pinged",
        cuts=lambda roles: both(roles.leader, roles.followers),
    ),
    Scenario(
        "cut from leader to catalog, one way",
        cuts=lambda roles: one_way([roles.leader], [roles.catalog]),
    ),
    Scenario(
        "front-end cut off from the catalog",
        cuts=lambda roles: both(roles.frontends[0], [roles.catalog]),
        bound=ONE_LEASE_SECONDS,
    ),
    Scenario("leader down for good", down=lambda roles: [roles.leader]),
    Scenario(
        "cut from catalog to front-end, one way",
        cuts=lambda roles: one_way([roles.catalog], roles.frontends[:1]),
        bound=ONE_LEASE_SECONDS,
    ),
    Scenario(
        "cut from front-end to catalog, one way",
        cuts=lambda roles: one_way(roles.frontends[:1], [roles.catalog]),
        bound=ONE_LEASE_SECONDS,
    ),
    Scenario(
        "front-ends cut off from Redis",
        cuts=lambda roles: [cut for each in roles.redis for cut in both(each, roles.frontends)],
        bound=ONE_LEASE_SECONDS,
        needs_redis=True,
    ),
    Scenario(
        "cut from Redis to front-ends, one way",
        cuts=lambda roles: one_way(roles.redis, roles.frontends),
        bound=ONE_LEASE_SECONDS,
        needs_redis=True,
    ),
    Scenario(
        "Redis down for good",
        down=lambda roles: roles.redis,
        bound=ONE_LEASE_SECONDS,
        needs_redis=True,
    ),
    Scenario(
        "leader cut off from its followers, then down",
        cuts=lambda roles: both(roles.leader, roles.followers),
        then_down=lambda roles: [roles.leader],
    ),
    Scenario(
        "cut from catalog to leader, one way",
        cuts=lambda roles: one_way([roles.catalog], [roles.leader]),
    ),
    Scenario(
        "cut from leader to followers, one way",
        cuts=lambda roles: one_way([roles.leader], roles.followers),
    ),
    Scenario(
        "cut from followers to leader, one way",
        cuts=lambda roles: one_way(roles.followers, [roles.leader]),
    ),
    Scenario(
        "leader cut off from everybody",
        cuts=lambda roles: both(roles.leader, roles.everybody[1:]),
    ),
    Scenario(
        "follower cut off from everybody",
        cuts=lambda roles: both(
            roles.followers[0],
            [name for name in roles.everybody if name != roles.followers[0]],
        ),
    ),
    Scenario(
        "leader's way to a follower leads to the other",
        strays=lambda roles: [(roles.leader, roles.followers[0], roles.followers[1])],
    ),
    Scenario(
        "leader's way to a follower leads to itself",
        strays=lambda roles: [(roles.leader, roles.followers[0], roles.leader)],
    ),
    Scenario(
        "leader's way to the catalog leads to a replica",
        strays=lambda roles: [(roles.leader, roles.catalog, roles.followers[0])],
    ),
    Scenario("old folder of a follower", old_folders=lambda roles: roles.followers[:1]),
    Scenario("follower down for good", down=lambda roles: roles.followers[:1]),
    Scenario("catalog down for good", down=lambda roles: [roles.catalog]),
    Scenario(
        "followers cut off from each other",
        cuts=lambda roles: both(roles.followers[0], roles.followers[1:]),
    ),
    Scenario(
        "leader cut off from one follower",
        cuts=lambda roles: both(roles.leader, roles.followers[:1]),
    ),
    Scenario(
        "all replicas cut off from one another",
        cuts=lambda roles: [
            *both(roles.leader, roles.followers),
            *both(roles.followers[0], roles.followers[1:]),
        ],
        trades_flow=False,
    ),
    Scenario(
        "front-end cut off from the leader",
        cuts=lambda roles: both(roles.frontends[0], [roles.leader]),
        trades_flow=False,
    ),
    Scenario(
        "cut from leader to front-ends, one way",
        cuts=lambda roles: one_way([roles.leader], roles.frontends),
        trades_flow=False,
    ),
    Scenario(
        "front-ends cut off from all replicas for long",
        cuts=lambda roles: [
            cut for replica in roles.replicas for cut in both(replica, roles.frontends)
        ],
        trades_flow=False,
        lasts=LONG_SECONDS,
    ),
    Scenario(
        "leader and catalog cut off from everybody else",
        cuts=lambda roles: [
            *both(roles.leader, [*roles.followers, *roles.frontends]),
            *both(roles.catalog, [*roles.followers, *roles.frontends]),
        ],
        trades_flow=False,
    ),
    Scenario(
        "all ways to the leader lead to a follower",
        strays=lambda roles: [
            (name, roles.leader, roles.followers[0])
            for name in [*roles.followers, *roles.frontends]
        ],
        trades_flow=False,
    ),
    Scenario(
        # Those who are left have a majority, and neither has what was acknowledged last.
        "old folder of a follower, leader cut off",
        cuts=lambda roles: both(roles.leader, roles.followers[1:]),
        then_cuts=lambda roles: both(roles.leader, roles.everybody[1:]),
        old_folders=lambda roles: roles.followers[:1],
        trades_flow=False,
        may_be_short=False,
    ),
    Scenario(
        "two replicas down for good",
        down=lambda roles: [roles.leader, roles.followers[0]],
        trades_flow=False,
    ),
)


class Partitions:
    """Deals the scenarios to `fleet` until the time is over, and records them."""

    def __init__(
        self,
        fleet: NamespacedFleet,
        seconds: Callable[[], float],
        history: History,
        random: Random,
        tell: Callable[[str], None],
        placed_at: Callable[[], float],
        folders: Folders,
        only: Sequence[str] = (),
    ) -> None:
        """`placed_at` says when the last trade that was acknowledged had been sent; `folders`
        are those of the replicas of `fleet`. `only` says which are dealt, as `is_wanted` has it.
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
            if (fleet.redis() or not each.needs_redis) and is_wanted(each.what, only)
        ]
        first = [scenario for scenario in self._all if scenario.trades_flow]
        rest = [scenario for scenario in self._all if not scenario.trades_flow]
        # The four that matter most come first, however short a run is.
        self._left = [*first[:4], *self._shuffled([*first[4:], *rest])]

    def _shuffled(self, scenarios: Sequence[Scenario]) -> Sequence[Scenario]:
        return self._random.sample(scenarios, len(scenarios))

    async def run(self, seconds: float) -> None:
        """Go on for so long; when this returns all is whole again."""
        end = self._seconds() + seconds
        try:
            while (scenario := self._deal(end - self._seconds())) is not None:
                await self._stage(scenario)
                await self._whole()
                await deferLater(self._fleet.reactor, CALM_SECONDS)
        finally:
            await self._fleet.mend()
            self._fleet.heal()

    def _deal(self, left: float) -> Scenario | None:
        """The next that can end within `left` seconds."""
        if not any(scenario.lasts <= left for scenario in self._left):
            self._left += self._shuffled(self._all)
        for scenario in self._left:
            if scenario.lasts <= left:
                self._left.remove(scenario)
                return scenario
        return None

    async def _whole(self) -> None:
        """Return when nothing is left of what was done. Raises `NotInTime`."""
        done = self._seconds()

        async def whole() -> bool:
            if self._placed_at() <= done or not await self._fleet.connected():
                return False
            return await self._folders.settled() and await self._fleet.caching()

        await self._fleet.until(whole, "all is whole again", WHOLE_SECONDS)

    async def _stage(self, scenario: Scenario) -> None:
        fleet = self._fleet
        leader = await fleet.until(fleet.leader, "a replica leads", LASTS_SECONDS)
        assert leader is not None
        followers = [name for name in fleet.orders if name != leader]
        self._random.shuffle(followers)
        frontends = self._random.sample(fleet.frontends, len(fleet.frontends))
        redis = [name for name in fleet.names() if name == "redis"]
        roles = Roles(leader, followers, "catalog", frontends, redis)
        cuts, down = scenario.cuts(roles), scenario.down(roles)
        strays, old = scenario.strays(roles), scenario.old_folders(roles)
        names = sorted({*down, *old, *(name for each in (*cuts, *strays) for name in each)})
        self._tell(f"{scenario.what} (leader {leader})")
        began = self._seconds()
        await fleet.cut(cuts)
        for stray in strays:
            await fleet.divert(*stray)
        copies = {name: await self._folders.copy(name) for name in old}
        for name in down:
            fleet.take_down(name)
        lasts = self._lasts(scenario)
        await deferLater(fleet.reactor, lasts / 4)
        for name in scenario.then_down(roles):
            fleet.take_down(name)
        await fleet.cut(scenario.then_cuts(roles))
        for name, copy in copies.items():
            if copy is None or not await self._folders.replace(name, copy):
                raise CannotRun(f"the folder of {name} cannot be put back")
        await deferLater(fleet.reactor, lasts * 3 / 4)
        ended = self._seconds()
        await fleet.mend()
        fleet.heal()
        self._history.add(Fault(what=scenario.what, names=tuple(names), began=began, ended=ended))

    def _lasts(self, scenario: Scenario) -> float:
        long = scenario.trades_flow or not scenario.may_be_short
        if long or self._random.random() < 0.5:
            return scenario.lasts
        return self._random.uniform(0.1, 0.5) * scenario.lasts
