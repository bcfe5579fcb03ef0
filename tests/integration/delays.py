"""How long a fault delays clients: measured, printed, and bounded."""

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

__all__ = ["Bound", "Delays", "measure"]

ATTEMPTS = 3
"""A delay by the bazaar comes at every attempt; one by a busy machine comes once or twice."""


class Delays(NamedTuple):
    """The delays that a fault caused, in seconds."""

    trades: list[float]
    """Times without an acknowledged trade, the longest first."""
    lookup: float = 0.0
    """The longest time without a lookup that was answered."""


class Bound(NamedTuple):
    """The delays that it may cause, in seconds."""

    longest: float
    """The longest time without an acknowledged trade, which may come once."""
    others: float = math.inf
    """Any other such time."""
    lookup: float = math.inf

    def kept(self, delays: Delays) -> bool:
        longest, *others = delays.trades
        return (
            longest < self.longest
            and max(others, default=0.0) < self.others
            and delays.lookup < self.lookup
        )


async def measure(
    capsys: pytest.CaptureFixture[str],
    what: str,
    with_fault: Callable[[], Awaitable[Delays]],
    bound: Bound,
) -> Delays:
    """Run `with_fault`, print the delays, and fail if no attempt is within `bound`.

    An exception in `with_fault` fails at once.
    """
    for attempt in range(ATTEMPTS):
        delays = await with_fault()
        with capsys.disabled():
            longest = ", ".join(f"{gap:.2f}" for gap in delays.trades[:3])
            print(f"{'' if attempt else chr(10)}  {what}: no trade for {longest} s")
        if bound.kept(delays):
            return delays
    raise AssertionError(f"{what}: {delays.trades[:3]}, lookups {delays.lookup}, not {bound}")
