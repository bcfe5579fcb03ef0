"""Bounds how often the log has a line that others can cause at will. Pure."""

__all__ = ["LOG_SECONDS", "Seldom"]

LOG_SECONDS = 10.0
"""At most one such line in so many seconds."""


class Seldom:
    """Decides for one line. The clock is the caller's, and never goes back."""

    __slots__ = ("_again_at", "_held_back")

    def __init__(self) -> None:
        self._again_at = float("-inf")
        self._held_back = 0

    def held_back(self, now: float) -> int | None:
        """The line is to be logged now, after so many that were not; None: it is not, either."""
        if now < self._again_at:
            self._held_back += 1
            return None
        more, self._held_back = self._held_back, 0
        self._again_at = now + LOG_SECONDS
        return more
