"""The log says once that a front-end is ready, or what it waits for."""

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent

from twisted_bazaar.frontend.readiness import Readiness


class Reports:
    """What is missing, as a test says."""

    missing: str | None = "no order replica leads"

    def readiness(self) -> Deferred[str | None]:
        return succeed(self.missing)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def clock(reports: Reports) -> Iterator[Clock]:
    clock = Clock()
    service = Readiness(clock, reports, lambda: "http://a:1")
    service.startService()
    yield clock
    service.stopService()
    assert not clock.getDelayedCalls()


def said(events: list[LogEvent]) -> list[str]:
    return [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]


def test_it_says_where_it_is_ready_once(clock: Clock, reports: Reports) -> None:
    with capturedLogs() as events:
        clock.pump([0.1] * 20)
        assert not events
        reports.missing = None
        clock.pump([0.1] * 20)
    assert said(events) == ["info: ready: http://a:1"]


def test_a_long_start_says_once_what_it_waits_for(clock: Clock, reports: Reports) -> None:
    with capturedLogs() as events:
        clock.pump([0.1] * 300)
        reports.missing = None
        clock.pump([0.1] * 5)
    assert said(events) == [
        "warn: not ready yet: no order replica leads",
        "info: ready: http://a:1",
    ]
