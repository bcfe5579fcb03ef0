"""Pages of older orders, for readers that begin with an order of the past.

Pages begin at multiples of their size, so that readers that reconnect together share them: one
that is full cannot change, and is kept for a while.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.python.failure import Failure

from .news import OrderEvent

__all__ = ["MAX_PAGES", "OrderPages"]

MAX_CALLS = 4
"""Pages that are read at a time, whatever the number of readers."""
MAX_PAGES = 32
"""Full pages that are kept: less than 4 MiB."""


class OrderPages:
    """Reads pages with `read`, which takes the number after which the page begins."""

    def __init__(
        self,
        read: Callable[[int], Deferred[Sequence[OrderEvent]]],
        size: int,
        kept: int = MAX_PAGES,
    ) -> None:
        """A full page has `size` orders; `kept` of them are."""
        self._kept = kept
        self._read = read
        self._size = size
        self._calls = DeferredSemaphore(MAX_CALLS)
        self._full: OrderedDict[int, Sequence[OrderEvent]] = OrderedDict()
        self._waiting: dict[int, list[Deferred[Sequence[OrderEvent]]]] = {}

    def after(self, number: int) -> Deferred[Sequence[OrderEvent]]:
        """A page with the order after `number`, and others before or after it. Fails with
        `Unavailable`."""
        begin = number // self._size * self._size
        page = self._full.get(begin)
        if page is not None:
            self._full.move_to_end(begin)
            return succeed(page)
        answer: Deferred[Sequence[OrderEvent]] = Deferred()
        if begin in self._waiting:
            self._waiting[begin].append(answer)
        else:
            self._waiting[begin] = [answer]
            read = self._calls.run(self._read, begin)
            read.addBoth(self._answer, begin)
        return answer

    def _answer(self, page: Sequence[OrderEvent] | Failure, begin: int) -> None:
        if not isinstance(page, Failure) and len(page) == self._size:
            self._full[begin] = page
            if len(self._full) > self._kept:
                self._full.popitem(last=False)
        for answer in self._waiting.pop(begin):
            answer.callback(page)  # or errback, for a Failure

    def forget(self) -> None:
        """The order log is another one."""
        self._full.clear()
