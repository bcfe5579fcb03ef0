"""What a catalog knows is always what follows from a prefix of the order log, and nothing else."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.replication.entries import GENESIS, Entry
from twisted_bazaar.replication.messages import Apply, ApplyReply

from .histories import extend, history, ledger_of, order

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
    digest = log[after - 1].digest if after else GENESIS
    entries = tuple(log[after:upto])
    return Apply(term, 3, after, digest, entries, commit or upto, rebuild, 7.5)


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


def test_entries_are_applied_in_order_and_the_answer_says_up_to_where() -> None:
    projection = empty()
    assert projection.apply(sends(0, 3)) == ApplyReply("", 1, 3, LOG[2].digest, 7.5)
    check(projection, 3)
    projection.apply(sends(3, 8))
    check(projection, 8)


def test_what_leaves_a_gap_is_not_applied_and_the_answer_says_from_where_to_go_on() -> None:
    projection = at(2)
    assert projection.apply(sends(3, 5)) == ApplyReply("", 1, 2, LOG[1].digest, 7.5)
    check(projection, 2)


@pytest.mark.parametrize(("after", "upto", "then"), [(0, 4, 4), (1, 3, 4), (2, 6, 6), (4, 4, 4)])
def test_what_comes_twice_or_overlaps_is_applied_once(after: int, upto: int, then: int) -> None:
    projection = at(4)
    projection.apply(sends(after, upto))
    check(projection, then)


def test_what_is_of_another_history_is_not_applied() -> None:
    projection = at(6)
    reply = projection.apply(sends(6, 8, log=OTHER, term=2))
    assert (reply.applied, reply.digest) == (6, LOG[5].digest), "by which the leader knows"
    check(projection, 6)
    projection.apply(sends(4, 8, log=OTHER, term=2))
    check(projection, 6)


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
    reply = projection.apply(sends(2, 4, term=4))
    assert (reply.term, reply.applied) == (5, 2), "by which it knows that it was deposed"
    check(projection, 2)
    projection.apply(sends(0, 4, term=4, rebuild=True))
    check(projection, 2)
    projection.apply(sends(2, 4, term=5))
    check(projection, 4)


def test_a_rebuild_begins_anew_with_what_it_brings() -> None:
    projection = at(6)
    reply = projection.apply(sends(0, 5, commit=8, log=OTHER, term=2, rebuild=True))
    assert (reply.term, reply.applied) == (2, 5)
    check(projection, 5, OTHER)
    assert not projection.current, "clients were shown more of the other history"
    projection.apply(sends(5, 8, log=OTHER, term=2))
    check(projection, 8, OTHER)
    assert projection.current


def test_a_rebuild_that_brings_nothing_yet_leaves_nothing() -> None:
    projection = at(6)
    projection.apply(sends(0, 0, commit=8, term=2, rebuild=True))
    check(projection, 0)
    assert projection.position.term == 2
    assert not projection.current


def test_it_is_current_once_all_that_a_leader_said_is_committed_is_applied() -> None:
    projection = empty()
    for message in (sends(0, 3, commit=8), sends(5, 8), sends(3, 6, commit=8)):
        projection.apply(message)
        assert not projection.current
    projection.apply(sends(6, 8))
    assert projection.current


def test_a_heartbeat_is_enough_for_one_that_has_it_all() -> None:
    """After a restart, from its file."""
    projection = Projection(ledger_of(LOG[:6]), at(6).position)
    assert not projection.current
    projection.apply(sends(5, 5, commit=6))
    assert not projection.current, "an empty message about what came before says too little"
    projection.apply(sends(6, 6, commit=8))
    assert not projection.current
    projection.apply(sends(6, 6))
    assert projection.current


def test_one_that_has_more_than_is_said_to_be_committed_is_not_made_current_by_it() -> None:
    projection = Projection(ledger_of(LOG), at(8).position)
    projection.apply(sends(4, 6))
    assert not projection.current
    check(projection, 8)


def test_a_leader_of_another_history_makes_nobody_current() -> None:
    projection = Projection(ledger_of(LOG[:6]), at(6).position)
    projection.apply(sends(6, 6, log=OTHER, term=2))
    assert not projection.current


def test_what_was_current_stays_so_while_it_catches_up() -> None:
    projection = at(4)
    projection.apply(sends(4, 6, commit=8))
    assert projection.current


def test_a_state_that_was_not_made_of_the_log_is_thrown_away() -> None:
    """Somebody has edited the file: the next order cannot be. It is built again from entry 1."""
    projection = at(6)
    projection.ledger.stocks.clear()
    reply = projection.apply(sends(6, 8))
    assert (reply.applied, reply.digest) == (0, GENESIS)
    assert not projection.current
    projection.apply(sends(0, 8))
    check(projection, 8)


@settings(max_examples=50)
@given(st.data())
def test_whatever_comes_however_often_in_whatever_order_it_is_a_prefix(
    data: st.DataObject,
) -> None:
    projection = empty()
    for _ in range(data.draw(st.integers(0, 20))):
        before, was_current = projection.position, projection.current
        message = data.draw(messages_near(before.index))
        reply = projection.apply(message)
        after = projection.position
        check(projection, after.index)
        assert (reply.term, reply.applied, reply.digest) == (after.term, after.index, after.digest)
        assert after.term == max(before.term, message.term)
        if message.term < before.term:
            assert (after, projection.current) == (before, was_current)
            continue
        ends = [message.previous_digest, *(entry.digest for entry in message.entries)][-1]
        has_all = after.index == message.commit and after.digest == ends
        if message.rebuild:
            assert projection.current is has_all
        else:
            assert after.index >= before.index
            assert projection.current is (was_current or has_all)
    projection.apply(sends(0, len(LOG), term=4))
    check(projection, len(LOG))
    assert projection.current


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
