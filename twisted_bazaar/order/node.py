"""An order replica at work: feeds the protocol and the desk, and carries out what they answer.

Every decision is made by `replication.core.Replica` and `order.desk.TradingDesk`; this Service
owns the clock, the disk and the channels. All of its state is touched on the reactor thread
only. What blocks is done on pools: one thread writes the log, one the index, the others wait
for peers and catalogs.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.identity import not_meant
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.consensus.messages import CampaignReply, Declined, Reply, Request, Status
from twisted_bazaar.consensus.replica import Ready, Replica
from twisted_bazaar.errors import BazaarError, Malformed, NotOurs, Unavailable, Unusable
from twisted_bazaar.market import Listing, Stock, Trade
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ANSWERED, MAX_TERM_STEP_ASKED, check_step
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.sending import Sending
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.timing import Timing

from .clients import Catalog, Peer
from .desk import Batch, Known, Outcome, Question, TradingDesk

__all__ = ["OrderNode"]

P = ParamSpec("P")
T = TypeVar("T")


class OrderNode(Service):
    """One order replica. Methods are called on the reactor thread.

    `seconds` is a clock that only goes forward. `fail` is told, in one line, of whatever makes
    it impossible to go on: a disk that fails, or a state that contradicts the protocol.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        replica: Replica,
        desk: TradingDesk,
        logfile: LogFile,
        index: Index,
        peers: Mapping[int, Peer],
        catalogs: Mapping[str, Catalog],
        timing: Timing,
        fail: Callable[[str], None],
        folder: object = "log",
    ) -> None:
        """`folder` is where the log is, for the operator."""
        self._folder = folder
        self._reactor = reactor
        self._seconds = seconds
        self._replica = replica
        self._desk = desk
        self._logfile = logfile
        self._index = index
        self._peers = peers
        self._catalogs = catalogs
        self._fail = fail
        self._disk = Threads(1, "disk")
        self._indexer = Threads(1, "index")
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._tick_seconds = timing.heartbeat / 3
        self._indexing = False
        self._listing = False
        self._stopped = False
        self._asked: set[Deferred[Any]] = set()
        """Those who wait for an answer."""
        self._leading_term = 0
        self._strange: dict[object, str] = {}
        """What was said last of neighbours, or of requests, that are not ours."""

    def startService(self) -> None:
        super().startService()
        self._disk.start()
        self._indexer.start()
        self._feed(self._replica.start, self._seconds())
        self._ticking.start(self._tick_seconds)

    def stopService(self) -> None:
        """Nothing is acknowledged any more; what was is on disk."""
        super().stopService()
        self._stopped = True
        if self._ticking.running:
            self._ticking.stop()
        for pool in (self._disk, self._indexer):
            pool.stop()
        self._index.close()
        self._logfile.close()

    # What front-ends ask.

    def trade(
        self, trades: Sequence[Trade], known: Known, sending: Sending
    ) -> Deferred[Sequence[Outcome] | None]:
        """Decide `trades`; the answers come together. None: look the keys up again."""
        answer: Deferred[Sequence[Outcome] | None] = Deferred()
        batch = Batch(trades, answer, sending)
        decided = self._feed(self._desk.decide, batch, known, self._seconds())
        return self._wait(answer) if decided else succeed(None)

    @inlineCallbacks
    def orders(self, after: int, limit: int) -> Generator[Any, Any, tuple[Sequence[Entry], int]]:
        """The orders `after` < number <= `after + limit`, as far as there are any.

        Answers with the last of them that the log file may not hold yet, and with the number
        of the last of all; those between are to be read from the file. Any replica knows an
        order that is released, for it cannot change; that there is none yet (a page that is
        not full) is only for the leader to say. Fails with `NotLeader`.
        """
        upto = after + limit
        if upto > self._desk.released_number:
            upto = min(upto, (yield self._last_number()))
        remembered = [self._desk.remembers(number) for number in range(after + 1, upto + 1)]
        return [entry for entry in remembered if entry is not None], max(after, upto)

    def lookup(self) -> Deferred[tuple[Mapping[str, Stock], str]]:
        """What clients may see of the stocks, by name, and of which history their versions are.
        Fails with `NotLeader`."""

        def released(_: int) -> tuple[Mapping[str, Stock], str]:
            if not self._desk.released_stocks:
                raise Unavailable("nothing is listed yet")
            return dict(self._desk.released_stocks), self._replica.history

        return self._last_number().addCallback(released)

    def _last_number(self) -> Deferred[int]:
        answer: Deferred[int] = Deferred()
        self._feed(self._desk.ask_last_number, Question(answer), self._seconds())
        return self._wait(answer)

    def status(self) -> Deferred[Status]:
        """How this replica sees itself."""
        replica, applied, now = self._replica, self._desk.applied, self._seconds()
        status = Status(
            replica=replica.id,
            role=replica.role.value,
            term=replica.term,
            leader=replica.known_leader(now),
            last_index=applied,
            last_number=self._desk.ledger.last_number,
            digest=replica.log.digest_at(applied),
            cluster=replica.cluster,
            clock=now,
            disk_seconds=replica.disk.seconds(self._seconds()),
        )
        return succeed(status)

    def campaign(self) -> Deferred[CampaignReply]:
        """Try to lead; answers how it went."""
        answer: Deferred[CampaignReply] = Deferred()
        self._feed(self._replica.campaign, answer, self._seconds())
        return self._wait(answer)

    def follow(self, term: int) -> Deferred[None]:
        """A front-end says that somebody leads in `term`: a hint for one that hears nobody.
        Raises `Malformed`."""
        check_step(term, self._replica.term, MAX_TERM_STEP_ASKED)
        self._feed(self._replica.follow, self._seconds())
        return succeed(None)

    def not_meant(self, to: int, cluster: str) -> str | None:
        """Why a front-end's request for replica `to` of `cluster` is not for this one; None: it
        is, or this one knows no cluster yet, and so has nothing to answer. May be called on any
        thread."""
        own = self._replica.cluster
        return not_meant(self._replica.id, own, to, cluster if own else "")

    # What peers ask.

    def request(self, message: Any) -> Deferred[Any]:
        """Step a peer's `Append`, `Vote`, `Poll` or `Fetch`; answers with the reply.

        Fails with `NotOurs` if it is for another replica, or of a stranger. Raises `Malformed`.
        """
        refusal = self._feed(self._replica.refusal, message)
        if refusal is not None:
            self._warn(type(message), f"a request is refused: {refusal}")
            return fail(NotOurs(refusal))
        check_step(getattr(message, "term", 0), self._replica.term, MAX_TERM_STEP_ASKED)
        answer: Deferred[Any] = Deferred()
        self._feed(self._replica.step, message, self._seconds(), answer)
        return self._wait(answer)

    # What follows.

    def _wait(self, answer: Deferred[T]) -> Deferred[T]:
        """`answer`, which comes even if this replica must stop."""

        def answered(result: Any) -> Any:
            self._asked.discard(answer)
            return result

        self._asked.add(answer)
        return answer.addBoth(answered)

    def cannot_read(self, error: Exception) -> None:
        """What this replica's own files hold is not what was written: see after a restart."""
        self._broken(Failure(error))

    def _feed(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Tell the replica or the desk something, and carry out what follows.

        Whatever fails in there contradicts the protocol: the process ends before it spreads. It
        is otherwise with a message that makes no sense, which its sender is told.
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

    def _tick(self) -> None:
        if not self._stopped:
            self._feed(self._replica.tick, self._seconds())
            remark = self._replica.disk.remark(self._seconds())
            if remark is not None:
                self.log.warn("{folder}: {remark}", folder=self._folder, remark=remark)
            self._update_index()
            self._say_who_is_kept_out()

    def _say_who_is_kept_out(self) -> None:
        if (backoff := self._replica.backoff) is None:
            return
        for news in backoff.take_news():
            self.log.warn(
                "catalog {who} is kept out for {seconds:.0f} s: it has held trades up again and "
                "again ({times} times in a row; times in all: {total})",
                who=news.holder,
                seconds=news.seconds,
                times=news.times,
                total=backoff.times_kept_out,
            )

    def _carry_out(self) -> None:
        """Do whatever the replica wants done by now."""
        while (ready := self._replica.ready(self._seconds())) is not None:
            self._desk.observe(ready)
            for message in ready.messages:
                self._send(message)
            if ready.write is not None:
                self._write(ready.write)
            self._say_who_leads(ready)
            if len(ready.committed) == MAX_BATCH_ENTRIES:
                # Much to catch up with: others have their turn in between.
                self._reactor.callLater(0, self._go_on)
                break
        for settled in self._desk.take_settled():
            self._answer(settled)
        if self._desk.wants_listing and not self._listing:
            self._list_stocks()

    def _go_on(self) -> None:
        if not self._stopped:
            self._feed(lambda: None)

    def _say_who_leads(self, ready: Ready) -> None:
        if ready.leading_term != self._leading_term:
            if ready.leading_term:
                self.log.info("leads in term {term}", term=ready.leading_term)
            else:
                self.log.info("leads no more")
            self._leading_term = ready.leading_term

    def _send(self, message: Request | Reply) -> None:
        if isinstance(message, Reply):
            ticket = message.ticket
            assert isinstance(ticket, Deferred)
            if isinstance(message.message, Declined):
                ticket.errback(Unavailable(f"no answer: {message.message.why}"))
            else:
                ticket.callback(message.message)
            return
        to = message.to
        neighbour: Peer | Catalog = self._peers[to] if isinstance(to, int) else self._catalogs[to]
        answer = neighbour.ask(message.message)
        answer.addCallbacks(
            self._answered, self._unanswered, callbackArgs=(message,), errbackArgs=(message,)
        )
        answer.addErrback(self._broken)

    def _answered(self, reply: Any, request: Request) -> None:
        if self._stopped:
            return
        try:
            check_step(getattr(reply, "term", 0), self._replica.term, MAX_TERM_STEP_ANSWERED)
            mistake = self._feed(self._replica.answered, request, reply, self._seconds())
        except Malformed as why:
            mistake = f"an answer of {request.to} makes no sense: {why}"
            self._feed(self._replica.unreachable, request, self._seconds())
        if mistake is None:
            self._strange.pop(request.to, None)
        else:
            self._warn(request.to, mistake)

    def _warn(self, of: object, line: str) -> None:
        """Tell the operator of a stranger, once for as long as it stays the same."""
        if self._strange.get(of) != line:
            self._strange[of] = line
            self.log.warn("{line}", line=line)

    def _unanswered(self, failure: Failure, request: Request) -> None:
        failure.trap(BazaarError)
        if failure.check(Unusable):
            failure.raiseException()  # What was to be sent cannot be read.
        if failure.check(NotOurs):
            self._warn(request.to, f"not ours: {failure.getErrorMessage()}")
        if not self._stopped:
            self._feed(self._replica.unreachable, request, self._seconds())

    def _write(self, write: Write) -> None:
        on_disk = self._disk.defer(self._reactor, self._logfile.write, write)
        on_disk.addCallbacks(lambda _: self._written(write), self._disk_failed)
        on_disk.addErrback(self._broken)

    def _written(self, write: Write) -> None:
        if not self._stopped:
            self._feed(self._replica.written, write, self._seconds())

    def _disk_failed(self, failure: Failure) -> None:
        # After a failed fdatasync the page cache lies (Rebello et al., ATC 2020): what is on
        # disk is only known after a restart.
        self._end(f"the log cannot be written: {failure.getErrorMessage()}")

    def _broken(self, failure: Failure) -> None:
        if self._stopped:
            return
        if not failure.check(Unusable):
            self.log.failure("replica stops", failure)
        self._end(f"replica {self._replica.id} must stop: {failure.getErrorMessage()}")

    def _end(self, line: str) -> None:
        """Nothing is decided or acknowledged any more; nobody waits for it in vain."""
        self._stopped = True
        self._fail(line)
        for answer in list(self._asked):
            answer.errback(Unavailable("this replica had to stop"))

    def _answer(self, settled: Batch | Question) -> None:
        ticket = settled.ticket
        assert isinstance(ticket, Deferred)
        if isinstance(settled, Batch):
            ticket.callback(settled.outcomes)
        elif isinstance(settled.answer, BazaarError):
            ticket.errback(settled.answer)
        else:
            ticket.callback(settled.answer)

    def _update_index(self) -> None:
        # Once a tick: what came meanwhile is one transaction. The index must never be ahead of
        # this replica's own log on disk.
        upto = min(self._replica.released, self._replica.log.durable)
        if self._indexing or (update := self._desk.to_index(upto)) is None:
            return
        self._indexing = True
        done = self._indexer.defer(
            self._reactor,
            self._index.write,
            update.entries,
            update.stocks,
            update.last_number,
        )
        done.addCallback(lambda _: self._indexed(update.entries[-1].index))
        done.addErrback(self._broken)

    def _indexed(self, index: int) -> None:
        self._indexing = False
        self._desk.indexed(index)

    # A first leader lists what a catalog's file holds.

    def _list_stocks(self) -> None:
        self._listing = True
        self._ask_for_listing(list(self._catalogs.values()))

    def _ask_for_listing(self, catalogs: list[Catalog]) -> None:
        if not catalogs or not self._desk.wants_listing or self._stopped:
            self._reactor.callLater(self._tick_seconds, self._listing_over)
            return

        def ask_the_next(failure: Failure) -> None:
            failure.trap(BazaarError)
            self._ask_for_listing(catalogs[1:])

        def list_stocks(stocks: Sequence[Listing]) -> None:
            self._listing = False
            if not self._stopped:
                self._feed(self._desk.list_stocks, stocks)

        asked = catalogs[0].listing()
        asked.addCallbacks(list_stocks, ask_the_next).addErrback(self._broken)

    def _listing_over(self) -> None:
        self._listing = False
        self._go_on()
