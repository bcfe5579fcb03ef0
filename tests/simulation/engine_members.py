"""Members of a bazaar with an engine: for each partition the tenure and the desk that ship."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs

from twisted_bazaar.consensus.messages import (
    LearnerRequest,
    MarketSnapshot,
    Message,
    Reply,
    Status,
    Ticket,
)
from twisted_bazaar.engine.calls import Append, Beat, Call, Claim, Load
from twisted_bazaar.engine.shared_log import EngineError, Found, Placement, Released, Tail
from twisted_bazaar.engine.tenure import Tenure, TenureReady
from twisted_bazaar.errors import BazaarError, NotExecuted, NotLeader, OutcomeUnknown, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupReply
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Change, Listing, Trade
from twisted_bazaar.order.desk import TradingDesk
from twisted_bazaar.order.partitioned.moves import Moves, shown_with
from twisted_bazaar.order.questions import Batch, Known, Operation, Question
from twisted_bazaar.partitions import home
from twisted_bazaar.sending import Sending

from .engine_servers import Engines
from .members import CALL_SECONDS, TICK_SECONDS, TIMING, Respond
from .network import Network
from .truth import Truth
from .world import Process, World, milliseconds

if TYPE_CHECKING:
    from .catalogs import CatalogMember

__all__ = ["POLL_SECONDS", "EngineMember"]

POLL_SECONDS = TIMING.tenure / 6
MOST_LOOKS = 40
"""How often keys are looked up for one batch, at most."""


class EngineMember(Process):
    """What a member does about one partition. Does what `order.partitioned.PartitionNode` does,
    without a reactor, and has the calls of `OrderMember`."""

    def __init__(
        self,
        world: World,
        number: int,
        network: Network,
        truth: Truth,
        rate: float,
        batch: int,
        engines: Engines,
        partition: int = 0,
    ) -> None:
        super().__init__(world, f"order-{number}", rate)
        self.number = number
        self.partition = partition
        self._batch = batch
        self._network = network
        self._truth = truth
        self._engines = engines
        self.others: Mapping[int, EngineMember] = {}
        self.peers: Mapping[object, Process] = {}
        """What it must reach to lead: the engine's servers."""
        self.catalogs: Mapping[str, CatalogMember] = {}
        self.lease = TIMING.lease
        """Seconds: what it is given as an option. It holds from the next start on."""
        self.tenure = TIMING.tenure
        """As `lease` is. It must be the same everywhere; the longest of all counts."""
        self.won: Callable[[EngineMember], None] = lambda member: None
        """Told when this member begins to lead."""
        self.stopped = ""
        self.look_up_seconds: float | None = None
        """How long it takes to ask the engine for keys, beside what the network takes."""
        self.desk: TradingDesk | None = None
        self.set_wall_clock()

    def set_wall_clock(self) -> None:
        """Set its wall clock, to any time within a few seconds of the true one."""
        self._wall_offset = self.world.aside.uniform(-3.0, 3.0)

    def _milliseconds(self) -> int:
        shown = milliseconds(self.world.now + self._wall_offset)
        self._truth.shows(shown)
        return shown

    @property
    def replica(self) -> Tenure:
        """What decides who leads."""
        return self._tenure

    def started(self) -> None:
        random = self.world.random
        name = self._engines.engine.bazaar.name
        self._tenure = Tenure(
            member=self.number,
            members=(self.number, *self.others),
            cluster=f"{name}/{self.partition}" if self.partition else name,
            catalogs=tuple(self.catalogs),
            timing=attrs.evolve(TIMING, lease=self.lease, tenure=self.tenure),
            milliseconds=self._milliseconds,
            names=lambda: f"{random.getrandbits(64):016x}",
            snapshot=self._snapshot,
            now=self.seconds,
            batch=self._batch,
            keep=random.choice((40, 4096)),
        )
        self.desk = None
        self._led_last = 0
        """The last term that it led in, in this life."""
        self._wakes_at = math.inf
        self._tickets = map(Ticket, count(1))
        self._waiting: dict[Ticket | Batch | Question | Operation, Respond] = {}
        self._listing = False
        self._leading_term = 0
        self._knows_placements = False
        self._moves = Moves(self.partition, ())
        self._tail: Tail | None = None
        self._placements: Sequence[Placement] = ()
        self._tails: Sequence[Tail] = ()
        connect = self._engines.connection
        self._writer, self._reader, self._poller = (connect(self, self.tenure) for _ in range(3))
        self._poll()
        self.later(TICK_SECONDS, self._tick)

    def crashed(self) -> None:
        self.desk = None

    def _tick(self) -> None:
        self._tenure.tick(self.seconds)
        self.carry_out()
        self.later(TICK_SECONDS, self._tick)

    def _poll(self) -> None:
        def ended(found: Any) -> None:
            if not isinstance(found, EngineError):
                self._tails, self._placements = found
                self._tail = self._tails[self.partition]
                self._moves.saw(self._placements)
                self._tenure.saw(self._tail, self.seconds)
                # It shows this leadership, and so all that the log had moved away before.
                self._knows_placements |= self._tail.term == self._leading_term
            self.carry_out()
            self._adopt()
            self.carry_out()
            self.later(POLL_SECONDS, self._poll)

        self._poller.call(self.partition, "tails", ended)

    def _adopt(self) -> None:
        """Take the stocks that are to come here."""
        desk = self.desk
        if desk is None or not self.decides:
            return
        for placed in self._moves.coming(self._placements, self._tails):
            desk.adopt(placed.adopted(), placed.former)

    @property
    def decides(self) -> bool:
        """Whether it leads, and takes trades."""
        return self.desk is not None and self._knows_placements and not self._tenure.leaving

    def hand_over(self, to: int) -> None:
        """Its operator wants `to` to lead."""

        def ended(answer: Any) -> None:
            if to != self.number and not isinstance(answer, EngineError):
                self._tenure.hand_over(self.seconds)
                self.carry_out()

        self._reader.call(self.partition, "prefer", ended, member=to)

    def leave(self) -> None:
        """It is about to stop."""
        self._tenure.hand_over(self.seconds)
        self.carry_out()

    # What front-ends ask.

    def _ticket(self, respond: Respond) -> Ticket:
        ticket = next(self._tickets)
        self._waiting[ticket] = respond
        return ticket

    def status(self, message: None, reply: Respond) -> None:
        tenure, tail, desk = self._tenure, self._tail, self.desk
        unseen = self._moves.unseen() if desk is not None else ()
        reply(
            Status(
                replica=self.number,
                role=tenure.role.value,
                term=tenure.term,
                leader=tenure.known_leader(self.seconds),
                last_index=desk.applied if desk else tail.index if tail else 0,
                last_number=desk.ledger.last_number if desk else tail.last_number if tail else 0,
                digest="",
                cluster=tenure.cluster,
                clock=self.seconds,
                disk_seconds=tenure.disk.seconds(self.seconds),
                placements=shown_with(unseen, self._placements),
            )
        )

    def campaign(self, message: None, reply: Respond) -> None:
        self._tenure.campaign(self._ticket(reply), self.seconds)
        self.carry_out()

    def follow(self, message: None, reply: Respond) -> None:
        reply(None)

    def trade(self, message: tuple[Sequence[Trade], Sending], reply: Respond) -> None:
        self._look_up(message, reply, MOST_LOOKS)

    def _look_up(
        self, message: tuple[Sequence[Trade], Sending], reply: Respond, looks: int
    ) -> None:
        """Ask the engine for the keys of these trades, so often at most."""
        trades, sending = message
        desk = self.desk
        if desk is None or not self.decides:
            reply([self._not_led(sending) for _ in trades])
            return
        searched = desk.former_of({trade.stock for trade in trades})

        def looked_up(answer: Found | EngineError) -> None:
            if isinstance(answer, EngineError):
                # It has not been given to the desk, and never will be.
                self.later(0.02, again)
            elif self._tenure.log.digest_at(answer.index) != answer.digest:
                again()
            else:
                found = answer.orders.items()
                orders = {key: order for key, (part, order) in found if part == self.partition}
                elsewhere = {key: each for key, each in found if each[0] != self.partition}
                known = Known(orders, answer.index, elsewhere, searched)
                delay = self._look_up_delay()
                self.later(delay, self._decide, message, known, reply, looks)

        def again() -> None:
            if looks:
                self._look_up(message, reply, looks - 1)
            else:
                reply([NotExecuted("the engine does not say which keys have orders")] * len(trades))

        keys = {trade.key for trade in trades}
        self._reader.call(self.partition, "find", looked_up, keys=keys, partitions=searched)

    def _look_up_delay(self) -> float:
        random = self.world.random.random
        if self.look_up_seconds is not None:
            return self.look_up_seconds
        return random() * (0.002 if random() < 0.9 else 0.1)

    def _not_led(self, sending: Sending) -> BazaarError:
        """What to answer while it decides nothing: of the term that it led last, copies may have
        been taken."""
        if sending.term and sending.term == self._led_last:
            return OutcomeUnknown("it may have been taken in this term")
        return NotLeader()

    def _decide(
        self,
        message: tuple[Sequence[Trade], Sending],
        known: Known,
        reply: Respond,
        looks: int,
    ) -> None:
        trades, sending = message
        if self.desk is None or not self.decides:
            reply([self._not_led(sending) for _ in trades])
            return
        batch = Batch(trades, sending)
        if self.desk.decide(batch, known, self.seconds):
            self._waiting[batch] = reply
            self.carry_out()
        elif looks:
            self.later(0.005, self._look_up, message, reply, looks - 1)
        else:
            reply([NotExecuted("the stock is on its way")] * len(trades))

    def operate(self, message: tuple[Change, Sending], reply: Respond) -> None:
        if self.desk is None or not self.decides:
            reply(self._not_led(message[1]))
            return
        operation = Operation(*message)
        self._waiting[operation] = reply
        self.desk.operate(operation, self.seconds)
        self.carry_out()

    def get_order(self, number: int, reply: Respond) -> None:
        known = self._released().number

        def read(last: Any) -> None:
            if isinstance(last, BazaarError):
                reply(last)
            elif number > last:
                reply(None)
            else:
                self._reader.call(self.partition, "order", found, number=number)

        def found(order: Any) -> None:
            # A server that lacks what is released must not say that it does not exist.
            reply(Unavailable("a server is behind") if order is None else order)

        if number <= known:
            read(known)
        else:
            self._ask_last_number(read)

    def _released(self) -> Released:
        """How far this member may show orders."""
        if self.desk is not None:
            return Released(index=self.desk.released, number=self.desk.released_number)
        return self._tail.released if self._tail is not None else Released()

    def lookup(self, names: Sequence[str], reply: Respond) -> None:
        def released(answer: Any) -> None:
            if isinstance(answer, BazaarError):
                reply(answer)
            elif self.desk is None:
                reply(NotLeader())
            else:
                stocks = self.desk.released_stocks
                found = [stocks[name] for name in names if name in stocks]
                reply(LookupReply(found, self._tenure.history))

        self._ask_last_number(released)

    def _ask_last_number(self, reply: Respond) -> None:
        if self.desk is None:
            reply(NotLeader())
            return
        question = Question()
        self._waiting[question] = reply
        self.desk.ask_last_number(question)
        self.carry_out()

    # What follows.

    def carry_out(self) -> None:
        """Do all that the tenure and the desk want done by now."""
        if not self.alive:
            return
        more: bool | None = None
        while (ready := self._tenure.ready(self.seconds)) is not None:
            assert more is not False, "more is ready than the last `ready` said"
            more = ready.more
            self._observe(ready)
            for message in ready.messages:
                self._send(message)
            if ready.call is not None:
                self._make(ready.call)
        desk = self.desk
        if desk is not None:
            self._answer(desk)
            if desk.wants_listing and self.decides and not self._listing:
                self._list_stocks()
        at = self._tenure.wake_at
        if at is not None and at < self._wakes_at:
            self._wakes_at = at
            self.later(max(0.0, at - self.seconds), self._woken)

    def _woken(self) -> None:
        self._wakes_at = math.inf
        self.carry_out()

    def _answer(self, desk: TradingDesk) -> None:
        for settled in desk.take_settled():
            self._waiting.pop(settled)(settled.answer)

    def _observe(self, ready: TenureReady) -> None:
        tenure = self._tenure
        if ready.leading_term and self.desk is None:
            led = tenure.led
            assert led is not None
            self.desk = TradingDesk(
                tenure,
                Ledger(led.stocks, led.tail.last_number, away=led.away),
                led.tail.index,
                released_number=led.tail.released.number,
                opens_empty=led.tail.listed,
                place=(self.partition, self._engines.partitions),
                former=led.former,
            )
            self._led_last = ready.leading_term
            self._moves = Moves(self.partition, led.away, led.former)
            self._moves.saw(self._placements)
        if self.desk is not None:
            self.desk.observe(ready)
        self._tell(ready)
        if not ready.leading_term and self.desk is not None:
            self._answer(self.desk)
            self.desk = None

    def _tell(self, ready: TenureReady) -> None:
        for entry in ready.committed:
            self._moves.committed(entry)
        if ready.committed:
            self._truth.follows(self._engines.entries(self.partition), ready.committed[0].index)
            self._truth.committed(self.number, ready.committed)
            if self.desk is not None:
                applied = self.desk.applied
                if self._truth.knows(applied, ready.committed[-1].digest):
                    self._truth.applied(self.name, self.desk.ledger, applied)
        if ready.leading_term != self._leading_term:
            self._leading_term = ready.leading_term
            if ready.leading_term:
                self._knows_placements = False
                self._truth.leads(self.number, ready.leading_term)
                self.world.say(self.name, f"leads {self.partition} in term {ready.leading_term}")
                self.won(self)
            else:
                self.world.say(self.name, f"leads {self.partition} no longer")

    def _make(self, call: Call) -> None:
        def ended(answer: Any) -> None:
            if isinstance(answer, EngineError):
                self._tenure.failed(call, answer, self.seconds)
            else:
                self._tenure.done(call, answer, self.seconds)
                self._forget()
            self.carry_out()

        method = {Load: "snapshot", Claim: "claim", Append: "append", Beat: "beat"}[type(call)]
        arguments = {name: getattr(call, name) for name in call.__struct_fields__}
        self._writer.call(self.partition, method, ended, **arguments)

    def _forget(self) -> None:
        """Of what the engine knows to be released, the desk need not know."""
        desk, index = self.desk, self._tenure.told_released
        if desk is not None and index > desk.applied - desk.index_lag:
            desk.indexed(index)

    def _snapshot(self) -> MarketSnapshot:
        desk = self.desk
        assert desk is not None
        return MarketSnapshot(
            index=desk.applied,
            digest=self._tenure.log.digest_at(desk.applied),
            stocks=list(desk.ledger.stocks.values()),
            last_number=desk.ledger.last_number,
        )

    def _send(self, message: Message) -> None:
        if isinstance(message, Reply):
            self._waiting.pop(message.ticket)(message.message)
            return
        assert isinstance(message, LearnerRequest)
        to = self.catalogs[message.to]
        self._network.call(
            self,
            to,
            to.step,
            message.message,
            lambda reply: self._applied(message, reply),
            lambda: self._unapplied(message),
            CALL_SECONDS,
        )

    def _applied(self, request: LearnerRequest, reply: Any) -> None:
        self._tenure.applied(request.to, reply, self.seconds)
        self.carry_out()

    def _unapplied(self, request: LearnerRequest) -> None:
        self._tenure.unreachable(request, self.seconds)
        self.carry_out()

    def _list_stocks(self) -> None:
        if not self.catalogs:
            return
        self._listing = True
        catalog = self.world.random.choice(list(self.catalogs.values()))

        def listed(stocks: Sequence[Listing]) -> None:
            self._listing = False
            partitions = self._engines.partitions
            here = [each for each in stocks if home(each.name, partitions) == self.partition]
            if self.desk is not None and self.decides:
                self.desk.list_stocks(here)
                self.carry_out()

        def lost() -> None:
            self._listing = False

        self._network.call(self, catalog, catalog.listing, None, listed, lost, CALL_SECONDS)
