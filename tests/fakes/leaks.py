"""Finds Deferreds whose failure was not handled: they log it only when they are collected."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_leaks(logged_failures: object) -> Iterator[None]:
    """Imported into a test module: a test that leaves an unhandled failure fails."""
    yield
    gc.collect()
