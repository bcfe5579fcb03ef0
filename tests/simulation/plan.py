"""Schedules: which faults happen, and when. Drawn from a seed, and shrunk when one fails."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from twisted_bazaar.leases import MAX_DRIFT

from .days import Cast, Fault, bad_days, short_logs
from .scenarios import SETTINGS

__all__ = ["FAULTS_END_SECONDS", "Fault", "Plan", "directed", "draw"]

FAULTS_END_SECONDS = 6.0
LONGEST_FAULT_SECONDS = 2.0
COARSE_DRIFT = 0.2
"""Far more than clocks drift; for it to be safe it has only to be allowed for."""


class Plan(NamedTuple):
    """A whole schedule. The same plan always runs the same."""

    seed: int
    replicas: int
    frontends: int
    confused: int
    """How many of the front-ends nominate any replica instead of the highest."""
    clients: int
    batch: int
    """Entries that a message carries at most."""
    slow: float
    """The share of messages that are late, and of writes that take long, at all times."""
    faults: tuple[Fault, ...]
    scenario: str = ""
    """A directed schedule instead of drawn faults."""
    catalogs: int = 1
    caches: int = 1
    wild_clocks: bool = False
    """Whether clocks differ by more than clocks do, so that what leases promise may fail."""
    mixed: bool = False
    """Whether leases, and the lists of catalogs, differ from replica to replica."""
    drift: float = MAX_DRIFT
    """How far clocks may drift, and what is allowed for: the more, the more a mistake shows."""
    stale: float = 0.0
    """The share of reads in which Redis has what it had long before."""
    disks: float = 0.0
    """When the other faults are over, each write of each disk takes so many seconds for a long
    time, and the leader is lost; 0: no such time."""
    operators: int = 0
    """How many change the market meanwhile."""
    partitions: int = 0
    """How many the market is cut into, in an engine; 0: there is none."""
    changes: bool = False
    """Whether replicas are added, removed and replaced meanwhile."""


def directed(scenario: str, seed: int) -> Plan:
    """The plan of a directed schedule, `scenario`."""
    plan = Plan(seed, 3, 2, 0, 6, 1, 0.0, (), scenario, caches=2 - seed % 2)
    return plan._replace(**SETTINGS.get(scenario, {}))


def draw(seed: int) -> Plan:
    """The plan of `seed`."""
    random = Random(f"plan {seed}")
    replicas = random.choice((3, 3, 5))
    frontends = random.choice((1, 2, 2, 3))
    confused = random.choice((0, 0, 1, frontends))
    clients = random.choice((1, 2, 4, 8))
    batch = random.choice((1, 2, 1024))
    # Few faults leave time to see what each does; many combine in unforeseen ways.
    number = random.choice((1, 4, 8, 16, 40))
    slow = random.choice((0.0, 0.0, 0.01, 0.05))
    catalogs = random.choice((1, 1, 2))
    caches = random.choice((0, 1, 1, 1, 2))
    wild_clocks = random.random() < 0.25
    cast = Cast(
        [f"order-{each}" for each in range(1, replicas + 1)],
        [f"frontend-{each}" for each in range(1, frontends + 1)],
        ["catalog", "catalog-2"][:catalogs],
        [f"redis-{each}" for each in range(1, caches + 1)],
    )
    drawn = [fault for _ in range(number) for fault in _faults(random, cast)]
    more = Random(f"elections {seed}")
    if more.random() < 0.15:
        drawn += _long_suspect(more, cast)
    disks = more.choice((0.1, 0.2, 0.5, 1.0, 2.0)) if more.random() < 0.12 else 0.0
    mixed = random.random() < 0.25
    other = Random(f"days {seed}")
    short = Random(f"short logs {seed}")
    if short.random() < 0.3:
        drawn += short_logs(short, cast, FAULTS_END_SECONDS)
    faults = tuple(sorted(drawn + bad_days(other, cast, FAULTS_END_SECONDS)))
    drift = MAX_DRIFT if wild_clocks else other.choice((MAX_DRIFT, MAX_DRIFT, COARSE_DRIFT))
    return Plan(
        seed,
        replicas,
        frontends,
        confused,
        clients,
        batch,
        slow,
        faults,
        "",
        catalogs,
        caches,
        wild_clocks,
        mixed,
        drift,
        other.choice((0.0, 0.0, 0.0, 0.3)),
        disks,
        Random(f"operators {seed}").choice((0, 0, 1, 2)),
        changes=Random(f"members {seed}").random() < 0.3,
    )


def _long_suspect(random: Random, cast: Cast) -> list[Fault]:
    """The highest id loses its disk and cannot recall for long; elections go on without it."""
    at = round(random.uniform(0.4, FAULTS_END_SECONDS / 2), 4)
    *others, highest = cast.orders
    other = random.choice(others)
    bounced = random.choice(others)
    return [
        Fault(at, "wipe", (highest,), 0.05),
        Fault(at, "cut", (highest, other), FAULTS_END_SECONDS - at),
        Fault(at, "cut", (other, highest), FAULTS_END_SECONDS - at),
        Fault(at + random.uniform(0.2, 1.5), "crash", (bounced,), 0.01),
    ]


def _restored(
    random: Random, kind: str, redises: Sequence[str], at: float, seconds: float
) -> list[Fault]:
    """A Redis, or all order logs, go back to an earlier state, while all others go on."""
    if kind == "restore_logs":
        return [
            Fault(at, "copy_logs"),
            Fault(at + seconds, "restore_logs", (), random.random() * 0.4),
        ]
    redis = (random.choice(redises),) if redises else ()
    return [Fault(at, "dump", redis), Fault(at + seconds, "restore", redis)] if redis else []


def _faults(random: Random, cast: Cast) -> list[Fault]:
    """One fault from the menu, or several that belong together."""
    at = round(random.uniform(0.4, FAULTS_END_SECONDS), 4)
    seconds = random.choice((0.02, 0.15, 0.5, 1.0)) * random.uniform(0.5, 1.5)
    orders = random.sample(cast.orders, len(cast.orders))
    fronts = cast.frontends
    readers = [*fronts, *cast.catalogs, *cast.redises]
    everybody = [*orders, *readers]
    match kind := random.choice(_MENU):
        case "crash_reader" | "pause_reader":
            return [Fault(at, kind.removesuffix("_reader"), (random.choice(readers),), seconds)]
        case "cut_reader":
            # Between those that lookups go through, one way or both.
            one, other = random.choice(cast.catalogs), random.choice([*orders, *fronts])
            ways = random.choice((((one, other),), ((other, one),), ((one, other), (other, one))))
            return [Fault(at, "cut", way, seconds) for way in ways]
        case "flush":
            return [Fault(at, "crash", (random.choice(cast.redises or fronts),), 0.0)]
        case "restore" | "restore_logs":
            return _restored(random, kind, cast.redises, at, seconds)
        case "crash" | "pause":
            return [Fault(at, kind, (random.choice([*orders, *everybody]),), seconds)]
        case "crash_two":
            # Both lose what is not synced; that one is back sooner decides who elects.
            return [
                Fault(at, "crash", (orders[0],), seconds * random.random()),
                Fault(at, "crash", (orders[1],), seconds),
            ]
        case "crash_all":
            return [Fault(at, "crash", (name,), random.random() * 0.4) for name in orders]
        case "cut":
            one, other = random.sample(everybody, 2)
            return [Fault(at, "cut", pair, seconds) for pair in ((one, other), (other, one))]
        case "cut_one_way":
            return [Fault(at, "cut", tuple(random.sample(everybody, 2)), seconds)]
        case "put_back" | "astray":
            return _misplaced(random, kind, orders, fronts, at, seconds)
        case "slow_disks":
            # What is under way when all crash is lost on each of them.
            crash = [Fault(at + seconds / 2, "crash", (name,), random.random()) for name in orders]
            return [Fault(at, "slow_disk", (name,), seconds) for name in orders] + crash
        case "late" | "echoed":
            return _late(random, kind, orders[0], at, seconds)
        case "loss" | "doubled" | "slow":
            return [Fault(at, kind, (), seconds, random.uniform(0.02, 0.5))]
        case "nominate" | "depose":
            return [Fault(at, kind, (random.choice(fronts), orders[0]))]
        case "race":
            # The leader is gone, and front-ends that do not agree nominate two at once.
            gone = random.choice(("crash_leader", "isolate_leader", "part_leader", "pause_leader"))
            apart = random.choice((0.0, 0.0005, 0.001, 0.002))
            return [
                Fault(at, gone, (orders[2],), seconds + 0.5),
                Fault(at + 0.1, "race", (orders[0], orders[1]), apart),
            ]
        case "trap":
            # The next leaders are gone as soon as they lead: their first entries are on
            # some disks only.
            return [Fault(at, kind, (str(random.randint(1, 4)),), random.random() * 0.008)]
        case _:
            return [Fault(at, kind, (orders[0],), seconds)]


def _late(random: Random, kind: str, order: str, at: float, seconds: float) -> list[Fault]:
    """Messages are late by seconds, and a leader stands still, so that they come after an election
    more often."""
    gone = Fault(at + seconds, "pause_leader", (order,), 0.5 * random.random())
    return [Fault(at, kind, (), seconds, random.uniform(0.02, 0.3)), gone]


def _misplaced(
    random: Random, kind: str, orders: list[str], fronts: list[str], at: float, seconds: float
) -> list[Fault]:
    """A folder, or an address, is another than was meant."""
    if kind == "put_back":
        # A copy of one folder, made a while ago, while the others went on.
        copied = Fault(max(0.4, at - 3 * seconds), "copy", (orders[0],))
        return [copied, Fault(at, "put_back", (orders[0],), seconds)]
    # An address leads to another replica, or to the caller itself, for a while.
    caller = random.choice([*orders, *fronts])
    return [Fault(at, "astray", (caller, orders[0], random.choice(orders)), seconds)]


_MENU = (
    *("crash",) * 3,
    *("crash_leader",) * 3,
    *("crash_two",) * 3,
    *("crash_all",) * 2,
    *("pause",) * 1,
    *("pause_leader",) * 2,
    *("cut",) * 2,
    *("cut_one_way",) * 2,
    *("isolate",) * 1,
    *("isolate_leader",) * 4,
    *("part_leader",) * 8,
    *("deafen_leader",) * 4,
    *("mute_leader",) * 4,
    *("slow_disk",) * 2,
    *("slow_disks",) * 2,
    *("loss",) * 2,
    *("doubled",) * 1,
    *("slow",) * 3,
    *("late",) * 4,
    *("echoed",) * 2,
    *("wall_clock",) * 2,
    *("nominate",) * 3,
    *("depose",) * 1,
    *("wipe",) * 3,
    *("wipe_leader",) * 2,
    *("put_back",) * 2,
    *("astray",) * 3,
    *("race",) * 4,
    *("trap",) * 5,
    *("crash_reader",) * 3,
    *("pause_reader",) * 4,
    *("cut_reader",) * 8,
    *("flush",) * 1,
    *("restore",) * 2,
    *("restore_logs",) * 2,
)
"""What may go wrong, the likelier the more often it is there. Plain faults alone have blind
spots: the last three are front-ends that are confused. They nominate a replica although another
leads, say that a term has begun which has not, or nominate two at once."""
