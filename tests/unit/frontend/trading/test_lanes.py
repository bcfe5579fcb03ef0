"""What waits is shared fairly between those that asked for it."""

from collections import Counter, deque
from collections.abc import Sequence

import attrs
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.frontend.trading.lanes import Lanes

MOST = 8
NO_BOUND = 10**9


@attrs.define(eq=False)
class Item:
    owner: str
    place: int = 0
    together: int = 0


class Waiting:
    """Lanes, and what came to them."""

    def __init__(self) -> None:
        self.lanes: Lanes[Item] = Lanes()
        self.came = 0

    def come(self, owner: str, *sizes: int) -> list[Item]:
        """So many come together, and so many more."""
        items = []
        for size in sizes:
            first = self.came + 1
            for _ in range(size):
                self.came += 1
                item = Item(owner, self.came, first)
                assert self.lanes.open(item, NO_BOUND)
                items.append(item)
        return items

    def take(self) -> dict[str, int]:
        """How many of each owner are taken next. They are closed."""
        taken = self.lanes.take(MOST)
        for item in taken:
            self.lanes.close(item)
        return dict(Counter(item.owner for item in taken))


def owners(items: Sequence[Item]) -> str:
    return "".join(item.owner for item in items)


def test_what_fits_is_taken_in_order_of_arrival() -> None:
    waiting = Waiting()
    for owner in "abcabcaa":
        waiting.come(owner, 1)
    assert owners(waiting.lanes.take(MOST)) == "abcabcaa"
    assert waiting.lanes.take(MOST) == []


def test_one_that_comes_behind_many_of_another_is_taken_next() -> None:
    waiting = Waiting()
    waiting.come("a", *[1] * 100)
    assert waiting.take() == {"a": MOST}
    waiting.come("b", 1)
    assert waiting.take() == {"a": MOST - 1, "b": 1}


def test_one_that_comes_behind_many_that_came_together_is_taken_next() -> None:
    waiting = Waiting()
    waiting.come("a", *[5] * 20)
    waiting.come("b", 1)
    assert waiting.take() == {"a": 10, "b": 1}


def test_those_that_have_much_waiting_get_equal_shares() -> None:
    waiting = Waiting()
    for owner in "abc":
        waiting.come(owner, *[1] * 100)
    total = Counter[str]()
    for _ in range(30):
        total.update(waiting.take())
    assert max(total.values()) - min(total.values()) <= 1


def test_coming_together_gives_no_larger_share() -> None:
    waiting = Waiting()
    waiting.come("a", *[5] * 40)
    waiting.come("b", *[1] * 200)
    total = Counter[str]()
    for _ in range(20):
        total.update(waiting.take())
    assert abs(total["a"] - total["b"]) <= 5


def test_to_wait_until_all_is_sent_before_more_comes_gives_no_larger_share() -> None:
    waiting = Waiting()
    waiting.come("a", *[1] * 1000)
    waiting.come("b", *[1] * 1000)
    total = Counter[str]()
    for _ in range(60):
        if not waiting.lanes.open_of("c"):
            waiting.come("c", 7)
        total.update(waiting.take())
    assert total["c"] <= total["a"] + 7


def test_what_was_not_sent_for_a_time_is_not_made_up_for() -> None:
    waiting = Waiting()
    waiting.come("a", *[1] * 100)
    for _ in range(10):
        waiting.take()
    waiting.come("b", *[1] * 100)
    assert waiting.take() == {"a": MOST // 2, "b": MOST // 2}


def test_once_nothing_waits_all_are_equals_again() -> None:
    waiting = Waiting()
    waiting.come("a", *[5] * 4)
    waiting.come("b", 1)
    while len(waiting.lanes):
        waiting.take()
    waiting.come("b", *[1] * 20)
    waiting.come("a", *[1] * 20)
    assert waiting.take() == {"a": MOST // 2, "b": MOST // 2}


def test_what_waits_again_is_the_first_of_its_owner() -> None:
    waiting = Waiting()
    first = waiting.come("a", 1, 1)
    waiting.come("b", 1)
    taken = waiting.lanes.take(MOST)
    waiting.come("a", 1)
    waiting.lanes.wait_again(taken)
    assert owners(list(waiting.lanes.take(MOST))) == "aaba"
    assert first == taken[:2]


def test_no_more_are_open_than_there_is_room_for() -> None:
    lanes: Lanes[Item] = Lanes()
    assert lanes.open(Item("a", 1, 1), 1)
    assert not lanes.open(Item("a", 2, 2), 1)
    assert lanes.open(Item("b", 3, 3), 1)
    assert (len(lanes), lanes.open_of("a"), lanes.open_of("c")) == (2, 1, 0)


def test_owners_of_which_nothing_is_open_are_forgotten() -> None:
    waiting = Waiting()
    for number in range(1000):
        waiting.come(f"owner {number}", *[1] * (1 + number % 3))
    while len(waiting.lanes):
        waiting.take()
    assert waiting.lanes._lanes == {}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abcd"), st.integers(1, 5)),
            st.sampled_from(["take", "lose", "close", "expire"]),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_doubled_or_overtaken_by_its_owners_own(events: list[object]) -> None:
    waiting = Waiting()
    model: dict[str, deque[Item]] = {owner: deque() for owner in "abcd"}
    flying: list[list[Item]] = []
    for event in events:
        if isinstance(event, tuple):
            model[event[0]].extend(waiting.come(*event))
        elif event == "take":
            taken = waiting.lanes.take(MOST)
            assert len(taken) >= min(MOST, sum(map(len, model.values())))
            for item in taken:
                assert model[item.owner].popleft() is item
            for lane in model.values():
                assert (
                    not taken
                    or not lane
                    or lane[0].together not in {item.together for item in taken}
                )
            flying.append(taken)
        elif event == "lose" and flying:
            lost = flying.pop()
            waiting.lanes.wait_again(lost)
            for item in lost:
                model[item.owner].append(item)
            for owner, lane in model.items():
                model[owner] = deque(sorted(lane, key=lambda item: item.place))
        elif event == "close" and flying:
            for item in flying.pop():
                waiting.lanes.close(item)
        elif event == "expire":
            late = waiting.lanes.remove(lambda item: item.together % 3 == 0)
            assert [item.place for item in late] == sorted(item.place for item in late)
            for item in late:
                model[item.owner].remove(item)
                waiting.lanes.close(item)
        assert sorted(item.place for item in waiting.lanes) == sorted(
            item.place for lane in model.values() for item in lane
        )
        assert len(waiting.lanes) == sum(map(len, model.values()))
        for owner, lane in model.items():
            aloft = sum(item.owner == owner for batch in flying for item in batch)
            assert waiting.lanes.open_of(owner) == len(lane) + aloft


@given(st.lists(st.lists(st.integers(1, 5), min_size=30, max_size=30), min_size=2, max_size=5))
def test_shares_never_differ_by_more_than_what_comes_together(sizes: list[list[int]]) -> None:
    waiting = Waiting()
    for number, groups in enumerate(sizes):
        waiting.come(str(number), *groups)
    left = {str(number): sum(groups) for number, groups in enumerate(sizes)}
    total = Counter[str]()
    while all(left.values()) and len(waiting.lanes) > MOST:
        for owner, count in waiting.take().items():
            total[owner] += count
            left[owner] -= count
        if all(left.values()):
            assert max(total.values()) - min(total[owner] for owner in left) <= 5
