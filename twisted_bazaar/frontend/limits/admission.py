"""Lets requests pass as far as the rates of their clients allow, and tells each what is left."""

from collections.abc import Callable
from functools import lru_cache

from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.http.site import BazaarRequest

from .figures import LimitFigures
from .limits import Limits

__all__ = ["Admission", "too_many"]


_LINES = b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n"
_CACHED_LINES = 4096


class Admission:
    """What stands before the calls of a front-end that limits their rate."""

    def __init__(
        self, limits: Limits, nanoseconds: Callable[[], int], figures: LimitFigures
    ) -> None:
        """`nanoseconds` is a clock that never goes back."""
        self._limits = limits
        self._nanoseconds = nanoseconds
        self._figures = figures

    def admit_trades(self, request: BazaarRequest, trades: int) -> None:
        """Let a batch of so many trades pass, which has passed as one request before. Raises
        `Refusal` if there were too many."""
        if trades > 1:
            self.admit(request, trades - 1, 1)

    def admit(self, request: BazaarRequest, count: int = 1, taken: int = 0) -> None:
        """Let `request` pass, whose caller is known, and which counts as `count`, beside the
        `taken` that it has passed as before. Raises `Refusal` if there were too many."""
        caller = request.caller
        address = "" if caller.name else request.network
        left = self._limits.take(caller, address, count, self._nanoseconds(), taken)
        if left is None:
            return
        request.more_head = _lines(left.limit, left.remaining, left.reset)
        if left.retry_after is not None:
            figures = self._figures
            counter = figures.of_client if caller.name else figures.of_address
            counter.value += 1
            raise too_many(left.retry_after)


@lru_cache(_CACHED_LINES)
def _lines(limit: int, remaining: int, reset: int) -> bytes:
    # Most clients are told the same few over and over.
    return _LINES % (limit, remaining, reset)


def too_many(seconds: int) -> Refusal:
    """The refusal of a request that is let through after so many `seconds`."""
    message = f"there were too many requests; send it again after {seconds} s"
    return Refusal(Reason.TOO_MANY_REQUESTS, message, {b"Retry-After": b"%d" % seconds})
