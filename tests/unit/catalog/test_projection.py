"""A projection is always what follows from a prefix of the order log."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import histories
from tests.fakes.histories import extend, history, ledger_of, order
from twisted_bazaar.catalog.projection import Gone, Position, Projection
from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Adopted, Moved

LOG = history(6)
"""Entries 1 … 8."""
OTHER = LOG[:4] + extend(LOG[:4], [order(n, f"other-{n}") for n in range(3, 9)], term=2)
"""Parts with `LOG` after entry 4."""


def sends(
    after: int,
    upto: int,
    commit: int | None = None,
    log: list[Entry] = LOG,
    term: int = 1,
    rebuild: bool = False,
) -> Apply:
    """A leader's message with the entries `after` < index <= `upto` of its log."""
    return histories.sends(log, after, upto, commit, term, rebuild)


def empty() -> Projection:
    return Projection(Ledger(), Position())


def at(index: int) -> Projection:
    """A projection that has applied so many entries of `LOG` in this life."""
    projection = empty()
    projection.apply(sends(0, index))
    check(projection, index)
    return projection


def check(projection: Projection, index: int, log: list[Entry] = LOG) -> None:
    """It is what follows from the first `index` entries."""
    assert projection.position.index == index
    assert projection.position.digest == (log[index - 1].digest if index else GENESIS)
    expected = ledger_of(log[:index])
    assert projection.ledger.stocks == expected.stocks
    assert projection.ledger.last_number == expected.last_number


def test_entries_are_applied_in_order() -> None:
    projection = empty()
    projection.apply(sends(0, 3))
    check(projection, 3)
    projection.apply(sends(3, 8))
    check(projection, 8)
    assert projection.beginnings == 0


def test_it_says_what_the_entries_touched_as_each_left_it() -> None:
    """Clients are shown one after the other, not all at once."""
    projection = empty()
    touched = projection.apply(sends(0, 8))
    assert [stock.version for stock in touched] == [2, 2, 3, 4, 5, 6, 7, 8]
    for stock in touched:
        assert stock == ledger_of(LOG[: stock.version]).stocks[stock.name]
    assert projection.apply(sends(6, 8)) == []
    assert projection.apply(sends(8, 8)) == []


def test_what_leaves_a_gap_is_not_applied() -> None:
    projection = at(2)
    assert projection.apply(sends(3, 5)) == []
    check(projection, 2)


@pytest.mark.parametrize(("after", "upto", "then"), [(0, 4, 4), (1, 3, 4), (2, 6, 6), (4, 4, 4)])
def test_what_comes_twice_or_overlaps_is_applied_once(after: int, upto: int, then: int) -> None:
    projection = at(4)
    touched = projection.apply(sends(after, upto))
    assert [stock.version for stock in touched] == [*range(5, then + 1)]
    check(projection, then)


def test_what_is_of_another_history_is_not_applied() -> None:
    projection = at(6)
    projection.apply(sends(6, 8, log=OTHER, term=2))
    check(projection, 6)
    projection.apply(sends(4, 8, log=OTHER, term=2))
    check(projection, 6)
    assert projection.position.term == 2, "its leader is heard nevertheless, and will say more"


def test_an_entry_that_was_changed_is_not_applied_nor_what_comes_after() -> None:
    assert b'"quantity":2' in LOG[2].record
    record = LOG[2].record.replace(b'"quantity":2', b'"quantity":3')
    changed = msgspec.structs.replace(LOG[2], record=record)
    projection = at(2)
    projection.apply(sends(2, 5, log=[*LOG[:2], changed, *LOG[3:]]))
    check(projection, 2)


def test_a_leader_of_a_lower_term_is_not_heard() -> None:
    projection = at(2)
    projection.apply(sends(2, 2, term=5))
    for message in (sends(2, 4, term=4), sends(0, 4, term=4, rebuild=True)):
        assert projection.apply(message) == []
        check(projection, 2)
        assert (projection.position.term, projection.beginnings) == (5, 0)
    projection.apply(sends(2, 4, term=5))
    check(projection, 4)


def test_a_rebuild_begins_anew_with_what_it_brings() -> None:
    projection = at(6)
    touched = projection.apply(sends(0, 5, commit=8, log=OTHER, term=2, rebuild=True))
    check(projection, 5, OTHER)
    assert (projection.position.term, projection.beginnings) == (2, 1)
    assert [stock.version for stock in touched] == [2, 2, 3, 4, 5]
    projection.apply(sends(5, 8, log=OTHER, term=2))
    check(projection, 8, OTHER)


