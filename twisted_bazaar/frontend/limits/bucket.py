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

    __slots__ = ("_a_second", "_at", "_full", "_missing", "rate")

    def __init__(self, rate: Rate, now: int) -> None:
        """It is full."""
        self._missing = 0
        """Parts that a full bucket has and this one has not. More than those: it owes the rest."""
        self._at = now
        self._set(rate)

    def _set(self, rate: Rate) -> None:
        self.rate = rate
        self._full = rate.burst * _PARTS
        self._a_second = rate.thousandths * _NANOSECONDS
        """Parts that it is filled with in a second."""

    def change(self, rate: Rate, now: int) -> None:
        """From now on the rate is another one. What was taken stays taken."""
        self._fill(now)
        self._set(rate)

    def take(self, count: int, now: int, taken: int = 0) -> Left:
        """Take `count` tokens, at least 1, if they are there. `taken` are those that the same
        request has taken before.

        What takes more than a full bucket has needs a full one: the bucket owes the rest, and what
        it lets through in the long run stays the same.
        """
        self._fill(now)
        full, a_second = self._full, self._a_second
        needed = (taken + count) * _PARTS
        lacking = self._missing + (needed if needed < full else full) - full
        retry_after = None
        # Sent again, the request takes once more what it has taken.
        if lacking > taken * _PARTS:
            retry_after = max(1, -(-lacking // a_second))
        else:
            self._missing += count * _PARTS
        missing = self._missing
        remaining = (full - missing) // _PARTS if missing < full else 0
        return Left(self.rate.burst, remaining, -(-missing // a_second), retry_after)

    def _fill(self, now: int) -> None:
        missing = self._missing - (now - self._at) * self.rate.thousandths
        self._missing = missing if missing > 0 else 0
        self._at = now
