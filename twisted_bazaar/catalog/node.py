"""Runs a catalog: takes in the leader's entries, sends pushes to front-ends, keeps the file.

`Publisher` decides; this service owns the clock, the file and the push client, all on the reactor
thread. Lookups read an immutable view, so that a thread can encode a whole market meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import BazaarError, NotOurs, Unavailable
from twisted_bazaar.market import Listing, Stock
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ASKED, check_step
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .market_file import Snapshot, save
from .publisher import NO_LEASE, Publisher, View
from .push_client import PushClient
from .subscribers import OutgoingPush

__all__ = ["CatalogNode"]

_SAVE_SECONDS = 0.25
"""Between two writes of the file. A catalog that was killed fetches what it lacks from the
leader."""


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
    ) -> None:
        """Go on from `snapshot`, which is what the file at `path` holds. `opened` is called once,
        with the stocks of the market, when there are any in the order log."""
        self._seconds = seconds
        self._projection = projection = snapshot.projection()
        self._publisher: Publisher[Deferred[ApplyReply]] = Publisher(
            projection, timing, lives, seconds()
        )
        self._listed = snapshot.stocks
        self._opened: Callable[[Mapping[str, Stock]], None] | None = opened
        self._path = path
        self._reactor = reactor
        self._push_client = push_client
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
        # A save under way ends first: all of them write the same temporary file.
        ended = self._saving_ended.addCallback(lambda _: self._save())
        self._saving.stop()
        return ended

    def apply(self, message: Apply) -> Deferred[ApplyReply]:
        """Take in the leader's entries. Fires when they are released, or a heartbeat later. Raises
        `Malformed`, or `NotOurs` for a leader of another cluster."""
        check_step(message.term, self._projection.position.term, MAX_TERM_STEP_ASKED)
        beginnings = self._projection.beginnings
        answer: Deferred[ApplyReply] = Deferred()
        try:
            self._publisher.apply(message, answer, self._seconds())
        except NotOurs as why:
            self._warn(str(why))
            raise
        if self._projection.beginnings != beginnings:
            self.log.warn("the catalog's data is not of this order log: rebuilding it")
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

    @property
    def kept_out_now(self) -> int:
        """How many front-ends are kept out now."""
        return len(self._publisher.backoff.kept_out(self._seconds()))

    @property
    def times_kept_out(self) -> int:
        """How often a front-end was, in this life of the catalog."""
        return self._publisher.backoff.times_kept_out

    def view(self) -> View:
        """What clients may see now. Raises `Unavailable` without a lease, and before any stock is
        listed."""
        view = self._publisher.view
        # The clock is read after the view: the view is true while the lease holds.
        if not self._seconds() < view.until:
            raise Unavailable(NO_LEASE)
        if not view.stocks:
            raise Unavailable("nothing is listed yet")
        return view

    def _tick(self) -> None:
        self._publisher.tick(self._seconds())
        for news in self._publisher.backoff.take_news():
            self.log.warn(
                "front-end {who} is kept out for {seconds:.0f} s: it has repeatedly delayed "
                "trades ({times} times in a row; kept out now: {now}, times in all: {total})",
                who=news.holder,
                seconds=news.seconds,
                times=news.times,
                now=self.kept_out_now,
                total=self.times_kept_out,
            )
        self._carry_out()

    def _carry_out(self) -> None:
        for ticket, reply in self._publisher.take_answers():
            ticket.callback(reply)
        for outgoing in self._publisher.take_pushes(self._seconds()):
            self._push(outgoing)

    def _push(self, outgoing: OutgoingPush) -> None:
        # A trade waits for its push: callbacks cost less than a coroutine.
        to, push = outgoing.subscription, outgoing.push
        sent = self._push_client.push(to.address, to.token, push)
        told = sent.addCallbacks(
            self._answered, self._unreachable, callbackArgs=(push,), errbackArgs=(push,)
        )
        told.addErrback(lambda failure: self.log.failure("unexpected error in a push", failure))

    def _answered(self, reply: PushReply, push: Push) -> None:
        self._publisher.answered(push, reply, self._seconds())
        self._carry_out()

    def _unreachable(self, failure: Failure, push: Push) -> None:
        failure.trap(BazaarError)
        self._publisher.unreachable(push, self._seconds())

    def listing(self) -> Sequence[Listing]:
        """What the first leader of a cluster should list: the stocks in this catalog's file."""
        stocks = self._projection.ledger.stocks.values() or self._listed
        return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]

    def _save(self) -> Deferred[None] | None:
        """Write the file on a thread if something is new. The next save waits for this one."""
        if self._projection.position == self._saved or not self._projection.ledger.stocks:
            return None
        snapshot = Snapshot.of(self._projection)
        pool = self._reactor.getThreadPool()
        saved = deferToThreadPool(self._reactor, pool, save, self._path, snapshot)
        saved.addCallbacks(lambda _: self._now_saved(snapshot), self._not_saved)
        return saved

    def _now_saved(self, snapshot: Snapshot) -> None:
        self._saved = snapshot.position
        self._save_failed = False

    def _not_saved(self, failure: Failure) -> None:
        # Nothing is lost: the order log has it all, and the next attempt comes soon.
        if not failure.check(OSError):
            self.log.failure("cannot write {path}", failure, path=self._path)
        elif not self._save_failed:
            self.log.error("cannot write {path}: {why}", path=self._path, why=failure.value)
        self._save_failed = True
