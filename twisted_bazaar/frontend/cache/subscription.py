"""How a front-end stays informed: it subscribes at a catalog whenever it holds no lease."""

from collections.abc import Callable, Collection
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .floors import Floors

__all__ = ["Subscriber"]


class Droppable(Protocol):
    def drop(self, history: str, names: Collection[str], /) -> None:
        """Forget the quotes of these stocks."""


class Subscriber(Service):
    """Asks for subscriptions, and takes in what is pushed."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        floors: Floors,
        catalogs: Catalogs,
        cache: Droppable,
        address: Callable[[], str],
        token: str,
        timing: Timing,
    ) -> None:
        """`address` is where catalogs reach the internal endpoint, known once it listens;
        `token` is what pushes to this front-end are to be signed with, and nobody's else."""
        self._seconds = seconds
        self._floors = floors
        self._catalogs = catalogs
        self._cache = cache
        self._address = address
        self.token = token
        self._asking = False
        self._informed = False
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._look_seconds = timing.heartbeat / 3

    def startService(self) -> None:
        super().startService()
        # Raises `Unusable` here, where that ends the process with one line, and not in the loop.
        self._address()
        self._looking.start(self._look_seconds)

    def stopService(self) -> None:
        super().stopService()
        self._looking.stop()

    def push(self, push: Push) -> PushReply:
        """Take in what a catalog says."""
        if outdated := self._floors.outdated(push):
            self._cache.drop(push.history, outdated)
        return self._floors.push(push, self._seconds())

    def _look(self) -> None:
        self._say_how_it_is()
        if self._asking or not self._floors.subscribe(self._seconds()):
            return
        self._asking = True
        subscription = Subscription(
            address=self._address(), life=self._floors.life, token=self.token
        )
        asked = self._catalogs.subscribe(subscription)
        asked.addCallbacks(self._answered, self._refused).addBoth(self._asked)

    def _answered(self, kept_out: float) -> None:
        if kept_out:
            self._floors.kept_out(kept_out, self._seconds())
            self.log.warn(
                "lookups are not cached for {seconds:.0f} s: this front-end held others up",
                seconds=kept_out,
            )

    def _refused(self, failure: Failure) -> None:
        failure.trap(BazaarError)
        self._floors.refused(self._seconds())

    def _asked(self, result: Any) -> None:
        self._asking = False
        if isinstance(result, Failure):
            self.log.failure("cannot subscribe", result)

    def notice(self) -> str | None:
        """What whoever looks after this front-end should know, although it serves all calls."""
        left = self._floors.kept_out_until - self._seconds()
        if left <= 0:
            return None
        return f"lookups are not cached for {left:.0f} s: this front-end held others up"

    def _say_how_it_is(self) -> None:
        informed = self._floors.alive(self._seconds())
        if informed != self._informed:
            self._informed = informed
            self.log.info("lookups are cached" if informed else "lookups are not cached: no lease")
