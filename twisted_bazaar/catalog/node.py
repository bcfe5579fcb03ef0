"""Runs a catalog: takes in the leader's entries, sends pushes to front-ends, keeps the file.

`Publisher` decides; this service owns the clock, the file and the push client, all on the reactor
thread. Lookups read an immutable view, so that a thread can encode a whole market meanwhile.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import BazaarError, NotOurs, Unavailable
from twisted_bazaar.market import Listing, Stock
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.partitions import home
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ASKED, check_step
from twisted_bazaar.rpc.catalog_status import CatalogStatus
from twisted_bazaar.rpc.push import PushReply, Subscription
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .figures import CatalogFigures
from .holds import Wait
from .market_file import Snapshot, save
from .publisher import NO_LEASE, Publisher, View
from .push_client import PushClient
from .subscribers import OutgoingPush

__all__ = ["HOLD_SECONDS", "CatalogNode", "Found"]

HOLD_SECONDS = 0.02
"""A lookup waits so long to learn whether a cleared entry is committed. Then it is told to ask
again: the others in the same call need not wait for it."""
_SAVE_SECONDS = 0.25
"""Between two writes of the file. A catalog that was killed fetches what it lacks from the
leader."""


class Found(msgspec.Struct, frozen=True):
    """What a lookup may be answered with."""

    view: View
    held: Collection[str] = ()
    """The stocks asked for that must not be shown yet."""


class CatalogNode(Service):
    """One catalog, on the reactor's thread. `seconds` is a clock that only goes forward."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        snapshot: Snapshot,
        path: Path,
        push_client: PushClient,
        lives: Callable[[], int],
        timing: Timing,
        opened: Callable[[Mapping[str, Stock]], None] = lambda stocks: None,
        figures: CatalogFigures | None = None,
        place: tuple[int, int] = (0, 1),
    ) -> None:
        """Go on from `snapshot`, which is what the file at `path` holds. `opened` is called once,
        with the stocks of the market, when there are any in the order log. `place`: the partition
        whose stocks these are, of how many."""
        self._place = place
        self._of = f" of partition {place[0]}" if place != (0, 1) else ""
        """For log lines."""
        self._data = f"the catalog's data{self._of}"
        self._seconds = seconds
        self._figures = figures or CatalogFigures(Metrics())
        self._projection = projection = snapshot.projection()
        self._publisher: Publisher[Deferred[ApplyReply]] = Publisher(
            projection, timing, lives, seconds()
        )
        self._listed = snapshot.stocks
        self._opened: Callable[[Mapping[str, Stock]], None] | None = opened
        self._path = path
        self._reactor = reactor
        self._push_client = push_client
        self._waiting: dict[Deferred[None], Collection[Wait]] = {}
        """Lookups that wait, and for what."""
        self._saved = projection.position
        self._warned = ""
        """The last refusal that was logged."""
        self._save_failed = False
        self._saving = LoopingCall(self._save)
        self._saving.clock = reactor
        self._saving_ended: Deferred[LoopingCall] | None = None
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._tick_seconds = timing.heartbeat / 3
        self._quoting: IDelayedCall | None = None
        """Pushes quotes that no other push has taken along."""

    def startService(self) -> None:
        super().startService()
        self._saving_ended = self._saving.start(_SAVE_SECONDS, now=False)
        self._ticking.start(self._tick_seconds)
        self._tell_opened()

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        if self._saving_ended is None:
            return None
        self._ticking.stop()
        if self._quoting is not None:
            self._quoting.cancel()
            self._quoting = None
        # A save under way ends first: all of them write the same temporary file.
        ended = self._saving_ended.addCallback(lambda _: self._save())
        self._saving.stop()
        return ended

    def apply(self, message: Apply) -> Deferred[ApplyReply]:
        """Take in the leader's entries. Fires when they are released, or a heartbeat later. Raises
        `Malformed`, or `NotOurs` for a leader of another cluster or partition."""
        if message.partition != self._place[0]:
            raise NotOurs(f"this is partition {self._place[0]}, not {message.partition}")
        check_step(message.term, self._projection.position.term, MAX_TERM_STEP_ASKED)
        projection, now = self._projection, self._seconds()
        beginnings, tip = projection.beginnings, projection.tip
        answer: Deferred[ApplyReply] = Deferred()
        try:
            self._publisher.apply(message, answer, now)
        except NotOurs as why:
            self._warn(str(why))
            raise
        self._figures.has_entries(tip, projection.tip, now)
        if projection.beginnings != beginnings:
            if message.snapshot is None:
                self.log.warn("{data} is not of this order log: rebuilding it", data=self._data)
            else:
                self.log.info(
                    "{data} is too old, or not of this order log: going on from a snapshot",
                    data=self._data,
                )
        self._tell_opened()
        self._carry_out()
        return answer

    @property
    def cluster(self) -> str:
        """The name of the cluster whose leader this catalog follows; empty: none yet."""
        return self._publisher.cluster

    def not_meant(self, cluster: str) -> str | None:
        """Why a request to a catalog of `cluster` is not for this one; None: it is, or this one has
        heard no leader yet."""
        mine = self.cluster
        if cluster and mine and cluster != mine:
            return f"this is a catalog of cluster {mine}, not {cluster}"
        return None

    def _warn(self, line: str) -> None:
        """Log a refusal once for as long as it stays the same."""
        if line != self._warned:
            self._warned = line
            self.log.warn("a request is refused: {line}", line=line)

    def _tell_opened(self) -> None:
        if self._opened is not None and self._projection.ledger.stocks:
            self._opened(self._projection.ledger.stocks)
            self._opened = None

    def subscribe(self, subscription: Subscription) -> float:
        """Subscribe a front-end to invalidations, unless it is kept out: returns the seconds for
        which it is, or 0. Raises `Unavailable` without a lease, or `Overloaded`."""
        left = self._publisher.subscribe(subscription, self._seconds())
        self._carry_out()
        return left

    def status(self) -> CatalogStatus:
        """How the catalog is now."""
        return self._publisher.status(self._seconds())

    @property
    def stocks(self) -> int:
        """How many stocks lookups show."""
        return len(self._publisher.view.stocks)

    @property
    def held_lookups(self) -> int:
        """How many lookups wait to learn whether an entry is committed."""
        return len(self._waiting)

    @property
    def kept_out_now(self) -> int:
        """How many front-ends are kept out now."""
        return len(self._publisher.backoff.kept_out(self._seconds()))

    @property
    def times_kept_out(self) -> int:
        """How often a front-end was, in this life of the catalog."""
        return self._publisher.backoff.times_kept_out

    def look_up(self, names: Sequence[str], partial: bool = True) -> Found | Deferred[Found]:
        """What a lookup of these stocks may be answered with, as soon as that is known. `partial`:
        after `HOLD_SECONDS`, whether or not all may be shown. Raises `Unavailable`, or fails with
        it, as `view` does."""
        view, wait_for = self.view(), self._publisher.wait_for
        waits = {name: wait for name in names if (wait := wait_for(name)) is not None}
        if not waits:
            return Found(view)
        return Deferred.fromCoroutine(self._when_known(waits, HOLD_SECONDS if partial else None))

    async def may_show_all(self) -> None:
        """Returns as soon as `view` may be shown whole. Raises `Unavailable` as `view` does."""
        wait = self._publisher.wait_for(None)
        if wait is not None:
            await self._when_known({"": wait}, None)

    async def _when_known(self, waits: Mapping[str, Wait], seconds: float | None) -> Found:
        known: Deferred[None] = Deferred()
        self._waiting[known] = waits.values()
        if seconds is not None:
            known.addTimeout(seconds, self._reactor, lambda *_: None)
        try:
            await known
        finally:
            del self._waiting[known]
        is_over = self._publisher.is_over
        return Found(self.view(), [name for name, wait in waits.items() if not is_over(wait)])

    def _tell_waiting(self) -> None:
        """Let the lookups go on that need not wait any longer."""
        is_over = self._publisher.is_over
        has_lease = self._seconds() < self._publisher.view.until
        for known, waits in list(self._waiting.items()):
            if not has_lease or all(map(is_over, waits)):
                known.callback(None)

    def view(self) -> View:
        """What clients may see now, but for stocks that are held. Raises `Unavailable` without a
        lease, and before the market is open."""
        view = self._publisher.view
        # The clock is read after the view: the view is true while the lease holds.
        if not self._seconds() < view.until:
            raise Unavailable(NO_LEASE)
        if not view.stocks and not self._publisher.is_open:
            raise Unavailable("nothing is listed yet")
        return view

    def why_not_ready(self) -> str | None:
        """Why no lookup can be answered now; None: one can."""
        try:
            self.view()
        except Unavailable as why:
            return str(why)
        return None

    def _tick(self) -> None:
        now = self._seconds()
        self._publisher.tick(now)
        self._figures.has_lease(now < self._publisher.view.until)
        for news in self._publisher.backoff.take_news():
            self.log.warn(
                "front-end {who} is kept out for {seconds:.0f} s: it has repeatedly delayed "
                "trades{of} ({times} times in a row; kept out now: {now}, times in all: {total})",
                who=news.holder,
                seconds=news.seconds,
                of=self._of,
                times=news.times,
                now=self.kept_out_now,
                total=self.times_kept_out,
            )
        self._carry_out()

    def _carry_out(self) -> None:
        pushed = self._figures.pushed
        if pushed.waiting:
            pushed.reached(self._publisher.cleared, self._seconds())
        for ticket, reply in self._publisher.take_answers():
            ticket.callback(reply)
        for outgoing in self._publisher.take_pushes(self._seconds()):
            self._push(outgoing)
        if self._waiting:
            self._tell_waiting()
        # One that is under way is left alone: to cancel it costs more than a call for nothing.
        if self._quoting is None and self.running and (due := self._publisher.quotes_due()):
            wait = max(0.0, due - self._seconds())
            self._quoting = self._reactor.callLater(wait, self._push_quotes)

    def _push_quotes(self) -> None:
        self._quoting = None
        self._carry_out()

    def _push(self, outgoing: OutgoingPush) -> None:
        # A trade waits for its push: callbacks cost less than a coroutine.
        to = outgoing.subscription
        sent = self._push_client.push(to.address, to.token, outgoing.push, to.frames)
        told = sent.addCallbacks(
            self._answered, self._unreachable, callbackArgs=(outgoing,), errbackArgs=(outgoing,)
        )
        told.addErrback(lambda failure: self.log.failure("unexpected error in a push", failure))

    def _answered(self, reply: PushReply, outgoing: OutgoingPush) -> None:
        self._figures.acknowledged.value += 1
        self._publisher.answered(outgoing, reply, self._seconds())
        self._carry_out()

    def _unreachable(self, failure: Failure, outgoing: OutgoingPush) -> None:
        failure.trap(BazaarError)
        self._figures.failed.value += 1
        self._publisher.unreachable(outgoing, self._seconds())

    def listing(self) -> Sequence[Listing]:
        """What the first leader of a cluster should list: the stocks in this catalog's file that
        are at home here."""
        stocks = self._projection.ledger.stocks.values() or self._listed
        partition, partitions = self._place
        return [
            Listing(stock.name, stock.price, stock.quantity)
            for stock in stocks
            if home(stock.name, partitions) == partition
        ]

    def _save(self) -> Deferred[None] | None:
        """Write the file on a thread if something is new. The next save waits for this one."""
        if self._projection.position == self._saved or not self._projection.ledger.stocks:
            return None
        snapshot, began = Snapshot.of(self._projection), self._seconds()
        pool = self._reactor.getThreadPool()
        saved = deferToThreadPool(self._reactor, pool, save, self._path, snapshot)
        saved.addCallbacks(lambda _: self._now_saved(snapshot, began), self._not_saved)
        return saved

    def _now_saved(self, snapshot: Snapshot, began: float) -> None:
        self._figures.save.observe(self._seconds() - began)
        self._saved = snapshot.position
        self._save_failed = False

    def _not_saved(self, failure: Failure) -> None:
        # Nothing is lost: the order log has it all, and the next attempt comes soon.
        if not failure.check(OSError):
            self.log.failure("cannot write {file}", failure, file=self._path)
        elif not self._save_failed:
            self.log.error("cannot write {file}: {why}", file=self._path, why=failure.value)
        self._save_failed = True
