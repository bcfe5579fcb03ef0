"""Asks the engine again and again for the ends of all logs, and who leads them."""

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.engine.shared_log import EngineError, Placement, Tail
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.reactor import Reactor

from .threads import EngineThreads

__all__ = ["Tails"]

_SAY_AFTER_SECONDS = 5.0
"""An engine that does not answer for so long is worth a line in the log; each fail-over of it is
not."""

Took = Callable[[Sequence[Tail], Sequence[Placement]], None]


class Tails(Service):
    """One question for all partitions, every `pause_seconds`."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        threads: EngineThreads,
        pause_seconds: float,
        took: Took,
        stop: Callable[[str], None],
    ) -> None:
        """`took` is given each answer. `stop` ends the process with one line."""
        self._reactor = reactor
        self._seconds = seconds
        self._threads = threads
        self._pause_seconds = pause_seconds
        self._took = took
        self._stop = stop
        self._run: Deferred[None] | None = None
        self._silent_since = 0.0
        self._said = False
        self.heard_at: float | None = None
        """When the engine answered last; None: it never did."""

    def startService(self) -> None:
        super().startService()
        self._silent_since = self._seconds()
        self._run = Deferred.fromCoroutine(self._ask_for_ever())
        self._run.addErrback(self._ended)

    def stopService(self) -> None:
        super().stopService()
        if self._run is not None:
            self._run.cancel()

    async def _ask_for_ever(self) -> None:
        opened = False
        while True:
            began = self._seconds()
            try:
                if not opened:
                    await self._threads.open()
                    opened = True
                tails, placements = await self._threads.engine.call(lambda engine: engine.tails())
            except EngineError as why:
                self._silent(why)
            else:
                self._answers()
                self._took(tails, placements)
            left = began + self._pause_seconds - self._seconds()
            await deferLater(self._reactor, max(0.0, left))

    def _answers(self) -> None:
        if self._said:
            self._said = False
            self.log.info("the engine answers again")
        self.heard_at = self._silent_since = self._seconds()

    def _silent(self, why: EngineError) -> None:
        if not self._said and self._seconds() - self._silent_since >= _SAY_AFTER_SECONDS:
            self._said = True
            self.log.warn("the engine does not answer: {why}", why=str(why))

    def _ended(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if not failure.check(Unusable):
            self.log.failure("unexpected error: the member stops", failure)
        self._stop(failure.getErrorMessage())
