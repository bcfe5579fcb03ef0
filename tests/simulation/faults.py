"""What each fault of a plan does to the bazaar."""

from .bazaar import SimulatedBazaar
from .days import Fault
from .engine_bazaar import EngineBazaar
from .engine_faults import on_engine
from .engine_lanes import ManyBazaar

__all__ = ["apply"]


def apply(fault: Fault, bazaar: SimulatedBazaar) -> None:
    """Do `fault` to the bazaar."""
    name = fault.who[0] if fault.who else ""
    kind, of, _ = fault.kind.partition("_leader")
    if of or name == "leader":
        name = bazaar.leader() or "order-1"
    who = tuple(each.replace("leader", bazaar.leader() or "order-1") for each in fault.who)
    bazaar.world.say("fault", f"{fault.kind} {' '.join(fault.who)} {fault.seconds:.3f} s")
    if isinstance(bazaar, EngineBazaar | ManyBazaar) and on_engine(fault, name, bazaar):
        return
    if not _on_links(kind, name, who, fault, bazaar):
        _on_processes(kind, name, who, fault, bazaar)


def _on_links(
    kind: str, name: str, who: tuple[str, ...], fault: Fault, bazaar: SimulatedBazaar
) -> bool:
    """Do `fault` if it is about links or messages; returns whether it is."""
    network, after = bazaar.network, bazaar.world.after
    match kind:
        case "cut":
            network.cut(*who, fault.seconds)
        case "slow_link":
            network.delay(*who, fault.share)
            after(fault.seconds, network.delay, *who, 0.0)
        case "unheard":
            # A catalog that hears no replica but the one that leads now.
            for order in bazaar.orders.values():
                if order.name != bazaar.leader():
                    network.cut(order.name, name, fault.seconds)
        case "split":
            bazaar.split(name, *fault.who, fault.seconds)
        case "snare":
            bazaar.snare(int(name), fault.seconds)
        case "isolate" | "part" | "deafen" | "mute":
            for other in bazaar.processes:
                # One that is parted from its peers still answers front-ends.
                if other == name or (kind == "part" and not other.startswith("order")):
                    continue
                if kind != "mute":
                    network.cut(other, name, fault.seconds)
                if kind != "deafen":
                    network.cut(name, other, fault.seconds)
        case "loss" | "doubled" | "slow" | "late" | "echoed":
            setattr(network.weather, kind, fault.share)
            after(fault.seconds, setattr, network.weather, kind, 0.0)
        case "astray":
            bazaar.lead_astray(*fault.who, fault.seconds)
        case _:
            return False
    return True


def _on_processes(
    kind: str, name: str, who: tuple[str, ...], fault: Fault, bazaar: SimulatedBazaar
) -> None:
    after = bazaar.world.after
    match kind:
        case "crash":
            bazaar.crash(name, fault.seconds)
        case "pause":
            process = bazaar.processes[name]
            process.pause()
            after(fault.seconds, process.resume)
        case "replace_file":
            bazaar.replace_file(name, fault.seconds)
        case "slow_disk":
            disk = bazaar.orders[int(name[-1])].disk
            disk.slow = True
            after(fault.seconds, setattr, disk, "slow", False)
        case "wall_clock":
            bazaar.orders[int(name[-1])].set_wall_clock()
        case "wipe":
            bazaar.wipe(name, fault.seconds)
        case "archive":
            bazaar.archive(name, int(fault.share))
        case "copy":
            bazaar.keep_copy(name)
        case "put_back":
            bazaar.put_back(name, fault.seconds)
        case "copy_logs":
            bazaar.copy_logs()
        case "restore_logs":
            bazaar.restore_logs(fault.seconds)
        case "trap":
            bazaar.trap(int(name), fault.seconds)
        case "race":
            bazaar.race(fault.who, fault.seconds)
        case "dump" | "restore":
            for redis in bazaar.redises:
                if redis.name == name:
                    getattr(redis, kind)()
        case "nominate":
            bazaar.nominate(*who)
        case "depose":
            bazaar.depose(*who)
        case "overtake":
            bazaar.overtake(who[0])
        case "lead_again":
            bazaar.lead_again(*who)
        case _:
            raise AssertionError(f"no such fault: {fault.kind}")
