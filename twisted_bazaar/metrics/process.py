"""What every process tells of itself: which one it is, and how its reactor and its log fare."""

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_bazaar import __version__

from .figures import Metrics

__all__ = ["LAG_INTERVAL_SECONDS", "ProcessFigures"]

LAG_INTERVAL_SECONDS = 0.25
"""Between two measurements of the lag of the event loop."""


class ProcessFigures(Service):
    """The figures of a process that do not depend on what it does. While it runs, it measures how
    late the reactor calls: whatever holds it up holds up all requests."""

    def __init__(
        self,
        reactor: IReactorTime,
        metrics: Metrics,
        service: str,
        id: str,
        lost_lines: Callable[[], int],
    ) -> None:
        """`service` is `frontend`, `catalog` or `order`, and `id` tells processes of one service
        apart; empty: nothing does. `lost_lines` returns how many lines the log has lost. The clock
        of `reactor` must not go back."""
        self._reactor = reactor
        self._started = reactor.seconds()
        self._call: IDelayedCall | None = None
        self._due = 0.0
        labels = service, id, __version__
        metrics.gauges(
            "bazaar_info",
            "The process: 1.",
            *("service", "id", "version"),
            read=lambda: {labels: 1},
        )
        metrics.gauge("bazaar_uptime_seconds", "Since the process started.", self.uptime)
        self._lag = metrics.histogram(
            "bazaar_event_loop_lag_seconds",
            "How late the reactor calls what is due, measured every 0.25 s.",
        )
        metrics.counted(
            "bazaar_log_lines_dropped_total",
            "Lines of the log that could not be written in time.",
            read=lambda: {(): lost_lines()},
        )

    def uptime(self) -> float:
        """Seconds since the process started."""
        return self._reactor.seconds() - self._started

    def startService(self) -> None:
        super().startService()
        self._measure_next()

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _measure_next(self) -> None:
        self._due = self._reactor.seconds() + LAG_INTERVAL_SECONDS
        self._call = self._reactor.callLater(LAG_INTERVAL_SECONDS, self._measure)

    def _measure(self) -> None:
        self._lag.observe(max(0.0, self._reactor.seconds() - self._due))
        self._measure_next()
