"""The orders that were acknowledged in a run, and whether they read back the same. Pure."""

import msgspec

from twisted_bazaar.market import Side

from .records import OrderCall, TradeCall

__all__ = ["Comparison", "Remembered", "RememberedOrder"]

SHOWN = 10


class RememberedOrder(msgspec.Struct, frozen=True, gc=False):
    """An acknowledged order. There may be millions, so the garbage collector must not scan them:
    clients would pause."""

    number: int
    name: str
    type: Side
    quantity: int

    def __str__(self) -> str:
        return f"order {self.number} was acknowledged for {self.type} {self.quantity} {self.name}"


class Comparison(msgspec.Struct, frozen=True):
    """The result for all remembered orders."""

    remembered: int
    confirmed: int
    """Read back as they were acknowledged."""
    wrong: int
    """Missing, or different from what was acknowledged, or acknowledged twice."""
    unread: int
    """Without an answer."""
    examples: tuple[str, ...] = ()
    """The first wrong ones, in words."""

    @property
    def kept(self) -> bool:
        return not self.wrong and not self.unread


class Remembered:
    """The orders of all clients. Each is queried and compared once."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._remembered = self._confirmed = self._wrong = 0
        self._examples: list[str] = []

    def acknowledge(self, call: TradeCall) -> RememberedOrder:
        """Remember the order of a trade that was placed."""
        assert call.number is not None
        order = RememberedOrder(call.number, call.name, call.type, call.quantity)
        self._remembered += 1
        if order.number in self._numbers:
            self._note(f"{order}, and for another trade before")
        self._numbers.add(order.number)
        return order

    def compare(self, order: RememberedOrder, call: OrderCall) -> bool:
        """Compare `order` with the answer to its query; False: there was no answer, so it must be
        queried again."""
        found = call.found
        if found is not None:
            shown = RememberedOrder(found.number, found.name, found.type, found.quantity)
            if shown == order:
                self._confirmed += 1
            else:
                what = f"order {shown.number}, {shown.type} {shown.quantity} {shown.name}"
                self._note(f"{order}, and is shown as {what}")
        elif call.status == 404:
            self._note(f"{order}, and is not there")
        elif call.status == 200:
            self._note(f"{order}, and its answer is {call.message}")
        else:
            return False
        return True

    def comparison(self) -> Comparison:
        twice = self._remembered - len(self._numbers)
        settled = self._confirmed + self._wrong - twice
        return Comparison(
            self._remembered,
            self._confirmed,
            self._wrong,
            self._remembered - settled,
            tuple(self._examples),
        )

    def _note(self, what: str) -> None:
        self._wrong += 1
        if len(self._examples) < SHOWN:
            self._examples.append(what)
