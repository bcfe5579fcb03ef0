"""The calls that a leader, or who is to be one, makes to the engine. Pure.

Each is made again, the very same, until it is known what it did.
"""

from collections.abc import Sequence

import msgspec

from .shared_log import Batch, Released, SharedLog, Snapshot, Tail

__all__ = ["RECENT_ENTRIES", "Append", "Attempt", "Beat", "Call", "Claim", "Load", "make"]

RECENT_ENTRIES = 1024
"""Entries that are loaded beside the market data: more than a catalog lacks that has kept up, which
goes on from them under the next leader."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5


class Load(msgspec.Struct, frozen=True):
    """`SharedLog.snapshot`, with the last entries."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """`SharedLog.claim` with these arguments."""

    seen: Tail
    opened: Batch
    term: int
    leader: int
    tenure: float
    longest_lease: float
    catalogs: Sequence[str]


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """`SharedLog.append` with these arguments."""

    batch: Batch
    term: int
    beat: int
    released: Released


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """`SharedLog.beat` with these arguments."""

    term: int
    beat: int
    released: Released


Call = Load | Claim | Append | Beat


def make(call: Call, log: SharedLog) -> Snapshot | None:
    """Make `call` of `log`; returns the answer to a `Load`. Raises what the log raises."""
    match call:
        case Load():
            snapshot = log.snapshot()
            last = snapshot.tail.index
            recent = log.read(max(0, last - RECENT_ENTRIES), last)
            return msgspec.structs.replace(snapshot, recent=recent)
        case Claim():
            log.claim(
                call.seen,
                call.opened,
                term=call.term,
                leader=call.leader,
                tenure=call.tenure,
                longest_lease=call.longest_lease,
                catalogs=call.catalogs,
            )
        case Append():
            log.append(call.batch, term=call.term, beat=call.beat, released=call.released)
        case Beat():
            log.beat(term=call.term, beat=call.beat, released=call.released)
    return None


class Attempt:
    """One call, from the moment it is to be made until it is known what it did. Times are seconds
    on the caller's clock."""

    def __init__(self, call: Call, round_: int = 0) -> None:
        self.call = call
        self.round = round_
        """The last round that was begun before it was made the first time."""
        self.first_made_at: float | None = None
        """None: it was not made yet."""
        self.under_way = False
        """Whether it is being made."""
        self.void = False
        """Whether its outcome matters no more."""
        self.again_at = float("-inf")
        """When to make it, if it is not under way."""
        self._pause = _FIRST_PAUSE_SECONDS

    def make(self, now: float) -> Call:
        """It is made `now`."""
        self.under_way = True
        if self.first_made_at is None:
            self.first_made_at = now
        return self.call

    def make_again(self, now: float) -> None:
        """It is not known what it did: it is to be made again after a pause."""
        self.under_way = False
        self.again_at = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
