"""Which sendings a leader takes during one leadership. Pure.

Each sending is taken once: a second copy of it, and one that its front-end has given up, is
refused, however late it comes. That holds for the leadership only; after it, the term that a
sending is for keeps it from being taken.
"""

from twisted_bazaar.sending import MAX_SENDING_SECONDS, Sending

__all__ = ["Sendings"]

MAX_LIVES = 1000
"""So many front-ends, or starts of one, can be known at a time."""


class _Life:
    """What is known of one start of a front-end."""

    def __init__(self) -> None:
        self.newest = 0
        """The highest number that came."""
        self.expected: set[int] = set()
        """Lower numbers that did not come yet, and may."""
        self.heard = 0.0
        """When a sending came last."""


class Sendings:
    """What came in the leadership of `term`. Times are seconds on this replica's clock."""

    def __init__(self, term: int) -> None:
        self.term = term
        self._lives: dict[int, _Life] = {}

    def take(self, sending: Sending, now: float) -> bool:
        """Whether to take `sending`, which is for this term: never again after this."""
        if not sending.life:
            return True
        life = self._lives.get(sending.life)
        if life is None:
            if len(self._lives) >= MAX_LIVES and not self._forget(now):
                return False
            life = self._lives[sending.life] = _Life()
        life.heard = now
        if sending.number > life.newest:
            # What is not expected was given up: it must not be taken if it comes now.
            life.expected = {
                number
                for number in sending.expected
                if number > life.newest or number in life.expected
            }
            life.newest = sending.number
            return True
        if sending.number in life.expected:
            life.expected.remove(sending.number)
            return True
        return False

    def _forget(self, now: float) -> bool:
        """Forget those of which nothing can come any more that was made before they were heard
        last: it has expired. Whether there were any."""
        silent = [
            life
            for life, known in self._lives.items()
            if now - known.heard > 2 * MAX_SENDING_SECONDS
        ]
        for life in silent:
            del self._lives[life]
        return bool(silent)
