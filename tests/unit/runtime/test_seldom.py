"""What others cause at will is a line in the log now and then, with how often it was none."""

from twisted_bazaar.runtime.seldom import LOG_SECONDS, Seldom


def test_the_first_is_logged_and_the_next_ones_are_counted_until_the_time_is_over() -> None:
    line = Seldom()
    assert line.held_back(5.0) == 0
    assert line.held_back(5.0) is None
    assert line.held_back(5.0 + LOG_SECONDS - 0.1) is None
    assert line.held_back(5.0 + LOG_SECONDS) == 2
    assert line.held_back(5.1 + LOG_SECONDS) is None
    assert line.held_back(5.0 + 2 * LOG_SECONDS) == 1