def test_a_rebuild_that_brings_nothing_yet_leaves_nothing() -> None:
    projection = at(6)
    assert projection.apply(sends(0, 0, commit=8, term=2, rebuild=True)) == []
    check(projection, 0)
    assert (projection.position.term, projection.beginnings) == (2, 1)


def test_a_state_that_was_not_made_of_the_log_is_thrown_away() -> None:
    """The file was edited: the next order cannot be. It is built again from entry 1."""
    projection = at(6)
    projection.ledger.stocks.clear()
    assert projection.apply(sends(6, 8)) == []
    check(projection, 0)
    assert (projection.position.term, projection.beginnings) == (1, 1)
    projection.apply(sends(0, 8))
    check(projection, 8)


@settings(max_examples=50)
@given(st.data())
def test_any_messages_in_any_order_leave_a_prefix(
    data: st.DataObject,
) -> None:
    projection = empty()
    for _ in range(data.draw(st.integers(0, 20))):
        before, beginnings = projection.position, projection.beginnings
        message = data.draw(messages_near(before.index))
        touched = projection.apply(message)
        after = projection.position
        check(projection, after.index)
        assert after.term == max(before.term, message.term)
        if message.term < before.term:
            assert (after, projection.beginnings, touched) == (before, beginnings, [])
            continue
        assert projection.beginnings == beginnings + message.rebuild
        started = 0 if message.rebuild else before.index
        assert after.index >= started
        # All that was listed, and then one stock an order.
        assert {stock.version for stock in touched} == {*range(started + 1, after.index + 1)} - {1}
    projection.apply(sends(0, len(LOG), term=4))
    check(projection, len(LOG))


def messages_near(index: int) -> st.SearchStrategy[Apply]:
    """What a leader, or one of another history, may send to one that has `index` entries."""

    def ours(back: int, count: int, ahead: int, term: int, rebuild: bool) -> Apply:
        after = 0 if rebuild else min(max(0, index - back), len(LOG))
        upto = min(after + count, len(LOG))
        return sends(after, upto, min(upto + ahead, len(LOG)), term=term, rebuild=rebuild)

    def theirs(back: int, count: int, term: int) -> Apply:
        after = min(max(5, index - back), len(OTHER))
        return sends(after, min(after + count, len(OTHER)), log=OTHER, term=term)

    back, count, terms = st.integers(-2, 3), st.integers(0, 4), st.sampled_from([1, 2, 2, 2, 3])
    rebuild = st.sampled_from([False, False, False, True])
    return st.builds(ours, back, count, st.integers(0, 2), terms, rebuild) | st.builds(
        theirs, back, count, terms
    )


# Stocks that go to another partition.

GOES = LOG[1].event.stocks[0].name  # type: ignore[union-attr]
LEFT = LOG + extend(LOG, [Moved(GOES, 1)], term=1)


def test_a_stock_that_leaves_is_gone_from_the_market_and_has_a_floor() -> None:
    """Else a front-end that has it in its cache goes on showing it."""
    projection = at(8)
    assert projection.apply(sends(8, 9, log=LEFT)) == [Gone(GOES, 9)]
    check(projection, 9, LEFT)
    assert projection.floors(8) == {GOES: 9}
    assert projection.floors(0)[GOES] == 9
    assert projection.floors(9) == {}


def test_a_stock_that_is_to_leave_has_a_floor_before_that_is_committed() -> None:
    projection = at(8)
    proposes = msgspec.structs.replace(sends(8, 8, log=LEFT), proposed=LEFT[8:])
    projection.apply(proposes)
    assert projection.floors(8) == {GOES: 9}
    assert GOES in projection.ledger.stocks


def test_a_stock_that_comes_back_has_the_floor_of_its_coming() -> None:
    back = LEFT + extend(LEFT, [Adopted(GOES, 5, 9, 7, False, 1, 3)], term=1)
    projection = at(8)
    projection.apply(sends(8, 10, log=back))
    check(projection, 10, back)
    assert projection.floors(8) == {GOES: 10}


def test_what_left_in_another_log_has_no_floor_after_a_rebuild() -> None:
    projection = at(8)
    projection.apply(sends(8, 9, log=LEFT))
    projection.apply(sends(0, 8, rebuild=True))
    assert projection.floors(8) == {}
