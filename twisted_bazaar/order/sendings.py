"""Which sendings a leader takes during one leadership. Pure.

A leader takes each sending once. It refuses a second copy, and a sending that its front-end has
given up, however late it comes. After the leadership, the term that a sending names keeps it
from being taken.
"""

from twisted_bazaar.sending import MAX_SENDING_SECONDS, Sending

__all__ = ["Sendings"]

MAX_LIVES = 1000
"""Lives of front-ends that are remembered at most."""


class _Life:
    """The sendings of one life of a front-end."""

    def __init__(self) -> None:
        self.newest = 0
        """The highest number that came."""
        self.expected: set[int] = set()
        """Lower numbers that have not come, and may."""
        self.heard_at = 0.0
        """When a sending came last."""


class Sendings:
    """The sendings that came in the leadership of `term`. Times are seconds on the leader's
    clock."""

    def __init__(self, term: int) -> None:
        self.term = term
        self._lives: dict[int, _Life] = {}

    def take(self, sending: Sending, now: float) -> bool:
        """Whether to take `sending`, which is for this term. It is not taken again."""
        if not sending.life:
            return True
        life = self._lives.get(sending.life)
        if life is None:
            if len(self._lives) >= MAX_LIVES and not self._forget(now):
                return False
            life = self._lives[sending.life] = _Life()
        life.heard_at = now
        if sending.number > life.newest:
            # The front-end has given up those that it does not expect: never take them.
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
        """Forget the lives that have been silent for so long that all that they sent before has
        expired. Returns whether there were any."""
        silent = [
            life
            for life, known in self._lives.items()
            if now - known.heard_at > 2 * MAX_SENDING_SECONDS
        ]
        for life in silent:
            del self._lives[life]
        return bool(silent)
