"""Whether files may be used on the reactor's thread, which must not stand still. Pure.

To go to a thread and back takes longer than most reads of a file that is in memory. So they are
done at once while the last ones were quick, and on a thread otherwise.
"""

__all__ = ["Promptness"]

_FEWEST_NEEDED, _MOST_NEEDED = 16, 256
"""How many in a row have to be quick."""
_FORGIVEN_AFTER = 1000
"""After so many quick ones in a row, half as many are needed after the next slow one."""


class Promptness:
    """How long one kind of access took of late. It begins as if it had been slow."""

    def __init__(self, bound: float) -> None:
        """An access that takes less than `bound` seconds is quick."""
        self._bound = bound
        self._quick = 0
        self._needed = _FEWEST_NEEDED

    @property
    def prompt(self) -> bool:
        """Whether the next access will most likely be quick."""
        return self._quick >= self._needed

    def took(self, seconds: float) -> None:
        """An access took so many seconds.

        After each slow one that was taken for prompt, twice as many have to be quick: what is
        slow now and then keeps the reactor waiting ever more rarely.
        """
        if seconds < self._bound:
            self._quick += 1
            if self._quick % _FORGIVEN_AFTER == 0:
                self._needed = max(_FEWEST_NEEDED, self._needed // 2)
            return
        if self.prompt:
            self._needed = min(2 * self._needed, _MOST_NEEDED)
        self._quick = 0
