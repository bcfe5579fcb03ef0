"""Waiting on the process's reactor for what happens there."""

import time
from collections.abc import Callable

from twisted.internet.task import deferLater

__all__ = ["until"]

PATIENCE_SECONDS = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor run until `condition` holds."""
    from twisted.internet import reactor

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await deferLater(reactor, 0.005)  # type: ignore[arg-type]
