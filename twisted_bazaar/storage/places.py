"""Where each entry of a log begins, and how many of the entries before it are orders. Pure.

The entries that one segment added are its *run*. Only the run of the segment that is written to is
in memory (`OpenRun`); those of closed segments are read from their sidecars (`sidecar.py`). A
segment may remove entries of the runs before it, so `Places` knows up to where each of them counts.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from twisted_bazaar.errors import Unavailable

__all__ = ["Located", "OpenRun", "Piece", "Places", "Run", "Spot"]


class Located(Protocol):
    """Entries of one segment whose places are known."""

    @property
    def start(self) -> int:
        """The position of the first byte of the segment."""

    def positions(self, at: int, count: int) -> tuple[Sequence[int], int]:
        """The positions of the entries `at` <= … < `at` + `count`, counted from 0, `count` > 0, and
        the end of the last of them. May read a file; raises `Damaged` and OSError."""

    def distrust(self) -> None:
        """A line of the segment is not as it was written: the next start must read all of it."""


class Run(Located, Protocol):
    """The entries that one segment added. It does not change, unless it is open."""

    @property
    def base(self) -> int:
        """The index of the entry before the first."""

    @property
    def base_number(self) -> int:
        """The orders up to `base`."""

    def orders_before(self, at: int) -> int:
        """How many of the first `at` entries are orders. May read a file, as `positions`."""

    def place_of(self, nth: int) -> int:
        """The place, from 0, of the order that is number `nth`, from 1, of this run. May read a
        file, as `positions`."""


class Piece(NamedTuple):
    """Consecutive entries of one run."""

    run: Located
    at: int
    size: int


class Spot(NamedTuple):
    """Where an order is in a closed run."""

    run: Run
    nth: int

    def find(self) -> int:
        """The index of its entry. May read a file, as `Run.place_of`."""
        return self.run.base + 1 + self.run.place_of(self.nth)


class _Slice(NamedTuple):
    """Places that were copied from an open run, which may change."""

    start: int
    offsets: "array[int]"
    end: int

    def positions(self, at: int, count: int) -> tuple[Sequence[int], int]:
        offsets = self.offsets[at : at + count + 1]
        end = self.start + offsets.pop() if len(offsets) > count else self.end
        return [self.start + offset for offset in offsets], end

    def distrust(self) -> None:
        pass


class OpenRun:
    """A run in memory: 4 bytes for each entry, and 4 more for each that is not an order."""

    def __init__(self, start: int, base: int, base_number: int) -> None:
        self.start = start
        self.base = base
        self.base_number = base_number
        self.end = start
        """The end of the segment, once no entry is added."""
        self.offsets = array("I")
        """Where the entries begin, counted from `start`."""
        self._orders_before = array("I")
        """For each entry that is not an order, the number of orders before it in this run."""

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def orders(self) -> int:
        """How many of the entries are orders."""
        return len(self.offsets) - len(self._orders_before)

    @property
    def others(self) -> Sequence[int]:
        """The places, from 0, of the entries that are not orders, ascending."""
        return [before + at for at, before in enumerate(self._orders_before)]

    def add(self, position: int, is_order: bool) -> None:
        """The next entry is at `position`."""
        if not is_order:
            self._orders_before.append(self.orders)
        self.offsets.append(position - self.start)

    def truncate(self, count: int) -> None:
        """Keep the first `count` entries."""
        others = self._orders_before
        while others and others[-1] + len(others) > count:
            others.pop()
        del self.offsets[count:]

    def piece(self, at: int, count: int, end: int) -> Piece:
        """A copy of `count` places, from 0, where the last line of the segment ends at `end`."""
        offsets = self.offsets[at : at + count + 1]
        if len(offsets) > count:
            end = self.start + offsets.pop()
        return Piece(_Slice(self.start, offsets, end), 0, count)

    def positions(self, at: int, count: int) -> tuple[Sequence[int], int]:
        piece = self.piece(at, count, self.end)
        return piece.run.positions(0, count)

    def orders_before(self, at: int) -> int:
        others = self._orders_before
        return at - bisect_left(range(len(others)), at, key=lambda each: others[each] + each)

    def place_of(self, nth: int) -> int:
        return nth - 1 + bisect_left(self._orders_before, nth)

    def distrust(self) -> None:
        pass


class _Span(NamedTuple):
    """A run of a segment that is closed, as far as no later segment has removed entries of it."""

    run: Run
    last: int
    """The index of its last entry."""
    last_number: int
    """The orders up to there."""


class Places:
    """The runs of a log."""

    def __init__(self) -> None:
        self._spans: list[_Span] = []
        """They follow one another: each begins after the last entry of the one before."""
        self.open = OpenRun(0, 0, 0)
        """The run of the last segment."""
        self._first = (0, 0)

    @property
    def first_index(self) -> int:
        """The index of the first entry that this log holds, if it holds any."""
        return self._first[0] + 1

    @property
    def last_index(self) -> int:
        return self.open.base + len(self.open)

    @property
    def last_number(self) -> int:
        """The number of the last order; 0: there is none."""
        return self.open.base_number + self.open.orders

    def begin(self, index: int, number: int) -> None:
        """The log begins after entry `index` and order `number`: what is before is not here."""
        self._first = (index, number)
        self._spans.clear()
        self.open = OpenRun(self.open.start, index, number)

    def leave(self, index: int, number: int) -> None:
        """Entries up to `index`, and orders up to `number`, have left the log with the segments
        that added them."""
        self._first = (index, number)
        self._spans = [span for span in self._spans if span.last > index]

    def go_on(self, start: int) -> None:
        """The segment that begins at `start` is the last one now."""
        self.seal(self.open)
        self.open = OpenRun(start, self.last_index, self.last_number)

    def seal(self, run: Run) -> None:
        """The entries of the last segment are those of `run`, and no entry is added to them."""
        if len(self.open):
            self._spans.append(_Span(run, self.last_index, self.last_number))
            self.open = OpenRun(self.open.start, self.last_index, self.last_number)

    def take(self, run: Run, count: int, orders: int) -> None:
        """A segment follows the last one whose run is known, with `count` entries, so many of them
        orders."""
        self.truncate(run.base)
        last, number = run.base + count, run.base_number + orders
        if count:
            self._spans.append(_Span(run, last, number))
        self.open = OpenRun(run.start, last, number)

    def truncate(self, after: int) -> None:
        """Forget the entries after index `after`. May read a file, as `Run.orders_before`."""
        run = self.open
        if after >= run.base:
            run.truncate(after - run.base)
            return
        self.open = OpenRun(run.start, after, self.number_at(after))
        while self._spans and self._spans[-1].run.base >= after:
            self._spans.pop()
        if self._spans:
            self._spans[-1] = _Span(self._spans[-1].run, after, self.open.base_number)

    def number_at(self, index: int) -> int:
        """The orders up to entry `index`. May read a file, as `Run.orders_before`."""
        run: Run = self.open
        if index < run.base:
            at = bisect_left(self._spans, index, key=lambda span: span.last)
            if at == len(self._spans) or index <= self._first[0]:
                return self._first[1]
            run, last, number = self._spans[at]
            if index == last:
                return number
        return run.base_number + run.orders_before(index - run.base)

    def index_of(self, number: int) -> int | Spot:
        """The index of order `number`, or where it is to be read. Raises `Unavailable`."""
        run = self.open
        if number > run.base_number:
            return run.base + 1 + run.place_of(number - run.base_number)
        if number <= self._first[1]:
            raise Unavailable(f"order {number} is not on the disk of this replica")
        at = bisect_left(self._spans, number, key=lambda span: span.last_number)
        closed = self._spans[at].run
        return Spot(closed, number - closed.base_number)

    def pieces(self, after: int, upto: int, end: int) -> Sequence[Piece]:
        """The entries `after` < index <= `upto`, where the last line of the log ends at `end`.

        Raises `Unavailable` if the log begins later.
        """
        if after < self._first[0] and after < upto:
            raise Unavailable(f"entry {after + 1} is not on the disk of this replica")
        pieces: list[Piece] = []
        upto = min(upto, self.last_index)
        run = self.open
        if after < min(upto, run.base):
            for at in range(bisect_right(self._spans, after, key=_last), len(self._spans)):
                closed, last, _ = self._spans[at]
                first = max(after, closed.base)
                if first >= upto:
                    break
                pieces.append(Piece(closed, first - closed.base, min(upto, last) - first))
        if upto > run.base:
            first = max(after, run.base)
            if upto > first:
                pieces.append(run.piece(first - run.base, upto - first, end))
        return pieces


def _last(span: _Span) -> int:
    return span.last
