"""A bazaar whose order log is in an engine, in the simulated world."""

from collections.abc import Sequence
from typing import Any

from .bazaar import SimulatedBazaar
from .engine_members import EngineMember
from .engine_servers import Engines
from .truth import Violation
from .world import World

__all__ = ["EngineBazaar"]


class EngineBazaar(SimulatedBazaar):
    """All processes of a bazaar with one partition, and the engine's servers."""

    orders: dict[int, EngineMember]
    partition = 0

    def __init__(self, world: World, engines: Engines | None = None, **plan: Any) -> None:
        self._engines = engines
        super().__init__(world, **plan)
        self.processes |= {server.name: server for server in self.engines.servers}

    @property
    def engines(self) -> Engines:
        """The engine's servers."""
        if self._engines is None:
            self._engines = Engines(self.world, self.network, 1)
        return self._engines

    def _order(self, number: int, rate: float, batch: int) -> EngineMember:
        return EngineMember(
            self.world,
            number,
            self.network,
            self.truth,
            rate,
            batch,
            self.engines,
            self.partition,
        )

    def _introduce(self, slow: float) -> None:
        super()._introduce(slow)
        for number, order in self.orders.items():
            order.others = {other: each for other, each in self.orders.items() if other != number}
            order.peers = {server.name: server for server in self.engines.servers}

    def start(self) -> None:
        for server in self.engines.servers:
            server.start()
        super().start()

    def _slow_disks(self, slow: float) -> None:
        """The engine's disks are its own matter."""

    def _heal_disks(self) -> None:
        self.engines.heal()

    def _highest_term(self) -> int:
        return self.engines.engine.rows[self.partition].tail.term

    # What is done to the engine, and by its operator.

    def fail_over(self, lost_seconds: float, seconds: float) -> None:
        """For a while nothing is replicated; then another server takes over, while the old one goes
        on."""
        self.engines.part(lost_seconds + 0.001)
        self.world.after(lost_seconds, self.engines.fail_over, seconds)

    def hand_over(self, member: str, to: str) -> None:
        """An operator wants `to` to lead, and tells `member`."""
        order = self.orders[int(member[-1])]
        if order.alive and not order.paused:
            order.hand_over(int(to[-1]))

    def leave(self, member: str, down_seconds: float) -> None:
        """`member` is stopped, and hands over before."""
        order = self.orders[int(member[-1])]
        if order.alive and not order.paused:
            order.leave()
            self.world.after(0.1, self.crash, member, down_seconds)

    def check_members(self) -> None:
        """Its members do not change."""

    def _heal_options(self) -> None:
        """Its members do not change."""

    def check_converged(self) -> None:
        """All is well, and all agree on it."""
        entries, rows = self.truth.entries, self.engines.engine.rows[self.partition]
        if [entry.digest for entry in rows.entries] != [entry.digest for entry in entries]:
            raise Violation(11, f"the engine has {len(rows.entries)} of {len(entries)} entries")
        if rows.stocks != self.truth.ledger.stocks:
            raise Violation(6, "the engine ends with other stocks")
        self._check_shown(rows.tail.released.number, len(self.truth.orders))
        for order in self.orders.values():
            if order.desk is not None and order.desk.ledger.stocks != self.truth.ledger.stocks:
                raise Violation(6, f"{order.name} ends with another ledger")
        for catalog in self.catalogs.values():
            if catalog.projection.ledger.stocks != self.truth.ledger.stocks:
                raise Violation(6, f"{catalog.name} ends with another ledger")

    def _check_shown(self, shown: int, orders: int) -> None:
        if shown != orders:
            raise Violation(11, f"members may show {shown} of {orders} orders")

    def leaders(self) -> Sequence[EngineMember]:
        """The members that lead, or think so."""
        return [each for each in self.orders.values() if each.alive and each.replica.leads]
