"""A cluster in memory: replicas with their desks and disks, and all messages in a pool.

The test decides each step: whether a message under way is delivered, delivered twice, dropped or
left for later; when writes end; which replicas run and reach each other; what time it is. After
each step two things are checked: one leader a term (invariant 1), and the same committed entries
everywhere, for ever (invariant 2).
"""

import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec

from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import MemoryStorage
from twisted_bazaar.consensus.messages import Apply, ApplyReply, LearnerRequest, Reply, Request
from twisted_bazaar.leases import Lease
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import DEFAULT_LISTING, Side, Trade
from twisted_bazaar.order.desk import Batch, Known, Question

from .member import TICK, TIMING, Clock, Member


class Learner:
    """The least that the protocol requires of a catalog. It has no subscriptions."""

    def __init__(self, name: str, life: int = 1) -> None:
        self.name = name
        self.projection = Projection(Ledger(), Position())
        self.lease = Lease(life)
        self.releases = sys.maxsize
        """It clears nothing beyond this index, as if a front-end did not answer."""
        self.takes_proposals = True
        """Whether it is of a release that takes what is not committed yet."""

    @property
    def applied(self) -> int:
        return self.projection.position.index

    @property
    def digest(self) -> str:
        return self.projection.position.digest

    @property
    def ledger(self) -> Ledger:
        return self.projection.ledger

    @property
    def rebuilds(self) -> int:
        return self.projection.beginnings

    def apply(self, message: Apply, now: float) -> ApplyReply:
        known, beginnings = self.projection, self.projection.beginnings
        if not self.takes_proposals:
            message = msgspec.structs.replace(message, proposed=())
        assert all(entry.index <= message.commit for entry in message.entries)
        assert all(entry.index > message.commit for entry in message.proposed)
        known.apply(message)
        if known.beginnings != beginnings:
            self.lease = Lease(self.lease.life + 1)
        if message.term == known.position.term:
            self.lease.granted(message.stamp, message.lease)
        return ApplyReply(
            term=known.position.term,
            applied=self.applied,
            digest=known.position.digest,
            released=min(self.applied, self.releases),
            stamp=self.lease.stamp(now),
            holds=self.lease.alive(now),
            sent=message.sent,
            taken=known.tip if self.takes_proposals else 0,
            cleared=min(known.tip, self.releases) if self.takes_proposals else 0,
        )


class Call(msgspec.Struct, frozen=True, eq=False):
    """A request, and the life that made it, which its answer must find."""

    asker: Member
    request: Request | LearnerRequest


class Parcel(msgspec.Struct, frozen=True, eq=False):
    """A request or an answer under way."""

    source: int | str
    to: int | str
    message: msgspec.Struct
    call: Call


