"""A cache of quotes in this process."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, succeed

from .quotes import Quote

__all__ = ["MemoryCache"]


class MemoryCache:
    """A `QuoteCache` of up to `capacity` quotes, which drops the least recently used."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._quotes: OrderedDict[tuple[str, str], Quote] = OrderedDict()

    def get(self, history: str, names: Sequence[str]) -> Deferred[Mapping[str, Quote]]:
        found: dict[str, Quote] = {}
        for name in names:
            key = history, name
            if key in self._quotes:
                self._quotes.move_to_end(key)
                found[name] = self._quotes[key]
        return succeed(found)

    def put(self, history: str, quotes: Mapping[str, Quote]) -> None:
        for name, quote in quotes.items():
            key = history, name
            known = self._quotes.get(key)
            if known is None or known.version < quote.version:
                self._quotes[key] = quote
            self._quotes.move_to_end(key)
        while len(self._quotes) > self._capacity:
            self._quotes.popitem(last=False)

    def drop(self, history: str, names: Collection[str]) -> None:
        for name in names:
            self._quotes.pop((history, name), None)
