"""What all tests share. Must not import klein here: that would choose the reactor too early."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[list[Failure]]:
    """Fails a test during which a failure was logged; one that provokes it clears the list."""
    failures: list[Failure] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    yield failures
    globalLogPublisher.removeObserver(observe)
    assert not failures, "\n".join(each.getTraceback() for each in failures)
