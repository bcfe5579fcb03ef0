"""One partition in a member: the shell around `Tenure` and, while it leads, a `TradingDesk`.

As `order.node` is around a replica. The way of a trade:

    trade       the desk decides it, and proposes an entry to the tenure
    _carry_out  the tenure wants the entry sent to the catalog with the lease (`_send`), and
                appended (`_call`)
    _called     the engine has it: committed
    _applied    the catalog has cleared the entry
    _carry_out  once it is both, the desk has settled the batch: `_answers` has the caller

All state is touched on the reactor thread only. Calls to the engine are made on threads.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import count
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import (
    ApplyReply,
    CampaignReply,
    LearnerRequest,
    MarketSnapshot,
    Message,
    Reply,
    Ticket,
)
from twisted_bazaar.engine.calls import Call
from twisted_bazaar.engine.shared_log import (
    EngineError,
    Found,
    Placement,
    SharedLog,
    Snapshot,
    Tail,
)
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.errors import (
    BazaarError,
    Malformed,
    NotLeader,
    NotOurs,
    Unavailable,
    Unusable,
)
from twisted_bazaar.market import Change, Listing, Stock, Trade
from twisted_bazaar.order.answers import Answers, DeskAnswers
from twisted_bazaar.order.desk import Batch, Known, Operation, Outcome, Question
from twisted_bazaar.order.following import Following
from twisted_bazaar.order.listing import FirstListing
from twisted_bazaar.order.neighbours import Catalog
from twisted_bazaar.order.remarks import Remarks
from twisted_bazaar.order.wake import Wake
from twisted_bazaar.partitions import home
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ANSWERED, check_step
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.followed import NONE, Followed

from .call_thread import CallThread
from .figures import PartitionFigures
from .lead import Lead
from .view import PartitionView
from .writing import Writing

__all__ = ["PartitionNode"]

P = ParamSpec("P")
T = TypeVar("T")


class PartitionNode(PartitionView):
    """One partition in one member. Methods are called on the reactor thread.

    `seconds` is a clock that only goes forward. `stop` ends the process with one line, if it
    cannot go on: the state contradicts the protocol.
    """

    log = Logger()

    def __init__(
        self,
        *,
        reactor: Reactor,
        seconds: Callable[[], float],
        partition: int,
        partitions: int,
        make_tenure: Callable[[Callable[[], MarketSnapshot]], Tenure],
        writing: Writing,
        finding: CallThread[SharedLog],
        prefer: Callable[[int], Deferred[None]],
        catalogs: Mapping[str, Catalog],
        timing: Timing,
        stop: Callable[[str], None],
        figures: PartitionFigures,
        make_following: Callable[[Tenure], Following | None] = lambda tenure: None,
    ) -> None:
        """`make_tenure` is given what returns the market after what this leader has committed.
        `writing` and `finding` are the partition's log, twice: keys are found while a batch is
        appended. `prefer` writes which member is to lead."""
        super().__init__(seconds, partition, make_tenure)
        self.following = make_following(self.tenure)
        """What is known of trades that are followed; None: none are."""
        self._partitions = partitions
        self._reactor = reactor
        self._writing = writing
        self._finding = finding
        self._prefer = prefer
        self._catalogs = catalogs
        self._timing = timing
        self._figures = figures
        self._stop = stop
        where = f"partition {partition}"
        self._remarks = Remarks(where, where if partitions > 1 else "")
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._tick_seconds = timing.heartbeat / 3
        self._first_listing = FirstListing(
            reactor,
            catalogs.values(),
            self._wants_listing,
            self._listing_came,
            self._broken,
            self._tick_seconds,
            partition,
        )
        self._tails: Sequence[Tail] = ()
        self._placements: Sequence[Placement] = ()
        self._tickets = map(Ticket, count(1))
        self._answers = DeskAnswers()
        self._nominations: Answers[Ticket, CampaignReply] = Answers()
        self._stopped = False
        self._left: Deferred[None] | None = None
        """Fires when the lead is given up, of a member that stops."""
        self._wake = Wake(reactor, seconds, lambda: self.tenure.wake_at, self._go_on)

    def startService(self) -> None:
        super().startService()
        self._ticking.start(self._tick_seconds)

    def stopService(self) -> Deferred[None] | None:
        """Leave the lead to another member, if that is quickly done: so it need not wait for a
        tenure."""
        super().stopService()
        if self._stopped or not self.tenure.leads:
            self._end_calls()
            return None
        self._left = Deferred()
        self._left.addTimeout(self._timing.tenure, self._reactor, lambda *_: None)
        self._left.addBoth(lambda _: self._end_calls())
        left = self._left
        self._feed(self.tenure.hand_over, self._seconds())
        return left

    def _end_calls(self) -> None:
        """Decide and acknowledge nothing from now on."""
        self._stopped = True
        if self._ticking.running:
            self._ticking.stop()
        self._wake.stop()
        self._fail_all(Unavailable("this member is stopping"))

    # What front-ends ask.

    def find(self, keys: Collection[str], stocks: Collection[str]) -> Deferred[Known]:
        """The orders of `keys`, wherever trades of `stocks` can have made them."""
        searched = () if self._lead is None else self._lead.desk.former_of(stocks)
        found = self._finding.call(lambda log: log.find(keys, searched))
        return found.addCallback(self._known, searched)

    def _known(self, found: Found, searched: Collection[int]) -> Known:
        own = self.partition
        return Known(
            {key: order for key, (partition, order) in found.orders.items() if partition == own},
            # What a server says that has another history proves nothing: as if it had none.
            found.index if self.has_led_to(found.index, found.digest) else -1,
            {key: each for key, each in found.orders.items() if each[0] != own},
            searched,
        )

    def trade(
        self,
        trades: Sequence[Trade],
        known: Known,
        sending: Sending,
        took: float,
        followed: Mapping[int, Followed] = NONE,
    ) -> Deferred[Sequence[Outcome] | None]:
        """Decide `trades`; fires with their outcomes, in the same order, or with None: look the
        keys up again. That took so many seconds before. `followed`: see `Batch`."""
        if not self.decides:
            return succeed([self._not_decided(sending)] * len(trades))
        batch = Batch(trades, sending, followed)
        return self._answers.batches.expect(batch, partial(self._decide, batch, known, took))

    def _decide(self, batch: Batch, known: Known, took: float) -> None:
        began, before = self._seconds(), self.tenure.log.last_index
        if not self._feed(self._led().desk.decide, batch, known, began):
            self._answers.batches.answer(batch, None)
            return
        now = self._seconds()
        self._figures.decided(self.tenure, len(batch.trades), took + now - began, before, now)

    def change(self, change: Change, sending: Sending) -> Deferred[int]:
        """Change the market; fires with the index of the entry, or with 0: nothing had to be
        changed. Fails with `ChangeRefused`, or as `trade` does."""
        if not self.decides:
            return fail(self._not_decided(sending))
        operation = Operation(change, sending)
        return self._answers.questions.expect(operation, partial(self._operate, operation))

    def _operate(self, operation: Operation) -> None:
        self._feed(self._led().desk.operate, operation, self._seconds())

    def lookup(self) -> Deferred[tuple[Mapping[str, Stock], str]]:
        """The stocks as clients may see them, by name, and the history that their versions are
        of. Fails with `NotLeader`, and with `Unavailable` before stocks were listed."""
        return self.ask_last_number().addCallback(self._released_stocks)

    def _released_stocks(self, _: int) -> tuple[Mapping[str, Stock], str]:
        desk = self._led().desk
        if desk.wants_listing:
            raise Unavailable("nothing is listed yet")
        # A copy, since another thread reads it.
        return dict(desk.released_stocks), self.tenure.history

    def ask_last_number(self) -> Deferred[int]:
        """The number of the last order, as of some moment after this call. Fails with
        `NotLeader`."""
        question = Question()
        return self._answers.questions.expect(question, partial(self._ask, question))

    def _ask(self, question: Question) -> None:
        self._feed(self._led().desk.ask_last_number, question)

    def campaign(self) -> Deferred[CampaignReply]:
        """A front-end nominates this member; fires with how that went."""
        ticket = next(self._tickets)
        ask = partial(self._feed, self.tenure.campaign, ticket, self._seconds())
        return self._nominations.expect(ticket, ask)

    def hand_over(self, member: int) -> Deferred[None]:
        """Leave the lead to `member`, or to the usual one if that is 0. Fires once that is written
        down, and on its way. Fails with `NotLeader`."""
        if not self.tenure.leads:
            return fail(NotLeader())
        return self._prefer(member).addCallback(lambda _: self._leave_to(member))

    def _leave_to(self, member: int) -> None:
        self._wanted = member, self.tenure.term
        if member != self.tenure.id and self.tenure.leads:
            self._feed(self.tenure.hand_over, self._seconds())

    # What the engine shows.

    def saw(self, tails: Sequence[Tail], placements: Sequence[Placement]) -> None:
        """The ends of all logs were received now."""
        if self._stopped:
            return
        self._tails, self._placements = tails, placements
        self._feed(self._take_tails)

    def _take_tails(self) -> None:
        tail = self._tails[self.partition]
        if self._wanted is not None:
            member, term = self._wanted
            if tail.preferred == member or tail.term > term:
                self._wanted = None
        self.tenure.saw(self._tails[self.partition], self._seconds())
        # What it has just seen may have ended this leadership.
        if self._lead is not None and self.tenure.leads and not self.tenure.leaving:
            self._lead.moves.saw(self._placements)
            self._lead.adopt(self._placements, self._tails)

    # What follows.

    def _feed(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the tenure or the desk, and carry out what follows.

        Raises `Unavailable` if this member stops. An unexpected error contradicts the protocol, and
        ends the process.
        """
        if self._stopped:
            raise Unavailable("this member is stopping")
        try:
            result = call(*args, **kwargs)
            self._carry_out()
        except Exception as why:
            self._broken(Failure())
            raise Unavailable(f"this member must stop: {why}") from None
        return result

    def _carry_out(self) -> None:
        """Do all that the tenure and the desk want done by now."""
        more = True
        while more and (ready := self.tenure.ready(self._seconds())) is not None:
            more = ready.more
            if ready.leading_term and self._lead is None:
                self._begin_lead(ready.leading_term)
            if self._lead is not None:
                self._lead.observe(ready)
            for message in ready.messages:
                self._send(message)
            if ready.call is not None:
                self._call(ready.call)
            self._remarks.leads(ready.leading_term)
            if self._lead is not None and not ready.leading_term:
                self._end_lead()
        if self._lead is not None:
            self._look(self._lead)
        self._wake.later()

    def _look(self, lead: Lead) -> None:
        """Do what the leader's desk wants done."""
        if self._figures.waiting:
            self._figures.came_to(self.tenure, lead.desk.released, self._seconds())
        for settled in lead.desk.take_settled():
            self._answers.settle(settled)
        lead.watches.look()
        if lead.desk.wants_listing:
            self._first_listing.begin()

    def _begin_lead(self, term: int) -> None:
        snapshot = self.tenure.led
        assert snapshot is not None
        place = self.partition, self._partitions
        self._lead = Lead(self._reactor, self.tenure, snapshot, *place, self.following)
        self._lead.moves.saw(self._placements)
        self._led_term = term

    def _end_lead(self) -> None:
        lead, self._lead = self._lead, None
        assert lead is not None
        for settled in lead.desk.take_settled():
            self._answers.settle(settled)
        lead.watches.stop()
        if self._left is not None and not self._left.called:
            self._left.callback(None)

    def _go_on(self) -> None:
        if not self._stopped:
            self._feed(lambda: None)

    # Messages out, and what comes back.

    def _send(self, message: Message) -> None:
        if isinstance(message, Reply):
            assert isinstance(message.message, CampaignReply)
            self._nominations.answer(message.ticket, message.message)
            return
        assert isinstance(message, LearnerRequest)
        self._catalogs[message.to].ask(message.message).addCallbacks(
            self._applied, self._unanswered, (message,), {}, (message,)
        ).addErrback(self._broken)

    def _applied(self, reply: ApplyReply, request: LearnerRequest) -> None:
        """Take in a catalog's answer. One that makes no sense counts as none."""
        if self._stopped:
            return
        mistake, now = None, self._seconds()
        try:
            check_step(reply.term, self.tenure.term, MAX_TERM_STEP_ANSWERED)
            self._feed(self.tenure.applied, request.to, reply, now)
        except Malformed as why:
            mistake = f"an answer of {request.to} makes no sense: {why}"
            self._feed(self.tenure.unreachable, request, now)
        self._remarks.stranger(request.to, mistake)

    def _unanswered(self, failure: Failure, request: LearnerRequest) -> None:
        failure.trap(BazaarError)
        if failure.check(NotOurs):
            self._remarks.stranger(request.to, f"not ours: {failure.getErrorMessage()}")
        if not self._stopped:
            self._feed(self.tenure.unreachable, request, self._seconds())

    # Calls to the engine.

    def _call(self, call: Call) -> None:
        self._writing.make(call).addCallback(self._called, call).addErrback(self._broken)

    def _called(self, answer: Snapshot | EngineError | None, call: Call) -> None:
        if self._stopped:
            return
        if isinstance(answer, EngineError):
            self._feed(self.tenure.failed, call, answer, self._seconds())
        else:
            self._feed(self.tenure.done, call, answer, self._seconds())

    # Time, and the first listing.

    def _tick(self) -> None:
        if not self._stopped:
            self._feed(self.tenure.tick, self._seconds())
            self._remarks.kept_out(self.tenure.backoff)
            if self._lead is not None:
                self._lead.forget(self.tenure.told_released)

    def _wants_listing(self) -> bool:
        return not self._stopped and self.decides and self._led().desk.wants_listing

    def _listing_came(self, stocks: Sequence[Listing] | None) -> None:
        if stocks is None:
            self._go_on()
        elif any(home(each.name, self._partitions) != self.partition for each in stocks):
            # A stock must not be in two partitions. The catalog is asked again.
            line = "a catalog lists stocks of other partitions: its --partitions is another"
            self._remarks.stranger("listing", line)
        elif self._wants_listing() and self._lead is not None:
            self._feed(self._lead.desk.list_stocks, stocks)

    # The end.

    def _broken(self, failure: Failure) -> None:
        if self._stopped:
            return
        if not failure.check(Unusable):
            self.log.failure("unexpected error: the member stops", failure)
        self._stopped = True
        self._stop(f"partition {self.partition}: {failure.getErrorMessage()}")
        self._fail_all(Unavailable("this member had to stop"))

    def _fail_all(self, why: Unavailable) -> None:
        """Fail what callers wait for."""
        self.end_watches()
        self._answers.fail_all(why)
        self._nominations.fail_all(why)
