"""The types of faults that can be injected into the processes of a bazaar. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Action", "FaultType", "Target", "Variant", "all_fault_types", "fault_types", "matches"]

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


class Variant(StrEnum):
    """For how long a target is paused; `ANY`: for a random time, or it is not paused."""

    ANY = ""
    WITHIN_LEASE = " within its lease"
    PAST_LEASE = " past its lease"
    REPEATED = " past its lease, again and again"


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
        return self.action in (Action.FLUSH, Action.OLD_DUMP) or self.variant != Variant.ANY


def all_fault_types(*, kill: bool, pause: bool) -> list[FaultType]:
    """The fault types of a bazaar with three replicas and Redis."""
    replicas = [f"order-{number}" for number in range(1, LEAST_REPLICAS + 1)]
    names = [*replicas, "catalog", "redis"]
    return fault_types(names, kill=kill, pause=pause, folders=True, disks=True)


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
    targets += [each for each in (Target.CATALOG, Target.REDIS) if each in names]
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
