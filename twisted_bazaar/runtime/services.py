"""Services that rest on one another, and how a process makes them."""

import gc
import os
import time
from collections.abc import Callable, Generator
from typing import Any, cast

from twisted.application.service import IServiceCollection, MultiService, Service
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized

from .announcement import ANNOUNCED_AFTER_SECONDS, announce
from .exits import (
    STOP_SECONDS,
    await_signals,
    failing,
    flushed_at_exit,
    refuse,
    refusing,
    stop_on_signals,
)
from .logs import Log
from .output import Output, fail_rather_than_wait
from .reactor import Reactor
from .resolving import Resolver

__all__ = ["Late", "Layers", "Process", "monotonic_seconds", "prepare"]


# Only Linux has the first. On macOS and the BSDs the other one is what comes nearest to it.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_COLLECT_AFTER = 20_000, 20, 50
"""Objects, and collections of younger ones; Python's own are 700, 10 and 10."""

_OWNER_ONLY = 0o077
"""What others may not do with the files that are made."""


def monotonic_seconds() -> float:
    """Seconds on a clock that only goes forward, also while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def prepare(installed: IReactorCore, stop_seconds: float = STOP_SECONDS) -> Reactor:
    """What each `makeService` does first with the process and its reactor, which it returns.

    A stop is over within `stop_seconds`.
    """
    reactor = cast(Reactor, installed)
    stop_on_signals(reactor, stop_seconds)
    # twistd does this by itself when it forks. An operator's --umask comes later, and wins.
    os.umask(_OWNER_ONLY)
    # Twisted times its calls by the wall clock: set back by an hour, it would stop every
    # heartbeat for that long.
    reactor.seconds = monotonic_seconds  # type: ignore[method-assign]
    reactor.installNameResolver(Resolver(reactor))
    # What there is once everything has started is there to stay, and what comes later is seldom
    # a cycle: looking for garbage less often is worth 6 % more trades, and a fifth of the p99.
    gc.set_threshold(*_COLLECT_AFTER)
    reactor.callWhenRunning(gc.freeze)
    # By then, whatever refuses its folder or its port has ended the process.
    reactor.callWhenRunning(lambda: reactor.callLater(ANNOUNCED_AFTER_SECONDS, _announce, reactor))
    return reactor


def _announce(reactor: Reactor) -> None:
    if not failing(reactor):
        announce(os.environ)


class Process(MultiService):
    """All services of one process, as twistd is given them by `makeService`.

    Nothing in it waits for whoever reads the log. `output` is where the log goes.
    """

    def __init__(self, reactor: Reactor, options: usage.Options, *services: Service) -> None:
        """`options` are those that `makeService` was given. Leaves with one line if the log
        file that twistd was told of cannot be written."""
        super().__init__()
        for service in services:
            service.setServiceParent(self)
        try:
            self._log = Log(reactor, options.parent or {})
        except OSError as why:
            refuse(f"the log file cannot be written: {why}")
        self.output: Output = flushed_at_exit(self._log.output)
        if not self._log.forks:
            self.output.start()

    def setServiceParent(self, parent: Any) -> None:
        if isinstance(parent, Componentized) and self._log.observer is not None:
            parent.setComponent(ILogObserver, self._log.observer)
        super().setServiceParent(IServiceCollection(parent))

    def startService(self) -> None:
        await_signals()
        self.output.start()
        for standard in (1, 2):
            fail_rather_than_wait(standard)
        super().startService()


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
