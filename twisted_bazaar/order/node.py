"""An order replica at work: the shell around `consensus.Replica` and `TradingDesk`.

Those two decide; this Service owns the clock, the disk and the channels. The way of a trade:

    trade       the desk decides it, and proposes an entry to the replica
    _carry_out  the replica wants the entry sent to the catalog with the lease and to the peers
                (`_send`), and written (`_write`)
    _written, _answered  the entry is on a majority of disks: committed
    _applied    the catalog has cleared the entry
    _carry_out  once it is both, the desk has settled the batch: `_answers` has the caller

Each step is a call of the replica or the desk, made by `_feed`, which then carries out what
follows. All state is touched on the reactor thread only. Threads write the index, and the log where
the disk is not prompt, and wait for calls by gRPC.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import ParamSpec, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.identity import not_meant
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.consensus.messages import (
    Append,
    ApplyReply,
    CampaignReply,
    Declined,
    LearnerRequest,
    Message,
    PeerReply,
    PeerRequest,
    Reply,
    Request,
    Status,
    Ticket,
    Vote,
)
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import (
    BazaarError,
    Malformed,
    MembersRefused,
    NotLeader,
    NotOurs,
    Unavailable,
    Unusable,
)
from twisted_bazaar.market import Change, Listing, Stock, Trade, Traded
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ANSWERED, MAX_TERM_STEP_ASKED, check_step
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.followed import NONE, Followed

from .answers import Answers, DeskAnswers
from .desk import Batch, Known, Operation, Outcome, Question, TradingDesk
from .disk import Disk
from .figures import OrderFigures
from .listing import FirstListing
from .neighbours import Catalog
from .peers import Peers
from .remarks import Remarks
from .status import status_of
from .wake import Wake
from .watches import Watches

__all__ = ["OrderNode"]

P = ParamSpec("P")
T = TypeVar("T")

_NOWHERE = "nothing says where replica {} is"


class OrderNode(Service):
    """One order replica. Methods are called on the reactor thread.

    `seconds` is a clock that only goes forward. `stop` ends the process with one line, if it
    cannot go on: a disk fails, or the state contradicts the protocol.
    """

    log = Logger()

    def __init__(
        self,
        *,
        reactor: Reactor,
        seconds: Callable[[], float],
        replica: Replica,
        desk: TradingDesk,
        disk: Disk,
        peers: Peers,
        catalogs: Mapping[str, Catalog],
        timing: Timing,
        stop: Callable[[str], None],
        figures: OrderFigures | None = None,
        folder: Path | str = "log",
    ) -> None:
        """`folder` is where the log is, for the operator."""
        self._figures = figures or OrderFigures(Metrics(), replica)
        self._reactor = reactor
        self._seconds = seconds
        self._replica = replica
        self._desk = desk
        self._disk = disk
        self._peers = peers
        self._catalogs = catalogs
        self._stop = stop
        self._remarks = Remarks(folder)
        self._indexing = False
        self._tick_seconds = timing.heartbeat / 3
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._first_listing = FirstListing(
            *(reactor, catalogs.values(), self._wants_listing, self._listing_came, self._broken),
            self._tick_seconds,
        )
        self._tickets = map(Ticket, count(1))
        self._answers = DeskAnswers()
        self._requests: Answers[Ticket, PeerReply] = Answers()
        self._nominations: Answers[Ticket, CampaignReply] = Answers()
        self.watches = Watches(reactor, replica, desk)
        """Front-ends that wait for something to be released."""
        self._stopped = False
        self._wake = Wake(reactor, seconds, lambda: replica.wake_at, self._go_on)
        self._writing: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._disk.start()
        self._feed(self._replica.start, self._seconds())
        # `_feed` has ended the process then.
        self._ticking.start(self._tick_seconds).addErrback(Failure.trap, Unavailable)

    def stopService(self) -> None:
        """Acknowledge nothing from now on; all that was acknowledged is on disk."""
        super().stopService()
        self._stopped = True
        self.watches.stop()
        if self._ticking.running:
            self._ticking.stop()
        self._wake.stop()
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._disk.stop()

    # What front-ends ask.

    def trade(
        self,
        trades: Sequence[Trade],
        known: Known,
        sending: Sending,
        took: float = 0.0,
        followed: Mapping[int, Followed] = NONE,
    ) -> Deferred[Sequence[Outcome] | None]:
        """Decide `trades`; fires with their outcomes, in the same order, or with None: look the
        keys up again. That took so many seconds before. `followed`: see `Batch`."""
        batch = Batch(trades, sending, followed)
        return self._answers.batches.expect(batch, partial(self._decide, batch, known, took))

    def _decide(self, batch: Batch, known: Known, took: float) -> None:
        if not self._feed(self._ask_desk, batch, known, took):
            self._answers.batches.answer(batch, None)

    def _ask_desk(self, batch: Batch, known: Known, took: float) -> bool:
        first_index, began = self._replica.log.last_index + 1, self._seconds()
        if decided := self._desk.decide(batch, known, began):
            now = self._seconds()
            self._figures.decided(len(batch.trades), first_index, now, took + now - began)
        return decided

    def change(self, change: Change, sending: Sending) -> Deferred[int]:
        """Change the market; fires with the index of the entry, or with 0: nothing had to be
        changed. Fails with `ChangeRefused`, or as `trade` does."""
        operation = Operation(change, sending)
        ask = partial(self._feed, self._desk.operate, operation, self._seconds())
        return self._answers.questions.expect(operation, ask)

    def change_members(self, change: MembersChange, based_on: int | None) -> Deferred[int]:
        """Begin a change of the members that entry `based_on` says; fires with the index of its
        first entry, or with 0: it is so already. Fails with `NotLeader` and `MembersRefused`."""
        begun = self._feed(self._begin, change, based_on)
        return succeed(begun) if isinstance(begun, int) else fail(begun)

    def _begin(self, change: MembersChange, based_on: int | None) -> int | BazaarError:
        try:
            return self._replica.change_members(change, self._seconds(), based_on)
        except (NotLeader, MembersRefused) as refusal:
            return refusal

    def orders(self, after: int, limit: int) -> Deferred[tuple[Sequence[Entry], int]]:
        """The orders `after` < number <= `after + limit`, as far as there are any.

        Fires with the last of them, which the log file may not hold yet, and with the number of
        the last; the others are to be read from the file. Any replica answers for an order that
        is released, as it cannot change; only the leader says that there is none. Fails with
        `NotLeader`.
        """
        return Deferred.fromCoroutine(self._orders(after, limit))

    async def _orders(self, after: int, limit: int) -> tuple[Sequence[Entry], int]:
        upto = after + limit
        if upto > self._desk.released_number:
            upto = min(upto, await self.last_number())
        remembered = [self._desk.remembers(number) for number in range(after + 1, upto + 1)]
        return [entry for entry in remembered if entry is not None], max(after, upto)

    def price_of(self, order: Traded) -> int:
        """In cents, what a share was traded at by `order`, which is committed. May be called on
        any thread."""
        return self._desk.ledger.price_of(order)

    def lookup(self) -> Deferred[tuple[Mapping[str, Stock], str]]:
        """The stocks as clients may see them, by name, and the history that their versions are
        of. Fails with `NotLeader`, and with `Unavailable` before any stock is listed."""
        return self.last_number().addCallback(self._released_stocks)

    def _released_stocks(self, _: int) -> tuple[Mapping[str, Stock], str]:
        if not self._desk.released_stocks:
            raise Unavailable("nothing is listed yet")
        # A copy, since another thread reads it.
        return dict(self._desk.released_stocks), self._replica.history

    def last_number(self) -> Deferred[int]:
        """The number of the last order, as of some moment after this call. Fails with
        `NotLeader`."""
        question = Question()
        ask = partial(self._feed, self._desk.ask_last_number, question)
        return self._answers.questions.expect(question, ask)

    def status(self) -> Deferred[Status]:
        """How this replica sees itself."""
        return succeed(status_of(self._replica, self._desk, self._seconds()))

    def campaign(self) -> Deferred[CampaignReply]:
        """A front-end nominates this replica; fires with how that went."""
        ticket = next(self._tickets)
        ask = partial(self._feed, self._replica.campaign, ticket, self._seconds())
        return self._nominations.expect(ticket, ask)

    def follow(self, term: int) -> Deferred[None]:
        """A front-end says that another replica leads in `term`: a hint, for when this one hears
        no leader. Raises `Malformed`."""
        check_step(term, self._replica.term, MAX_TERM_STEP_ASKED)
        self._feed(self._replica.follow, self._seconds())
        return succeed(None)

    def not_meant(self, to: int, cluster: str) -> str | None:
        """Why a front-end's request for replica `to` of `cluster` is not for this one; None: it
        is, or this one knows no cluster yet, and so has no data. May be called on any thread."""
        own = self._replica.cluster
        return not_meant(self._replica.id, own, to, cluster if own else "")

    # What peers ask.

    def request(self, message: PeerRequest) -> Deferred[PeerReply]:
        """Step a peer's request; fires with the reply.

        Fails with `NotOurs` if it is for another replica or of no member, with `Malformed` if it
        makes no sense, and with `Unavailable` if it is declined.
        """
        ticket = next(self._tickets)
        return self._requests.expect(ticket, partial(self._step, message, ticket))

    def _step(self, message: PeerRequest, ticket: Ticket) -> None:
        refusal = self._feed(self._replica.refusal, message)
        if refusal is not None:
            self._remarks.stranger(type(message), f"a request is refused: {refusal}")
            raise NotOurs(refusal)
        if isinstance(message, Append | Vote):
            check_step(message.term, self._replica.term, MAX_TERM_STEP_ASKED)
        self._feed(self._replica.step, message, self._seconds(), ticket)

    # What follows.

    def _feed(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the replica or the desk, and carry out what follows.

        Raises `Malformed` for a message that makes no sense, and `Unavailable` if this replica
        stops. Any other error contradicts the protocol, and ends the process.
        """
        if self._stopped:
            raise Unavailable("this replica is stopping")
        try:
            result = call(*args, **kwargs)
            self._carry_out()
        except Malformed:
            raise
        except Exception as why:
            self._broken(Failure())
            raise Unavailable(f"this replica must stop: {why}") from None
        return result

    def _carry_out(self) -> None:
        """Do all that the replica and the desk want done by now."""
        more = True
        while more and (ready := self._replica.ready(now := self._seconds())) is not None:
            more = ready.more
            self._desk.observe(ready)
            all_left = True
            for message in ready.messages:
                all_left &= self._send(message)
            if ready.write is not None and self._write(ready.write, after_messages=not all_left):
                more = True
            self._remarks.leads(ready.leading_term)
            if len(ready.committed) == MAX_BATCH_ENTRIES:
                # There is much to catch up with: other calls have their turn in between.
                self._reactor.callLater(0, self._go_on)
                break
        if self._figures.waiting:
            self._figures.came_to(self._desk.released, now)
        for settled in self._desk.take_settled():
            self._answers.settle(settled)
        self.watches.look()
        if self._desk.wants_listing:
            self._first_listing.begin()
        self._wake.later()

    def _go_on(self) -> None:
        if not self._stopped:
            self._feed(lambda: None)

    # Messages out, and what comes back.

    def _send(self, message: Message) -> bool:
        """Send `message`. Returns whether it is sure to be with the kernel by now."""
        match message:
            case Reply(ticket, answer):
                self._reply(ticket, answer)
                return False
            case Request(to, request):
                peer = self._peers.get(to)
                if peer is None:
                    nowhere = Failure(Unavailable(_NOWHERE.format(to)))
                    self._reactor.callLater(0, self._unanswered, nowhere, message)
                    return False
                self._figures.sent(request)
                peer.ask(request).addCallbacks(
                    self._answered, self._unanswered, (message,), {}, (message,)
                ).addErrback(self._broken)
                return peer.leaves_at_once
            case LearnerRequest(to, apply):
                catalog = self._catalogs[to]
                catalog.ask(apply).addCallbacks(
                    self._applied, self._unanswered, (message,), {}, (message,)
                ).addErrback(self._broken)
                return catalog.leaves_at_once

    def _reply(self, ticket: Ticket, reply: PeerReply | CampaignReply | Declined) -> None:
        match reply:
            case Declined(why):
                self._requests.fail(ticket, Unavailable(f"no answer: {why}"))
            case CampaignReply():
                self._nominations.answer(ticket, reply)
            case _:
                self._requests.answer(ticket, reply)

    def _answered(self, reply: PeerReply, request: Request) -> None:
        self._take(request, reply.term, partial(self._replica.answered, request, reply))

    def _applied(self, reply: ApplyReply, request: LearnerRequest) -> None:
        self._take(request, reply.term, partial(self._replica.applied, request.to, reply))

    def _take(
        self, request: Request | LearnerRequest, term: int, take: Callable[[float], str | None]
    ) -> None:
        """Take in an answer that names `term`. One that makes no sense counts as none."""
        if self._stopped:
            return
        try:
            check_step(term, self._replica.term, MAX_TERM_STEP_ANSWERED)
            mistake = self._feed(take, self._seconds())
        except Malformed as why:
            mistake = f"an answer of {request.to} makes no sense: {why}"
            self._feed(self._replica.unreachable, request, self._seconds())
        self._remarks.stranger(request.to, mistake)

    def _unanswered(self, failure: Failure, request: Request | LearnerRequest) -> None:
        failure.trap(BazaarError)
        if failure.check(Unusable):
            failure.raiseException()  # The entries to be sent cannot be read.
        if failure.check(NotOurs):
            self._remarks.stranger(request.to, f"not ours: {failure.getErrorMessage()}")
        if not self._stopped:
            self._feed(self._replica.unreachable, request, self._seconds())

    # The log and the index on disk.

    def _write(self, write: Write, after_messages: bool) -> bool:
        """Make `write` durable: on a thread, or here if that will be quick. `after_messages`: what
        was sent in this turn is still to leave. Returns whether it is durable, and the replica
        knows."""
        if not self._disk.is_prompt(write):
            on_disk = self._disk.write(write)
            on_disk.addCallbacks(lambda _: self._written(write), self._disk_failed)
            on_disk.addErrback(self._broken)
        elif after_messages:
            # Delayed calls of a turn come before its sockets are written to: the second one is late
            # enough.
            self._writing = self._reactor.callLater(0, self._write_next_turn, write)
        elif self._write_here(write):
            self._replica.written(write, self._seconds())
            return True
        return False

    def _write_next_turn(self, write: Write) -> None:
        self._writing = self._reactor.callLater(0, self._write_later, write)

    def _write_later(self, write: Write) -> None:
        if not self._stopped and self._write_here(write):
            self._written(write)

    def _write_here(self, write: Write) -> bool:
        """Make `write` durable before this returns; returns whether that succeeded."""
        try:
            self._disk.write_here(write)
        except OSError:
            self._disk_failed(Failure())
            return False
        return True

    def _written(self, write: Write) -> None:
        if not self._stopped:
            self._feed(self._replica.written, write, self._seconds())

    def _disk_failed(self, failure: Failure) -> None:
        # After a failed fdatasync the page cache lies (Rebello et al., ATC 2020): what is on
        # disk is only known after a restart.
        self._end(f"the log cannot be written: {failure.getErrorMessage()}")

    def _update_index(self) -> None:
        # Once a tick, so that a transaction takes in many entries. The index must never be ahead
        # of this replica's own log on disk.
        upto = min(self._replica.released, self._replica.log.durable)
        if self._indexing or (update := self._desk.to_index(upto)) is None:
            return
        self._indexing = True
        done = self._disk.index(update)
        done.addCallback(self._indexed, update.entries[-1].index).addErrback(self._broken)

    def _indexed(self, _: None, index: int) -> None:
        self._indexing = False
        self._desk.indexed(index)

    # Time, and the first listing.

    def _tick(self) -> None:
        if not self._stopped:
            self._feed(self._replica.tick, self._seconds())
            self._peers.look()
            self._remarks.disk(self._replica.disk.remark(self._seconds()))
            self._update_index()
            self._remarks.kept_out(self._replica.backoff)

    def _wants_listing(self) -> bool:
        return self._desk.wants_listing and not self._stopped

    def _listing_came(self, stocks: Sequence[Listing] | None) -> None:
        if stocks is None:
            self._go_on()
        elif not self._stopped:
            self._feed(self._desk.list_stocks, stocks)

    # The end.

    def cannot_read(self, error: Exception) -> None:
        """This replica's own files do not hold what was written: end the process."""
        self._broken(Failure(error))

    def _broken(self, failure: Failure) -> None:
        if self._stopped:
            return
        if not failure.check(Unusable):
            self.log.failure("unexpected error: the replica stops", failure)
        self._end(f"replica {self._replica.id} must stop: {failure.getErrorMessage()}")

    def _end(self, line: str) -> None:
        """Decide and acknowledge nothing from now on, and fail what callers wait for."""
        self._stopped = True
        self._stop(line)
        stopped = Unavailable("this replica had to stop")
        self.watches.stop()
        self._answers.fail_all(stopped)
        self._requests.fail_all(stopped)
        self._nominations.fail_all(stopped)
