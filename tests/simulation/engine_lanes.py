"""A bazaar of several partitions in the simulated world: each is a small bazaar of its own, and all
of them share processes, links and the engine."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from .catalogs import CatalogMember
from .engine_bazaar import EngineBazaar
from .engine_clients import Mover, PartitionedClient
from .engine_frontends import RoutedFrontend
from .engine_members import EngineMember
from .engine_servers import Engines
from .engine_truth import Markets
from .network import Network
from .truth import Violation
from .world import Process, World

__all__ = ["Lane", "ManyBazaar"]


def on_clock_of(process: Process, other: Process) -> None:
    """`process` is a part of the same machine as `other`."""
    process._rate, process._offset = other._rate, other._offset


class Machine(Process):
    """A process with a part in each partition."""

    def __init__(self, world: World, parts: Sequence[Process]) -> None:
        super().__init__(world, parts[0].name)
        self.parts = parts
        for part in parts[1:]:
            on_clock_of(part, parts[0])

    def started(self) -> None:
        for part in self.parts:
            part.start()

    def crashed(self) -> None:
        for part in self.parts:
            part.crash()

    def pause(self) -> None:
        super().pause()
        for part in self.parts:
            part.pause()

    def resume(self, reads_first: bool | None = None) -> None:
        super().resume(reads_first)
        for part in self.parts:
            part.resume(reads_first)


class Lane(EngineBazaar):
    """One partition."""

    def __init__(
        self, world: World, network: Network, engines: Engines, partition: int, **plan: Any
    ) -> None:
        self._shared_network = network
        self.partition = partition
        super().__init__(world, engines, **plan)
        for member in self.frontends:
            member.partition = partition

    def _make_network(self) -> Network:
        return self._shared_network

    def check_converged(self) -> None:
        super().check_converged()
        if any(order.desk is not None for order in self.orders.values()):
            return
        raise Violation(11, f"nobody leads partition {self.partition}")


class ManyBazaar:
    """All partitions. Has what `run` and `faults` need of a `SimulatedBazaar`."""

    lost = False
    recruiters = ()
    """Its members do not change."""

    def check_members(self) -> None:
        """No change is under way."""

    def __init__(
        self,
        world: World,
        partitions: int = 2,
        clients: int = 1,
        operators: int = 0,
        **plan: Any,
    ) -> None:
        self.world = world
        self.network = Network(world)
        self.engines = Engines(world, self.network, partitions)
        self.lanes = [
            Lane(world, self.network, self.engines, each, clients=0, **plan)
            for each in range(partitions)
        ]
        first = self.lanes[0]
        self.truth = Markets([lane.truth for lane in self.lanes])
        self.orders = first.orders
        self.redises = first.redises
        self.frontends = [
            RoutedFrontend(world, [lane.frontends[at] for lane in self.lanes])
            for at in range(len(first.frontends))
        ]
        shared: Any = self.frontends, self.truth
        self.clients = [
            PartitionedClient(world, f"client-{number}", *shared)
            for number in range(1, clients + 1)
        ]
        numbers = count(1)
        self.operators = [
            Mover(world, f"operator-{number}", *shared, numbers)
            for number in range(1, operators + 2)
        ]
        self.processes = self._machines()

    def _machines(self) -> Mapping[str, Process]:
        machines: dict[str, Process] = {each.name: each for each in self.engines.servers}
        for name in self.lanes[0].processes:
            if name not in machines:
                parts = [lane.processes[name] for lane in self.lanes]
                machines[name] = Machine(self.world, parts)
        for frontend in self.frontends:
            machines[frontend.name] = frontend
            for lane in frontend.lanes[1:]:
                on_clock_of(lane, frontend.lanes[0])
        return machines

    def start(self) -> None:
        for process in (*self.processes.values(), *self.clients, *self.operators):
            process.start()

    # Who leads.

    def leader(self) -> str:
        """The name of a member that leads some partition; "": none does."""
        leaders = [name for lane in self.lanes if (name := lane.leader())]
        return self.world.aside.choice(leaders) if leaders else ""

    def leading(self) -> Sequence[str]:
        return [lane.leader() for lane in self.lanes]

    def without_lease(self) -> Sequence[str]:
        return [name for lane in self.lanes for name in lane.without_lease()]

    # What is done to it.

    def crash(self, name: str, down_seconds: float) -> None:
        process = self.processes[name]
        process.crash()
        self.world.after(down_seconds, process.start)

    def _any(self) -> Lane:
        return self.world.aside.choice(self.lanes)

    def trap(self, leaders: int, seconds: float) -> None:
        self._any().trap(leaders, seconds)

    def snare(self, frontends: int, seconds: float) -> None:
        self._any().snare(frontends, seconds)

    def race(self, names: tuple[str, ...], apart: float) -> None:
        self._any().race(names, apart)

    def nominate(self, frontend: str, order: str) -> None:
        for lane in self.lanes:
            lane.nominate(frontend, order)

    def hand_over(self, member: str, to: str) -> None:
        self._any().hand_over(member, to)

    def leave(self, member: str, down_seconds: float) -> None:
        """`member` is stopped, and hands over before."""
        for lane in self.lanes:
            order: EngineMember = lane.orders[int(member[-1])]
            if order.alive and not order.paused:
                order.leave()
        self.world.after(0.1, self.crash, member, down_seconds)

    def fail_over(self, lost_seconds: float, seconds: float) -> None:
        self.lanes[0].fail_over(lost_seconds, seconds)

    def replace_file(self, name: str, down_seconds: float) -> None:
        """A catalog's file of one partition is replaced by that of another bazaar."""
        lane, machine = self._any(), self.processes[name]
        machine.crash()
        catalog = lane.catalogs[name]
        assert isinstance(catalog, CatalogMember)
        entries = len(lane.truth.entries)
        term = lane._highest_term()
        random = self.world.random
        catalog.replace_file(random.randint(1, 2 * entries + 1), random.randint(1, term + 1))
        self.world.after(down_seconds, machine.start)

    def heal(self) -> None:
        for lane in self.lanes:
            if lane._mixed:
                lane._settle_options()
            lane._traps.clear()
            lane._snares.clear()
        self.network.heal()
        for process in self.processes.values():
            process.resume()
            process.start()
        self.engines.heal()

    def check_converged(self) -> None:
        for lane in self.lanes:
            lane.check_converged()
        placed = [name for rows in self.engines.engine.rows for name in rows.stocks]
        if len(placed) != 4 or len(set(placed)) != 4:
            raise Violation(6, f"the stocks are {sorted(placed)}")
