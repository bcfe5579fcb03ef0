"""Keeps a front-end subscribed at a catalog, and takes in its pushes. `Floors` decides when to
subscribe, and what a push changes."""

from collections.abc import Callable

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.http import answers
from twisted_bazaar.market import Stock
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

from .figures import CacheFigures
from .floors import Floors
from .quotes import Quote
from .recent import Recent
from .store import QuoteCache

__all__ = ["Subscriber"]


class Subscriber(Service):
    """Subscribes whenever the front-end holds no lease."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        floors: Floors,
        catalogs: Catalogs,
        cache: QuoteCache,
        address: Callable[[], str],
        token: str,
        timing: Timing,
        recent: Recent,
        figures: CacheFigures | None = None,
        of: str = "",
    ) -> None:
        """`address()` is HOST:PORT of the internal endpoint for catalogs, or raises `Unusable`; it
        is called once that listens. `token` signs pushes to this front-end, and to no other. Of
        the quotes that are pushed, those of stocks in `recent` are kept. Pushes count in
        `figures`. `of` says in the log which lookups these are; empty: all."""
        self._of = f" {of}" if of else ""
        self._figures = CacheFigures(Metrics()) if figures is None else figures
        self._reactor = reactor
        self._seconds = seconds
        self._recent = recent
        self._floors = floors
        self._catalogs = catalogs
        self._cache = cache
        self._address = address
        self.token = token
        self._subscribing = False
        self._had_lease = False
        self._say: Callable[[str], None] = self.log.debug
        self._checking = LoopingCall(self._check_lease)
        self._checking.clock = reactor
        self._check_seconds = timing.heartbeat / 3

    def startService(self) -> None:
        super().startService()
        # Raises `Unusable` here, which ends the process with one line, and not in the loop.
        self._address()
        self._checking.start(self._check_seconds)

    def stopService(self) -> None:
        super().stopService()
        self._checking.stop()

    @property
    def life(self) -> int:
        """Identifies the present subscription."""
        return self._floors.life

    def push(self, push: Push) -> PushReply:
        """Take in a push. It may come late, twice or out of order."""
        now, recent = self._seconds(), self._recent
        # Floors decide what may be shown. A value that no client asks for expires by itself.
        raised = self._floors.outdated(push)
        self._figures.taken.value += 1
        self._figures.invalidations.value += len(raised)
        outdated = [name for name in raised if recent.has(name, now)]
        if outdated:
            self._cache.drop(push.history, outdated)
        reply = self._floors.push(push, now)
        if push.quotes:
            # A trade may wait for the answer to this push, which is sent first.
            self._reactor.callLater(0, self._keep, push)
        return reply

    def _keep(self, push: Push) -> None:
        """Put the quotes of `push` into the cache."""
        now, recent = self._seconds(), self._recent
        quotes = {
            each.name: Quote(each.version, answers.stock(Stock(*msgspec.structs.astuple(each))))
            for each in self._floors.worth_keeping(push, now)
            if recent.has(each.name, now)
        }
        if quotes and self.running:
            self._cache.put(push.history, quotes)

    def notice(self) -> str | None:
        """What operators should know of this front-end although it is ready; None: nothing."""
        left = self._floors.kept_out_until - self._seconds()
        if left <= 0:
            return None
        delayed = f"for {left:.0f} s: this front-end repeatedly delayed trades"
        return f"lookups{self._of} are not cached {delayed}"

    def _check_lease(self) -> None:
        has_lease = self._floors.alive(self._seconds())
        if has_lease != self._had_lease:
            self._had_lease = has_lease
            self._figures.lease_losses.value += not has_lease
            # That they are is news only after they were not.
            say, self._say = self._say, self.log.info
            lookups = f"lookups{self._of}"
            say(f"{lookups} are cached" if has_lease else f"{lookups} are not cached: no lease")
        if not self._subscribing and self._floors.subscribe(self._seconds()):
            subscribed = Deferred.fromCoroutine(self._subscribe())
            subscribed.addErrback(
                lambda failure: self.log.failure("unexpected error while subscribing", failure)
            )

    async def _subscribe(self) -> None:
        self._subscribing = True
        try:
            kept_out = await self._catalogs.subscribe(
                Subscription(
                    address=self._address(),
                    life=self._floors.life,
                    token=self.token,
                    frames=True,
                    quotes=True,
                )
            )
        except BazaarError:
            self._floors.refused(self._seconds())
        else:
            if kept_out:
                self._floors.kept_out(kept_out, self._seconds())
                self.log.warn(
                    "lookups{of} are not cached for {seconds:.0f} s: "
                    "this front-end repeatedly delayed trades",
                    of=self._of,
                    seconds=kept_out,
                )
        finally:
            self._subscribing = False
