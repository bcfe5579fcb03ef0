"""What one client has left of its rate. Pure.

A bucket holds up to `burst` tokens and is filled evenly; a request takes one, a batch one for each
of its trades. All counts are whole numbers, so that what is shown is exact to the token: a token is
10**12 parts, and a nanosecond fills in as many parts as the rate has thousandths a second.
"""

import msgspec

from twisted_bazaar.rate import Rate

__all__ = ["Left", "TokenBucket"]

_PARTS = 10**12
_NANOSECONDS = 10**9


class Left(msgspec.Struct, frozen=True):
    """What a request is told of its bucket."""

    limit: int
    """The tokens of a full bucket."""
    remaining: int
    """The whole tokens that are in it now."""
    reset: int
    """Seconds until it is full, rounded up."""
    retry_after: int | None = None
    """None: the request was let through. Else the seconds after which the same request is, if no
    other comes before; rounded up, so at least 1."""


class TokenBucket:
    """The tokens of one client. `now` is nanoseconds on a clock that never goes back."""

    __slots__ = ("_at", "_parts", "rate")

    def __init__(self, rate: Rate, now: int) -> None:
        """It is full."""
        self.rate = rate
        self._parts = rate.burst * _PARTS
        self._at = now

    def change(self, rate: Rate, now: int) -> None:
        """From now on the rate is another one. What was taken stays taken."""
        self._fill(now)
        self._parts += (rate.burst - self.rate.burst) * _PARTS
        self.rate = rate

    def take(self, count: int, now: int, taken: int = 0) -> Left:
        """Take `count` tokens, at least 1, if they are there. `taken` are those that the same
        request has taken before.

        What takes more than a full bucket has needs a full one: the bucket owes the rest, and what
        it lets through in the long run stays the same.
        """
        self._fill(now)
        burst = self.rate.burst
        needed = min(taken + count, burst)
        retry_after = None
        if self._parts < (needed - taken) * _PARTS:
            retry_after = max(1, self._seconds_until(needed * _PARTS))
        else:
            self._parts -= count * _PARTS
        remaining = self._parts // _PARTS if self._parts > 0 else 0
        return Left(burst, remaining, self._seconds_until(burst * _PARTS), retry_after)

    def _fill(self, now: int) -> None:
        filled = self._parts + (now - self._at) * self.rate.thousandths
        full = self.rate.burst * _PARTS
        self._parts = filled if filled < full else full
        self._at = now

    def _seconds_until(self, parts: int) -> int:
        return -(-(parts - self._parts) // (self.rate.thousandths * _NANOSECONDS))
