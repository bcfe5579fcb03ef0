"""Checks a history for invariants 4 to 10 and 14 of docs/protocol.md, in n log n time. Pure.

The orders in the `Closing` are all that were ever placed, and each prefix of them is a state of
the bazaar. Every answer determines a prefix: it includes an acknowledged order, and the volume in
a lookup is the sum over the orders of that stock. So each call has two bounds. It must include
every order that an answer to any client had shown before the call was sent (`_floor`). It cannot
include an order whose trade had not been sent when the call ended (`_ceiling`). Its own answer
must lie between the two.

Of several partitions, `partitioned` makes one history of each, which is checked by itself.

This is stricter than the protocol's promise for a single stock, as it takes all calls of the API
as one history. A trade of unknown outcome may be any order from when it was sent on, or none.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from twisted_bazaar.market import MAX_SHARES, Side

from .book import Book, Violation, described, lowest
from .conditions import Conditions, too_late
from .keys import Keys, asked
from .partitioned import parts
from .records import (
    Call,
    Change,
    Closing,
    LookupCall,
    MarketCall,
    Opening,
    Order,
    OrderCall,
    PageCall,
    Quote,
    Record,
    TradeCall,
    Verdict,
)

__all__ = ["check", "sections"]

_OF_CONDITIONS = ("price_out_of_bounds", "expired", "halted")
"""The reasons of a 409 that have nothing to do with how many shares there are."""


def sections(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The sections of a history, each from an `Opening` to before the next."""
    section: list[Record] = []
    for record in records:
        if isinstance(record, Opening) and section:
            yield section
            section = []
        section.append(record)
    if section:
        yield section


def check(section: Sequence[Record]) -> list[Violation]:
    """The violations in a section, the lowest invariant first.

    Raises ValueError unless it has one `Opening` and one `Closing`.
    """
    openings = [record for record in section if isinstance(record, Opening)]
    closings = [record for record in section if isinstance(record, Closing)]
    if len(openings) != 1 or len(closings) != 1:
        raise ValueError("a history needs one opening and one closing to be judged")
    calls = [(place, each) for place, each in enumerate(section) if isinstance(each, Call)]
    if openings[0].positions:
        wrong, split = parts(openings[0], closings[0], calls)
        found = [*wrong]
        for part in split:
            found += map(part.named, _Checker(part.opening, part.closing, part.calls).run())
    else:
        found = _Checker(openings[0], closings[0], calls).run()
    return sorted(found, key=lambda violation: (violation.invariant, violation.calls))


class _Rejection(NamedTuple):
    """A rejected trade, and the first and last position of its stock at which that may have been
    decided."""

    place: int
    call: TradeCall
    first: int
    last: int


