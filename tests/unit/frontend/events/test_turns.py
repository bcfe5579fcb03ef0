"""When readers are written to: at once while they are few, and never more often than is allowed."""

import itertools

import pytest

from twisted_bazaar.frontend.events.turns import Turns, asking_seconds


def with_readers(count: int) -> Turns[int]:
    turns: Turns[int] = Turns(rate=1000, burst=16)
    for reader in range(count):
        turns.add(reader)
    return turns


def run(turns: Turns[int], seconds: float, news_every: float) -> list[tuple[float, int]]:
    """Who had a turn when."""
    had, now, next_news = [], 100.0, 100.0
    while now < 100.0 + seconds:
        if now >= next_news:
            turns.news()
            next_news += news_every
        had += [(now - 100.0, reader) for reader in turns.due(now)]
        now += turns.wait or 0.001
    return had


def test_a_few_readers_have_their_turn_at_once() -> None:
    turns = with_readers(10)
    assert turns.due(100.0) == [*range(10)]
    assert turns.due(100.0) == []
    assert turns.wait is None
    turns.news()
    assert turns.due(100.02) == [*range(10)]


@pytest.mark.parametrize("readers", [1, 40, 1000])
def test_all_together_have_a_bounded_number_of_turns_a_second(readers: int) -> None:
    had = run(with_readers(readers), 5.0, news_every=0.01)
    assert len(had) <= 5 * 1000 + 16
    assert {reader for _, reader in had} == {*range(readers)}


def test_each_of_many_has_a_turn_a_second() -> None:
    had = run(with_readers(1000), 5.0, news_every=0.25)
    for reader in (0, 500, 999):
        times = [at for at, each in had if each == reader]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert max([times[0], *gaps]) < 1.3
        assert min(gaps) > 0.7


def test_a_turn_of_the_reactor_serves_a_bounded_number() -> None:
    turns = with_readers(1000)
    assert len(turns.due(100.0)) == 16
    assert turns.wait == pytest.approx(0.016)
    assert len(turns.due(160.0)) == 16


def test_a_reader_that_has_left_has_no_turn() -> None:
    turns = with_readers(3)
    turns.remove(1)
    turns.remove(7)
    assert turns.due(100.0) == [0, 2]
    turns.news()
    turns.remove(0)
    assert turns.due(101.0) == [2]
    assert (len(turns), turns.all()) == (1, [2])


def test_without_news_nobody_waits() -> None:
    turns = with_readers(2)
    turns.due(100.0)
    assert turns.due(200.0) == []
    assert turns.wait is None


def test_replicas_are_asked_less_often_for_more_readers() -> None:
    assert asking_seconds(1) == asking_seconds(10) == 0.02
    assert asking_seconds(400) == 0.1
    assert asking_seconds(5000) == 0.25


def test_the_replicas_of_many_partitions_are_asked_no_more_often_in_all() -> None:
    assert asking_seconds(1, 2) == asking_seconds(1, 4) == 0.02
    assert asking_seconds(1, 40) == 0.2
    assert asking_seconds(5000, 40) == 0.25
    assert asking_seconds(1, 1000) == 5.0
