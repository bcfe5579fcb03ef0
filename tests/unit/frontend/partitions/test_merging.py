"""Lists over several partitions: by time, none skipped, none twice, whatever is added meanwhile."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.partitioned_orders import Shown, SomeOrders, listed
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.partitions.lists import MergedLists
from twisted_bazaar.frontend.partitions.merging import Merge
from twisted_bazaar.http.refusals import Refusal
from twisted_bazaar.market import Side
from twisted_bazaar.partitions import local_number, partition_of
from twisted_bazaar.selection import Page, Selection

STOCKS = ("A", "B", "C")
Added = tuple[int, int, int]
"""The partition, milliseconds since its order before, and which stock."""


def added(partitions: int, most: int) -> st.SearchStrategy[list[Added]]:
    return st.lists(
        st.tuples(st.integers(0, partitions - 1), st.integers(0, 3), st.integers(0, 2)),
        max_size=most,
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[SomeOrders], Callable[[], None]]:
    """Some partitions with orders, and what adds some more."""
    partitions = draw(st.integers(2, 5))
    cuts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=8))
    logs = [SomeOrders(cuts) for _ in range(partitions)]

    def add(orders: list[Added]) -> None:
        for partition, later, stock in orders:
            logs[partition].add(later, STOCKS[stock])

    add(draw(added(partitions, 60)))
    rounds = iter(draw(st.lists(added(partitions, 8), max_size=6)))
    return logs, lambda: add(next(rounds, []))


SELECTED = {
    "": Selection(),
    "&stock=A": Selection(stock="A"),
    "&type=buy": Selection(side=Side.BUY),
    "&since=1970-01-01T00:00:00.005Z": Selection(since=5),
    "&until=1970-01-01T00:00:00.009Z": Selection(until=9),
}
CONDITIONS = st.sampled_from([*SELECTED])


def by_partition(shown: list[Shown], partitions: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {partition: [] for partition in range(partitions)}
    for order in shown:
        assert partition_of(order.number, partitions) == order.partition
        found[order.partition].append(local_number(order.number, partitions))
    return found


def expected(log: SomeOrders, conditions: str) -> list[int]:
    selection = SELECTED[conditions]
    return [order.number for order in log.orders if selection.fits(order)]


@given(markets(), st.integers(1, 12), CONDITIONS)
def test_a_list_that_is_followed_has_each_order_once_while_others_are_added(
    market: tuple[list[SomeOrders], Callable[[], None]], limit: int, conditions: str
) -> None:
    logs, more_come = market
    shown: list[Shown] = []
    page = listed(logs, f"limit={limit}{conditions}")
    for _ in range(1000):
        assert len(page.data) <= limit
        shown += page.data
        if not page.more:
            break
        more_come()
        page = listed(logs, f"cursor={page.cursor}")
    else:
        raise AssertionError("the list does not end")
    # It can be taken up again after its end.
    more_come()
    page = listed(logs, f"cursor={page.cursor}&limit=500")
    while page.more:
        shown += page.data
        page = listed(logs, f"cursor={page.cursor}")
    shown += page.data
    assert by_partition(shown, len(logs)) == {
        partition: expected(log, conditions) for partition, log in enumerate(logs)
    }


@given(markets(), st.integers(1, 12), CONDITIONS)
def test_a_descending_list_has_each_order_once_while_others_are_added(
    market: tuple[list[SomeOrders], Callable[[], None]], limit: int, conditions: str
) -> None:
    logs, more_come = market
    before = [expected(log, conditions) for log in logs]
    shown: list[Shown] = []
    page = listed(logs, f"direction=desc&limit={limit}{conditions}")
    shown += page.data
    while page.more:
        more_come()
        page = listed(logs, f"cursor={page.cursor}")
        shown += page.data
    found = by_partition(shown, len(logs))
    for partition, numbers in enumerate(before):
        newest_first = found[partition]
        assert newest_first == sorted(set(newest_first), reverse=True)
        # Those that were there at first are all there; what came since may be, above them.
        assert [each for each in newest_first if each in numbers] == numbers[::-1]
        now = expected(logs[partition], conditions)
        assert newest_first == [
            each for each in reversed(now) if each <= max(newest_first, default=0)
        ]
    # Nothing comes after the end.
    more_come()
    assert not listed(logs, f"cursor={page.cursor}").data


@given(markets(), st.integers(1, 12), st.booleans(), CONDITIONS)
def test_orders_come_by_time(
    market: tuple[list[SomeOrders], Callable[[], None]],
    limit: int,
    descending: bool,
    conditions: str,
) -> None:
    logs, _ = market
    direction = "desc" if descending else "asc"
    shown = list(followed(logs, f"direction={direction}&limit={limit}{conditions}"))
    in_order = sorted(shown, key=lambda order: (order.time, order.partition, order.number))
    assert shown == (in_order[::-1] if descending else in_order)


def followed(logs: list[SomeOrders], query: str) -> Iterator[Shown]:
    page = listed(logs, query)
    yield from page.data
    while page.more:
        page = listed(logs, f"cursor={page.cursor}")
        yield from page.data


def of(*numbers_of: int, key: str = "") -> list[SomeOrders]:
    """Partitions with so many orders each; the last of the last has a key."""
    logs = [SomeOrders() for _ in numbers_of]
    for log, count in zip(logs, numbers_of, strict=True):
        for _ in range(count):
            log.add(1, "A")
    if key:
        logs[-1].orders[-1] = msgspec.structs.replace(logs[-1].orders[-1], key=key)
    return logs


@given(st.integers(0, 5200), st.integers(0, 1), st.booleans())
def test_after_a_number_come_the_orders_of_the_partition_beyond_it(
    after: int, partition: int, descending: bool
) -> None:
    """Also after that of an order of another partition, or of none."""
    direction = "desc" if descending else "asc"
    page = listed(of(4, 4), f"partition={partition}&after={after}&direction={direction}")
    numbers = [1000 * local + partition for local in range(1, 5)]
    beyond = [each for each in numbers if (each < after if descending else each > after)]
    assert [order.number for order in page.data] == (beyond[::-1] if descending else beyond)


def test_a_key_is_looked_for_in_all_partitions() -> None:
    logs = of(3, 3, key="bot-1")
    page = listed(logs, "client_order_id=bot-1")
    assert [(order.number, order.partition) for order in page.data] == [(3001, 1)]
    assert not page.more
    # It does not come again.
    assert not listed(logs, f"cursor={page.cursor}").data
    nothing = listed(logs, "client_order_id=bot-2")
    assert not nothing.data
    logs[0].add(1, "A", key="bot-2")
    assert [order.number for order in listed(logs, f"cursor={nothing.cursor}").data] == [4000]


def test_a_key_that_is_found_is_shown_although_another_partition_does_not_answer() -> None:
    logs = of(3, 3, key="bot-1")
    logs[0].unavailable = True
    assert [order.number for order in listed(logs, "client_order_id=bot-1").data] == [3001]
    with pytest.raises(Unavailable):
        listed(logs, "client_order_id=bot-2")
    with pytest.raises(Unavailable):
        listed(logs, "")


def test_the_list_of_one_partition_goes_on_by_numbers_that_clients_see() -> None:
    logs = of(3, 3)
    page = listed(logs, "partition=1&limit=2")
    assert [order.number for order in page.data] == [1001, 2001]
    assert (page.next, page.more) == (2001, True)
    rest = listed(logs, f"partition=1&after={page.next}")
    assert [order.number for order in rest.data] == [3001]
    assert (rest.next, rest.more) == (None, False)
    assert listed(logs, f"cursor={page.cursor}&limit=100").data == rest.data
    down = listed(logs, "partition=1&direction=desc&after=3001&limit=1")
    assert [order.number for order in down.data] == [2001]
    assert down.next == 2001


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("after=1001", "goes on in one partition, and partition is not given"),
        ("partition=2", "the query parameter partition must be an integer from 0 to 1"),
        ("partition=1&cursor=x", "partition cannot be given beside cursor"),
        ("cursor=x", "cursor is none that GET /orders has given"),
        ("what=1", "unknown query parameter"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(query: str, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        MergedLists(of(3, 3)).page(query.encode())


def test_after_0_is_the_beginning_with_and_without_a_partition() -> None:
    logs = of(1, 1)
    assert [order.number for order in listed(logs, "after=0").data] == [1000, 1001]
    assert [order.number for order in listed(logs, "after=0&partition=1").data] == [1001]
    # A number below the first order's.
    assert [order.number for order in listed(logs, "after=1&partition=1").data] == [1001]
    for partition in ("", "&partition=1"):
        assert not listed(logs, f"after=0&direction=desc{partition}").data


@given(st.data())
def test_a_cursor_that_was_tampered_with_is_refused(data: st.DataObject) -> None:
    logs = of(3, 3)
    query = data.draw(st.sampled_from(("limit=2", "limit=2&partition=1", "stock=A&direction=desc")))
    cursor = listed(logs, query).cursor
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("AZaz09-_+/= "))
    changed = data.draw(
        st.sampled_from((cursor[:at], cursor[:at] + other + cursor[at + 1 :], cursor + other))
    )
    if changed != cursor:
        with pytest.raises(Refusal, match="cursor is none"):
            MergedLists(logs).page(f"cursor={quote(changed)}".encode())


def test_a_cursor_of_another_number_of_partitions_is_refused() -> None:
    for query in ("limit=2", "limit=2&partition=2"):
        cursor = listed(of(3, 3, 3), query).cursor
        with pytest.raises(Refusal, match="cursor is none"):
            MergedLists(of(3, 3)).page(f"cursor={cursor}".encode())


def test_few_orders_are_read_for_a_page_of_many_partitions() -> None:
    logs = of(*[100] * 50)
    listed(logs, "limit=100")
    assert sum(log.read for log in logs) < 1000


def test_a_page_of_one_busy_partition_takes_few_calls() -> None:
    logs = of(1000, *[0] * 49)
    assert len(listed(logs, "limit=500").data) == 500
    assert logs[0].calls < 8


def test_a_partition_that_had_much_to_examine_is_not_asked_again_for_the_same_page() -> None:
    logs = [SomeOrders([20]), SomeOrders()]
    for _ in range(100):
        logs[0].add(1, "A")
    page = listed(logs, "stock=B")
    assert (page.data, page.more, logs[0].calls) == ([], True, 1)
    assert len([*followed(logs, f"cursor={page.cursor}")]) == 0
    assert logs[0].calls == 5


def test_a_descending_list_never_goes_back_up() -> None:
    merge = Merge(Selection(limit=10, descending=True), (0, 5))
    for partition in merge.wanted():
        # What an empty log, or one that has grown, may say.
        merge.take(partition, Page((), 0 if partition == 0 else 9, ended=True))
    assert merge.positions == (1, 5)
