"""Entries of which the first have left the log."""

from collections.abc import Callable, Sequence
from typing import overload

from twisted_bazaar.consensus.entries import Entry

__all__ = ["EarlierEntries"]


class EarlierEntries(Sequence[Entry]):
    """Entries that are read when first used, on the thread that uses them: the first of them from
    the archive, the others from the log."""

    def __init__(
        self,
        archived: Callable[[int, int], Sequence[Entry]],
        after: int,
        upto: int,
        here: Sequence[Entry],
    ) -> None:
        """`archived` returns the entries `after` < index <= `upto`; `here` are those that
        follow."""
        self._archived = archived
        self._after = after
        self._upto = upto
        self._here = here
        self._loaded: list[Entry] | None = None

    def _load(self) -> list[Entry]:
        if self._loaded is None:
            self._loaded = [*self._archived(self._after, self._upto), *self._here]
        return self._loaded

    def __len__(self) -> int:
        return self._upto - self._after + len(self._here)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        return self._load()[at]
