"""Schedules: what goes wrong, and when. Drawn from a seed, and shrunk when one fails."""

from random import Random
from typing import NamedTuple

from .bazaar import SimulatedBazaar

__all__ = ["Fault", "Plan", "draw"]

FAULTS_END_SECONDS = 4.0
REPLICAS = (1, 2, 3)


class Fault(NamedTuple):
    """One thing that goes wrong at a moment."""

    at: float
    kind: str
    who: tuple[str, ...] = ()
    amount: float = 0.0


class Plan(NamedTuple):
    """A whole schedule. The same plan always runs the same."""

    seed: int
    frontends: int
    clients: int
    faults: tuple[Fault, ...]


def draw(seed: int) -> Plan:
    """The plan that `seed` stands for."""
    random = Random(f"plan {seed}")
    frontends = random.choice((1, 1, 2, 2, 3))
    clients = random.choice((1, 2, 4, 8))
    # Few faults leave time to see what each does; many meet in ways nobody thinks of.
    number = random.choice((0, 1, 2, 4, 8, 16, 30))
    faults = [_fault(random, frontends) for _ in range(number)]
    return Plan(seed, frontends, clients, tuple(sorted(faults)))


def _fault(random: Random, frontends: int) -> Fault:
    at = round(random.uniform(0.0, FAULTS_END_SECONDS), 4)
    orders = [f"order-{number}" for number in REPLICAS]
    fronts = [f"frontend-{number}" for number in range(1, frontends + 1)]
    everybody = [*orders, *fronts, "catalog"]
    kind = random.choice(_MENU)
    order = random.choice(orders)
    pair = random.sample(everybody, 2)
    seconds = random.choice((0.01, 0.1, 0.4, 1.0))
    match kind:
        case "crash" | "crash_leader" | "pause" | "pause_leader":
            who = random.choice([*orders, order, random.choice(everybody)])
            return Fault(at, kind, (who,), seconds * random.random() * 2)
        case "cut" | "cut_one_way":
            return Fault(at, kind, tuple(pair))
        case "isolate" | "isolate_leader" | "deafen":
            return Fault(at, kind, (order,))
        case "slow_disk":
            return Fault(at, kind, (order,), seconds)
        case "loss" | "doubled" | "slow":
            return Fault(at, kind, (), random.uniform(0.01, 0.4))
        case "nominate" | "depose":
            return Fault(at, kind, (random.choice(fronts), order))
        case _:
            return Fault(at, kind)


_MENU = (
    *("crash",) * 5,
    *("crash_leader",) * 4,
    *("crash_all",) * 1,
    *("pause",) * 2,
    *("pause_leader",) * 2,
    *("cut",) * 3,
    *("cut_one_way",) * 3,
    *("isolate",) * 2,
    *("isolate_leader",) * 3,
    *("deafen",) * 2,
    *("heal",) * 5,
    *("slow_disk",) * 2,
    *("loss",) * 2,
    *("doubled",) * 2,
    *("slow",) * 2,
    *("nominate",) * 4,
    *("depose",) * 2,
)
"""What may go wrong, the likelier the more often it is there. Most are plain faults; the last
two are a front-end that is confused: it nominates a replica although another leads, or says
that a term has begun which has not."""


def apply(fault: Fault, bazaar: SimulatedBazaar) -> None:
    """Let it happen."""
    bazaar.world.say("fault", f"{fault.kind} {' '.join(fault.who)} {fault.amount or ''}".strip())
    network, kind = bazaar.network, fault.kind
    match kind:
        case "crash":
            bazaar.crash(fault.who[0], fault.amount)
        case "crash_leader":
            bazaar.crash(bazaar.leader() or fault.who[0], fault.amount)
        case "crash_all":
            for name in ("order-1", "order-2", "order-3", "catalog"):
                bazaar.crash(name, 0.1)
        case "pause" | "pause_leader":
            name = (kind == "pause_leader" and bazaar.leader()) or fault.who[0]
            process = bazaar.processes[name]
            process.pause()
            bazaar.world.after(fault.amount, process.resume)
        case "cut":
            network.cut(*fault.who)
            network.cut(*reversed(fault.who))
        case "cut_one_way":
            network.cut(*fault.who)
        case "isolate" | "isolate_leader" | "deafen":
            name = (kind == "isolate_leader" and bazaar.leader()) or fault.who[0]
            for other in bazaar.processes:
                network.cut(other, name)
                if kind != "deafen":
                    network.cut(name, other)
        case "heal":
            network.heal()
        case "slow_disk":
            disk = bazaar.orders[int(fault.who[0][-1])].disk
            disk.slow = True
            bazaar.world.after(fault.amount, setattr, disk, "slow", False)
        case "loss" | "doubled" | "slow":
            setattr(network.weather, kind, fault.amount)
        case "nominate":
            bazaar.nominate(*fault.who)
        case "depose":
            bazaar.depose(*fault.who)
