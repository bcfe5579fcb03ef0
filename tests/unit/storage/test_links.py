"""Linked keys: a row that is not as it was written proves nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.storage.links import HEAD, Link, insert, proves, seal

keys = st.text("abc", min_size=1, max_size=3)


def nearest(rows: dict[str, Link], key: str) -> Link:
    return rows[max(each for each in rows if each <= key)]


def put(rows: dict[str, Link], orders: list[tuple[str, int]]) -> None:
    changed, added = insert({key: nearest(rows, key) for key, _ in orders}, orders)
    assert {link.key for link in changed} <= rows.keys()
    assert not {link.key for link in added} & rows.keys()
    rows |= {link.key: link for link in changed + added}


@given(st.lists(st.lists(keys, unique=True, max_size=6), max_size=6), st.lists(keys))
def test_every_key_is_proved_there_or_absent_by_the_row_nearest_to_it(
    batches: list[list[str]], asked: list[str]
) -> None:
    rows, numbers = {"": HEAD}, {"": 0}
    for batch in batches:
        fresh = [key for key in batch if key not in numbers]
        orders = [(key, len(numbers) + at) for at, key in enumerate(fresh)]
        put(rows, orders)
        numbers |= orders
    assert {link.key: link.number for link in rows.values()} == numbers
    in_order = sorted(numbers)
    assert [rows[key].next for key in in_order] == [*in_order[1:], ""]
    for key in asked:
        assert [link.key for link in rows.values() if proves(link, key)] == [nearest(rows, key).key]


@given(st.integers(0, 3), st.data())
def test_a_changed_row_proves_nothing(field: int, data: st.DataObject) -> None:
    link = seal("b", 7, "d")
    was = link[field]
    other = st.text() if isinstance(was, str) else st.integers()
    becomes = data.draw(other.filter(lambda value: value != was))
    changed = Link(*(becomes if at == field else value for at, value in enumerate(link)))
    for key in ("a", "b", "c", "d", "e"):
        assert proves(link, key) == (key in ("b", "c"))
        assert not proves(changed, key)


def test_a_key_has_one_order() -> None:
    rows = {"": HEAD}
    put(rows, [("b", 1), ("d", 2)])
    for orders in ([("b", 3)], [("c", 3), ("d", 4)], [("c", 3), ("c", 4)]):
        with pytest.raises(InvariantBroken):
            put(rows, orders)
