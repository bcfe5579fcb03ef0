"""A bazaar in the simulated world: order replicas, catalogs, caches, front-ends and clients."""

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted_bazaar import leases
from twisted_bazaar.consensus.entries import Members
from twisted_bazaar.consensus.membership import Membership, first_membership, membership_of

from .catalogs import CatalogMember, RedisMember
from .clients import Client
from .frontends import FrontendMember
from .members import NEW, TIMING, OrderMember
from .network import Network
from .operators import operators_of
from .recruiters import Recruiter
from .storages import KeptStorage
from .truth import Truth, Violation
from .world import Process, World

__all__ = ["SimulatedBazaar"]


def _drift(wild: bool) -> tuple[float, float]:
    """How slow, and how fast, a clock may run."""
    # The safety of orders rests on no clock: let some differ by more than clocks do.
    return (0.8, 1.25) if wild else (1 - leases.MAX_DRIFT, 1 + leases.MAX_DRIFT)


def _rate(random: Random, wild: bool) -> float:
    """How fast a clock runs."""
    drift = _drift(wild)
    # Most often at an end, where it matters.
    at_an_end = random.random() < 0.5
    return random.choice(drift) if at_an_end else random.uniform(*drift)


class SimulatedBazaar:
    """All processes, by name, and the faults that can be done to them."""

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
        catalogs: int = 1,
        caches: int = 1,
        wild_clocks: bool = False,
        mixed: bool = False,
        stale: float = 0.0,
        operators: int = 0,
        changes: bool = False,
    ) -> None:
        """`changes`: replicas are added, removed and replaced. `caches` is how many Redis servers
        the front-ends share; 0: they do not cache.

        `mixed`: options are being changed one service after the other: leases differ, and some
        replicas do not know all catalogs.
        """
        self.world = world
        self.network = self._make_network()
        self.truth = Truth(not wild_clocks)
        rate = partial(_rate, world.random, wild_clocks)
        self._slowest = 1 / _drift(wild_clocks)[0]
        """How many seconds a second may take by the slowest clock."""
        self._backup: tuple[Mapping[str, Any], dict[int, KeptStorage]] | None = None
        self.orders = {
            number: self._order(number, rate(), batch) for number in range(1, replicas + 1)
        }
        self.catalogs = {
            name: CatalogMember(world, name, self.network, self.truth, rate())
            for name in ("catalog", "catalog-2")[:catalogs]
        }
        self.catalog = self.catalogs["catalog"]
        self._traps: list[float] = []
        self._copies: dict[str, KeptStorage] = {}
        self._snares: list[float] = []
        self.lost = False
        """More was lost than can come back: nothing is expected to become well."""
        self.redises = [
            RedisMember(world, f"redis-{number}", stale) for number in range(1, caches + 1)
        ]
        self.frontends = [
            self._frontend(number, rate(), number <= confused) for number in range(1, frontends + 1)
        ]
        self._introduce(slow)
        self._mixed = mixed
        if mixed:
            self._mix_options()
        self.clients = [
            Client(world, f"client-{number}", self.frontends, self.truth)
            for number in range(1, clients + 1)
        ]
        self.operators = operators_of(world, operators, self.frontends, self.truth)
        self.recruiters = [Recruiter(self)] if changes else []
        """Those that change the members, if any do."""
        self._rate = rate
        self._batch = batch
        members = [*self.orders.values(), *self.catalogs.values(), *self.redises, *self.frontends]
        self.processes: dict[str, Process] = {member.name: member for member in members}

    def _make_network(self) -> Network:
        return Network(self.world)

    def _order(self, number: int, rate: float, batch: int) -> Any:
        return OrderMember(self.world, number, self.network, self.truth, rate, batch)

    def _frontend(self, number: int, rate: float, confused: bool) -> FrontendMember:
        return FrontendMember(
            self.world,
            f"frontend-{number}",
            self.network,
            self.orders,
            rate,
            confused,
            list(self.catalogs.values()),
            self.redises[number % len(self.redises)] if self.redises else None,
        )

    def _introduce(self, slow: float) -> None:
        """Give the processes each other's addresses; `slow`: the share of messages that are late,
        and of writes that take long."""
        self.network.weather.slow = slow
        for order in self.orders.values():
            self._introduce_order(order)
        self._slow_disks(slow)
        for catalog in self.catalogs.values():
            catalog.frontends = {member.name: member for member in self.frontends}
        for member in self.frontends:
            member.informed = self._informed

    def _introduce_order(self, order: Any) -> None:
        order.peers = {peer: each for peer, each in self.orders.items() if peer != order.number}
        order.catalogs = self.catalogs
        order.won = self._won

    def new_replica(self, number: int) -> OrderMember:
        """A machine for replica `number`, which is to join the others; it is not started yet."""
        options = tuple(self.members())
        order: OrderMember = self._order(number, self._rate(), self._batch)
        order.disk.often_slow = self.orders[options[0]].disk.often_slow
        order.join, order.options = True, options
        for each in self.orders.values():
            if each.options is None:
                each.options = tuple(each.peers)
        for frontend in self.frontends:
            frontend.options = frontend.options or tuple(self.orders)
        self.orders[number] = order
        self.processes[order.name] = order
        for each in self.orders.values():
            self._introduce_order(each)
        return order

    def membership(self) -> Membership:
        """Who the members are, by what is committed."""
        for entry in reversed(self.truth.entries):
            if isinstance(entry.event, Members):
                return membership_of(entry.index, entry.event)
        initial = [n for n, order in self.orders.items() if not order.join]
        return first_membership(initial[0], initial[1:], join=False)

    def members(self) -> Sequence[int]:
        """The ids of the members, by what is committed."""
        return self.membership().ids

    def _slow_disks(self, slow: float) -> None:
        """`slow`: the share of writes that take long."""
        for order in self.orders.values():
            order.disk.often_slow = slow

    def _mix_options(self) -> None:
        random = self.world.random
        for member in (*self.orders.values(), *self.catalogs.values()):
            member.lease = random.choice((0.4, 1.0, 1.6))
        for order in self.orders.values():
            known = random.sample(sorted(self.catalogs), random.randint(1, len(self.catalogs)))
            order.catalogs = {name: self.catalogs[name] for name in known}

    def _settle_options(self) -> None:
        """Restart the processes one after the other, all with the same options."""
        self._mixed = False
        for order in self.orders.values():
            order.catalogs = self.catalogs
        for number, member in enumerate((*self.orders.values(), *self.catalogs.values())):
            member.lease = TIMING.lease
            self.world.after(number * 0.15, self.crash, member.name, 0.05)

    def start(self) -> None:
        for process in (*self.processes.values(), *self.clients, *self.operators, *self.recruiters):
            process.start()

    def leader(self) -> str:
        """The name of the replica that leads in the highest term; "": none does."""
        leading = [order for order in self.orders.values() if order.alive and order.replica.leads]
        return max(leading, key=lambda order: order.replica.term).name if leading else ""

    def check_members(self) -> None:
        """No change of the members is under way."""
        membership, leader = self.membership(), self.leader()
        if membership.before or membership.joining:
            raise Violation(15, f"the members go on changing: {membership}")
        if leader and self.orders[int(leader[-1])].number not in membership.ids:
            raise Violation(15, f"{leader} leads, and was removed")

    def check_converged(self) -> None:
        """All replicas and catalogs have the same, which is all there is."""
        self.check_members()
        entries, membership = self.truth.entries, self.membership()
        for number, order in self.orders.items():
            if number not in membership.ids:
                if order.alive and self._could_know(order, membership):
                    raise Violation(15, f"{order.name} was removed, and goes on")
                continue
            log = order.replica.log
            if order.replica.membership != membership:
                raise Violation(
                    15, f"{order.name} takes these for members: {order.replica.membership}"
                )
            if not entries or log.last_digest != entries[-1].digest:
                why = f"{order.name} ends at {log.last_index} of {len(entries)} entries"
                raise Violation(11, why)
            if order.desk.ledger.stocks != self.truth.ledger.stocks:
                raise Violation(6, f"{order.name} ends with another ledger")
        for catalog in self.catalogs.values():
            if catalog.projection.ledger.stocks != self.truth.ledger.stocks:
                raise Violation(6, f"{catalog.name} ends with another ledger")

    def _could_know(self, order: OrderMember, membership: Membership) -> bool:
        """Whether one that `order`, which was removed, may ask could tell it so. If what added it
        was overwritten, or it has lost its log since, it knows of no time when it was a member, and
        waits to be one."""
        was_member = not order.join or any(
            member.id == order.number
            for entry in self.truth.entries[: order.replica.log.last_index]
            if isinstance(entry.event, Members)
            for member in entry.event.members
        )
        return was_member and any(
            peer in membership.ids and self.orders[peer].alive
            for peer in order.replica.membership.counted
        )

    def leading(self) -> Sequence[str]:
        """Who leads; an empty name: none does."""
        return [self.leader()]

    def without_lease(self) -> Sequence[str]:
        """The front-ends that have a cache, and no lease, though none keeps them out."""
        if not self.redises or not self.truth.clocks_are_true:
            return []
        return [
            each.name
            for each in self.frontends
            if not (each.floors.alive(each.seconds) or self.kept_out(each))
        ]

    def kept_out(self, frontend: FrontendMember) -> bool:
        """Whether `frontend` may lack a lease now because it, or a catalog, is kept out."""
        leading = [order for order in self.orders.values() if order.alive and order.replica.leads]
        return frontend.seconds < frontend.floors.kept_out_until or any(
            order.replica.backoff and order.replica.backoff.kept_out(order.seconds)
            for order in leading
        )

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

    def snare(self, frontends: int, seconds: float) -> None:
        """Cut each of the next `frontends` that get a lease off from all catalogs at once."""
        self._snares += [seconds] * frontends

    def _informed(self, frontend: FrontendMember) -> None:
        if self._snares:
            seconds = self._snares.pop()
            for catalog in self.catalogs:
                self.network.cut(catalog, frontend.name, seconds)
                self.network.cut(frontend.name, catalog, seconds)

    def split(self, name: str, bridge: str, seconds: float) -> None:
        """Cut replica `name` off from its peers but `bridge`, which reaches all of them."""
        for other in self.orders.values():
            if other.name not in (name, bridge):
                self.network.cut(name, other.name, seconds)
                self.network.cut(other.name, name, seconds)

    def _highest_term(self) -> int:
        return max(order.disk.storage.term for order in self.orders.values())

    def replace_file(self, name: str, down_seconds: float) -> None:
        """Replace a catalog's file by that of another bazaar."""
        catalog, random = self.catalogs[name], self.world.random
        catalog.crash()
        term = self._highest_term()
        entries = len(self.truth.entries)
        catalog.replace_file(random.randint(1, 2 * entries + 1), random.randint(1, term + 1))
        self.world.after(down_seconds, catalog.start)

    def wipe(self, name: str, down_seconds: float) -> None:
        """A replica loses its disk, unless another one has not recovered from that yet: two at once
        may lose what only they had."""
        order = self.orders[int(name[-1])]
        if any(each.disk.storage.suspect not in (None, NEW) for each in self.orders.values()):
            return
        order.crash()
        order.wipe()
        self.world.after(down_seconds, order.start)

    def archive(self, name: str, keep: int) -> None:
        """All but the last `keep` entries in the index of a replica leave its log."""
        order = self.orders[int(name[-1])]
        if order.alive and not order.paused:
            order.archiving.archive(keep)

    def keep_copy(self, name: str) -> None:
        """Copy the folder of a replica as it is now, to be put back later."""
        self._copies[name] = self.orders[int(name[-1])].disk.copy()

    def put_back(self, name: str, down_seconds: float) -> None:
        """Replace a replica's folder by its last copy, unless another replica has not recovered
        from a loss yet."""
        order, copy = self.orders[int(name[-1])], self._copies.pop(name, None)
        if copy is None or any(each.disk.storage.suspect for each in self.orders.values()):
            return
        order.crash()
        order.put_back(copy)
        self.world.after(down_seconds, order.start)

    def lead_astray(self, caller: str, callee: str, other: str, seconds: float) -> None:
        """For a while an address of `caller` leads to another replica than was meant."""
        self.network.lead_astray(caller, callee, self.processes[other], seconds)

    def copy_logs(self) -> None:
        """Copy the folders of all order replicas, if each has an entry. The name of a cluster is
        final only with the first one: copies from before it could begin another cluster, and the
        catalogs would have to be restarted."""
        storages = [order.disk.storage for order in self.orders.values()]
        if all(storage.last_index and not storage.suspect for storage in storages):
            folders = {number: order.disk.copy() for number, order in self.orders.items()}
            self._backup = self.truth.past(), folders

    def restore_logs(self, down_seconds: float) -> None:
        """Replace all folders of order replicas by the last copies, while all other processes go
        on."""
        if self._backup is None or self.recruiters:
            return
        (past, folders), self._backup = self._backup, None
        for number, order in self.orders.items():
            order.crash()
            order.put_back(folders[number])
            self.world.after(down_seconds, order.start)
        # Copies of one folder would be of a bazaar that never was.
        self._copies.clear()
        self.truth.cut(past)
        cuts = self.truth.cuts

        def over() -> None:
            if self.truth.cuts == cuts:
                self.truth.lost_is_shown = False

        self.world.after(TIMING.lease * self._slowest, over)

    def race(self, names: tuple[str, ...], apart: float, tries: int = 500) -> None:
        """Nominate two replicas at once, as soon as neither hears a leader."""
        orders = [self.orders[int(name[-1])] for name in names]
        free = [each.alive and each.replica.known_leader(each.seconds) == 0 for each in orders]
        if all(free):
            orders[0].in_this_life(orders[0].campaign)(None, lambda _: None)
            campaign = orders[1].in_this_life(orders[1].campaign)
            self.world.after(apart, campaign, None, lambda _: None)
        elif tries:
            self.world.after(0.001, self.race, names, apart, tries - 1)

    def nominate(self, frontend: str, order: str) -> None:
        """A confused front-end nominates `order`, even if there is a leader."""
        for member in self.frontends:
            if member.name == frontend and member.alive and not member.paused:
                member.nominate(int(order[-1]))

    def depose(self, frontend: str, order: str) -> None:
        """A confused front-end names a leader, in a term in which none was elected."""
        member = self.orders[int(order[-1])]
        if member.alive and not member.paused:
            member.follow(None, lambda _: None)

    def overtake(self, order: str) -> None:
        """`order` hears of a higher term, as if a peer had been a candidate in it."""
        member = self.orders[int(order[-1])]
        if member.alive and not member.paused:
            member.hear_of(member.replica.term + 1)

    def lead_again(self, frontend: str, order: str) -> None:
        """The leader is deposed, and nominated at once."""
        self.overtake(order)
        for again in (0.005, 0.015, 0.07):
            self.world.after(again, self.nominate, frontend, order)

    def heal(self) -> None:
        """All faults stop."""
        if self._mixed:
            self._settle_options()
        self.network.heal()
        self._traps.clear()
        self._snares.clear()
        for process in self.processes.values():
            process.resume()
            process.start()
        self._heal_disks()
        self._heal_options()

    def _heal_options(self) -> None:
        """Replicas that ask who the members are ask those that are, if members have changed; so do
        front-ends that know none of them."""
        members = self.members()
        for order in self.orders.values():
            if order.options is not None and order.disk.storage.suspect:
                order.options = tuple(each for each in members if each != order.number)
                self.crash(order.name, 0.01)
        for frontend in self.frontends:
            if frontend.options:
                frontend.options = members
                if frontend.members.isdisjoint(members):
                    self.crash(frontend.name, 0.01)

    def _heal_disks(self) -> None:
        for order in self.orders.values():
            order.disk.slow, order.disk.often_slow, order.disk.stuck = False, 0.0, False
            order.disk.seconds = 0.0
            order.disk.finish()
