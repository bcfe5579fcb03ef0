"""Services that rest on one another, and how a process makes them."""

import gc
import os
import time
from collections.abc import Callable, Generator
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.logger import Logger

from .announcement import ANNOUNCED_AFTER_SECONDS, announce
from .exits import failing, refusing, stop_on_signals

__all__ = ["Late", "Layers", "monotonic_seconds", "prepare"]


# Only Linux has the first. On macOS and the BSDs the other one is what comes nearest to it.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_COLLECT_AFTER = 20_000, 20, 50
"""Objects, and collections of younger ones; Python's own are 700, 10 and 10."""


def monotonic_seconds() -> float:
    """Seconds on a clock that only goes forward, also while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def prepare(reactor: Any) -> None:
    """What each `makeService` does first with the process's reactor."""
    stop_on_signals(reactor)
    # Twisted times its calls by the wall clock: set back by an hour, it would stop every
    # heartbeat for that long.
    reactor.seconds = monotonic_seconds
    # What there is once everything has started is there to stay, and what comes later is seldom
    # a cycle: looking for garbage less often is worth 6 % more trades, and a fifth of the p99.
    gc.set_threshold(*_COLLECT_AFTER)
    reactor.callWhenRunning(gc.freeze)
    # By then, whatever refuses its folder or its port has ended the process.
    reactor.callWhenRunning(lambda: reactor.callLater(ANNOUNCED_AFTER_SECONDS, _announce, reactor))


def _announce(reactor: Any) -> None:
    if not failing(reactor):
        announce(os.environ)


class Layers(MultiService):
    """Services each of which rests on those before it.

    They start in order, and stop one after the other, the last first: a server finishes the
    calls that are under way before what it serves goes away. (A MultiService stops all of its
    services at once.)
    """

    log = Logger()

    def __init__(self, *layers: Service) -> None:
        super().__init__()
        for layer in layers:
            layer.setServiceParent(self)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        Service.stopService(self)
        for layer in reversed(list(self)):
            try:
                yield maybeDeferred(layer.stopService)
            except Exception:
                # What it rests on is to stop in good order all the same.
                self.log.failure("{layer} did not stop", layer=layer)


class Late(Service):
    """A service that is made when it starts.

    twistd may fork between `makeService` and `startService`, and neither gRPC nor threads
    survive that (grpc#13873). A folder or port that is `Unusable` ends the process with one
    line.
    """

    def __init__(self, name: str, make: Callable[[], Service]) -> None:
        self._process = name
        self._make = make
        self._made: Service | None = None

    def startService(self) -> None:
        super().startService()
        with refusing(self._process):
            self._made = self._make()
            self._made.startService()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        return maybeDeferred(self._made.stopService) if self._made else maybeDeferred(bool)
