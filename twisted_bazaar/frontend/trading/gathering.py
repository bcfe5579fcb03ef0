"""When the next batch of trades leaves. Pure.

Clients that were answered together trade again within a moment. The next batch waits until as many
have: else it would leave at once with those that came before, and clients would settle into groups
that wait for each other's batches, each of which costs as much as a large one. Times are seconds on
the front-end's clock.
"""

__all__ = ["Gathering"]

_FIRST_SECONDS = 0.001
"""What clients take to trade again, from their answer to the first that does."""
_NEXT_SECONDS = 0.0003
"""From one trade to the next, while many come at once: about what it takes to read two."""
_MOST_SECONDS = 0.006
"""From an answer to the next batch, however many come."""


class Gathering:
    """How many trades the next batch of one front-end is to have, and until when it waits for
    them."""

    def __init__(self) -> None:
        """Nothing was answered yet, and none is expected."""
        self._expected = 1
        self._until = self._end = float("-inf")

    def answered(self, count: int, waiting: int, now: float) -> None:
        """A batch of `count` trades was answered by `now`, while `waiting` others waited.

        A client that was answered alone is not waited for.
        """
        self._expected = waiting + count if count > 1 else 1
        self._until, self._end = now + _FIRST_SECONDS, now + _MOST_SECONDS

    def came(self, now: float) -> None:
        """Another trade has come: more may."""
        if now < self._until:
            self._until = min(max(self._until, now + _NEXT_SECONDS), self._end)

    def is_complete(self, waiting: int, now: float) -> bool:
        """Whether all that are expected now are `waiting`: the next batch need not even wait for
        the end of the reactor's turn."""
        return waiting >= self._expected and now < self._until

    def seconds_left(self, waiting: int, now: float) -> float:
        """For how long the next batch waits for more than the `waiting` trades; 0: not at all."""
        return 0.0 if waiting >= self._expected else max(0.0, self._until - now)
