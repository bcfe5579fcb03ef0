"""What a leader knows of each peer and learner, and what a majority has reached. Pure."""

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["Progress", "majority", "reached_by_majority"]

Ordered = TypeVar("Ordered", int, float)


def majority(members: int) -> int:
    """The smallest number that is more than half of `members`."""
    return members // 2 + 1


def reached_by_majority(values: Iterable[Ordered]) -> Ordered:
    """The highest value that a majority has reached; `values` has one for each voter."""
    ordered = sorted(values)
    # From here to the end there is a majority, and one less is not.
    return ordered[(len(ordered) - 1) // 2]


class Progress:
    """How far one peer or learner is, and the request that is in flight to it.

    One request at most is in flight, so that each carries all that came up while the one before
    was: batches grow with the load, and no timer is needed. Invariant, of a peer: match < next.
    """

    def __init__(self, last_index: int, now: float) -> None:
        self.match = 0
        """Its disk holds the leader's log up to here (`matchIndex` in Raft figure 2); of a
        learner: it has cleared entries up to here."""
        self.next = last_index + 1
        """The entry to send next (`nextIndex`)."""
        self.round = 0
        """The last round of heartbeats that it answered."""
        self.heard_at = now
        """When the last request that it answered was sent. The start of the leadership counts,
        so that no peer is given up before it had time to answer."""
        self._in_flight_since: float | None = None
        self._sent_at = float("-inf")
        self._sent_round = 0
        self._not_before = float("-inf")
        self.news_since: float | None = None
        """Since when there is something new to tell that waits; None: nothing does."""

    def due(
        self,
        now: float,
        last_index: int,
        round_: int,
        heartbeat: float,
        untold: bool = False,
        lag: float = 0.0,
    ) -> bool:
        """Whether a request is to be sent now: with what is new, or as a heartbeat. `untold`:
        there is more to tell than entries up to `last_index`. News can wait for `lag` seconds."""
        if self._in_flight_since is not None or now < self._not_before:
            return False
        news = self.next <= last_index or self._sent_round < round_ or untold
        if news and lag > 0:
            if self.news_since is None:
                self.news_since = now
            news = now >= self.news_since + lag
        return news or now >= self._sent_at + heartbeat

    @property
    def acknowledged(self) -> int:
        """The last entry that it has, as far as is known. Before it has acknowledged any: the one
        after which it is sent more."""
        return self.match or self.next - 1

    def answers(self, now: float, within: float) -> bool:
        """Whether it answers, as far as is known: it has no request for longer than `within`
        seconds, and answered the one before."""
        in_flight = self._in_flight_since
        return now >= self._not_before and (in_flight is None or now <= in_flight + within)

    @property
    def in_flight(self) -> bool:
        """Whether a request to it is in flight."""
        return self._in_flight_since is not None

    def sending(self, now: float, round_: int) -> None:
        """A request is sent `now`."""
        self._in_flight_since = self._sent_at = now
        self._sent_round = round_
        self.news_since = None

    def answered(self, sent: float, round_: int) -> None:
        """The request sent at `sent` was answered."""
        self.heard_at = max(self.heard_at, sent)
        self.round = max(self.round, round_)
        if self._in_flight_since == sent:
            self._in_flight_since = None

    def lost(self, sent: float, pause_until: float) -> None:
        """The request sent at `sent` was not answered. Nothing is sent before `pause_until`, as
        a process that is down refuses at once, and must not be asked in a loop."""
        if self._in_flight_since == sent:
            self._in_flight_since = None
            self._not_before = pause_until

    def matched(self, index: int) -> None:
        """It has the leader's log up to `index`."""
        self.match = max(self.match, index)
        self.next = max(self.next, self.match + 1)

    def took(self, index: int) -> None:
        """It has received the leader's log up to `index`: do not send that again."""
        self.next = max(self.next, index + 1)

    def back_up(self, index: int) -> None:
        """It lacks the entry before `next`: try again after `index`.

        Even entries that it acknowledged may be gone: those of earlier terms, which it has
        replaced since by others that it fetched.
        """
        self.next = max(0, min(index, self.next - 2)) + 1
        self.match = min(self.match, self.next - 1)
