"""For how long a follower has lacked an entry: when the leader proposed which. Pure."""

from bisect import bisect_right

__all__ = ["MAX_MOMENTS", "ProposalTimes"]

MAX_MOMENTS = 1024
"""How many are remembered at most."""
_LEAST_SECONDS = 0.01
"""Between two moments that are remembered."""


class ProposalTimes:
    """When a leader proposed its entries, to about a hundredth of a second; where there is much to
    remember, earlier than it did."""

    def __init__(self, last_index: int, now: float) -> None:
        """The leadership begins `now`, with entries up to `last_index`: to the leader, followers
        lack these since now."""
        self._last = last_index
        self._firsts = [0]
        self._moments = [now]
        """Ascending. All entries from `_firsts[i]` on were proposed at `_moments[i]` or later."""

    def reached(self, last_index: int, now: float) -> None:
        """The log ends at `last_index` by `now`."""
        if last_index == self._last:
            return
        if now >= self._moments[-1] + _LEAST_SECONDS:
            self._firsts.append(self._last + 1)
            self._moments.append(now)
            if len(self._firsts) > MAX_MOMENTS:
                # The first one stays: a follower that is down waits since then.
                del self._firsts[1::2], self._moments[1::2]
        self._last = last_index

    def forget(self, index: int) -> None:
        """All followers have the entries up to `index`."""
        known = self._place(index + 1)
        del self._firsts[:known], self._moments[:known]

    def proposed_at(self, index: int) -> float:
        """When entry `index` was proposed, which some follower lacks."""
        return self._moments[self._place(index)]

    def _place(self, index: int) -> int:
        return max(0, bisect_right(self._firsts, index) - 1)
