"""Batches lookups: one cache read and one catalog call per reactor turn, and decides whether a
cached quote may be shown. Pure.

Whether a quote may be shown is decided after it was read, for each lookup that it would answer (see
`Floors`). The same holds for a lookup that joined a call under way: the call may have been
answered before a trade that the lookup must see.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote, Source

__all__ = ["CacheRead", "LookupQueue", "UpstreamCall"]

MAX_NAMES = 256
"""Stocks that one cache read or catalog call asks for at most."""

T = TypeVar("T")
"""A ticket: what the caller knows a lookup by."""


class _Waiting(msgspec.Struct, Generic[T], frozen=True, eq=False):
    name: str
    ticket: T


class CacheRead(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """Stocks to read from the cache."""

    history: str
    waiting: Sequence[_Waiting[T]]

    @property
    def names(self) -> Sequence[str]:
        """Each stock once, in any order."""
        return list({each.name for each in self.waiting})


class UpstreamCall(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """Stocks to ask a catalog, or the leader, for."""

    history: str
    waiting: Mapping[str, list[_Waiting[T]]]
    """By stock, the lookups that came before the call was sent: any answer is true for them."""
    joined: Mapping[str, list[_Waiting[T]]]
    """By stock, the lookups that came since."""
    again: bool = False
    """Whether a catalog held these stocks when they were asked for before."""

    @property
    def names(self) -> Sequence[str]:
        """Each stock once."""
        return list(self.waiting)


class LookupQueue(Generic[T]):
    """The unanswered lookups of one front-end; `LookupService` does what it decides. Times are
    seconds on the front-end's clock."""

    def __init__(self, floors: Floors | None, capacity: int = 10_000, in_flight: int = 2) -> None:
        """`floors` is None where there is no cache. `capacity` bounds the lookups, `in_flight` the
        calls under way."""
        self._floors = floors
        self._capacity = capacity
        self._max_in_flight = in_flight
        self._open = 0
        self._to_read: list[_Waiting[T]] = []
        self._to_call: list[_Waiting[T]] = []
        self._held: list[_Waiting[T]] = []
        """Those to ask for again, apart from others, which need not wait for them."""
        self._in_flight: list[UpstreamCall[T]] = []
        self._answered: list[tuple[T, LookupResult | BazaarError]] = []

    def add(self, name: str, ticket: T, now: float) -> None:
        """Take in the lookup of the stock `name`. Raises `Unavailable` at capacity."""
        if self._open >= self._capacity:
            raise Unavailable("too many lookups are waiting")
        self._open += 1
        waiting = _Waiting(name, ticket)
        if self._floors is not None and self._floors.alive(now):
            self._to_read.append(waiting)
        else:
            self._to_call.append(waiting)

    # The cache.

    def take_read(self) -> CacheRead[T] | None:
        """What to read from the cache now. Each read must be followed by `read_done`."""
        if not self._to_read or self._floors is None:
            return None
        waiting, self._to_read = self._to_read[:MAX_NAMES], self._to_read[MAX_NAMES:]
        return CacheRead(self._floors.history, waiting)

    def read_done(self, read: CacheRead[T], quotes: Mapping[str, Quote], now: float) -> None:
        """The cache returned `quotes`. A quote that may not be shown counts as a miss."""
        for waiting in read.waiting:
            quote = quotes.get(waiting.name)
            if quote is not None and self._may_show(waiting.name, quote, read.history, now):
                self._answer(waiting, LookupResult(quote, Source.HIT, read.history))
            else:
                self._miss(waiting, now)

    def _miss(self, waiting: _Waiting[T], now: float) -> None:
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

    # Catalogs and the leader.

    def take_call(self) -> UpstreamCall[T] | None:
        """What to ask for now. Each call must be followed by `answered` or `failed`."""
        again = sum(call.again for call in self._in_flight)
        if self._held and not again:
            by_name, self._held = _by_name(self._held)
            return self._begin_call(by_name, again=True)
        if self._to_call and len(self._in_flight) - again < self._max_in_flight:
            by_name, self._to_call = _by_name(self._to_call)
            return self._begin_call(by_name, again=False)
        return None

    def _begin_call(self, by_name: Mapping[str, list[_Waiting[T]]], again: bool) -> UpstreamCall[T]:
        history = self._floors.history if self._floors is not None else ""
        call = UpstreamCall(history, by_name, {name: [] for name in by_name}, again)
        self._in_flight.append(call)
        return call

    def answered(
        self,
        call: UpstreamCall[T],
        quotes: Mapping[str, Quote],
        now: float,
        history: str = "",
        held: Collection[str] = (),
    ) -> Mapping[str, Quote]:
        """`quotes` are the stocks of `call` that exist, but for those `held`, which are asked for
        again. Returns those that the cache is to keep: none, if the answer names another order log
        (`history`) than the call."""
        self._in_flight.remove(call)
        to_keep = {}
        of_this_log = history in ("", call.history)
        source = Source.OFF if self._floors is None else Source.MISS
        for name, waiting in call.waiting.items():
            if name in held:
                self._held += [*waiting, *call.joined[name]]
                continue
            quote = quotes.get(name)
            for each in waiting:
                self._answer(each, LookupResult(quote, source, history))
            if quote and of_this_log and self._may_show(name, quote, call.history, now):
                to_keep[name] = quote
                for each in call.joined[name]:
                    self._answer(each, LookupResult(quote, source, history))
            else:
                self._to_call += call.joined[name]
        return to_keep

    def failed(self, call: UpstreamCall[T], error: BazaarError) -> None:
        """Neither a catalog nor the leader answered `call`."""
        self._in_flight.remove(call)
        for waiting in (*call.waiting.values(), *call.joined.values()):
            for each in waiting:
                self._answer(each, error)

    # Answers.

    def take_answered(self) -> Sequence[tuple[T, LookupResult | BazaarError]]:
        """The lookups answered since the last call, with their tickets."""
        answered, self._answered = self._answered, []
        return answered

    def _answer(self, waiting: _Waiting[T], answer: LookupResult | BazaarError) -> None:
        self._open -= 1
        self._answered.append((waiting.ticket, answer))


def _by_name(
    lookups: Sequence[_Waiting[T]],
) -> tuple[Mapping[str, list[_Waiting[T]]], list[_Waiting[T]]]:
    """The lookups of the first `MAX_NAMES` stocks, by stock, and those of the others."""
    by_name: dict[str, list[_Waiting[T]]] = {}
    left: list[_Waiting[T]] = []
    for waiting in lookups:
        if waiting.name in by_name or len(by_name) < MAX_NAMES:
            by_name.setdefault(waiting.name, []).append(waiting)
        else:
            left.append(waiting)
    return by_name, left
