"""What every `makeService` does, and services that depend on one another."""

import gc
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from twisted.application.service import IServiceCollection, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from .announcement import ANNOUNCED_AFTER_SECONDS, VARIABLE, announce
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
from .options import ServiceOptions
from .output import Output, fail_rather_than_wait
from .reactor import Reactor
from .resolving import Resolver

__all__ = ["Late", "Layers", "Process", "monotonic_seconds", "prepare"]


# Only Linux has CLOCK_BOOTTIME. On macOS and the BSDs the other clock is closest to it.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_COLLECT_AFTER = 20_000, 20, 50
"""Thresholds of the three generations of the collector; Python's are 700, 10 and 10."""

_OWNER_ONLY = 0o077
"""The umask."""


monotonic_seconds: Callable[[], float] = partial(time.clock_gettime, _CLOCK)
"""Seconds on a clock that never goes back, and goes on while the machine sleeps."""


def prepare(installed: IReactorCore, stop_seconds: float = STOP_SECONDS) -> Reactor:
    """Set up the process and its reactor, which this returns. The first step of `makeService`.

    A stop is over within `stop_seconds`.
    """
    reactor = cast(Reactor, installed)
    stop_on_signals(reactor, stop_seconds, VARIABLE in os.environ)
    # As twistd does when it forks. An operator's --umask is applied later, and wins.
    os.umask(_OWNER_ONLY)
    # Twisted times its calls by the wall clock: set back by an hour, that would stop every timer
    # for an hour.
    reactor.seconds = monotonic_seconds  # type: ignore[method-assign]
    reactor.installNameResolver(Resolver(reactor))
    # Objects made at the start stay, and later ones are seldom cycles: collecting less often
    # gives 6 % more trades, and takes a fifth off the p99.
    gc.set_threshold(*_COLLECT_AFTER)
    reactor.callWhenRunning(gc.freeze)
    # A service that cannot use its folder or its port has ended the process by then.
    reactor.callWhenRunning(lambda: reactor.callLater(ANNOUNCED_AFTER_SECONDS, _announce, reactor))
    return reactor


def _announce(reactor: Reactor) -> None:
    if not failing(reactor):
        announce(os.environ)


class Process(MultiService):
    """All services of one process: what `makeService` returns.

    Its log goes through `output`, so that no slow reader of the log delays the reactor.
    """

    def __init__(
        self,
        reactor: Reactor,
        options: ServiceOptions,
        name: str,
        *services: Service,
        has_name: bool = False,
    ) -> None:
        """`options` are those of `makeService`. The log calls this process `name`, and with
        `has_name` does so at the begin of each line of text. Exits with one line if the log file
        that twistd's options name cannot be written."""
        super().__init__()
        for service in services:
            service.setServiceParent(self)
        try:
            twistd: Mapping[str, Any] = options.parent or {}
            self._log = Log(reactor, twistd, name, options.log_settings, has_name)
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
    """Services each of which depends on those before it.

    They start in order, and stop one after the other in reverse order: a server finishes the
    calls under way before what it serves stops. (A MultiService stops all of its services at
    once.)
    """

    log = Logger()

    def __init__(self, *layers: Service) -> None:
        super().__init__()
        for layer in layers:
            layer.setServiceParent(self)

    def stopService(self) -> Deferred[None]:
        """Fires when all layers have stopped."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        Service.stopService(self)
        for layer in reversed(list(self)):
            try:
                await maybeDeferred(layer.stopService)
            except Exception:
                # The layers below must stop in order nevertheless.
                self.log.failure("{layer} did not stop", layer=layer)


class Late(Service):
    """A service that is made when it starts, by `make`.

    twistd may fork between `makeService` and `startService`, and neither gRPC (grpc#13873) nor
    threads survive that. If `make` raises `Unusable`, the process ends with one line.
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

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return maybeDeferred(self._made.stopService) if self._made else succeed(None)
