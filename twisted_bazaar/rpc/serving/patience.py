"""For how long a gRPC server bears with a peer that is silent, or does not go on. Pure."""

from enum import Enum, auto

from .limits import Limits

__all__ = ["TICK_SECONDS", "Patience", "Verdict"]

TICK_SECONDS = 0.1
"""How often connections are looked at for what is overdue."""


class Verdict(Enum):
    """What to do about a connection."""

    NOTHING = auto()
    PING = auto()
    """Ask the peer for a sign of life."""
    REFUSE = auto()
    """It was told to leave, and has had time to hear of it: take no further calls."""
    ABORT = auto()


class Patience:
    """Counts ticks, not seconds: in a process that stood still for a while, what has come
    meanwhile is read before anything is held against the peer."""

    def __init__(self, limits: Limits) -> None:
        self._silence = _ticks(limits.silence)
        self._handshake = _ticks(limits.handshake)
        self._taking = _ticks(limits.taking)
        self._leaving = _ticks(limits.leaving)
        self._silent = self._stuck = self._untaken = self._leaves = self._closes = 0
        self._frames = -1

    def heard(self) -> None:
        """Something came."""
        self._silent = 0

    def closing(self) -> Verdict:
        """A tick, once the connection is to be closed and nothing more is read."""
        self._closes += 1
        return Verdict.ABORT if self._closes > self._leaving else Verdict.NOTHING

    def tick(self, paused: bool, frames: int, waits: bool, leaves: bool) -> Verdict:
        """`paused`: the peer does not take what it is sent, and nothing is read from it.
        `frames` have begun to come, and of the last one, or of a head, it `waits` for the rest.
        `leaves`: it was told to leave."""
        if paused:
            self._untaken += 1
            return Verdict.ABORT if self._untaken > self._taking else Verdict.NOTHING
        self._untaken = 0
        self._stuck = self._stuck + 1 if waits and frames == self._frames else 0
        self._frames = frames
        self._silent += 1
        if self._stuck > self._handshake or self._silent > 2 * self._silence:
            return Verdict.ABORT
        if leaves:
            self._leaves += 1
            if self._leaves > self._silence:
                return Verdict.REFUSE
        if self._silent == self._silence and frames:
            return Verdict.PING
        return Verdict.NOTHING


def _ticks(seconds: float) -> int:
    return round(seconds / TICK_SECONDS)
