"""Leases: for how long somebody may show what he knows, without asking again. Pure.

There are two grantors: the leading order replica grants one to a catalog, and that catalog
grants them to front-ends. Both do it in the same way, message by message:

    grantor ── what is new, and the lease that your last answer earned ──▶ holder
    grantor ◀── up to where I have taken that in, and my stamp ─────────── holder

The grantor waits for the holder, before it lets anybody see what is new, for one lease after
it *received* an answer. The holder counts the same lease from when it *sent* that answer, and
loses a little of it to clocks that run at different rates. So a lease never lasts longer than
the grantor waits, however late a message comes; one that owes an answer gets no new lease;
and whoever cannot be reached is waited for once, and then no more.

A stamp names the holder's life as well: what an earlier life acknowledged earns nothing for a
later one, which has forgotten it.
"""

from typing import Annotated

import msgspec

__all__ = ["MAX_DRIFT", "Holder", "Lease", "Stamp", "kept"]

MAX_DRIFT = 0.03
"""How far the rate of a machine's clock may be from true time."""


def kept(seconds: float) -> float:
    """What is left of a wait of `seconds`, on a slow clock, for one whose clock is fast."""
    return seconds * (1 - MAX_DRIFT) / (1 + MAX_DRIFT)


class Stamp(msgspec.Struct, frozen=True):
    """When a holder sent an answer, by its own clock, and in which of its lives."""

    life: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    at: Annotated[float, msgspec.Meta(ge=0, le=2**40)]


class Lease:
    """What a holder holds. Times are seconds on its own monotonic clock."""

    def __init__(self, life: int) -> None:
        """`life` is a number that no other life has, from 1 to 2**53 - 1."""
        self.life = life
        self.until = float("-inf")
        """The holder may show what it knows before this moment, not at it."""

    def stamp(self, now: float) -> Stamp:
        """What to put on an answer that is sent `now`."""
        return Stamp(self.life, now)

    def granted(self, stamp: Stamp | None, seconds: float) -> None:
        """A lease of `seconds` came for the answer with this stamp; None: none came."""
        if stamp is not None and stamp.life == self.life:
            self.until = max(self.until, stamp.at + kept(seconds))

    def alive(self, now: float) -> bool:
        """Whether it holds. To be asked after what is to be shown was read, not before."""
        return now < self.until


class Holder:
    """What a grantor knows of one that may hold a lease. Times are on the grantor's clock."""

    def __init__(self) -> None:
        self.attached_until = float("-inf")
        """It is waited for until then."""
        self.earned: Stamp | None = None
        """The stamp of the last answer that is worth a lease."""
        self.earned_at = float("-inf")
        """When that answer was received."""

    def attached(self, now: float) -> bool:
        """Whether nobody may see what this holder has not taken in."""
        return now < self.attached_until

    def answered(self, now: float, seconds: float) -> None:
        """It will be waited for, for `seconds` from now on."""
        self.attached_until = max(self.attached_until, now + seconds)

    def earns(self, stamp: Stamp, now: float, seconds: float) -> None:
        """The answer with `stamp`, received `now`, is worth a lease of `seconds`: it has taken
        in all that anybody may have seen, and will be waited for."""
        self.answered(now, seconds)
        self.earned, self.earned_at = stamp, now
