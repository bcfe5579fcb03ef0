"""The schedule of an open loop: when each request is due, and from when its latency counts."""

import pytest

from load.run.schedule import Schedule, counted_from


def test_requests_are_due_evenly_and_each_is_given_once() -> None:
    schedule = Schedule(4.0, 100.0, 101.5)
    assert [schedule.take(100.0) for _ in range(7)] == [
        100.0, 100.25, 100.5, 100.75, 101.0, 101.25, None,
    ]  # fmt: skip
    assert schedule.left(200.0) == 0


def test_a_schedule_does_not_drift() -> None:
    schedule = Schedule(3.0, 1e6)
    due = [schedule.take(1e6) for _ in range(30_001)]
    assert due[-1] == 1_010_000.0


def test_a_late_client_takes_what_is_due_until_it_is_too_late() -> None:
    schedule = Schedule(10.0, 0.0, 2.0, give_up=12.0)
    assert schedule.take(0.0) == 0.0
    assert schedule.take(11.9) == 0.1
    assert schedule.take(12.0) is None
    assert schedule.left(12.0) == 18


def test_only_requests_that_are_due_by_now_are_left_over() -> None:
    schedule = Schedule(10.0, 0.0, 2.0)
    assert schedule.take(0.0) == 0.0
    assert schedule.left(1.0) == 9
    assert schedule.left(0.0) == 0


@pytest.mark.parametrize(
    ("due", "free", "sent", "since"),
    [
        (5.0, 4.0, 5.0, 5.0),
        # The delay of the timer is no latency of the server.
        (5.0, 4.0, 5.0015, 5.0015),
        (5.0, 5.0, 5.0015, 5.0015),
        # A longer delay counts.
        (5.0, 4.0, 5.1, 5.0),
        # The client was still waiting for its last answer.
        (5.0, 5.0005, 5.0005, 5.0),
        (5.0, 7.0, 7.0, 5.0),
    ],
)
def test_latency_counts_from_when_a_request_was_due(
    due: float, free: float, sent: float, since: float
) -> None:
    assert counted_from(due, free, sent) == since
