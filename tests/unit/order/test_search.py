"""A search finds each order of a selection once, wherever it is: index, log or desk."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.histories import LISTED, order
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, Unavailable
from twisted_bazaar.market import Order, Side, Traded
from twisted_bazaar.order.search import FoundOrders, Search, Source
from twisted_bazaar.order_keys import client_of, scoped
from twisted_bazaar.selection import Selection
from twisted_bazaar.storage.blocks import Matched

STOCKS = tuple(listing.name for listing in LISTED.stocks)
CLIENTS = ("", "alice", "al", "bob")


class FakeReplica:
    """An index, a log and a desk with some of the first `len(times)` orders.

    The index has `indexed` of them; the desk remembers those after `forgotten`, and hands out
    `most` at once; the log has those that the index has, and more up to `durable`.
    """

    def __init__(
        self, times: Sequence[int], forgotten: int, indexed: int, durable: int, most: int, step: int
    ) -> None:
        self.orders = [
            Entry(
                number + 2, 1, at, order(number, scoped(CLIENTS[number % 4], f"k{number}")), "", b""
            )
            for number, at in enumerate(times, 1)
        ]
        self._forgotten, self._indexed, self._durable = forgotten, indexed, durable
        self._most, self._step = most, step

    def source(self, after: int, upto: int, descending: bool) -> Source:
        recent = self.orders[max(after, self._forgotten) : upto]
        recent = recent[-self._most :] if descending else recent[: self._most]
        return Source(self, self._read, recent)

    def _read(self, after: int, upto: int) -> Sequence[Entry]:
        if upto > self._durable:
            raise Unavailable("not on disk")
        return self.orders[after:upto] if after < upto else ()

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
        assert stock or client or side is not None
        assert 0 <= after < upto
        assert limit > 0
        upto = min(upto, self._indexed)
        if descending:
            after = max(after, upto - self._step)
        else:
            upto = min(upto, after + self._step)
        wanted = Selection(after, stock=stock, side=side)
        numbers = [
            each.number
            for each in map(shown, self.orders[:upto])
            # The index takes some clients for each other.
            if wanted.fits(each) and client[:1] in ("", client_of(each.key)[:1])
        ]
        numbers = (numbers[::-1] if descending else numbers)[:limit]
        if len(numbers) == limit:
            return Matched(numbers, numbers[-1], self._indexed)
        return Matched(numbers, after + 1 if descending else max(after, upto), self._indexed)


def shown(entry: Entry) -> Order:
    event = entry.event
    assert isinstance(event, Traded)
    at = entry.at_milliseconds
    return Order(event.number, event.stock, event.side, event.quantity, at, event.key)


def page(replica: FakeReplica, selection: Selection, known: int) -> tuple[FoundOrders, bool]:
    """The first page, and whether only the leader can answer with it. `known` orders are known to
    be released; in truth all are."""
    search, is_last = Search(selection), False
    while True:
        if is_last or not search.needs_last(known):
            source = replica.source(*search.between(known), selection.descending)
            if (found := search.go_on(source, known, is_last)) is not None:
                return found, is_last
        known, is_last = len(replica.orders), True


def walk(replica: FakeReplica, selection: Selection, known: int) -> list[int]:
    """The numbers of all pages."""
    numbers: list[int] = []
    for _ in range(200):
        found, _ = page(replica, selection, known)
        assert len(found.entries) <= selection.limit
        numbers += (shown(entry).number for entry in found.entries)
        if found.ended:
            return numbers
        assert found.examined != selection.after, "it goes on"
        selection = msgspec.structs.replace(selection, after=found.examined)
    raise AssertionError("it never ends")


@st.composite
def replicas(draw: st.DrawFn, most: st.SearchStrategy[int]) -> tuple[FakeReplica, int]:
    times = sorted(draw(st.lists(st.integers(100, 110), max_size=24)))
    known = draw(st.integers(0, len(times)))
    indexed = draw(st.integers(0, known))
    forgotten = draw(st.integers(0, indexed))
    durable = draw(st.integers(indexed, len(times)))
    step = draw(st.integers(1, 9))
    return FakeReplica(times, forgotten, indexed, durable, draw(most), step), known


times = st.none() | st.integers(98, 112)
selections = st.builds(
    Selection,
    after=st.integers(0, 26),
    limit=st.integers(1, 9),
    descending=st.booleans(),
    stock=st.sampled_from(("", "", *STOCKS, "Nope")),
    side=st.none() | st.sampled_from(Side),
    client=st.sampled_from(("", *CLIENTS, "nobody")),
    since=times,
    until=times,
)


def expected(replica: FakeReplica, selection: Selection) -> list[int]:
    numbers = [each.number for each in map(shown, replica.orders) if selection.fits(each)]
    return numbers[::-1] if selection.descending else numbers


@settings(deadline=None, max_examples=400)
@given(replicas(st.just(99)), selections)
def test_all_pages_together_show_each_order_once(
    world: tuple[FakeReplica, int], selection: Selection
) -> None:
    replica, known = world
    assert walk(replica, selection, known) == expected(replica, selection)


@settings(deadline=None, max_examples=400)
@given(replicas(st.integers(1, 5)), selections)
def test_nothing_is_left_out_while_the_index_is_far_behind(
    world: tuple[FakeReplica, int], selection: Selection
) -> None:
    replica, known = world
    try:
        numbers = walk(replica, selection, known)
    except Unavailable:
        return
    assert numbers == expected(replica, selection)


@settings(deadline=None, max_examples=400)
@given(replicas(st.just(99)), selections)
def test_any_replica_answers_with_what_cannot_change(
    world: tuple[FakeReplica, int], selection: Selection
) -> None:
    replica, known = world
    found, by_leader = page(replica, selection, known)
    if not by_leader:
        numbers = [shown(entry).number for entry in found.entries]
        assert numbers == expected(replica, selection)[: len(numbers)]
        assert not found.ended or len(numbers) == len(expected(replica, selection))
        del replica.orders[known:]
        assert numbers == expected(replica, selection)[: len(numbers)], "it knew no more"


LOG = FakeReplica([100 + number for number in range(1, 11)], 8, 8, 8, 99, 99)
"""Order 1 is at 101 ms, order 2 at 102 ms … Fish, Co has 1, 3, 5 …; 3, 6 and 9 are sales."""


@pytest.mark.parametrize(
    ("selection", "numbers", "examined", "ended", "by_leader"),
    [
        (Selection(0, 3), [1, 2, 3], 3, False, False),
        (Selection(0, 9, client="al"), [2, 6, 10], 10, True, True),
        (Selection(0, 2, True, client="bob"), [7, 3], 3, False, True),
        (Selection(6, 4), [7, 8, 9, 10], 10, True, True),
        (Selection(0, 3, stock=STOCKS[1]), [1, 3, 5], 5, False, False),
        (Selection(5, 3, stock=STOCKS[1]), [7, 9], 10, True, True),
        (Selection(0, 9, since=103, until=105), [3, 4], 4, True, False),
        (Selection(0, 9, since=103, until=999), [3, 4, 5, 6, 7, 8, 9, 10], 10, True, True),
        (Selection(0, 9, until=50), [], 0, True, False),
        (Selection(0, 2, descending=True), [10, 9], 9, False, True),
        (Selection(5, 2, descending=True), [4, 3], 3, False, False),
        (Selection(3, 2, descending=True), [2, 1], 1, True, False),
        (Selection(1, 2, descending=True), [], 1, True, False),
        (Selection(0, 9, True, "", Side.SELL, 104, 108), [6], 4, True, False),
        (Selection(0, 9, True, until=101), [], 1, True, False),
    ],
)
def test_a_page_says_how_far_it_goes_and_whether_there_is_more(
    selection: Selection, numbers: list[int], examined: int, ended: bool, by_leader: bool
) -> None:
    """Nine orders are known to be released when the question comes."""
    found, only_leader = page(LOG, selection, 9)
    assert [shown(entry).number for entry in found.entries] == numbers
    assert (found.examined, found.ended, only_leader) == (examined, ended, by_leader)


def test_an_order_that_the_index_finds_wrongly_is_damage() -> None:
    class Wrong(FakeReplica):
        def matching(self, *arguments: object, **others: object) -> Matched:
            return Matched([4], 4, 8)

    wrong = Wrong([100] * 9, 8, 8, 9, 99, 9)
    with pytest.raises(Damaged, match="the index says that this is one of "):
        page(wrong, Selection(0, 5, stock=STOCKS[1]), 9)
