"""A Deferred whose failure nobody handled says so only when it is collected."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_leaks(logged_failures: object) -> Iterator[None]:
    """Import this where Deferreds fail: a test that leaves an unhandled failure then fails."""
    yield
    gc.collect()
