"""The leader of a partition as another member sees it, by the partition's tails, and when it may be
replaced. Pure.

A leader writes a new beat each quarter of a tenure, and relies for a tenure on each write that
succeeded, from when it sent it, on its own clock. Another member saw the beat later than that. If
it still finds the same one a whole tenure later, on its own clock, the leader relies on nothing:
then it may claim the partition. The claim compares the beat once more. Options may differ from
member to member: what counts is the leader's tenure, which its claim has written, where that is
longer.
"""

from .shared_log import HANDED_OVER, Tail

__all__ = ["Incumbent"]


class Incumbent:
    """What the tails of one partition said last. Times are seconds on this member's clock."""

    def __init__(self, tenure: float) -> None:
        self._tenure = tenure
        self.tail: Tail | None = None
        """The last that was seen. It may be older than one before."""
        self.heard_at = float("-inf")
        """When that was received."""
        self._same_since = float("-inf")

    def saw(self, tail: Tail, now: float) -> None:
        """`tail` was received `now`."""
        if self.tail is None or _write_of(tail) != _write_of(self.tail):
            self._same_since = now
        self.tail, self.heard_at = tail, now

    def wait(self, now: float) -> float:
        """Seconds until the leader may be replaced, if it writes nothing."""
        if self.tail is None:
            return self._tenure
        if not self.tail.term or self.tail.beat == HANDED_OVER:
            return 0.0
        tenure = max(self._tenure, self.tail.tenure)
        return max(0.0, self._same_since + tenure - now)

    def leader(self, now: float) -> int:
        """The member that seems to lead; 0: none does."""
        return self.tail.leader if self.tail is not None and self.wait(now) > 0 else 0


def _write_of(tail: Tail) -> tuple[int, int, str]:
    """Names the last write to the tail, and no other. Term and beat do not: of two claims of one
    term, one may have been visible, and then lost with the server that showed it."""
    return tail.term, tail.beat, tail.digest
