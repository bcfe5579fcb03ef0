"""Faults that belong together, and that independent draws would combine too rarely.

Each comes from a random stream of its own, so that the other faults of a seed do not change.
"""

from random import Random
from typing import NamedTuple

__all__ = ["Cast", "Fault", "bad_days", "short_logs"]


class Fault(NamedTuple):
    """One fault, at a moment, for a while."""

    at: float
    kind: str
    who: tuple[str, ...] = ()
    seconds: float = 0.0
    share: float = 0.0


class Cast(NamedTuple):
    """The names of the processes."""

    orders: list[str]
    frontends: list[str]
    catalogs: list[str]
    redises: list[str]


def bad_days(random: Random, cast: Cast, end: float) -> list[Fault]:
    """Some of these groups of faults, before `end`."""
    faults: list[Fault] = []
    if random.random() < 0.1:
        faults += _late_start(random, cast)
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        faults += random.choice(_DAYS)(random, cast, round(random.uniform(0.8, end), 4))
    return faults


def short_logs(random: Random, cast: Cast, end: float) -> list[Fault]:
    """Entries leave the logs of some replicas again and again; others come back from a crash, a cut
    or the loss of their disk, and find no log that has what they lack."""
    short = random.sample(cast.orders, random.randint(1, len(cast.orders)))
    times = random.choice((1, 3, 10))
    faults = [
        Fault(round(random.uniform(0.5, end), 4), "archive", (name,), 0.0, random.choice((0, 3)))
        for name in short
        for _ in range(times)
    ]
    for _ in range(random.choice((1, 2, 4))):
        at, seconds = round(random.uniform(0.5, end), 4), random.uniform(0.3, 1.0)
        kind = random.choice(("wipe", "wipe", "crash", "isolate", "put_back"))
        away = random.choice(cast.orders)
        others = [name for name in cast.orders if name != away]
        if kind == "put_back":
            faults.append(Fault(max(0.4, at - 1.0), "copy", (away,)))
        faults.append(Fault(at, kind, (away,), seconds))
        faults += [
            Fault(at + seconds * random.random(), "archive", (name,), 0.0, 0) for name in others
        ]
        if random.random() < 0.5:
            back = at + seconds + random.uniform(0.0, 0.5)
            faults.append(
                Fault(round(back, 4), random.choice(("crash", "crash_leader")), (away,), 0.3)
            )
    return faults


def _late_start(random: Random, cast: Cast) -> list[Fault]:
    """One replica starts after the others; another loses its disk soon after."""
    late, wiped = random.sample(cast.orders, 2)
    return [
        Fault(0.0, "crash", (late,), random.uniform(0.5, 2.0)),
        Fault(round(random.uniform(0.5, 2.0), 4), "wipe", (wiped,), random.uniform(0.1, 0.5)),
    ]


def _replaced(random: Random, cast: Cast, at: float) -> list[Fault]:
    """The leader stands still while another is elected, which the catalog does not hear. The
    catalog's answer reaches the old leader before that one looks at the time."""
    catalog = random.choice(cast.catalogs)
    still = random.uniform(0.3, 0.9)
    return [
        Fault(at - 0.05, "slow_link", ("leader", catalog), 0.1, random.uniform(0.3, 0.6)),
        Fault(at, "part_leader", (cast.orders[-1],), still + 0.6),
        Fault(at, "unheard", (catalog,), still + 0.6),
        Fault(at, "pause_leader", (cast.orders[-1],), still),
    ]


def _split(random: Random, cast: Cast, at: float) -> list[Fault]:
    """The leader reaches one replica only, whose disk is slow and which reaches the others: it
    takes in entries that it has to drop before they are written."""
    bridge = random.choice(cast.orders)
    seconds = random.uniform(0.5, 1.2)
    slow = Fault(at, "slow_disk", (bridge,), seconds)
    crash = Fault(at + seconds * random.random(), "crash", (bridge,), random.uniform(0.05, 0.3))
    return [Fault(at, "split_leader", (bridge,), seconds), slow, crash]


def _led_again(random: Random, cast: Cast, at: float) -> list[Fault]:
    """A leader leads again in a later term, while messages of its earlier term are on their way;
    then it stands still."""
    near, late = random.choice(cast.orders), random.uniform(0.1, 0.25)
    return [
        Fault(at - 0.3, "split_leader", (near,), 0.3),
        Fault(at - 0.01, "slow_link", ("leader", near), 0.02, late),
        Fault(at, "lead_again", (cast.frontends[0], "leader")),
        Fault(at + 0.3, "pause_leader", (near,), random.uniform(0.3, 0.6)),
    ]


def _held_up(random: Random, cast: Cast, at: float) -> list[Fault]:
    """Committed entries wait for a front-end that cannot be reached, and the leader crashes."""
    frontend, catalog = random.choice(cast.frontends), random.choice(cast.catalogs)
    gone = random.choice(("crash_leader", "pause_leader", "isolate_leader"))
    return [
        Fault(at, "cut", (catalog, frontend), 1.2),
        Fault(at + random.uniform(0.01, 0.3), gone, (cast.orders[-1],), random.uniform(0.3, 1.2)),
    ]


def _parted_twice(random: Random, cast: Cast, at: float) -> list[Fault]:
    """A leader is cut off with entries that two later leaders overwrite."""
    return [
        Fault(at, "part_leader", (cast.orders[-1],), random.uniform(0.9, 1.3)),
        Fault(at + 0.6, "overtake", ("leader",)),
    ]


def _informed(random: Random, cast: Cast, at: float) -> list[Fault]:
    """Front-ends are cut off from the catalogs just as they get a lease."""
    restarted = [Fault(at, "crash", (name,), 0.05) for name in cast.frontends[1:]]
    return [Fault(at, "snare", (str(random.randint(1, 3)),), random.uniform(0.5, 1.3)), *restarted]


def _restored(random: Random, cast: Cast, at: float) -> list[Fault]:
    """A catalog's file becomes one of another history, while front-ends hold leases of it."""
    down = random.choice((0.01, 0.1, 0.5))
    return [Fault(at, "replace_file", (random.choice(cast.catalogs),), down)]


def _late(random: Random, cast: Cast, at: float) -> list[Fault]:
    """Messages of one process to another are late by more than an election, or than a lease."""
    everybody = [*cast.orders, *cast.catalogs, *cast.frontends, "leader", "leader"]
    one, other = random.sample(everybody, 2)
    late = random.choice((0.05, 0.2, 0.4, 1.3))
    return [Fault(at, "slow_link", (one, other), random.uniform(0.02, 0.3), late)]


def _stutter(random: Random, cast: Cast, at: float) -> list[Fault]:
    """One process stands still again and again."""
    who = random.choice(("leader", *cast.orders, *cast.catalogs, *cast.frontends))
    gaps = [random.uniform(0.02, 0.3) for _ in range(random.randint(3, 8))]
    return [
        Fault(round(at + sum(gaps[:step]), 4), "pause", (who,), gap * random.random())
        for step, gap in enumerate(gaps)
    ]


_DAYS = (
    _replaced,
    _split,
    _led_again,
    _held_up,
    _parted_twice,
    _informed,
    _restored,
    _late,
    _late,
    _stutter,
)
