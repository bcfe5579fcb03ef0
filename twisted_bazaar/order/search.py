"""Finds the orders of a selection among those that a replica knows to be released. Pure.

The time of an order is never before that of the order before it (invariant 13), so the orders of a
span of time are a range of numbers, which a binary search finds. Within a range, the index finds
the orders of a stock, side or client. It lacks the last orders; those are given as entries.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, Unavailable
from twisted_bazaar.market import Side, Traded
from twisted_bazaar.order_keys import client_of
from twisted_bazaar.selection import Selection
from twisted_bazaar.storage.blocks import Matched

__all__ = ["FoundOrders", "Matching", "Search", "Source"]

_CLOSE = 4
"""Orders whose numbers are so close are read from the log at once, with those between them."""


class Matching(Protocol):
    """The index."""

    def matching(
        self,
        stock: str,
        side: Side | None,
        after: int,
        upto: int,
        limit: int,
        descending: bool,
        client: str = "",
    ) -> Matched:
        """The first `limit` orders of `stock`, `side` and `client`, or of another client, with
        `after` < number <= `upto`. It examines a bounded number of orders, at least one if it has
        one of them."""


class FoundOrders(msgspec.Struct, frozen=True):
    """The first orders of a selection; see `selection.Page`."""

    entries: Sequence[Entry]
    examined: int
    ended: bool


class Source:
    """Where a search finds orders: the index, the log, and entries that both may lack."""

    def __init__(
        self,
        index: Matching,
        read: Callable[[int, int], Sequence[Entry]],
        recent: Sequence[Entry],
    ) -> None:
        """`read` returns the orders `after` < number <= `upto` from the log. `recent` are orders
        with consecutive numbers; the index has at least those before the first of them."""
        self._index = index
        self._read = read
        self._recent = recent
        self._first_recent = _order(recent[0]).number if recent else 0

    def before(self, milliseconds: int, after: int, upto: int) -> int:
        """The last of the orders `after` < number <= `upto` that is earlier than `milliseconds`;
        `after`: none is."""
        return after + bisect_left(range(after + 1, upto + 1), milliseconds, key=self._at)

    def _at(self, number: int) -> int:
        [entry] = self._range(number - 1, number)
        return entry.at_milliseconds

    def _range(self, after: int, upto: int) -> Sequence[Entry]:
        """All orders `after` < number <= `upto`."""
        if not self._recent:
            return self._read(after, upto)
        before = self._first_recent - 1
        last = before + len(self._recent)
        recent = self._recent[max(0, after - before) : max(0, upto - before)]
        stored = self._read(after, min(upto, before)) if after < before else ()
        beyond = self._read(max(after, last), upto) if upto > last else ()
        return [*stored, *recent, *beyond]

    def ascending(
        self, selection: Selection, after: int, upto: int, limit: int
    ) -> tuple[Sequence[Entry], int]:
        """The first `limit` orders of `selection` with `after` < number <= `upto`, and the number
        up to which there are no others."""
        stock, side, client = selection.stock, selection.side, selection.client
        if not stock and side is None and not client:
            upto = min(upto, after + limit)
            return self._range(after, upto), upto
        matched = self._index.matching(stock, side, after, upto, limit, False, client)
        found, at = self._chosen(selection, matched.numbers), matched.examined
        if at >= min(upto, matched.last_number):
            for entry in self._recent[max(0, at + 1 - self._first_recent) :]:
                number = _order(entry).number
                if number != at + 1 or number > upto or len(found) == limit:
                    break
                at = number
                if _is_chosen(selection, entry):
                    found.append(entry)
        return found, at

    def descending(
        self, selection: Selection, after: int, upto: int, limit: int
    ) -> tuple[Sequence[Entry], int]:
        """The last `limit` orders of `selection` with `after` < number <= `upto`, the highest
        first, and the number down to which there are no others."""
        stock, side, client = selection.stock, selection.side, selection.client
        if not stock and side is None and not client:
            after = max(after, upto - limit)
            return self._range(after, upto)[::-1], after + 1
        found: list[Entry] = []
        at = upto + 1
        for entry in reversed(self._recent[: max(0, at - self._first_recent)]):
            number = _order(entry).number
            if number != at - 1 or number <= after or len(found) == limit:
                break
            at = number
            if _is_chosen(selection, entry):
                found.append(entry)
        if len(found) == limit or at - 1 <= after:
            return found, at
        matched = self._index.matching(
            *(stock, side, after, at - 1, limit - len(found), True, client)
        )
        if matched.last_number < at - 1:
            if at > upto:
                raise Unavailable("the index of this replica is being made")
            return found, at
        return [*found, *self._chosen(selection, matched.numbers)], matched.examined

    def _chosen(self, selection: Selection, numbers: Sequence[int]) -> list[Entry]:
        """The orders with these ascending or descending numbers, which the index has found."""
        ascending = sorted(numbers)
        found: list[Entry] = []
        at = 0
        while at < len(ascending):
            first = at
            while at + 1 < len(ascending) and ascending[at + 1] - ascending[at] <= _CLOSE:
                at += 1
            at += 1
            wanted = set(ascending[first:at])
            entries = self._range(ascending[first] - 1, ascending[at - 1])
            found += (entry for entry in entries if _order(entry).number in wanted)
        for entry in found:
            if not _is_of(selection, entry):
                raise Damaged(f"the index says that this is one of {selection}: {entry.event}")
        if selection.client:
            found = [entry for entry in found if _is_chosen(selection, entry)]
        return found if ascending == list(numbers) else found[::-1]


class Search:
    """A search for the orders of one selection, which may be continued once more is released."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._found: list[Entry] = []
        self._after = selection.after
        """Where it goes on, unless it descends."""

    def needs_last(self, known: int) -> bool:
        """Whether the number of the last order must be known first; the orders up to `known` are
        released."""
        wanted = self._selection
        if wanted.descending:
            return wanted.until is None and not 0 < wanted.after <= known + 1
        only_after = wanted == Selection(wanted.after, wanted.limit)
        return only_after and wanted.after + wanted.limit > known

    def between(self, known: int) -> tuple[int, int]:
        """The search is among the orders with `after` < number <= `upto`: these two."""
        wanted = self._selection
        if not wanted.descending:
            return self._after, known
        return 0, min(known, wanted.after - 1) if wanted.after else known

    def go_on(self, source: Source, known: int, is_last: bool) -> FoundOrders | None:
        """Search among the orders up to number `known`; None: the search is to go on once the
        number of the last order is known. `is_last`: that is `known`."""
        if self._selection.descending:
            return self._descend(source, known, is_last)
        return self._ascend(source, known, is_last)

    def _ascend(self, source: Source, known: int, is_last: bool) -> FoundOrders | None:
        wanted = self._selection
        low, high, closed = self._after, known, is_last
        if wanted.since is not None:
            low = source.before(wanted.since, low, max(low, known))
        if wanted.until is not None and low < known:
            high = source.before(wanted.until, low, known)
            closed = closed or high < known
        at = max(self._after, min(low, high))
        if low < high:
            found, at = source.ascending(wanted, low, high, wanted.limit - len(self._found))
            self._found += found
        self._after = at
        if at >= high and not closed and len(self._found) < wanted.limit:
            return None
        return FoundOrders(self._found, at, ended=at >= high and closed)

    def _descend(self, source: Source, known: int, is_last: bool) -> FoundOrders | None:
        wanted = self._selection
        _, high = self.between(known)
        top_is_known = is_last or 0 < wanted.after <= known + 1
        if wanted.until is not None:
            before = source.before(wanted.until, 0, high)
            top_is_known = top_is_known or before < known
            high = before
        if not top_is_known:
            return None
        low = source.before(wanted.since, 0, high) if wanted.since is not None else 0
        if low >= high:
            return FoundOrders((), high + 1, ended=True)
        found, at = source.descending(wanted, low, high, wanted.limit)
        return FoundOrders(found, at, ended=at <= low + 1)


def _order(entry: Entry) -> Traded:
    assert isinstance(entry.event, Traded)
    return entry.event


def _is_chosen(selection: Selection, entry: Entry) -> bool:
    """Whether an order is of the selection's stock, side and client."""
    client = selection.client
    is_its = not client or client_of(_order(entry).key) == client
    return is_its and _is_of(selection, entry)


def _is_of(selection: Selection, entry: Entry) -> bool:
    """Whether an order is of the selection's stock and side."""
    order = _order(entry)
    return selection.stock in ("", order.stock) and selection.side in (None, order.side)
