"""A thread on which an engine, or one of its logs, is called."""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail

from twisted_bazaar.engine.shared_log import Unknown
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads

__all__ = ["CallThread"]

T = TypeVar("T")


class _Called(Protocol):
    """An `Engine` or a `SharedLog`."""

    def cut(self) -> None: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=_Called)


class CallThread(Generic[C]):
    """Calls are made one after the other, and end within their time. The thread begins with the
    first call: most partitions are led elsewhere. Methods are called on the reactor thread."""

    def __init__(self, reactor: Reactor, name: str, called: C, timeout: float) -> None:
        """A call may take `timeout` seconds, unless it has a time of its own. Then it is cut, and
        fails with `Unknown`."""
        self._reactor = reactor
        self._threads = Threads(1, name)
        self._called = called
        self._timeout = timeout
        self._waiting: deque[tuple[Callable[[C], Any], float, Deferred[Any]]] = deque()
        self._busy = False
        self._begun = False
        self._stopped = False

    def call(self, function: Callable[[C], T], timeout: float | None = None) -> Deferred[T]:
        """Fires with what `function` returns of what is called. Fails with what it raises, and
        with `Unknown` after `stop`."""
        if self._stopped:
            return fail(_stopping())
        if not self._begun:
            self._begun = True
            self._threads.start()
        answer: Deferred[T] = Deferred()
        self._waiting.append((function, timeout or self._timeout, answer))
        if not self._busy:
            self._next()
        return answer

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        function, timeout, answer = self._waiting.popleft()
        deadline = self._reactor.callLater(timeout, self._called.cut)

        def over(result: Any) -> None:
            if deadline.active():
                deadline.cancel()
            self._next()
            # Its caller may have given it up.
            if not answer.called:
                answer.callback(result)  # or errback, for a Failure

        self._threads.defer(self._reactor, function, self._called).addBoth(over)

    def stop(self) -> None:
        """Make no further calls, end the one under way, and close the connection."""
        self._stopped = True
        waiting, self._waiting = self._waiting, deque()
        for _, _, answer in waiting:
            if not answer.called:
                answer.errback(_stopping())
        if self._begun:
            self._called.cut()
            self._threads.stop()
        self._called.close()


def _stopping() -> Unknown:
    return Unknown("this member is stopping")
