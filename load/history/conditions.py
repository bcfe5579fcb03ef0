"""Checks the prices of a history, and the conditions of its trades: invariant 14, and what a
rejection for a limit, a time or a halt says (invariant 10). Pure.

A change of the market took effect between when it was sent and when it ended, or never, if its
outcome is unknown. So each price of a stock, and each halt, has a span: the time within which it
may have held.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from math import inf
from typing import NamedTuple, TypeVar

from twisted_bazaar.market import Side

from .book import described
from .records import Change, Opening, Order, Quote, TradeCall

__all__ = ["Conditions", "cents", "milliseconds", "too_late"]

T = TypeVar("T")

_SLACK_MILLISECONDS = 1000
"""How far wall clocks on one machine may be set while a history is written."""


def cents(amount: float) -> int:
    """An amount as an answer shows it, in cents."""
    return round(amount * 100)


def milliseconds(time: str) -> int:
    """The time of an order, since 1970."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


class _Span(NamedTuple):
    first: float
    """It held from then on at the earliest."""
    last: float
    """It held up to then at the latest."""

    def meets(self, first: float, last: float) -> bool:
        return self.first <= last and first <= self.last


def _is_within(call: TradeCall | Order, price: int) -> bool:
    """Whether the limit of `call` allows for `price`."""
    if call.limit_price is None:
        return True
    limit = cents(call.limit_price)
    return price <= limit if call.type is Side.BUY else price >= limit


class Conditions:
    """What held when, as far as a history says."""

    def __init__(self, opening: Opening, changes: Iterable[Change]) -> None:
        self._opening = opening
        self._prices: dict[str, list[tuple[int, _Span]]] = defaultdict(list)
        self._halted: dict[str, list[tuple[bool, _Span]]] = defaultdict(list)
        by_name: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_name[change.name].append(change)
        self._changed = set(by_name)
        for name in opening.listed:
            mine = by_name.get(name, [])
            if name in opening.prices:
                priced = [each for each in mine if each.price is not None]
                start = cents(opening.prices[name])
                values = [cents(each.price) for each in priced if each.price is not None]
                self._prices[name] = list(_spans(start, priced, values))
            switched = [each for each in mine if each.halted is not None]
            flags = [bool(each.halted) for each in switched]
            self._halted[name] = list(_spans(name in opening.halted, switched, flags))

    def changed(self, name: str) -> bool:
        """Whether an operator changed the stock: it then has versions without an order."""
        return name in self._changed

    def had_price(self, name: str, price: float, first: float, last: float) -> bool:
        """Whether the stock may have had `price` between `first` and `last`."""
        spans = self._prices.get(name)
        wanted = cents(price)
        return not spans or any(at == wanted and span.meets(first, last) for at, span in spans)

    def was(self, halted: bool, name: str, first: float, last: float) -> bool:
        """Whether the stock may have been `halted`, or not, between `first` and `last`."""
        spans = self._halted.get(name, ())
        return any(each is halted and span.meets(first, last) for each, span in spans)

    def order_is_wrong(self, order: Order, first: float, last: float) -> str | None:
        """What is wrong with an order that was decided between `first` and `last`; None:
        nothing."""
        if order.price is not None:
            if not self.had_price(order.name, order.price, first, last):
                return f"{order.name} did not cost {order.price:.2f} then"
            if not _is_within(order, cents(order.price)):
                return f"it is at {order.price:.2f}, beyond its limit {order.limit_price}"
        if order.name in self._halted and not self.was(False, order.name, first, last):
            return f"{order.name} was halted all the time"
        return None

    def quote_is_wrong(self, quote: Quote, first: float, last: float) -> str | None:
        """What is wrong with the answer to a lookup from `first` to `last`; None: nothing."""
        if not self.had_price(quote.name, quote.price, first, last):
            return f"{quote.name} is shown at {quote.price:.2f}, which it did not cost then"
        if quote.halted is not None and not self.was(quote.halted, quote.name, first, last):
            return f"{quote.name} is shown as halted: {quote.halted}, which it was not then"
        return None

    def rejection_is_wrong(self, call: TradeCall) -> str | None:
        """Why `call` cannot have been rejected for the reason that it was, if that is a limit, a
        time or a halt; None: it can, or it is another reason."""
        what = f"{described(call)} is rejected as {call.reason}"
        span = (call.sent, call.ended)
        match call.reason:
            case "price_out_of_bounds":
                spans = self._prices.get(call.name, ())
                within = (_is_within(call, price) for price, each in spans if each.meets(*span))
                return f"{what}, and is within its limit" if spans and all(within) else None
            case "expired":
                return None if self._may_be_late(call) else f"{what}, and came in time"
            case "halted" if not self.was(True, call.name, *span):
                return f"{what}, and was not"
        return None

    def judgement_is_wrong(self, call: TradeCall) -> str | None:
        """What is wrong with the answer to a trade that was to be validated; None: nothing."""
        if call.price is None or not call.validate:
            return f"{described(call)} was not to be validated"
        if not self.had_price(call.name, call.price, call.sent, call.ended):
            return f"{call.name} did not cost {call.price:.2f} then"
        if not _is_within(call, cents(call.price)):
            return f"{described(call)} is judged beyond its limit {call.limit_price}"
        return None

    def _may_be_late(self, call: TradeCall) -> bool:
        if call.valid_until is None:
            return False
        ended = self._opening.wall + (call.ended - self._opening.at) * 1000
        return not self._opening.wall or ended + _SLACK_MILLISECONDS > call.valid_until


def too_late(order: Order, calls: Iterable[TradeCall]) -> str | None:
    """Why none of `calls`, which have the key of `order`, can have asked for it at its time;
    None: one can."""
    if not order.time:
        return None
    times = [inf if call.valid_until is None else call.valid_until for call in calls]
    late = milliseconds(order.time) - max(times, default=inf)
    return f"it was executed {late:.0f} ms after it had expired" if late > 0 else None


def _spans(start: T, changes: Sequence[Change], values: Sequence[T]) -> Iterator[tuple[T, _Span]]:
    """Each value with its span: `start`, and then that of each of the changes."""
    done = [(each.sent, each.ended) for each in changes if each.status == 200]
    yield start, _Span(-inf, min((ended for _, ended in done), default=inf))
    for change, value in zip(changes, values, strict=True):
        if change.status not in (200, 0, 202, 503):
            continue  # It was refused.
        over = (ended for sent, ended in done if sent > change.ended)
        yield value, _Span(change.sent, min(over, default=inf))
