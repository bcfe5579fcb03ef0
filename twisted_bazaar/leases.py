"""Leases: for how long a holder may show what it knows without asking again. Pure.

There are two grantors: the leading order replica grants a lease to one catalog, and that catalog
grants leases to front-ends. Both work in the same way, message by message:

    grantor ── what is new, and the lease that your last answer earned ──▶ holder
    grantor ◀── the index up to which I have applied it, and my stamp ──── holder

Before clients may see what is new, the grantor waits for the holder: until it acknowledges, or
until one lease has passed since the grantor *received* its last answer. The holder counts the
same lease from when it *sent* that answer, less the drift of the clocks. So a lease never lasts
longer than the grantor waits, however late a message arrives; a holder that owes an answer gets
no new lease; and a holder that cannot be reached delays others once, for one lease.

A stamp also names the life of the holder: an answer of an earlier life, whose memory is lost,
earns nothing for a later one. Invariant 9 of docs/protocol.md
rests on this.
"""

from typing import Annotated

import msgspec

__all__ = ["MAX_DRIFT", "Holder", "Lease", "Stamp", "kept"]

MAX_DRIFT = 0.03
"""The largest relative error of the rate of a machine's clock."""


def kept(seconds: float) -> float:
    """How many seconds a slow clock counts while a fast one counts `seconds`."""
    return seconds * (1 - MAX_DRIFT) / (1 + MAX_DRIFT)


class Stamp(msgspec.Struct, frozen=True):
    """When a holder sent an answer, in seconds on its own clock, and in which of its lives."""

    life: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    at_seconds: Annotated[float, msgspec.Meta(ge=0, le=2**40)] = msgspec.field(name="at")


class Lease:
    """The holder's side of a lease. Times are seconds on the holder's monotonic clock."""

    def __init__(self, life: int) -> None:
        """`life` is a number from 1 to 2**53 - 1 that no other life of the holder has."""
        self.life = life
        self.until = float("-inf")
        """The holder may show what it knows before this moment, not at it."""

    def stamp(self, now: float) -> Stamp:
        """The stamp of an answer that is sent `now`."""
        return Stamp(self.life, now)

    def granted(self, stamp: Stamp | None, seconds: float) -> None:
        """A lease of `seconds` arrived for the answer with this stamp; None: none did."""
        if stamp is not None and stamp.life == self.life:
            self.until = max(self.until, stamp.at_seconds + kept(seconds))

    def alive(self, now: float) -> bool:
        """Whether the lease holds. Call it after reading what is to be shown, not before."""
        return now < self.until


class Holder:
    """The grantor's side of a lease. Times are seconds on the grantor's monotonic clock."""

    def __init__(self) -> None:
        self.attached_until = float("-inf")
        """The grantor waits for it until then."""
        self.earned: Stamp | None = None
        """The stamp of the last answer that is worth a lease."""
        self.earned_at = float("-inf")
        """When that answer was received."""

    def attached(self, now: float) -> bool:
        """Whether clients may see only what this holder has acknowledged."""
        return now < self.attached_until

    def answered(self, now: float, seconds: float) -> None:
        """The grantor will wait for it, for `seconds` from `now` on."""
        self.attached_until = max(self.attached_until, now + seconds)

    def earns(self, stamp: Stamp | None, now: float, seconds: float) -> None:
        """The answer with `stamp`, received `now`, earns a lease of `seconds`: it acknowledges
        all that any client may have seen, and the grantor will wait for this holder. Without a
        stamp there is no lease."""
        self.answered(now, seconds)
        self.earned, self.earned_at = stamp, now
