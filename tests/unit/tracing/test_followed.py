"""How long it is remembered whose an entry is."""

from tests.fakes.tracer import FakeSpan
from tests.unit.order.test_following import orders
from twisted_bazaar.tracing.followed import Followed, FollowedEntries

ANNA, BERT = Followed("anna"), Followed("bert")


def test_only_the_last_entries_are_remembered() -> None:
    log = orders(*[1] * 10)
    entries = FollowedEntries("done", most=3)
    for entry in log:
        new = entries.remember(entry, ANNA)
        assert new is not None
        new.span = span = FakeSpan("", None, 1)
    assert len(entries) == 3
    assert [each.index for each in entries.among(log)] == [8, 9, 10]
    assert [each.index for each in entries.take_open("done", 9)] == [8, 9]
    assert span.error is None


def test_the_span_of_what_is_forgotten_ends() -> None:
    [entry] = orders(1)
    entries = FollowedEntries("done")
    new = entries.remember(entry, ANNA)
    assert new is not None
    new.span = span = FakeSpan("", None, 1)
    entries.forget([new])
    assert span.error
    assert entries.take_open("done", 1) == []


def test_what_is_known_of_an_entry_stays() -> None:
    [entry] = orders(1)
    entries = FollowedEntries("done")
    entries.remember(entry, ANNA)
    assert entries.remember(entry, BERT) is None
    assert [each.followed for each in entries.among([entry])] == [ANNA]


def test_each_respect_has_a_course_of_its_own() -> None:
    [entry] = orders(1)
    entries = FollowedEntries("one", "other")
    entries.remember(entry, ANNA)
    assert len(entries.take_open("one", 1)) == 1
    assert len(entries.take_open("other", 1)) == 1
    assert entries.take_open("one", 1) == []


def test_an_entry_of_another_term_is_another_one() -> None:
    entries = FollowedEntries("done")
    entries.remember(orders(1)[0], ANNA)
    assert list(entries.among(orders(2))) == []


def test_what_another_entry_has_replaced_is_forgotten() -> None:
    old, new = orders(1, 1), orders(1, 2)
    entries = FollowedEntries("done")
    remembered = [entries.remember(entry, ANNA) for entry in old]
    assert remembered[1] is not None
    remembered[1].span = span = FakeSpan("", None, 1)
    entries.supersede(new)
    assert [each.index for each in entries.take_open("done", 2)] == [1]
    assert span.error
