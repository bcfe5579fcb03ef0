"""A timer for what has something to do though nothing has come in."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Wake"]


class Wake:
    """Calls `wake` at the time that `at` says, once for each `later` at most."""

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        at: Callable[[], float | None],
        wake: Callable[[], None],
    ) -> None:
        """`at` is a time of the clock `seconds`; None: there is nothing to wait for."""
        self._reactor = reactor
        self._seconds = seconds
        self._at = at
        self._wake = wake
        self._call: IDelayedCall | None = None
        self._wakes_at = 0.0
        self._stopped = False

    def later(self) -> None:
        """What `at` says may have changed."""
        at = self._at()
        if at is None or self._stopped:
            return
        if self._call is not None:
            if self._wakes_at <= at:
                return
            self._call.cancel()
        self._wakes_at = at
        self._call = self._reactor.callLater(max(0.0, at - self._seconds()), self._woken)

    def _woken(self) -> None:
        self._call = None
        at = self._at()
        if at is None or at > self._seconds():
            # What this was set for is done.
            self.later()
        else:
            self._wake()

    def stop(self) -> None:
        """Call nothing from now on."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
