"""Which stocks clients have looked up lately. Pure."""

__all__ = ["RECENT_SECONDS", "Recent"]

RECENT_SECONDS = 10.0
_MOST = 4096
"""Names in each half: clients may ask for any name."""


class Recent:
    """Names that were added within `RECENT_SECONDS` at least, and twice as long at most. `now` is
    seconds on a clock that never goes back."""

    def __init__(self) -> None:
        self._new: set[str] = set()
        self._old: set[str] = set()
        self._since = float("-inf")

    def add(self, name: str) -> None:
        """`name` is looked up. Each lookup passes here."""
        if len(self._new) < _MOST:
            self._new.add(name)

    def has(self, name: str, now: float) -> bool:
        """Whether `name` was looked up lately."""
        if now - self._since >= RECENT_SECONDS:
            self._old, self._new, self._since = self._new, set(), now
        return name in self._new or name in self._old
