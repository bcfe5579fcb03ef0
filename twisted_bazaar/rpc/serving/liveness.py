"""Decides when a connection of a gRPC server is pinged or dropped. Pure."""

from enum import Enum, auto

from .limits import Limits

__all__ = ["TICK_SECONDS", "Liveness", "Action"]

TICK_SECONDS = 0.1
"""The interval at which every connection is checked."""


class Action(Enum):
    """What to do with a connection."""

    NONE = auto()
    PING = auto()
    REFUSE = auto()
    """It drains, and the client has had time to see the first GOAWAY: refuse new calls."""
    ABORT = auto()


class Liveness:
    """The timeouts of one connection.

    They are counted in ticks, not in seconds: after a process was paused, the reactor reads what
    arrived meanwhile between two ticks, so no live client is dropped.
    """

    def __init__(self, limits: Limits) -> None:
        self._silence = _ticks(limits.silence)
        self._handshake = _ticks(limits.handshake)
        self._taking = _ticks(limits.taking)
        self._closing = _ticks(limits.closing)
        self._silent = self._stuck = self._untaken = self._draining_ticks = self._closing_ticks = 0
        self._frames = -1

    def heard(self) -> None:
        """Bytes have arrived."""
        self._silent = 0

    def closing(self) -> Action:
        """A tick of a connection that is closing and is not read."""
        self._closing_ticks += 1
        return Action.ABORT if self._closing_ticks > self._closing else Action.NONE

    def tick(self, paused: bool, frames: int, waits: bool, drains: bool) -> Action:
        """A tick of an open connection.

        `paused`: the transport's buffer is full. `frames` counts the frames that have begun;
        `waits`: one, or a header block, is incomplete. `drains`: GOAWAY has been sent.
        """
        if paused:
            self._untaken += 1
            return Action.ABORT if self._untaken > self._taking else Action.NONE
        self._untaken = 0
        self._stuck = self._stuck + 1 if waits and frames == self._frames else 0
        self._frames = frames
        self._silent += 1
        if self._stuck > self._handshake or self._silent > 2 * self._silence:
            return Action.ABORT
        if drains:
            self._draining_ticks += 1
            if self._draining_ticks > self._silence:
                return Action.REFUSE
        if self._silent == self._silence and frames:
            return Action.PING
        return Action.NONE


def _ticks(seconds: float) -> int:
    return round(seconds / TICK_SECONDS)
