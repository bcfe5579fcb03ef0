"""Asking around: who is furthest, would they vote, and what did this replica miss.

A replica canvasses its peers when it starts (to fetch what it missed) and when it is asked to
campaign (to fetch what it lacks, so that the highest id can win, and to raise its term only if
a majority would vote: PreVote, Ongaro 2014 §9.6). This keeps the answers and says what they
amount to; `core.Replica` sends the messages. Pure.
"""

from collections.abc import Iterable

import msgspec

from .messages import FetchReply, PollReply
from .progress import majority

__all__ = ["Canvass", "FetchFrom", "GoAhead", "Refused"]


class FetchFrom(msgspec.Struct, frozen=True):
    """Catch up with this replica: it is the furthest of those that answered."""

    source: int


class GoAhead(msgspec.Struct, frozen=True):
    """Nobody who answered is further; in a campaign, a majority would vote."""

    term: int
    """The highest term that anyone named."""


class Refused(msgspec.Struct, frozen=True):
    """A campaign has no chance now."""

    leader: int
    """A leader that somebody hears, 0: none."""
    wait: float
    """Seconds until another try can help."""


class Canvass:
    """One round of questions, from the first poll to the last fetch."""

    def __init__(self, peers: Iterable[int], campaign: bool, now: float, patience: float) -> None:
        self.campaign = campaign
        self.tickets: list[object] = []
        """Those who asked this replica to campaign, to be told how it ended."""
        self._silent = set(peers)
        self._members = len(self._silent) + 1
        self._answers: dict[int, PollReply] = {}
        self._patient_until = now + patience
        self.source: int | None = None
        """The replica that is being fetched from."""
        self.step_back = 1
        """How far the next fetch goes back if this one does not fit: doubles each time."""

    def answered(self, reply: PollReply) -> None:
        """A peer answered."""
        self._silent.discard(reply.replica)
        self._answers[reply.replica] = reply

    def fetched(self, reply: FetchReply) -> None:
        """The source answered: it is as far as `reply` says, whatever it said before."""
        answer = self._answers[reply.replica]
        self._answers[reply.replica] = msgspec.structs.replace(
            answer, term=reply.term, last_index=reply.last_index, last_term=reply.last_term
        )

    def lost(self, peer: int) -> None:
        """A peer cannot be reached, or can no longer."""
        self._silent.discard(peer)
        self._answers.pop(peer, None)
        if self.source == peer:
            self.source = None

    def verdict(self, last: tuple[int, int], now: float) -> FetchFrom | GoAhead | Refused | None:
        """What to do next; None: wait for more answers.

        `last` is this replica's (last term, last index). All are waited for, since the one
        that is silent may be the furthest, but only for a while.
        """
        if self.source is not None or (self._silent and now < self._patient_until):
            return None
        willing = 1 + sum(reply.wait <= 0 for reply in self._answers.values())
        if self.campaign and willing < majority(self._members):
            leader = max((reply.leader for reply in self._answers.values()), default=0)
            wait = max((reply.wait for reply in self._answers.values()), default=0.0)
            return Refused(leader, wait)
        furthest = max(
            self._answers.values(),
            key=lambda reply: (reply.last_term, reply.last_index),
            default=None,
        )
        if furthest and (furthest.last_term, furthest.last_index) > last:
            return FetchFrom(furthest.replica)
        return GoAhead(max((reply.term for reply in self._answers.values()), default=0))
