"""How long what began at an index takes until that is reached."""

from twisted_bazaar.metrics.figures import Histogram
from twisted_bazaar.metrics.stages import MOST_WAITING, Stage


def made() -> tuple[Stage, Histogram]:
    seconds = Histogram((1.0, 2.0))
    return Stage(seconds), seconds


def test_each_is_observed_once_when_its_index_is_reached() -> None:
    stage, seconds = made()
    stage.began(3, 10.0)
    stage.began(5, 11.0)
    stage.reached(2, 12.0)
    assert seconds.counts == [0, 0, 0]
    stage.reached(4, 12.0)
    assert (seconds.counts, seconds.total) == ([0, 1, 0], 2.0)
    stage.reached(9, 11.5)
    stage.reached(9, 20.0)
    assert (seconds.counts, seconds.total) == ([1, 1, 0], 2.5)


def test_what_does_not_come_to_the_stage_is_not_observed() -> None:
    stage, seconds = made()
    stage.began(3, 10.0)
    stage.began(5, 10.0)
    stage.passed(3)
    stage.reached(5, 11.0)
    assert seconds.count == 1
    stage.began(7, 11.0)
    stage.clear()
    stage.reached(7, 12.0)
    assert seconds.count == 1


def test_where_nothing_is_ever_reached_little_is_kept() -> None:
    stage, seconds = made()
    for index in range(3 * MOST_WAITING):
        stage.began(index, 0.0)
    assert len(stage.waiting) == MOST_WAITING
    stage.reached(3 * MOST_WAITING, 1.0)
    assert seconds.count == MOST_WAITING
