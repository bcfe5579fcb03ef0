"""Says in the log that a front-end is ready for its clients, once, after its start."""

from collections.abc import Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Readiness"]

_CHECK_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
"""How long a start may take before the log says what it waits for."""


class _Reports(Protocol):
    def readiness(self) -> Deferred[str | None]:
        """Why it is not ready; None: it is."""


class Readiness(Service):
    """Asks `reports` until it is ready. Later the log says what changes, not whether it is ready:
    that is for `/readyz` to answer."""

    log = Logger()

    def __init__(self, reactor: IReactorTime, reports: _Reports, url: Callable[[], str]) -> None:
        """`url()` is where clients reach the front-end."""
        self._reactor = reactor
        self._reports = reports
        self._url = url
        self._checking = LoopingCall(self._check)
        self._checking.clock = reactor
        self._late_at: float | None = None
        """When the log is to say what is missing; None: it has said so."""

    def startService(self) -> None:
        super().startService()
        self._late_at = self._reactor.seconds() + _PATIENCE_SECONDS
        stopped = self._checking.start(_CHECK_SECONDS, now=False)
        stopped.addErrback(self._failed)

    def stopService(self) -> None:
        super().stopService()
        if self._checking.running:
            self._checking.stop()

    def _check(self) -> Deferred[None]:
        return self._reports.readiness().addCallback(self._found)

    def _found(self, missing: str | None) -> None:
        if not self._checking.running:
            return
        if missing is None:
            self._checking.stop()
            self.log.info("ready: {url}", url=self._url())
        elif self._late_at is not None and self._reactor.seconds() >= self._late_at:
            self._late_at = None
            self.log.warn("not ready yet: {missing}", missing=missing)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("unexpected error while asking whether this front-end is ready", failure)
