"""Schedules for bazaars with an engine: what may go wrong there, and what it does."""

from collections.abc import Callable, Sequence
from random import Random

from twisted_bazaar.leases import MAX_DRIFT

from .days import Cast, Fault
from .engine_bazaar import EngineBazaar
from .plan import COARSE_DRIFT, FAULTS_END_SECONDS, Plan

__all__ = ["draw_engine", "on_engine"]

SERVERS = ("engine-1", "engine-2", "engine-3")


def on_engine(fault: Fault, name: str, bazaar: EngineBazaar) -> bool:
    """Do `fault`, to `name`, if it is about the engine; returns whether it is."""
    engines, world = bazaar.engines, bazaar.world
    match fault.kind:
        case "unreplicated":
            engines.part(fault.seconds)
        case "fail_over":
            bazaar.fail_over(fault.share, fault.seconds)
        case "full":
            engines.fill(fault.seconds)
        case "primary":
            engines.primary.pause()
            world.after(fault.seconds, engines.primary.resume)
        case "primary_crash":
            bazaar.crash(engines.primary.name, fault.seconds)
        case "stale" | "hangs":
            for server in engines.servers:
                setattr(server, fault.kind, fault.share)
                world.after(fault.seconds, setattr, server, fault.kind, 0.0)
        case "cut_engine" | "slow_engine":
            member = bazaar.leader() or "order-1" if fault.who[0] == "leader" else fault.who[0]
            _on_ways_to_engine(fault, member, bazaar)
        case "hand_over_leader":
            bazaar.hand_over(name, fault.who[0])
        case "leave_leader" | "leave":
            bazaar.leave(name, fault.seconds)
        case _:
            return False
    return True


def _on_ways_to_engine(fault: Fault, member: str, bazaar: EngineBazaar) -> None:
    network = bazaar.network
    for server in bazaar.engines.servers:
        ways = [(member, server.name), (server.name, member)]
        for way in ways if fault.who[1] == "both" else ways[fault.who[1] == "back" :][:1]:
            if fault.kind == "cut_engine":
                network.cut(*way, fault.seconds)
            else:
                network.delay(*way, fault.share)
                bazaar.world.after(fault.seconds, network.delay, *way, 0.0)


def draw_engine(seed: int, partitions: int = 1) -> Plan:
    """The plan of `seed` for a bazaar with an engine."""
    random = Random(f"engine {seed}")
    members = random.choice((2, 3, 3, 3))
    frontends = random.choice((1, 2, 2, 3))
    catalogs = random.choice((1, 1, 2))
    caches = random.choice((0, 1, 1, 1, 2))
    cast = Cast(
        [f"order-{each}" for each in range(1, members + 1)],
        [f"frontend-{each}" for each in range(1, frontends + 1)],
        ["catalog", "catalog-2"][:catalogs],
        [f"redis-{each}" for each in range(1, caches + 1)],
    )
    number = random.choice((1, 4, 8, 16, 40))
    faults = [fault for _ in range(number) for fault in _faults(random, cast)]
    wild_clocks = random.random() < 0.2
    return Plan(
        seed,
        members,
        frontends,
        random.choice((0, 0, 1, frontends)),
        random.choice((1, 2, 4, 8)),
        random.choice((1, 2, 1024)),
        random.choice((0.0, 0.0, 0.01, 0.05)),
        tuple(sorted(faults)),
        "",
        catalogs,
        caches,
        wild_clocks,
        random.random() < 0.25,
        MAX_DRIFT if wild_clocks else random.choice((MAX_DRIFT, MAX_DRIFT, COARSE_DRIFT)),
        random.choice((0.0, 0.0, 0.0, 0.3)),
        0.0,
        random.choice((0, 0, 1, 2)),
        partitions,
    )


def _faults(random: Random, cast: Cast) -> list[Fault]:
    """One fault from the menu, or several that belong together."""
    at = round(random.uniform(0.4, FAULTS_END_SECONDS), 4)
    seconds = random.choice((0.02, 0.15, 0.5, 1.0)) * random.uniform(0.5, 1.5)
    return random.choice(_MENU)(random, cast, at, seconds)


