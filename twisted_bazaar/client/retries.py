"""When a request that failed is sent again, and what is known of a trade that was. Pure.

Every request may be sent again: a read changes nothing, and a trade has a key. What was refused is
not, as the same request would be refused again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .answers import Answer, Broken
from .errors import CallFailed, NotExecuted, OutcomeUnknown, Refused

if TYPE_CHECKING:
    from random import Random

__all__ = ["ATTEMPT_SECONDS", "Attempts", "Doubt"]

ATTEMPT_SECONDS = 6.0
"""For one answer. More than the bazaar's own deadline for a trade, so that it answers in time."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class Attempts:
    """The attempts of one call, which may take `deadline` seconds in all. `seconds` is a monotonic
    clock."""

    def __init__(self, seconds: Callable[[], float], random: "Random", deadline: float) -> None:
        self._seconds = seconds
        self._random = random
        self._ends = seconds() + deadline
        self._pause = FIRST_PAUSE_SECONDS

    def timeout(self) -> float:
        """The seconds that the next attempt may take."""
        return max(0.0, min(ATTEMPT_SECONDS, self._ends - self._seconds()))

    def pause(self, retry_after: float = 0.0) -> float | None:
        """The seconds to wait before the next attempt; None: the deadline comes first.

        The pauses double. Each is shortened at random, so that clients that failed together do not
        come back together. `retry_after`, which the bazaar asked for, is waited for in addition.
        """
        pause = retry_after + self._random.uniform(0.5, 1.0) * self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause if self._seconds() + pause < self._ends else None


class Doubt:
    """What the earlier attempts of one call have left open, and what was told of them.

    An attempt whose outcome is unknown may have been executed. If it was not even answered, it may
    still arrive: then a refusal of a later attempt does not settle it, unless that refusal holds
    for good. Any other refusal of the trade settles it, as the leader looks for the key before it
    judges. A front-end or proxy that does not look at the trade says nothing of earlier attempts.

    The last attempt of a call often only runs out of time. What the one before it met is told then.
    """

    def __init__(self) -> None:
        self._unknown = False
        self._may_arrive = False
        self._met = ""
        """What the last attempt met that did not only run out of time; empty: none did."""

    def after(self, failed: CallFailed, reply: Answer | Broken) -> CallFailed:
        """What is known of the call after an attempt that `failed` with this `reply`."""
        if isinstance(failed, OutcomeUnknown):
            self._unknown = True
            self._may_arrive = self._may_arrive or isinstance(reply, Broken)
        settled = True
        if isinstance(failed, NotExecuted):
            settled = not self._unknown
        elif isinstance(failed, Refused):
            settled = failed.for_good or not (self._may_arrive if failed.judged else self._unknown)
        message = str(failed)
        if not (isinstance(reply, Broken) and reply.late):
            self._met = message
        elif self._met:
            message += f"; before that: {self._met}"
        if not settled:
            message += "; an earlier attempt may have been executed, or may still be"
        kind = type(failed) if settled else OutcomeUnknown
        return kind(
            message,
            code=failed.code,
            reason=failed.reason,
            client_order_id=failed.client_order_id,
            request_id=failed.request_id,
            retry_after=failed.retry_after,
        )
