"""Waits for something that a real process is about to do, by polling."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_until(
    happened: Callable[[], T], what: str, within: float = 10.0, why_not: Callable[[], str] = str
) -> T:
    """Poll until `happened()` is true and return that; after `within` seconds, fail.

    `what` says what was waited for, and `why_not()` more about why it did not come.
    """
    deadline = time.monotonic() + within
    while True:
        result = happened()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {within} s: {what}\n{why_not()}"
        time.sleep(POLL_SECONDS)


def is_alive(pid: int | None) -> bool:
    """Whether a process of that id runs; one that is dead and not yet reaped does not."""
    if pid is None:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        if os.path.exists("/proc/self"):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
