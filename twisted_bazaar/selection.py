"""Which orders a client asks for, and a page of them. Pure."""

from collections.abc import Sequence

import msgspec

from .market import Order, Side
from .order_keys import client_of

__all__ = ["Page", "Selection", "page_of"]


class Selection(msgspec.Struct, frozen=True):
    """A part of the orders, in one direction. All conditions must hold."""

    after: int = 0
    """Orders with higher numbers; if `descending`, with lower ones, and then 0: from the last."""
    limit: int = 0
    """This many at most."""
    descending: bool = False
    """The highest number comes first."""
    stock: str = ""
    """Empty: of any stock."""
    side: Side | None = None
    since: int | None = None
    """Milliseconds since 1970: no earlier than this."""
    until: int | None = None
    """Milliseconds since 1970: earlier than this."""
    key: str = ""
    """The order with exactly this key, or none; empty: any."""
    client: str = ""
    """Orders of this client; empty: of any and of none."""

    @property
    def has_conditions(self) -> bool:
        """Whether it asks for more than the orders after a number."""
        return self != Selection(self.after, self.limit)

    def fits(self, order: Order) -> bool:
        """Whether `order` meets all conditions."""
        beyond = order.number < (self.after or order.number + 1)
        return (
            (beyond if self.descending else order.number > self.after)
            and self.stock in ("", order.stock)
            and self.side in (None, order.side)
            and (self.since is None or order.at_milliseconds >= self.since)
            and (self.until is None or order.at_milliseconds < self.until)
            and self.key in ("", order.key)
            and self.client in ("", client_of(order.key))
        )


class Page(msgspec.Struct, frozen=True):
    """The first orders of a selection."""

    orders: Sequence[Order]
    examined: int
    """Of all orders up to this number (if descending: down to it), those of the selection are
    here."""
    ended: bool
    """Whether there are no more."""


def page_of(found: Sequence[Order], selection: Selection, upto: int) -> Page:
    """The page of `found`: the first orders of `selection` up to number `upto`, one more than its
    limit if there is one more."""
    ended = len(found) <= selection.limit
    orders = found[: selection.limit]
    if ended or not orders:
        examined = 1 if selection.descending else max(selection.after, upto)
    else:
        examined = orders[-1].number
    return Page(orders, examined, ended)
