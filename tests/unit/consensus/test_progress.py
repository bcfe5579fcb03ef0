"""What a leader knows of one peer, and what a majority makes of all."""

import pytest

from twisted_bazaar.consensus.progress import Progress, majority, reached_by_majority

HEARTBEAT = 0.06


def due(progress: Progress, now: float, last_index: int = 5, round_: int = 0) -> bool:
    return progress.due(now, last_index, round_, HEARTBEAT)


def told(sent: float = 1.0, round_: int = 0) -> Progress:
    """A peer that has all five entries, and was told so."""
    progress = Progress(5, 0.0)
    progress.sending(sent, round_)
    progress.answered(sent, round_)
    progress.matched(5)
    return progress


@pytest.mark.parametrize(("members", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_is_more_than_half(members: int, needed: int) -> None:
    assert majority(members) == needed


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ([7], 7),
        ([7, 3], 3),
        ([7, 3, 5], 5),
        ([0, 9, 9], 9),
        ([9, 8, 2, 1], 2),
        ([1, 5, 9, 2, 3], 3),
    ],
)
def test_what_a_majority_has_reached(values: list[int], reached: int) -> None:
    """As many as `majority` have this value or a higher one."""
    assert reached_by_majority(values) == reached
    assert reached_by_majority(reversed(values)) == reached


def test_a_new_peer_is_told_at_once() -> None:
    assert due(Progress(5, 0.0), 0.0)


def test_one_request_at_a_time_is_under_way() -> None:
    progress = told()
    progress.sending(2.0, 0)
    assert not due(progress, 9.0, last_index=99, round_=99)
    progress.answered(2.0, 0)
    assert due(progress, 9.0, last_index=99)


def test_news_do_not_wait_for_a_heartbeat() -> None:
    assert not due(told(), 1.01)
    assert due(told(), 1.01, last_index=6)
    assert due(told(), 1.01, round_=1)
    assert due(told(), 1.01 + HEARTBEAT)


def test_a_request_that_is_lost_is_followed_by_a_pause() -> None:
    progress = told()
    progress.sending(2.0, 0)
    progress.lost(2.0, pause_until=2.5)
    assert not due(progress, 2.49, last_index=9)
    assert due(progress, 2.5, last_index=9)


def test_only_the_request_that_is_under_way_can_be_lost_or_answered() -> None:
    """What is said of an earlier one comes late; there is another under way by now."""
    progress = told(sent=1.0)
    progress.sending(2.0, 0)
    progress.lost(1.0, pause_until=9.0)
    progress.answered(1.0, 0)
    assert not due(progress, 3.0)
    progress.answered(2.0, 0)
    assert due(progress, 3.0)


def test_who_is_heard_is_heard_as_of_the_question() -> None:
    """And an older answer takes nothing back."""
    progress = Progress(5, 10.0)
    assert progress.heard_at == 10.0
    progress.answered(11.0, 3)
    progress.answered(10.5, 2)
    assert (progress.heard_at, progress.round) == (11.0, 3)


def test_what_matches_never_falls_by_an_older_acknowledgement() -> None:
    progress = told()
    progress.matched(3)
    assert (progress.match, progress.next) == (5, 6)
    progress.matched(8)
    assert (progress.match, progress.next) == (8, 9)


def test_backing_up_goes_as_far_as_the_peer_says_and_by_one_at_least() -> None:
    progress = Progress(9, 0.0)
    progress.back_up(4)
    assert progress.next == 5
    progress.back_up(30)
    assert progress.next == 4
    for _ in range(9):
        progress.back_up(30)
    assert progress.next == 1


def test_a_refusal_takes_an_acknowledgement_back() -> None:
    """What was acknowledged may have been fetched away since; else it is only sent again."""
    progress = told()
    progress.back_up(2)
    assert (progress.match, progress.next) == (2, 3)
