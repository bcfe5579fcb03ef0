"""Stretches of load on a bazaar, with what they cost each of its processes."""

from collections.abc import Awaitable, Callable, Sequence

from load.bazaar.local import LocalFleet

from .figures import Sample
from .speed import STOCKS, cpu_seconds

__all__ = ["Load", "cpu_us", "stretch"]

Load = Callable[[str, Sequence[str], int, float], Awaitable[Sample]]
"""Puts load on a URL: stocks, connections, and for how many seconds."""


async def stretch(bazaar: LocalFleet, load: Load, connections: int, seconds: float) -> Sample:
    """Put `load` on the first front-end of `bazaar`; the sample has the CPU time of each process
    for each answer."""
    pids = {name: bazaar.pid(name) for name in bazaar.names()}
    before = cpu_seconds(pids)
    sample = await load(bazaar.urls[0], STOCKS, connections, seconds)
    after = cpu_seconds(pids)
    answers = max(1.0, sample.rate * seconds)
    used = {name: (after[name] - before[name]) / answers * 1e6 for name in after if name in before}
    return Sample(sample.rate, sample.p50_ms, sample.p99_ms, sample.errors, used)


def cpu_us(sample: Sample) -> float:
    """The CPU time of all processes for each answer, in microseconds."""
    return sum(sample.cpu_us.values())
