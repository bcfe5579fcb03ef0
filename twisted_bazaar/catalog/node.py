"""A catalog at work: takes in what the leader sends, tells the front-ends, keeps its file.

Every decision is the `Publisher`'s; this Service owns the clock, the file and the way to the
front-ends. All of that is touched on the reactor thread only. Readers, on gRPC's threads,
never wait for it: they read an immutable view, which the reactor thread replaces.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
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
from .publisher import Publisher, View
from .subscribers import OutgoingPush

__all__ = ["CatalogNode", "ToFrontends"]

_SAVE_SECONDS = 0.25
"""How far the file may be behind. A catalog that was killed fetches the rest from the leader."""


class ToFrontends(Protocol):
    def push(self, address: str, token: str, push: Push, /) -> Deferred[PushReply]:
        """Carry `push` to the front-end at `address`. Fails with a `BazaarError`."""


class CatalogNode(Service):
    """One catalog. `seconds` is a clock that only goes forward; `view` may be called on any
    thread, all else on the reactor's."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        snapshot: Snapshot,
        path: Path,
        frontends: ToFrontends,
        lives: Callable[[], int],
        timing: Timing,
        opened: Callable[[Mapping[str, Stock]], None] = lambda stocks: None,
    ) -> None:
        """Go on from `snapshot`, which is what the file at `path` holds. `opened` is told once
        what the market holds, as soon as that is known to be listed."""
        self._seconds = seconds
        self._projection = projection = snapshot.projection()
        self._publisher = Publisher(projection, timing, lives, seconds())
        self._listed = snapshot.stocks
        self._opened: Callable[[Mapping[str, Stock]], None] | None = opened
        self._path = path
        self._reactor = reactor
        self._frontends = frontends
        self._saved = projection.position
        self._stranger = ""
        """What was said last of a request that is not for this catalog."""
        self._failing = False
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
        # A save that is under way ends first: all of them write the same temporary file.
        ended = self._saving_ended.addCallback(lambda _: self._save())
        self._saving.stop()
        return ended

    def apply(self, message: Apply) -> Deferred[ApplyReply]:
        """Take in what the leader sends; answers when it is released, or after a moment. Raises
        `Malformed`."""
        check_step(message.term, self._projection.position.term, MAX_TERM_STEP_ASKED)
        beginnings = self._projection.beginnings
        answer: Deferred[ApplyReply] = Deferred()
        try:
            self._publisher.apply(message, answer, self._seconds())
        except NotOurs as why:
            self._warn(str(why))
            raise
        if self._projection.beginnings != beginnings:
            self.log.warn("what is here is not of this order log: rebuilding from its beginning")
        self._tell_opened()
        self._carry_out()
        return answer

    def not_meant(self, cluster: str) -> str | None:
        """Why a request for a catalog of `cluster` is not for this one; None: it is, or this one
        has not heard a leader yet. May be called on any thread."""
        mine = self._publisher.cluster
        if cluster and mine and cluster != mine:
            return f"this is a catalog of cluster {mine}, not {cluster}"
        return None

    def _warn(self, line: str) -> None:
        """Tell the operator of a stranger, once for as long as it stays the same."""
        if line != self._stranger:
            self._stranger = line
            self.log.warn("a request is refused: {line}", line=line)

    def _tell_opened(self) -> None:
        if self._opened is not None and self._projection.ledger.stocks:
            self._opened(self._projection.ledger.stocks)
            self._opened = None

    def subscribe(self, subscription: Subscription) -> Deferred[float]:
        """A front-end asks to be told of changes: it is if the answer is 0, and else kept out
        for so many seconds more. Raises a `BazaarError` if it cannot be told."""
        left = self._publisher.subscribe(subscription, self._seconds())
        self._carry_out()
        return succeed(left)

    @property
    def kept_out_now(self) -> int:
        """How many front-ends are kept out now, as they held others up."""
        return len(self._publisher.backoff.kept_out(self._seconds()))

    @property
    def times_kept_out(self) -> int:
        """How often any front-end was, in this life of the catalog."""
        return self._publisher.backoff.times_kept_out

    def view(self) -> View:
        """What clients may see now. Raises `Unavailable` without a lease, and before there is
        anything to see."""
        view = self._publisher.view
        # Asked after the view was read: it was true while the lease held (protocol, leases).
        if not self._seconds() < view.until:
            raise Unavailable("this catalog has no lease of the order leader's now")
        if not view.stocks:
            raise Unavailable("nothing is listed yet")
        return view

    def _tick(self) -> None:
        self._publisher.tick(self._seconds())
        for news in self._publisher.backoff.take_news():
            self.log.warn(
                "front-end {who} is kept out for {seconds:.0f} s: it has held others up again "
                "and again ({times} times in a row; kept out now: {now}, times in all: {total})",
                who=news.holder,
                seconds=news.seconds,
                times=news.times,
                now=self.kept_out_now,
                total=self.times_kept_out,
            )
        self._carry_out()

    def _carry_out(self) -> None:
        for ticket, reply in self._publisher.take_answers():
            assert isinstance(ticket, Deferred)
            ticket.callback(reply)
        for pushed in self._publisher.take_pushes(self._seconds()):
            self._push(pushed)

    def _push(self, pushed: OutgoingPush) -> None:
        to, push = pushed.subscription, pushed.push

        def answered(reply: PushReply) -> None:
            self._publisher.answered(push, reply, self._seconds())
            self._carry_out()

        def lost(failure: Failure) -> None:
            failure.trap(BazaarError)
            self._publisher.unreachable(push, self._seconds())

        sent = self._frontends.push(to.address, to.token, push)
        sent.addCallbacks(answered, lost).addErrback(
            lambda failure: self.log.failure("a push went wrong", failure)
        )

    def listing(self) -> Sequence[Listing]:
        """What a first leader should list: what this catalog's file holds."""
        stocks = self._projection.ledger.stocks.values() or self._listed
        return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]

    def _save(self) -> Deferred[None] | None:
        """Write the file if there is something new; one at a time, off the reactor thread."""
        if self._projection.position == self._saved or not self._projection.ledger.stocks:
            return None
        snapshot = Snapshot.of(self._projection)
        pool = self._reactor.getThreadPool()
        saved = deferToThreadPool(self._reactor, pool, save, self._path, snapshot)
        saved.addCallbacks(lambda _: self._now_saved(snapshot), self._not_saved)
        return saved

    def _now_saved(self, snapshot: Snapshot) -> None:
        self._saved = snapshot.position
        self._failing = False

    def _not_saved(self, failure: Failure) -> None:
        # Nothing is lost: the order log is the truth, and the next try is soon.
        if not failure.check(OSError):
            self.log.failure("cannot write {path}", failure, path=self._path)
        elif not self._failing:
            self.log.error("cannot write {path}: {why}", path=self._path, why=failure.value)
        self._failing = True
