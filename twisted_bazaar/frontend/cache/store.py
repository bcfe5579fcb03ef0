"""What a cache of quotes offers, whether it is in this process (`memory`) or in Redis (`redis`)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from .quotes import Quote

__all__ = ["QuoteCache"]


class QuoteCache(Protocol):
    """A store of quotes by order log (`history`) and stock.

    It may lose anything and return old versions: `Floors` decides, after a quote was read, whether
    it may be shown. It never returns the quote of another stock or order log.
    """

    def get(self, history: str, names: Sequence[str], /) -> Deferred[Mapping[str, Quote]]:
        """The quotes that are there, by stock. Never fails: a fault counts as a miss."""

    def put(self, history: str, quotes: Mapping[str, Quote], /) -> None:
        """Keep each of these where no newer version is kept."""

    def drop(self, history: str, names: Collection[str], /) -> None:
        """Forget these if possible. Safety does not depend on it."""
