"""`python -m load bench`: measures in a temporary folder, and prints the page."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from load import exit_codes
from load.report.outputs import Tell, show, show_json
from twisted_bazaar.runtime.reactor import Reactor

from .figures import judge, rows
from .generator import Generator
from .growth import Growth
from .page import Report, bench_page
from .speed import Speed

__all__ = ["Bench", "BenchOptions"]


class BenchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    rounds: int = 5
    seconds: int = 2
    connections: Sequence[int] = (1, 5, 32, 128)
    cache: str = "auto"
    orders: int = 1_000_000
    """In the long log; 0: measure none."""
    json: bool = False
    command: str = ""
    """The one that repeats the bench."""


class Bench:
    """One bench."""

    def __init__(self, reactor: Reactor, options: BenchOptions, tell: Tell) -> None:
        self._reactor = reactor
        self._options = options
        self._tell = tell

    async def run(self) -> int:
        """Measure, print the page, return the exit status. Raises `CannotRun`, `NotInTime`."""
        options = self._options
        with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as name:
            folder = Path(name)
            generator = Generator(folder)
            speed = Speed(self._reactor, folder, generator, options.cache, self._tell)
            samples = await speed.measure(options.rounds, options.connections, options.seconds)
            judged = list(judge(samples))
            if options.orders:
                growth = Growth(
                    self._reactor, folder, generator, options.cache, options.orders, self._tell
                )
                judged += await growth.measure(options.rounds, options.seconds)
        report = Report(
            generator=generator.name,
            cores=len(os.sched_getaffinity(0)),
            cache=speed.cache,
            rounds=options.rounds,
            seconds=options.seconds,
            rows=rows(samples),
            judged=judged,
            again=options.command,
        )
        if options.json:
            show_json(report)
        else:
            show(bench_page(report))
        return exit_codes.OK
