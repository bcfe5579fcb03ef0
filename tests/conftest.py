"""What all tests share. Must not import klein here: that would choose the reactor too early."""

import os
import random
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

SEED = "FRESH_SEED"
"""In the environment: the first of the seeds that nobody has tried before."""


def pytest_configure() -> None:
    # Processes that run a part of the tests have it from the one that started them.
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(10**9)))


def pytest_report_header() -> str:
    return f"simulated schedules: from seed {os.environ[SEED]} ({SEED}=... chooses another)"


@pytest.fixture
def fresh_seed() -> int:
    """Where a test that tries fresh seeds begins."""
    return int(os.environ[SEED])


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
