"""The idempotency keys of a history, and the order of each. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

from twisted_bazaar.market import Side

from .book import Book, Violation
from .records import Order, TradeCall, Verdict

__all__ = ["Keys", "asked", "content"]

Content = tuple[str, Side, int]


class Keys:
    """All keys that trades of a history used, with their orders."""

    def __init__(self, trades: Sequence[tuple[int, TradeCall]], book: Book, known: int = 0) -> None:
        """`trades` have their index in the history; orders up to `known` were placed before it."""
        self._book = book
        self._known = known
        self._calls: dict[str, list[tuple[int, TradeCall]]] = defaultdict(list)
        for place, call in trades:
            self._calls[call.key].append((place, call))
        self.numbers = {
            key: number for key, number in book.keys.items() if number > known or key in self._calls
        }
        """The order of each key, as far as it is known."""
        self._owners = {number: key for key, number in self.numbers.items()}
        self._violations: list[Violation] = []
        for key, calls in self._calls.items():
            for place, call in calls:
                if call.number is not None:
                    self._acknowledged(key, call.number, place)
        self.sent_by_number = {
            number: self._first_sent(key)
            for number, key in self._owners.items()
            if number > known and key in self._calls
        }
        """When the trade of each order was first sent, as far as that is known."""

    def _acknowledged(self, key: str, number: int, place: int) -> None:
        first = self.numbers.setdefault(key, number)
        if first != number:
            what = f"key {key} has order {first} and is answered with order {number}"
            self._violated(5, what, place)
        owner = self._owners.setdefault(number, key)
        if owner != key:
            self._violated(4, f"order {number} is the answer to the keys {owner} and {key}", place)

    def _first_sent(self, key: str) -> float:
        return min(call.sent for _, call in self._calls[key])

    def calls_of(self, number: int) -> Sequence[TradeCall]:
        """The calls with the key of an order, as far as it is known."""
        return [call for _, call in self._calls.get(self._owners.get(number, ""), ())]

    def is_reused(self, call: TradeCall) -> bool:
        """Whether the key of `call` may have belonged to another trade when it ended."""
        number = self.numbers.get(call.key)
        if number is not None and number in self._book.orders:
            order = self._book.orders[number]
            earlier = self.sent_by_number.get(number, 0.0) <= call.ended
            return earlier and asked(order) != asked(call)
        return any(
            asked(other) != asked(call)
            and other.verdict is Verdict.UNKNOWN
            and other.sent <= call.ended
            for _, other in self._calls[call.key]
        )

    def check(self, floor: Callable[[float], int]) -> list[Violation]:
        """The violations. `floor` is the highest order that any answer had shown before a time."""
        for number, sent in sorted(self.sent_by_number.items()):
            if number <= (shown := floor(sent)):
                key = self._owners[number]
                places = [place for place, call in self._calls[key] if call.sent == sent]
                what = f"order {number} was first sent after order {shown} had been shown"
                self._violated(8, what, *places)
        self._check_not_executed()
        self._check_origins(floor)
        return self._violations

    def _check_not_executed(self) -> None:
        """Check that no trade that was not executed has an order."""
        may_be = {Verdict.PLACED, Verdict.UNKNOWN}
        for key, calls in self._calls.items():
            number = self.numbers.get(key)
            if number is None or number <= self._known:
                continue
            if not any(call.verdict in may_be and not call.validate for _, call in calls):
                what = f"key {key} was not executed, and has order {number}"
                self._violated(7, what, *(place for place, _ in calls))

    def _check_origins(self, floor: Callable[[float], int]) -> None:
        """Check that every order has a trade: one with its key, or one of unknown outcome that was
        sent before that order or a later one was shown."""
        left: dict[Content, list[int]] = defaultdict(list)
        for number, order in self._book.orders.items():
            if number <= self._known or number in self.sent_by_number:
                continue
            if order.key is not None:
                self._violated(5, f"no call asked for order {number} with key {order.key}")
                continue
            left[content(order)].append(number)
        unknown = self._unknown()
        for wanted, numbers in left.items():
            floors = sorted(map(floor, unknown.get(wanted, ())))
            for taken, number in enumerate(sorted(numbers)):
                if bisect_left(floors, number) <= taken:
                    self._violated(5, f"no call asked for order {number}, or its key has another")

    def _unknown(self) -> dict[Content, list[float]]:
        """When trades of unknown outcome were first sent, by content."""
        sent: dict[Content, list[float]] = defaultdict(list)
        for key, calls in self._calls.items():
            if key in self.numbers:
                continue
            first: dict[Content, float] = {}
            for _, call in calls:
                if call.verdict is Verdict.UNKNOWN and not call.validate:
                    wanted = content(call)
                    first[wanted] = min(first.get(wanted, call.sent), call.sent)
            for each, at in first.items():
                sent[each].append(at)
        return sent

    def _violated(self, invariant: int, what: str, *places: int) -> None:
        self._violations.append(Violation(invariant, what, places))


def content(of: Order | TradeCall) -> Content:
    """Stock, side and quantity."""
    return of.name, of.type, of.quantity


def asked(of: Order | TradeCall) -> tuple[Content, float | None]:
    """What a key stands for: the content, and the limit."""
    return content(of), of.limit_price
