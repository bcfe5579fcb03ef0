"""A service that can end and be made again in the same process."""

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed

__all__ = ["Again", "Anew"]

Again = Callable[[Callable[[], None]], None]
"""Ends the service, calls the function, and makes the service again."""


class Anew(Service):
    """Runs the service that `make` returns, which may ask to be made again.

    A replica whose log and index are replaced begins anew in this way: nothing that it had in
    memory is left.
    """

    def __init__(
        self, make: Callable[[Again], Service], failed: Callable[[BaseException], None]
    ) -> None:
        """`failed` is told why it could not be made again."""
        self._make = make
        self._failed = failed
        self._current: Service | None = None
        self._ending: Deferred[None] = succeed(None)

    def startService(self) -> None:
        super().startService()
        self._begin()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._end()

    def _begin(self) -> None:
        made = self._make(self._again)
        self._current = made
        made.startService()

    def _end(self) -> Deferred[None]:
        current, self._current = self._current, None
        if current is not None:
            self._ending = maybeDeferred(current.stopService)
        waiter: Deferred[None] = Deferred()
        self._ending.addBoth(lambda _: waiter.callback(None))
        return waiter

    def _again(self, between: Callable[[], None]) -> None:
        if not self.running:
            return

        def ended(_: object) -> None:
            if not self.running:
                return
            try:
                between()
                self._begin()
            except Exception as why:
                self._failed(why)

        self._end().addCallback(ended)
