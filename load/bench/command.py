"""`python -m load bench`: from its options to its page."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from twisted_bazaar.runtime.reactor import Reactor

from .figures import judge, rows
from .generator import Generator
from .growth import Growth
from .page import Report, page
from .speed import Speed

__all__ = ["Bench", "BenchAsked"]


class BenchAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    rounds: int = 5
    seconds: int = 2
    connections: Sequence[int] = (1, 5, 32, 128)
    cache: str = "auto"
    orders: int = 1_000_000
    """In the long log; 0: leave out what needs one."""
    json: bool = False
    command: str = ""
    """That repeats it."""


class Bench:
    """One bench, in a folder that is gone afterwards."""

    def __init__(self, reactor: Reactor, asked: BenchAsked, tell: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._asked = asked
        self._tell = tell

    async def run(self) -> int:
        """Carry it out, print the page, and return the exit status. Raises `CannotRun`."""
        asked = self._asked
        with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as name:
            folder = Path(name)
            generator = Generator(folder)
            speed = Speed(self._reactor, folder, generator, asked.cache, self._tell)
            samples = await speed.measure(asked.rounds, asked.connections, asked.seconds)
            judged = list(judge(samples))
            if asked.orders:
                growth = Growth(
                    self._reactor, folder, generator, asked.cache, asked.orders, self._tell
                )
                judged += await growth.measure(asked.rounds, asked.seconds)
        report = Report(
            generator=generator.name,
            cores=len(os.sched_getaffinity(0)),
            cache=speed.cache,
            rounds=asked.rounds,
            seconds=asked.seconds,
            rows=rows(samples),
            judged=judged,
            again=asked.command,
        )
        if asked.json:
            print(msgspec.json.format(msgspec.json.encode(report)).decode())
        else:
            print(page(report))
        sys.stdout.flush()
        return 0
