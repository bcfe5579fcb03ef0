"""Order replicas: the code that ships, on simulated disks, clocks and links."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs

from twisted_bazaar.consensus.entries import Entry, Event
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.consensus.messages import (
    AppendReply,
    LearnerRequest,
    Message,
    Reply,
    Request,
    Status,
    Ticket,
)
from twisted_bazaar.consensus.replica import Ready, Replica
from twisted_bazaar.errors import BazaarError, Unavailable, Unusable
from twisted_bazaar.frontend.cache.quotes import LookupReply
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Change, Trade, Traded
from twisted_bazaar.order.desk import Batch, Known, Operation, Question, TradingDesk
from twisted_bazaar.order.whole_market import whole_market
from twisted_bazaar.rpc.wire import order_from_wire, order_to_wire
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing

from .disks import NEW, Disk
from .majorities import check_commit, check_election
from .network import Network
from .snapshots import Archiving
from .storages import KeptStorage, SnapshotTaken
from .truth import Truth
from .world import Process, World, milliseconds

if TYPE_CHECKING:
    from .catalogs import CatalogMember

__all__ = ["CALL_SECONDS", "TICK_SECONDS", "TIMING", "NEW", "OrderMember", "Respond"]

Respond = Callable[[Any], None]

TIMING = Timing(deadline=2.0)
"""As it is, but that clients give up sooner: that, too, must happen while a leader is missing."""
TICK_SECONDS = TIMING.heartbeat / 2
CALL_SECONDS = TIMING.election_timeout


class OrderMember(Process):
    """An order replica. Does what `order.node.OrderNode` does, without a reactor."""

    def __init__(
        self,
        world: World,
        number: int,
        network: Network,
        truth: Truth,
        rate: float,
        batch: int,
    ) -> None:
        super().__init__(world, f"order-{number}", rate)
        self.number = number
        self._batch = batch
        self.network = network
        self.truth = truth
        self.disk = Disk(world)
        self.peers: Mapping[int, OrderMember] = {}
        """Where the others are: those that it can reach."""
        self.options: Sequence[int] | None = None
        """The ids that it is given as an option; None: those of all its peers."""
        self.join = False
        """Whether it is to join them."""
        self.catalogs: Mapping[str, CatalogMember] = {}
        self.lease = TIMING.lease
        """Seconds: what it is given as an option. It holds from the next start on."""
        self.won: Callable[[OrderMember], None] = lambda member: None
        """Told when this replica is elected."""
        self.stopped = ""
        """Why it ended by itself, if it did."""
        self.look_up_seconds: float | None = None
        """How long it takes to look keys up in the index; None: not long, as a rule."""
        self.indexed = 0
        """The index on its disk goes up to this entry."""
        self._indexed_keys: dict[str, Traded] = {}
        self.archiving = Archiving(self)
        self.set_wall_clock()

    def set_wall_clock(self) -> None:
        """Set its wall clock, to any time within a few seconds of the true one."""
        self._wall_offset = self.world.aside.uniform(-3.0, 3.0)

    def _milliseconds(self) -> int:
        shown = milliseconds(self.world.now + self._wall_offset)
        self.truth.shows(shown)
        return shown

    def started(self) -> None:
        storage = self.disk.storage
        begins = storage.beginning.index
        ledger, self._indexed_keys, at = Ledger(), {}, 0
        if not storage.has_archive or self.indexed >= begins:
            # Without the entries before the beginning, the index is all there is.
            ledger, self._indexed_keys, at = storage.ledger.copy(), dict(storage.orders), begins
            self.indexed = max(self.indexed, begins)
        for entry in storage.read(at, self.indexed):
            self._index(ledger, entry)
        self.replica = Replica(
            replica=self.number,
            peers=tuple(self.peers) if self.options is None else self.options,
            join=self.join,
            learners=tuple(self.catalogs),
            storage=storage,
            applied=self.indexed,
            timing=attrs.evolve(TIMING, lease=self.lease),
            milliseconds=self._milliseconds,
            now=self.seconds,
            batch=self._batch,
            nonce=self.world.random.getrandbits(52),
            names=lambda: f"{self.world.random.getrandbits(64):016x}",
            lag=0.005,
            market=lambda: whole_market(self.desk, self.replica.log),
        )
        self._wakes_at = math.inf
        self.desk = TradingDesk(self.replica, ledger, self.indexed)
        self._tickets = map(Ticket, count(1))
        self._waiting: dict[Ticket | Batch | Question | Operation, Respond] = {}
        """What is to be answered, and where to."""
        self._indexing = self._listing = False
        self._leading_term = 0
        self.archiving.started()
        with self._stopping():
            self.replica.start(self.seconds)
        if self.alive:
            self.carry_out()
            self.later(TICK_SECONDS, self._tick)

    def _index(self, ledger: Ledger, entry: Entry) -> None:
        ledger.apply(entry.index, entry.event)
        if isinstance(entry.event, Traded):
            self._indexed_keys[entry.event.key] = entry.event

    def crashed(self) -> None:
        self.disk.crash()
        # The index is not synced: the end of it may be lost, or all of it.
        random = self.world.random
        if random.random() < 0.1:
            self.indexed = 0
        elif random.random() < 0.3:
            self.indexed = max(0, self.indexed - random.randint(0, 20))

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Around a call: a replica that cannot go on says so and ends."""
        try:
            yield
        except Unusable as why:
            self.world.say(self.name, f"stops: {why}")
            self.stopped = str(why)
            self.crash()

    def wipe(self) -> None:
        """Lose the disk, while down."""
        assert not self.alive
        self.world.say(self.name, "is wiped")
        self.disk.storage = KeptStorage(suspect="wiped", fresh=True)
        self.indexed = 0

    def install(self, snapshot: SnapshotTaken) -> None:
        """Replace its log and its index by `snapshot`, while it is down."""
        assert not self.alive
        self.disk.storage.begin(snapshot)
        self.indexed = snapshot.beginning.index

    def put_back(self, copy: KeptStorage) -> None:
        """Replace its folder, while it is down, by a copy of it or of another. What tells a copy
        from the original tells it here as well."""
        assert not self.alive
        self.world.say(self.name, "has its folder put back")
        if copy.suspect is None:
            copy.suspect, copy.copied = "a copy", True
        elif copy.suspect == NEW:
            # It was copied before there was a leader: what came since is lost.
            copy.suspect = "a copy of a new one"
        self.disk.storage = copy
        self.indexed = 0

    def _tick(self) -> None:
        with self._stopping():
            self.replica.tick(self.seconds)
        if self.alive:
            self.carry_out()
            self.later(TICK_SECONDS, self._tick)

    # What peers and front-ends ask.

    def step(self, message: Any, reply: Respond) -> None:
        def answer(said: Any) -> None:
            self.truth.says(self.name, message, said, self.disk.storage)
            reply(said)

        if self.replica.refusal(message) is None:
            self.replica.step(message, self.seconds, self._ticket(answer))
            self.carry_out()

    def _ticket(self, respond: Respond) -> Ticket:
        """A ticket whose answer goes to `respond`."""
        ticket = next(self._tickets)
        self._waiting[ticket] = respond
        return ticket

    def give(self, message: None, reply: Respond) -> None:
        """Another replica asks for a snapshot."""
        self.archiving.give(message, reply)

    def earlier(self, message: int, reply: Respond) -> None:
        """Another replica asks for the entries up to an index."""
        self.archiving.earlier(message, reply)

    def status(self, message: None, reply: Respond) -> None:
        replica = self.replica
        members = replica.committed_membership
        reply(
            Status(
                replica=self.number,
                role=replica.role.value,
                term=replica.term,
                leader=replica.known_leader(self.seconds),
                last_index=self.desk.applied,
                last_number=self.desk.ledger.last_number,
                digest="",
                cluster=self.replica.cluster,
                clock=self.seconds,
                disk_seconds=replica.disk.seconds(self.seconds),
                roster=members.members if members.index else (),
                members_index=members.index,
                before=members.before,
            )
        )

    def change_members(
        self, message: MembersChange, reply: Respond, based_on: int | None = None
    ) -> None:
        """An operator asks it for a change; the answer is the index of its entry, or an error."""
        try:
            answer: Any = self.replica.change_members(message, self.seconds, based_on)
        except BazaarError as why:
            answer = why
        self.carry_out()
        reply(answer)

    def campaign(self, message: None, reply: Respond) -> None:
        self.replica.campaign(self._ticket(reply), self.seconds)
        self.carry_out()

    def follow(self, message: None, reply: Respond) -> None:
        self.replica.follow(self.seconds)
        self.carry_out()
        reply(None)

    def hear_of(self, term: int) -> None:
        """A peer names a higher term, as if a replica had been a candidate in it. In a new cluster,
        none can have been."""
        if self.replica.term == 0:
            return
        peer = next(iter(self.peers))
        self.replica.take_reply(
            AppendReply(term=term, follower=peer, fits=False, index=0, round=0, sent=0.0),
            self.seconds,
        )
        self.carry_out()

    def trade(self, message: tuple[Sequence[Trade], Sending], reply: Respond) -> None:
        trades, sending = message
        keys = {trade.key for trade in trades}
        orders = {key: self._indexed_keys[key] for key in keys & self._indexed_keys.keys()}
        known = Known(orders, self.indexed)
        # The keys were looked up on another thread: the index may have moved on since.
        random = self.world.random.random
        delay = self.look_up_seconds
        if delay is None:
            delay = random() * (0.002 if random() < 0.9 else 0.1)
        self.later(delay, self._decide, Batch(trades, sending), known, reply)

    def _decide(self, batch: Batch, known: Known, reply: Respond) -> None:
        if self.desk.decide(batch, known, self.seconds):
            self._waiting[batch] = reply
            self.carry_out()
        else:
            self.trade((batch.trades, batch.sending), reply)

    def operate(self, message: tuple[Change, Sending], reply: Respond) -> None:
        operation = Operation(*message)
        self._waiting[operation] = reply
        self.desk.operate(operation, self.seconds)
        self.carry_out()

    def change(self, event: Event) -> None:
        """It leads, and proposes `event`."""
        tip = self.desk._tip
        assert tip is not None
        tip.apply(self.replica.log.last_index + 1, event)
        self.desk._propose([event])
        self.carry_out()

    def get_order(self, number: int, reply: Respond) -> None:
        def found(last: Any) -> None:
            if isinstance(last, BazaarError):
                reply(last)
            elif number > last:
                reply(None)
            else:
                entry = self.desk.remembers(number) or self._stored(number)
                if entry is None:
                    reply(Unavailable("its archive lacks the order"))
                else:
                    reply(order_from_wire(order_to_wire(entry, self.desk.ledger.price_of)))

        if number <= self.desk.released_number:
            found(self.desk.released_number)
        else:
            self._ask_last_number(found)

    def lookup(self, names: Sequence[str], reply: Respond) -> None:
        def released(answer: Any) -> None:
            if isinstance(answer, BazaarError):
                reply(answer)
            else:
                stocks = self.desk.released_stocks
                found = [stocks[name] for name in names if name in stocks]
                reply(LookupReply(found, self.replica.history))

        self._ask_last_number(released)

    def _ask_last_number(self, reply: Respond) -> None:
        question = Question()
        self._waiting[question] = reply
        self.desk.ask_last_number(question)
        self.carry_out()

    def _stored(self, number: int) -> Entry | None:
        storage = self.disk.storage
        for entry in reversed([*storage.archived, *storage.entries]):
            if isinstance(entry.event, Traded) and entry.event.number == number:
                return entry
        if number <= storage.beginning.number:
            return None
        raise AssertionError(f"{self.name} has released order {number} and cannot find it")

    # What follows.

    def carry_out(self) -> None:
        """Do all that the replica and the desk want done by now."""
        if not self.alive:
            return
        more: bool | None = None
        while (ready := self.replica.ready(self.seconds)) is not None:
            assert more is not False, "more is ready than the last `ready` said"
            more = ready.more
            self.desk.observe(ready)
            self._tell(ready)
            for message in ready.messages:
                self._send(message)
            if ready.write is not None:
                self.truth.writes(self.number, ready.write)
                self.disk.write(ready.write, self.in_this_life(self._written))
        for settled in self.desk.take_settled():
            self._waiting.pop(settled)(settled.answer)
        self._update_index()
        self.archiving.look()
        if self.desk.wants_listing and not self._listing:
            self._list_stocks()
        at = self.replica.wake_at
        if at is not None and at < self._wakes_at:
            self._wakes_at = at
            self.later(max(0.0, at - self.seconds), self._woken)

    def _woken(self) -> None:
        self._wakes_at = math.inf
        self.carry_out()

    def _tell(self, ready: Ready) -> None:
        if ready.committed:
            if ready.leading_term == ready.committed[-1].term:
                check_commit(self, ready.committed[-1])
            self.truth.committed(self.number, ready.committed)
            applied = self.desk.applied
            if self.truth.knows(applied, ready.committed[-1].digest):
                self.truth.applied(self.name, self.desk.ledger, applied)
        if ready.leading_term != self._leading_term:
            self._leading_term = ready.leading_term
            if ready.leading_term:
                self.truth.leads(self.number, ready.leading_term)
                check_election(self)
                self.world.say(self.name, f"leads in term {ready.leading_term}")
                self.won(self)
            else:
                self.world.say(self.name, "leads no longer")

    def _send(self, message: Message) -> None:
        if isinstance(message, Reply):
            self._waiting.pop(message.ticket)(message.message)
            return
        to = self.peers[message.to] if isinstance(message, Request) else self.catalogs[message.to]
        self.network.call(
            self,
            to,
            to.step,
            message.message,
            lambda reply: self._answered(message, reply),
            lambda: self._unanswered(message),
            CALL_SECONDS,
        )

    def _answered(self, request: Request | LearnerRequest, reply: Any) -> None:
        with self._stopping():
            if isinstance(request, Request):
                self.replica.answered(request, reply, self.seconds)
            else:
                self.replica.applied(request.to, reply, self.seconds)
        self.carry_out()

    def _unanswered(self, request: Request | LearnerRequest) -> None:
        with self._stopping():
            self.replica.unreachable(request, self.seconds)
        self.carry_out()

    def _written(self, write: Write) -> None:
        self.replica.written(write, self.seconds)
        self.carry_out()

    def _update_index(self) -> None:
        upto = min(self.replica.released, self.replica.log.durable)
        if self._indexing or (update := self.desk.to_index(upto)) is None:
            return
        self._indexing = True
        self.later(self.world.random.random() * 0.005, self._in_index, update.entries)

    def _in_index(self, entries: list[Entry]) -> None:
        self._indexing = False
        self.truth.indexes(self.name, entries[-1], self.disk.storage)
        self.indexed = entries[-1].index
        for entry in entries:
            if isinstance(entry.event, Traded):
                self._indexed_keys[entry.event.key] = entry.event
        self.desk.indexed(self.indexed)
        self.carry_out()

    def _list_stocks(self) -> None:
        if not self.catalogs:
            return
        self._listing = True
        catalog = self.world.random.choice(list(self.catalogs.values()))

        def listed(stocks: Any) -> None:
            self._listing = False
            self.desk.list_stocks(stocks)
            self.carry_out()

        def lost() -> None:
            self._listing = False

        self.network.call(self, catalog, catalog.listing, None, listed, lost, CALL_SECONDS)
