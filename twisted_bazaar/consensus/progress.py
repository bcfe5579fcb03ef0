"""What a leader knows of each peer and learner, and what a majority makes of it. Pure."""

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["Progress", "majority", "reached_by_majority"]

Ordered = TypeVar("Ordered", int, float)


def majority(members: int) -> int:
    """How many of `members` voters are more than half."""
    return members // 2 + 1


def reached_by_majority(values: Iterable[Ordered]) -> Ordered:
    """The highest value that a majority has reached; `values` has one of every voter."""
    ordered = sorted(values, reverse=True)
    return ordered[majority(len(ordered)) - 1]


class Progress:
    """How far one peer or learner is, and what is on its way to it.

    One request at most is in flight, so that each carries all that came up while the one
    before was under way: the batch grows with the load, and no timer is needed.
    """

    def __init__(self, last_index: int, now: float) -> None:
        self.match = 0
        """It is known to have the leader's log up to here (`matchIndex` in Raft figure 2)."""
        self.next = last_index + 1
        """The entry to send next (`nextIndex`)."""
        self.round = 0
        """The last round of heartbeats that it answered."""
        self.heard = now
        """When the last request that it answered was sent. The start of the leadership
        counts, so that nobody is given up before there was time to hear from them."""
        self._in_flight: float | None = None
        self._sent = float("-inf")
        self._sent_round = 0
        self._not_before = float("-inf")

    def due(self, now: float, last_index: int, round_: int, heartbeat: float) -> bool:
        """Whether a request should go out now."""
        if self._in_flight is not None or now < self._not_before:
            return False
        news = self.next <= last_index or self._sent_round < round_
        return news or now >= self._sent + heartbeat

    def sending(self, now: float, round_: int) -> None:
        """A request goes out that was made `now`."""
        self._in_flight = self._sent = now
        self._sent_round = round_

    def answered(self, sent: float, round_: int) -> None:
        """The request made at `sent` was answered."""
        self.heard = max(self.heard, sent)
        self.round = max(self.round, round_)
        if self._in_flight == sent:
            self._in_flight = None

    def lost(self, sent: float, pause_until: float) -> None:
        """The request made at `sent` was not answered. Nothing is sent before `pause_until`:
        a process that is gone refuses at once, and must not be asked as fast as that."""
        if self._in_flight == sent:
            self._in_flight = None
            self._not_before = pause_until

    def matched(self, index: int) -> None:
        """It has the leader's log up to `index`."""
        self.match = max(self.match, index)
        self.next = max(self.next, self.match + 1)

    def took(self, index: int) -> None:
        """It has received the leader's log up to `index`, and need not be sent it again."""
        self.next = max(self.next, index + 1)

    def back_up(self, index: int) -> None:
        """It lacks the entry before `next`: try again after `index`.

        Even what it acknowledged may be gone: entries of earlier terms, in place of which it
        has fetched others since (protocol, resync).
        """
        self.next = max(0, min(index, self.next - 2)) + 1
        self.match = min(self.match, self.next - 1)