class _Checker:
    """Checks `calls` in one pass, once the bounds have been collected in two others."""

    def __init__(
        self, opening: Opening, closing: Closing, calls: Sequence[tuple[int, Call]]
    ) -> None:
        self._calls = calls
        self._book = Book(closing.orders, opening.listed)
        if closing.market:
            self._book.check_market(closing.market)
        self._violations = self._book.violations
        trades = [(place, call) for place, call in calls if isinstance(call, TradeCall)]
        self._keys = Keys(trades, self._book, opening.known)
        self._known, self._end = opening.known, closing.at
        self._conditions = Conditions(
            opening, [call for _, call in calls if isinstance(call, Change)]
        )
        self._rejected: dict[str, list[_Rejection]] = defaultdict(list)

    def run(self) -> list[Violation]:
        self._collect_what_was_shown()
        self._collect_what_was_sent()
        self._violations += self._keys.check(self._floor)
        for place, call in self._calls:
            match call:
                case TradeCall():
                    self._check_trade(place, call)
                case LookupCall():
                    self._check_lookup(place, call)
                case MarketCall():
                    for quote in call.found:
                        self._check_quote(place, call, quote)
                case OrderCall():
                    self._check_order(place, call)
                case PageCall():
                    self._check_page(place, call)
        self._check_rejections()
        self._check_versions()
        self._check_conditions()
        return self._violations

    def _violated(self, invariant: int, what: str, *places: int) -> None:
        self._violations.append(Violation(invariant, what, places))

    # The bounds.

    def _collect_what_was_shown(self) -> None:
        shown = sorted((call.ended, self._shows(call), place) for place, call in self._calls)
        self._shown_at = [ended for ended, _, _ in shown]
        self._shown = list(accumulate((number for _, number, _ in shown), max))

    def _collect_what_was_sent(self) -> None:
        sent = self._keys.sent_by_number
        self._sent_by = list(
            accumulate(
                (sent.get(number, 0.0) for number in range(1, self._book.last_number + 1)), max
            )
        )

    def _shows(self, call: Call) -> int:
        """The highest order that the answer shows; 0: none, or one that does not exist."""
        number = self._number_in(call)
        return number if number in self._book.orders else 0

    def _number_in(self, call: Call) -> int:
        match call:
            case TradeCall():
                return call.number or 0
            case LookupCall(found=Quote() as quote):
                return self._number_shown(quote)
            case MarketCall():
                return max(map(self._number_shown, call.found), default=0)
            case OrderCall(found=Order() as order):
                return order.number
            case PageCall():
                return max((order.number for order in call.found), default=0)
            case _:
                return 0

    def _number_shown(self, quote: Quote) -> int:
        stock = self._book.stocks.get(quote.name)
        position = stock.position_of(quote) if stock else None
        return stock.number_at(position) if stock and position else 0

    def _floor(self, sent: float) -> int:
        """The highest order that any answer had shown before `sent`."""
        before = bisect_left(self._shown_at, sent)
        return self._shown[before - 1] if before else 0

    def _ceiling(self, ended: float) -> int:
        """The last order such that the trades of it and all before it had been sent at `ended`."""
        return bisect_right(self._sent_by, ended)

    # Each kind of call.

    def _check_trade(self, place: int, call: TradeCall) -> None:
        if call.verdict is Verdict.PLACED:
            order = self._book.orders.get(call.number or 0)
            if order is None:
                self._violated(7, f"order {call.number} is acknowledged and not there", place)
            elif asked(order) != asked(call):
                what = f"order {call.number} is acknowledged for {described(call)}"
                self._violated(7, f"{what} and is {described(order)}", place)
            elif None not in (call.price, order.price) and call.price != order.price:
                what = f"order {call.number} is acknowledged at {call.price}"
                self._violated(14, f"{what} and is at {order.price}", place)
        elif call.verdict is Verdict.JUDGED:
            if wrong := self._conditions.judgement_is_wrong(call):
                self._violated(10, wrong, place)
        elif call.verdict is Verdict.REJECTED and call.reason in _OF_CONDITIONS:
            if wrong := self._conditions.rejection_is_wrong(call):
                self._violated(10, wrong, place)
        elif call.verdict is Verdict.REJECTED:
            self._take_rejection(place, call)
        elif call.verdict is Verdict.REUSED and not self._keys.is_reused(call):
            self._violated(10, f"key {call.key} is not another trade's", place)
        elif call.status == 400 and call.name in self._book.stocks:
            self._violated(10, f"{call.name} is refused, and is listed", place)

    def _take_rejection(self, place: int, call: TradeCall) -> None:
        stock = self._book.stocks.get(call.name)
        if stock is None:
            return
        first, last = self._floor(call.sent), self._ceiling(call.ended)
        number = self._keys.numbers.get(call.key)
        if number is not None:
            # From its own order on, the trade would have been answered with that order.
            last = min(last, number - 1)
        # Without a position: what was shown before includes the order of this key.
        end = stock.position_at(last) if first <= last else -1
        self._rejected[call.name].append(_Rejection(place, call, stock.position_at(first), end))

    def _check_rejections(self) -> None:
        for name, rejected in self._rejected.items():
            stock = self._book.stocks[name]
            least = lowest(stock.quantities, [(each.first, each.last) for each in rejected])
            for (place, call, first, last), quantity in zip(rejected, least, strict=True):
                what = f"{described(call)} is rejected"
                if quantity is None:
                    number = self._keys.numbers.get(call.key)
                    self._violated(10, f"{what}, and its order {number} had been shown", place)
                elif not _may_be_rejected(
                    call, quantity, stock.quantities[0] + stock.volumes[last]
                ):
                    left = f"{quantity} and more were left all the time"
                    span = f"after {first} to {last} of the orders"
                    self._violated(10, f"{what}, while {left}, {span}", place)

    def _check_lookup(self, place: int, call: LookupCall) -> None:
        if call.found is not None:
            self._check_quote(place, call, call.found)
        elif call.status == 404 and call.name in self._book.stocks:
            self._violated(9, f"{call.name} is not found, and is listed", place)

    def _check_quote(self, place: int, call: Call, quote: Quote) -> None:
        stock = self._book.stocks.get(quote.name)
        position = stock.position_of(quote) if stock else None
        if stock is None or position is None:
            what = f"quantity {quote.quantity}, volume {quote.volume}"
            self._violated(6, f"{quote.name} never had {what}", place)
            return
        floor = self._floor(call.sent)
        wanted = stock.position_at(floor)
        if position < wanted:
            number = stock.number_at(wanted)
            what = f"{quote.name} is shown as before its order {number}"
            seen = f"order {floor} had been shown before the lookup was sent"
            self._violated(9, f"{what}, {wanted - position} behind; {seen}", place)
        if quote.version is not None:
            known = stock.versions.setdefault(position, quote.version)
            if known != quote.version and not self._conditions.changed(quote.name):
                what = f"{quote.name} after {position} orders has versions {known} and"
                self._violated(9, f"{what} {quote.version}", place)
        if wrong := self._conditions.quote_is_wrong(quote, call.sent, call.ended):
            self._violated(9, wrong, place)

    def _check_versions(self) -> None:
        for name, stock in self._book.stocks.items():
            if self._conditions.changed(name):
                continue
            ordered = sorted(stock.versions.items())
            for (before, lower), (after, higher) in pairwise(ordered):
                if lower >= higher:
                    what = f"{name} has version {lower} after {before} orders"
                    self._violated(9, f"{what} and version {higher} after {after}")

    def _check_order(self, place: int, call: OrderCall) -> None:
        if call.found is not None:
            self._check_shown(place, call.number, call.found)
        elif call.status == 404 and 1 <= call.number <= self._floor(call.sent):
            self._violated(7, f"order {call.number} is not found, and was shown before", place)

    def _check_page(self, place: int, call: PageCall) -> None:
        if call.status != 200:
            return
        for number, order in enumerate(call.found, call.after + 1):
            if order.number != number:
                self._violated(7, f"a page goes on with {order.number}, not {number}", place)
                return
            self._check_shown(place, number, order)
        last = call.after + len(call.found)
        floor = self._floor(call.sent)
        if call.next is None and last < floor:
            self._violated(7, f"the orders end with {last}, and {floor} was shown before", place)

    def _check_shown(self, place: int, number: int, shown: Order) -> None:
        order = self._book.orders.get(number)
        if order is None:
            self._violated(7, f"order {number} is shown and not there", place)
        elif (shown.number, asked(shown)) != (number, asked(order)):
            what = f"order {number} is shown as {shown.number}, {described(shown)}"
            self._violated(7, f"{what}, and is {described(order)}", place)
        elif None not in (shown.price, order.price) and shown.price != order.price:
            self._violated(14, f"order {number} is shown at {shown.price}, and is at {order.price}")
        elif None not in (shown.client_order_id, order.key) and shown.client_order_id != order.key:
            what = f"order {number} is shown with key {shown.client_order_id}"
            self._violated(7, f"{what}, and has {order.key}", place)

    def _check_conditions(self) -> None:
        """Check each order against what held while it may have been decided."""
        for number, order in self._book.orders.items():
            if number <= self._known or number > len(self._sent_by):
                continue
            shown = bisect_left(self._shown, number)
            last = self._shown_at[shown] if shown < len(self._shown_at) else self._end
            wrong = self._conditions.order_is_wrong(order, self._sent_by[number - 1], last)
            if wrong := wrong or too_late(order, self._keys.calls_of(number)):
                self._violated(14, f"order {number}, {described(order)}: {wrong}")


def _may_be_rejected(call: TradeCall, least: int, most: int) -> bool:
    """Whether a trade may be rejected while `least` to `most` shares are left."""
    if call.type is Side.BUY and least < call.quantity:
        return True
    # A stock cannot hold more.
    return call.type is Side.SELL and most + call.quantity > MAX_SHARES