def _on_engine(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    kind = random.choice(("unreplicated", "full", "primary", "primary_crash"))
    return [Fault(at, kind, (), seconds)]


def _fail_over(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    """What was written just before is lost, and shown for `seconds` yet."""
    lost = random.choice((0.0, 0.01, 0.05, 0.3, 0.8))
    faults = [Fault(at, "fail_over", (), seconds, lost)]
    if random.random() < 0.5:
        faults.append(Fault(at, random.choice(_GONE), (cast.orders[0],), seconds))
    return faults


def _shown_late(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    return [Fault(at, random.choice(("stale", "stale", "hangs")), (), 1.0, random.random())]


def _ways(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    member = random.choice(("leader", "leader", *cast.orders))
    which = random.choice(("there", "back", "back", "both"))
    if random.random() < 0.5:
        return [Fault(at, "cut_engine", (member, which), seconds)]
    late = random.choice((0.05, 0.3, 0.7, 1.5))
    return [Fault(at, "slow_engine", (member, which), seconds, late)]


def _replaced(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    """What a leader writes lands after another one has claimed."""
    return [
        Fault(at, "slow_engine", ("leader", "there"), 0.05, random.uniform(0.5, 1.6)),
        Fault(at + 0.05, random.choice(_GONE), (cast.orders[0],), seconds + 0.5),
    ]


def _led(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    kind = random.choice(("hand_over_leader", "hand_over_leader", "leave_leader"))
    return [Fault(at, kind, (random.choice(cast.orders),), seconds)]


def _members(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    kind = random.choice(("crash", "pause", *_GONE))
    who = (random.choice(cast.orders),)
    if random.random() < 0.15:
        return [Fault(at, "crash", (name,), random.random() * 0.4) for name in cast.orders]
    return [Fault(at, kind, who, seconds)]


def _traps(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    return [Fault(at, "trap", (str(random.randint(1, 4)),), random.random() * 0.02)]


def _links(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    everybody = [*cast.orders, *cast.frontends, *cast.catalogs, *cast.redises, *SERVERS]
    one, other = random.sample(everybody, 2)
    ways = random.choice((((one, other),), ((one, other), (other, one))))
    return [Fault(at, "cut", way, seconds) for way in ways]


def _weather(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    kind = random.choice(("loss", "doubled", "slow", "slow", "late", "late", "echoed"))
    return [Fault(at, kind, (), seconds, random.uniform(0.02, 0.5))]


def _readers(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    reader = random.choice([*cast.frontends, *cast.catalogs, *cast.redises])
    if random.random() < 0.5:
        catalog = random.choice(cast.catalogs)
        other = random.choice([*cast.orders, *cast.frontends])
        return [Fault(at, "cut", random.choice(((catalog, other), (other, catalog))), seconds)]
    return [Fault(at, random.choice(("crash", "pause")), (reader,), seconds)]


def _confused(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    front, one, other = random.choice(cast.frontends), *random.sample(cast.orders, 2)
    if random.random() < 0.5:
        gone = Fault(at, random.choice(_GONE), (one,), seconds + 0.5)
        apart = random.choice((0.0, 0.0005, 0.001, 0.002))
        return [gone, Fault(at + 0.6, "race", (one, other), apart)]
    return [Fault(at, "nominate", (front, one))]


def _files(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    down = random.choice((0.01, 0.1, 0.5))
    return [Fault(at, "replace_file", (random.choice(cast.catalogs),), down)]


def _clocks(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    return [Fault(at, "wall_clock", (random.choice(cast.orders),), seconds)]


def _held_up(random: Random, cast: Cast, at: float, seconds: float) -> list[Fault]:
    """Committed entries wait for a front-end that cannot be reached, and the leader is gone."""
    frontend, catalog = random.choice(cast.frontends), random.choice(cast.catalogs)
    later = at + random.uniform(0.01, 0.3)
    return [
        Fault(at, "cut", (catalog, frontend), 1.2),
        Fault(later, random.choice((*_GONE, "leave_leader")), (cast.orders[-1],), seconds),
    ]


_GONE = ("crash_leader", "pause_leader", "pause_leader", "isolate_leader")
_Maker = Callable[[Random, Cast, float, float], list[Fault]]
_MENU: Sequence[_Maker] = (
    *(_on_engine,) * 5,
    *(_fail_over,) * 8,
    *(_shown_late,) * 3,
    *(_ways,) * 6,
    *(_replaced,) * 4,
    *(_led,) * 4,
    *(_members,) * 8,
    *(_traps,) * 3,
    *(_links,) * 4,
    *(_weather,) * 6,
    *(_readers,) * 5,
    *(_confused,) * 4,
    *(_held_up,) * 2,
    _files,
    _clocks,
)
"""What may go wrong, the likelier the more often it is there."""
