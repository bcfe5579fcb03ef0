"""Lookups on their way: to the cache, to whoever knows the market data, and back. Pure.

What comes up together goes together: one command to the cache, one call to a catalog. Whether
a quote may be shown is decided after it was read, for each lookup that it would answer (see
`floors`). A lookup that joined a call which was sent before it came is such a case, too: the
call may have been answered before a trade that the lookup must see.
"""

from collections.abc import Mapping, Sequence

import msgspec

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.cache.quotes import Found, Quote, Source

__all__ = ["Call", "Lookups", "Read"]

MAX_NAMES = 256
"""Stocks that one command or call asks for at most."""


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    name: str
    ticket: object


class Read(msgspec.Struct, frozen=True, eq=False):
    """Ask the cache for these."""

    history: str
    waiting: Sequence[_Waiting]

    @property
    def names(self) -> Sequence[str]:
        return list({each.name for each in self.waiting})


class Call(msgspec.Struct, frozen=True, eq=False):
    """Ask a catalog, or the leader, for these."""

    history: str
    waiting: Mapping[str, list[_Waiting]]
    """They came before the call was sent: whatever it answers is true for them."""
    joined: Mapping[str, list[_Waiting]]

    @property
    def names(self) -> Sequence[str]:
        return list(self.waiting)


class Lookups:
    """All lookups of one front-end that are not answered. Times are on its own clock."""

    def __init__(self, floors: Floors | None, capacity: int = 10_000, in_flight: int = 2) -> None:
        """Without `floors` there is no cache. `capacity` bounds the lookups, `in_flight` the
        calls that are under way at a time."""
        self._floors = floors
        self._capacity = capacity
        self._max_in_flight = in_flight
        self._open = 0
        self._to_read: list[_Waiting] = []
        self._to_call: list[_Waiting] = []
        self._in_flight: list[Call] = []
        self._answered: list[tuple[object, Found | BazaarError]] = []

    def ask(self, name: str, ticket: object, now: float) -> None:
        """A client looks up the stock `name`. Raises `Unavailable` if too many do."""
        if self._open >= self._capacity:
            raise Unavailable("too many lookups are waiting")
        self._open += 1
        waiting = _Waiting(name, ticket)
        if self._floors is not None and self._floors.alive(now):
            self._to_read.append(waiting)
        else:
            self._to_call.append(waiting)

    # The cache.

    def take_read(self) -> Read | None:
        """What to ask the cache for now; say `read` afterwards, whatever it had."""
        if not self._to_read or self._floors is None:
            return None
        waiting, self._to_read = self._to_read[:MAX_NAMES], self._to_read[MAX_NAMES:]
        return Read(self._floors.history, waiting)

    def read(self, read: Read, quotes: Mapping[str, Quote], now: float) -> None:
        """The cache had these."""
        for waiting in read.waiting:
            quote = quotes.get(waiting.name)
            if quote is not None and self._may_show(waiting.name, quote, read.history, now):
                self._answer(waiting, Found(quote, Source.HIT, read.history))
            else:
                self._miss(waiting, now)

    def _miss(self, waiting: _Waiting, now: float) -> None:
        if self._floors is not None and self._floors.alive(now):
            for call in self._in_flight:
                if waiting.name in call.joined:
                    call.joined[waiting.name].append(waiting)
                    return
        self._to_call.append(waiting)

    def _may_show(self, name: str, quote: Quote, history: str, now: float) -> bool:
        floors = self._floors
        if floors is None or history != floors.history:
            return False
        return floors.allow(name, quote.version, now)

    # Those who know.

    def take_call(self) -> Call | None:
        """Whom to ask for now; say `answered` or `failed` afterwards."""
        if not self._to_call or len(self._in_flight) >= self._max_in_flight:
            return None
        by_name: dict[str, list[_Waiting]] = {}
        left: list[_Waiting] = []
        for waiting in self._to_call:
            if waiting.name in by_name or len(by_name) < MAX_NAMES:
                by_name.setdefault(waiting.name, []).append(waiting)
            else:
                left.append(waiting)
        self._to_call = left
        history = self._floors.history if self._floors is not None else ""
        call = Call(history, by_name, {name: [] for name in by_name})
        self._in_flight.append(call)
        return call

    def answered(
        self, call: Call, quotes: Mapping[str, Quote], now: float, history: str = ""
    ) -> Mapping[str, Quote]:
        """These are there of what `call` asked for; the rest is not. Returns what the cache is
        to keep. `history` is the order log that whoever answered spoke of, if that was said:
        nothing is kept under the name of another one."""
        self._in_flight.remove(call)
        to_keep = {}
        of_this_log = history in ("", call.history)
        source = Source.OFF if self._floors is None else Source.MISS
        for name, waiting in call.waiting.items():
            quote = quotes.get(name)
            for each in waiting:
                self._answer(each, Found(quote, source, history))
            if quote and of_this_log and self._may_show(name, quote, call.history, now):
                to_keep[name] = quote
                for each in call.joined[name]:
                    self._answer(each, Found(quote, source, history))
            else:
                self._to_call += call.joined[name]
        return to_keep

    def failed(self, call: Call, error: BazaarError) -> None:
        """Nobody answered `call`."""
        self._in_flight.remove(call)
        for waiting in (*call.waiting.values(), *call.joined.values()):
            for each in waiting:
                self._answer(each, error)

    # What comes out.

    def take_answered(self) -> Sequence[tuple[object, Found | BazaarError]]:
        """What was answered since the last call, by ticket."""
        answered, self._answered = self._answered, []
        return answered

    def _answer(self, waiting: _Waiting, answer: Found | BazaarError) -> None:
        self._open -= 1
        self._answered.append((waiting.ticket, answer))
