"""A bazaar in the simulated world: three order replicas, a catalog, front-ends and clients."""

from .frontends import Client, FrontendMember
from .members import CatalogMember, OrderMember
from .network import Network
from .truth import Truth
from .world import Process, World

__all__ = ["SimulatedBazaar"]


class SimulatedBazaar:
    """All processes, by name, and what can be done to them."""

    def __init__(
        self,
        world: World,
        *,
        replicas: int = 3,
        frontends: int = 1,
        confused: int = 0,
        clients: int = 1,
        batch: int = 1024,
        slow: float = 0.0,
    ) -> None:
        self.world = world
        self.network = Network(world)
        self.network.weather.slow = slow
        self.truth = Truth()

        def rate() -> float:
            # The safety of orders rests on no clock: let these differ by more than clocks do.
            return world.random.uniform(0.8, 1.25)

        self.orders = {
            number: OrderMember(world, number, self.network, self.truth, rate(), batch)
            for number in range(1, replicas + 1)
        }
        self.catalog = CatalogMember(world, "catalog", self.truth, rate())
        for number, order in self.orders.items():
            order.peers = {peer: each for peer, each in self.orders.items() if peer != number}
            order.catalogs = {"catalog": self.catalog}
            order.disk.often_slow = slow
            order.won = self._won
        self._traps: list[float] = []
        self.lost = False
        """More was lost than can come back: nothing is expected to become well."""
        self.frontends = [
            FrontendMember(
                world, f"frontend-{number}", self.network, self.orders, rate(), number <= confused
            )
            for number in range(1, frontends + 1)
        ]
        self.clients = [
            Client(world, f"client-{number}", self.frontends, self.truth)
            for number in range(1, clients + 1)
        ]
        members = [*self.orders.values(), self.catalog, *self.frontends]
        self.processes: dict[str, Process] = {member.name: member for member in members}

    def start(self) -> None:
        for process in (*self.processes.values(), *self.clients):
            process.start()

    def leader(self) -> str:
        """The name of the replica that leads in the highest term; "": none does."""
        leading = [order for order in self.orders.values() if order.alive and order.replica.leads]
        return max(leading, key=lambda order: order.replica.term).name if leading else ""

    def crash(self, name: str, down_seconds: float) -> None:
        """End a process, and start it again later."""
        process = self.processes[name]
        process.crash()
        self.world.after(down_seconds, process.start)

    def trap(self, leaders: int, seconds: float) -> None:
        """Crash each of the next `leaders` that are elected, `seconds` after that."""
        self._traps += [seconds] * leaders

    def _won(self, order: OrderMember) -> None:
        if self._traps:
            self.world.after(self._traps.pop(), self.crash, order.name, 0.4)

    def wipe(self, name: str, down_seconds: float) -> None:
        """A replica loses its disk, unless another one has not got over that yet: two at once
        may lose what only they had."""
        order = self.orders[int(name[-1])]
        if any(each.disk.storage.suspect for each in self.orders.values()):
            return
        order.crash()
        order.wipe()
        self.world.after(down_seconds, order.start)

    def race(self, names: tuple[str, ...], apart: float, tries: int = 500) -> None:
        """Have two replicas campaign at once, as soon as neither hears a leader any more."""
        orders = [self.orders[int(name[-1])] for name in names]
        free = [each.alive and each.replica.leader(each.seconds) == 0 for each in orders]
        if all(free):
            orders[0].in_this_life(orders[0].campaign)(None, lambda _: None)
            campaign = orders[1].in_this_life(orders[1].campaign)
            self.world.after(apart, campaign, None, lambda _: None)
        elif tries:
            self.world.after(0.001, self.race, names, apart, tries - 1)

    def nominate(self, frontend: str, order: str) -> None:
        """A confused front-end asks `order` to campaign, whoever leads."""
        for member in self.frontends:
            if member.name == frontend and member.alive and not member.paused:
                member.nominate(int(order[-1]))

    def depose(self, frontend: str, order: str) -> None:
        """A confused front-end says that somebody leads in a term that nobody was elected in."""
        member = self.orders[int(order[-1])]
        if member.alive and not member.paused:
            member.follow(member.replica.term + 1, lambda _: None)

    def heal(self) -> None:
        """All faults stop."""
        self.network.heal()
        self._traps.clear()
        for process in self.processes.values():
            process.resume()
            process.start()
        for order in self.orders.values():
            order.disk.slow, order.disk.often_slow = False, 0.0
