"""The scenarios of the network stage: cuts, one way or both, services that stay down, diverted
addresses, and folders that are put back. Pure.

Through some of these a bazaar must go on trading once it has noticed them: these come first, and
are measured while they last. The others must only break no promise.
"""

from collections.abc import Callable, Sequence

import msgspec

from .gaps import GAP_BOUND_SECONDS

__all__ = ["LASTS_SECONDS", "SCENARIOS", "Cuts", "Roles", "Scenario"]

LASTS_SECONDS = 3.5
"""The length of a fault that must be traded through; others last as long, or less."""
LONG_SECONDS = 13.0
"""Long enough for TCP to wait long between two attempts."""
ONE_LEASE_SECONDS = 2.0
"""A lease, and as much again for a busy machine."""

Cuts = Sequence[tuple[str, str]]
"""What the first of each sends to the second is dropped."""
Diversions = Sequence[tuple[str, str, str]]


class Roles(msgspec.Struct, frozen=True):
    """The role of each service when a fault begins."""

    leader: str
    followers: Sequence[str]
    catalog: str
    frontends: Sequence[str]
    redis: Sequence[str] = ()
    """One name, or none."""

    @property
    def replicas(self) -> Sequence[str]:
        return [self.leader, *self.followers]

    @property
    def all(self) -> Sequence[str]:
        return [self.leader, *self.followers, self.catalog, *self.frontends]


class Scenario(msgspec.Struct, frozen=True):
    """A fault of the network, of services or of folders, while a bazaar trades."""

    name: str
    cuts: Callable[[Roles], Cuts] = lambda _: ()
    down: Callable[[Roles], Sequence[str]] = lambda _: ()
    """Services that are killed when it begins, and stay down."""
    then_down: Callable[[Roles], Sequence[str]] = lambda _: ()
    """Services that are killed after a quarter of its time, and stay down."""
    then_cuts: Callable[[Roles], Cuts] = lambda _: ()
    """Cuts that are added after a quarter of its time."""
    old_folders: Callable[[Roles], Sequence[str]] = lambda _: ()
    """Replicas whose folder is copied when it begins, and put back after a quarter of its time;
    one at most."""
    diversions: Callable[[Roles], Diversions] = lambda _: ()
    """What the first of each sends to the address of the second is delivered to the third."""
    trades_flow: bool = True
    """Whether the bazaar must trade, and answer lookups, while it lasts."""
    bound_seconds: float = GAP_BOUND_SECONDS
    """The longest time without an answer that is allowed, where `trades_flow`."""
    lasts_seconds: float = LASTS_SECONDS
    may_be_short: bool = True
    """Whether it may last for a fraction of its time, where trades need not flow."""
    needs_redis: bool = False


def both(one: str, others: Sequence[str]) -> Cuts:
    """Cuts from `one` to each of `others`, and back."""
    return [*one_way([one], others), *one_way(others, [one])]


def one_way(sources: Sequence[str], targets: Sequence[str]) -> Cuts:
    """Cuts from each of `sources` to each of `targets`."""
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
        bound_seconds=ONE_LEASE_SECONDS,
    ),
    Scenario("leader down for good", down=lambda roles: [roles.leader]),
    Scenario(
        "cut from catalog to front-end, one way",
        cuts=lambda roles: one_way([roles.catalog], roles.frontends[:1]),
        bound_seconds=ONE_LEASE_SECONDS,
    ),
    Scenario(
        "cut from front-end to catalog, one way",
        cuts=lambda roles: one_way(roles.frontends[:1], [roles.catalog]),
        bound_seconds=ONE_LEASE_SECONDS,
    ),
    Scenario(
        "front-ends cut off from Redis",
        cuts=lambda roles: [cut for each in roles.redis for cut in both(each, roles.frontends)],
        bound_seconds=ONE_LEASE_SECONDS,
        needs_redis=True,
    ),
    Scenario(
        "cut from Redis to front-ends, one way",
        cuts=lambda roles: one_way(roles.redis, roles.frontends),
        bound_seconds=ONE_LEASE_SECONDS,
        needs_redis=True,
    ),
    Scenario(
        "Redis down for good",
        down=lambda roles: roles.redis,
        bound_seconds=ONE_LEASE_SECONDS,
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
        "leader cut off from all others",
        cuts=lambda roles: both(roles.leader, roles.all[1:]),
    ),
    Scenario(
        "follower cut off from all others",
        cuts=lambda roles: both(
            roles.followers[0],
            [name for name in roles.all if name != roles.followers[0]],
        ),
    ),
    Scenario(
        "leader's way to a follower leads to the other",
        diversions=lambda roles: [(roles.leader, roles.followers[0], roles.followers[1])],
    ),
    Scenario(
        "leader's way to a follower leads to itself",
        diversions=lambda roles: [(roles.leader, roles.followers[0], roles.leader)],
    ),
    Scenario(
        "leader's way to the catalog leads to a replica",
        diversions=lambda roles: [(roles.leader, roles.catalog, roles.followers[0])],
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
        lasts_seconds=LONG_SECONDS,
    ),
    Scenario(
        "leader and catalog cut off from all others",
        cuts=lambda roles: [
            *both(roles.leader, [*roles.followers, *roles.frontends]),
            *both(roles.catalog, [*roles.followers, *roles.frontends]),
        ],
        trades_flow=False,
    ),
    Scenario(
        "all ways to the leader lead to a follower",
        diversions=lambda roles: [
            (name, roles.leader, roles.followers[0])
            for name in [*roles.followers, *roles.frontends]
        ],
        trades_flow=False,
    ),
    Scenario(
        # The replicas that are left have a majority, and neither has the last acknowledged entry.
        "old folder of a follower, leader cut off",
        cuts=lambda roles: both(roles.leader, roles.followers[1:]),
        then_cuts=lambda roles: both(roles.leader, roles.all[1:]),
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