class Cluster:
    """Replicas 1 … `size`, and learners. All but those `asleep` have started, and asked around
    what they missed; the guard of their start is over."""

    def __init__(
        self,
        size: int = 3,
        learners: Sequence[str] = (),
        disks: dict[int, MemoryStorage] | None = None,
        asleep: Iterable[int] = (),
    ) -> None:
        self.clock = Clock()
        self.ids = tuple(range(1, size + 1))
        self.learners = {name: Learner(name) for name in learners}
        self.pool: list[Parcel] = []
        self.answers: dict[object, msgspec.Struct] = {}
        """What nominations were answered, by their tickets."""
        self.cuts: set[tuple[int | str, int | str]] = set()
        self.members: dict[int, Member] = {}
        self.storages = disks or {}
        self._unanswered: dict[Call, int] = {}
        """Calls that reached a replica, which has not answered yet."""
        self._committed: dict[int, Entry] = {}
        self._leaders: dict[int, int] = {}
        for id in {*self.ids} - {*asleep}:
            self.start(id)
        self.pass_time(TIMING.election_timeout + TICK)

    # Who is there, and who reaches whom.

    def start(self, id: int) -> Member:
        """Begin a life of replica `id`, from what its disk holds."""
        storage = self.storages.setdefault(id, MemoryStorage())
        peers = [peer for peer in self.ids if peer != id]
        member = Member(id, peers, tuple(self.learners), storage, self.clock)
        self.members[id] = member
        member.replica.start(self.clock.now)
        self.carry_out(member)
        return member

    def kill(self, id: int) -> None:
        """End a life: what was not written by now is lost, and so is what was not answered."""
        del self.members[id]
        for call in [call for call, member in self._unanswered.items() if member == id]:
            self._fail(call)

    def cut(self, *members: int | str, inbound: bool = True, outbound: bool = True) -> None:
        """Separate `members` from all others, in one direction or both."""
        everyone = {*self.ids, *self.learners}
        for one in members:
            for other in everyone - set(members):
                self.cuts |= {(other, one)} if inbound else set()
                self.cuts |= {(one, other)} if outbound else set()

    def heal(self) -> None:
        self.cuts.clear()

    # What becomes of what is under way.

    def under_way(
        self, kind: type, source: int | str | None = None, to: int | str | None = None
    ) -> list[Parcel]:
        """The parcels of this kind in the pool, oldest first."""
        return [
            parcel
            for parcel in self.pool
            if isinstance(parcel.message, kind)
            and source in (None, parcel.source)
            and to in (None, parcel.to)
        ]

    def deliver(self, parcel: Parcel) -> None:
        self.pool.remove(parcel)
        self.deliver_copy(parcel)

    def deliver_copy(self, parcel: Parcel) -> None:
        """Deliver `parcel`, which may come once more (or again, if it was taken off before)."""
        asker, answers = parcel.call.asker, parcel.message is not parcel.call.request.message
        here = parcel.to in self.members or parcel.to in self.learners
        if not here or (parcel.source, parcel.to) in self.cuts:
            self._fail(parcel.call)
        elif not answers and isinstance(parcel.to, str):
            reply = self.learners[parcel.to].apply(parcel.message, self.clock.now)
            self.pool.append(Parcel(parcel.to, parcel.source, reply, parcel.call))
        elif not answers or self.members[parcel.to] is asker:
            member = self.members[parcel.to]
            if isinstance(parcel.message, ApplyReply):
                member.replica.applied(str(parcel.source), parcel.message, self.clock.now)
            elif answers:
                member.replica.take_reply(parcel.message, self.clock.now)
            else:
                self._unanswered[parcel.call] = member.id
                member.replica.step(parcel.message, self.clock.now, parcel.call)
            self.carry_out(member)

    def _fail(self, call: Call) -> None:
        """Tell the caller, if its life has not ended, that there will be no answer."""
        self._unanswered.pop(call, None)
        if self.members.get(call.asker.id) is call.asker:
            call.asker.replica.unreachable(call.request, self.clock.now)
            self.carry_out(call.asker)

    def drop(self, parcel: Parcel) -> None:
        """Lose `parcel`; the caller is not told yet."""
        self.pool.remove(parcel)

    def run(self, leave: Callable[[Parcel], bool] = lambda parcel: False) -> None:
        """Deliver all parcels, oldest first, but those to be left for later."""
        for _ in range(100_000):
            parcel = next((parcel for parcel in self.pool if not leave(parcel)), None)
            if parcel is None:
                return
            self.deliver(parcel)
        raise AssertionError(f"this never ends: {self.pool}")

    def carry_out(self, member: Member) -> None:
        """Carry out what the replica decides, and put its messages into the pool."""
        done = len(member.committed)
        member.carry_out()
        for entry in member.committed[done:]:
            assert self._committed.setdefault(entry.index, entry) == entry
        for term in member.terms_led:
            assert self._leaders.setdefault(term, member.id) == member.id
        for said in member.sent:
            if not isinstance(said, Reply):
                call = Call(member, said)
                self.pool.append(Parcel(member.id, said.to, said.message, call))
            elif isinstance(said.ticket, Call):
                self._unanswered.pop(said.ticket, None)
                to = said.ticket.asker.id
                self.pool.append(Parcel(member.id, to, said.message, said.ticket))
            else:
                self.answers[said.ticket] = said.message
        member.sent.clear()

    # Time, and what front-ends do.

    def pass_time(
        self, seconds: float, leave: Callable[[Parcel], bool] = lambda parcel: False
    ) -> None:
        """Let time pass, tick by tick, and deliver all new parcels but those of `leave`."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + TICK)
            for member in tuple(self.members.values()):
                member.replica.tick(self.clock.now)
                self.carry_out(member)
            self.run(leave)

    def nominate(self, id: int, ticket: object = "nomination") -> None:
        """Ask replica `id` to campaign."""
        self.members[id].replica.campaign(ticket, self.clock.now)
        self.carry_out(self.members[id])

    def elect(self, id: int) -> Member:
        """Replica `id` wins, and commits its first entry."""
        self.nominate(id)
        self.pass_time(TIMING.heartbeat + 2 * TICK)
        assert self.members[id].replica.leads
        return self.members[id]

    def open_market(self, id: int) -> Member:
        """Replica `id` leads a market with the default stocks, 100 shares of each."""
        leader = self.elect(id)
        leader.desk.list_stocks(DEFAULT_LISTING)
        self.carry_out(leader)
        self.run()
        return leader

    def trade(self, id: int, *trades: Trade) -> Batch:
        """Send trades to replica `id`, in one batch."""
        batch = Batch(trades)
        assert self.members[id].desk.decide(batch, Known({}, 0), self.clock.now)
        self.carry_out(self.members[id])
        return batch

    def ask(self, id: int) -> Question:
        """Ask replica `id` for the last order number."""
        question = Question()
        self.members[id].desk.ask_last_number(question)
        self.carry_out(self.members[id])
        return question


def buy(key: str, quantity: int = 1, stock: str = "GameStart") -> Trade:
    return Trade(key, stock, Side.BUY, quantity)


def sell(key: str, quantity: int = 1, stock: str = "GameStart") -> Trade:
    return Trade(key, stock, Side.SELL, quantity)
