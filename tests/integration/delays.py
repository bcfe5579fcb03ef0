"""How long a fault may hold clients up: measured, told to whoever runs the tests, and bounded."""

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

__all__ = ["Bound", "Delays", "measure"]

ATTEMPTS = 3
"""What the bazaar does to its clients it does each time. A machine that is busy with other
things may stand still once, or twice."""


class Delays(NamedTuple):
    """What a fault cost, in seconds."""

    trades: list[float]
    """Times without an acknowledged trade, the longest first."""
    lookup: float = 0.0
    """The longest time without a lookup that was answered."""


class Bound(NamedTuple):
    """What it may cost."""

    longest: float
    """For so long there may be no acknowledged trade, once."""
    others: float = math.inf
    """And so long any other time."""
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
    """Have clients `with_fault` a fault, print what that cost, and fail if it is never in bounds.

    Whatever else fails in `with_fault` fails at once.
    """
    for attempt in range(ATTEMPTS):
        delays = await with_fault()
        with capsys.disabled():
            longest = ", ".join(f"{gap:.2f}" for gap in delays.trades[:3])
            print(f"{'' if attempt else chr(10)}  {what}: no trade for {longest} s")
        if bound.kept(delays):
            return delays
    raise AssertionError(f"{what}: {delays.trades[:3]}, lookups {delays.lookup}, not {bound}")
