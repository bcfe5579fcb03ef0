"""Lets requests pass as far as the rates of their clients allow, and tells each what is left."""

from collections.abc import Callable

from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.http.site import BazaarRequest

from .figures import LimitFigures
from .limits import Limits

__all__ = ["Admission", "too_many"]


_LINES = b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n"


class Admission:
    """What stands before the calls of a front-end that limits their rate."""

    def __init__(
        self, limits: Limits, nanoseconds: Callable[[], int], figures: LimitFigures
    ) -> None:
        """`nanoseconds` is a clock that never goes back."""
        self._limits = limits
        self._nanoseconds = nanoseconds
        self._figures = figures

    def admit(self, request: BazaarRequest) -> None:
        """Let `request` pass, whose caller is known. Raises `Refusal` if there were too many."""
        self._take(request, 1, 0)

    def admit_trades(self, request: BazaarRequest, trades: int) -> None:
        """The same for a batch of so many trades, which has passed as one request before."""
        if trades > 1:
            self._take(request, trades - 1, 1)

    def _take(self, request: BazaarRequest, count: int, taken: int) -> None:
        caller = request.caller
        address = "" if caller.name else request.network
        left = self._limits.take(caller, address, count, self._nanoseconds(), taken)
        if left is None:
            return
        request.more_head = _LINES % (left.limit, left.remaining, left.reset)
        if left.retry_after is not None:
            figures = self._figures
            counter = figures.of_client if caller.name else figures.of_address
            counter.value += 1
            raise too_many(left.retry_after)


def too_many(seconds: int) -> Refusal:
    """The refusal of a request that is let through after so many `seconds`."""
    message = f"there were too many requests; send it again after {seconds} s"
    return Refusal(Reason.TOO_MANY_REQUESTS, message, {b"Retry-After": b"%d" % seconds})
