"""What it costs a bazaar to be seen: without and with one page that shows it, in turns.

python -m load.bench.watched [--rounds 7] [--seconds 4] [--connections 32]

The page reads a stream of events and asks for the status, as `load.bench.watching` does. Prints
trades and lookups a second, latencies, and the CPU time of all processes of the bazaar for each;
and how the medians with the page compare with those without. The page's own process is not counted,
but shares the processors.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen

import msgspec
from twisted.internet import task
from twisted.internet.defer import Deferred

from load.bazaar.local import LocalFleet
from load.bazaar.processes import environment
from load.errors import CannotRun
from twisted_bazaar.runtime.reactor import Reactor

from .figures import Sample
from .generator import Generator
from .speed import STOCKS, WARM_UP_SECONDS
from .stretches import Load, cpu_us, stretch

__all__ = ["main"]

START_SECONDS = 30.0

_FIGURES: Sequence[tuple[str, Callable[[Sample], float]]] = (
    ("a second", lambda sample: sample.rate),
    ("CPU of the bazaar for each", cpu_us),
    ("p50", lambda sample: sample.p50_ms),
    ("p99", lambda sample: sample.p99_ms),
)


class _Came(msgspec.Struct):
    stream: int
    polled: int
    polls: int
    ended: int


class _Page:
    """The process that does what a page does."""

    def __init__(self, folder: Path, url: str) -> None:
        self._file = folder / "watching"
        self._file.unlink(missing_ok=True)
        at = url.removeprefix("http://")
        command = [sys.executable, "-m", "load.bench.watching", at, str(self._file)]
        self._process = Popen(command, stdin=PIPE, stdout=PIPE, env=environment())

    async def shows(self) -> bool:
        """Whether it has been answered."""
        return self._file.exists()

    def end(self) -> _Came:
        """End it; returns what it was sent. Raises `CannotRun` if it saw no more to the end."""
        printed, _ = self._process.communicate()
        try:
            came = msgspec.json.decode(printed, type=_Came)
        except msgspec.DecodeError:
            raise CannotRun("the page was not answered to the end") from None
        if came.ended:
            raise CannotRun("the stream of events was ended")
        return came


class _Turns:
    """Stretches without and with a page, of one bazaar."""

    def __init__(self, bazaar: LocalFleet, folder: Path, asked: argparse.Namespace) -> None:
        self._bazaar = bazaar
        self._folder = folder
        self._asked = asked

    async def measure(self, kind: str, load: Load) -> None:
        """Measure `load` in turns, and print each round and the comparison."""
        asked, bazaar = self._asked, self._bazaar
        await load(bazaar.urls[0], STOCKS, asked.connections, WARM_UP_SECONDS)
        without: list[Sample] = []
        watched: list[Sample] = []
        for number in range(asked.rounds):
            # A machine that becomes slower, or quicker, is so for both.
            if number % 2:
                without.append(await self._stretch(load))
            page = _Page(self._folder, bazaar.urls[0])
            await bazaar.until(page.shows, "the page is answered", START_SECONDS)
            watched.append(await self._stretch(load))
            came = page.end()
            if not number % 2:
                without.append(await self._stretch(load))
            _tell(kind, without[-1], watched[-1], came)
        ratios = ", ".join(
            f"{name} {median(map(of, watched)) / median(map(of, without)):.3f}"
            for name, of in _FIGURES
        )
        print(f"{kind}, {asked.connections} connections, watched / without: {ratios}", flush=True)

    async def _stretch(self, load: Load) -> Sample:
        return await stretch(self._bazaar, load, self._asked.connections, self._asked.seconds)


async def _measure(reactor: Reactor, asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bazaar-watched-") as name:
        folder = Path(name)
        bazaar = LocalFleet(reactor, folder, (), ["--cache=memory"])
        generator = Generator(folder)
        await bazaar.start()
        try:
            turns = _Turns(bazaar, folder, asked)
            await turns.measure("trades", generator.trades)
            await turns.measure("lookups", generator.lookups)
            await bazaar.stop()
        finally:
            await bazaar.end()


def _tell(kind: str, without: Sample, watched: Sample, came: _Came) -> None:
    for name, sample in (("without", without), ("watched", watched)):
        used = "  ".join(f"{process} {cpu:.0f}" for process, cpu in sample.cpu_us.items())
        print(
            f"{name}: {sample.rate:.0f} {kind}/s, p50 {sample.p50_ms:.2f} ms, p99 "
            f"{sample.p99_ms:.2f} ms, {sample.errors} errors; CPU us for each "
            f"{cpu_us(sample):.0f}: {used}"
        )
    print(
        f"  the page: {came.stream / 1000:.0f} kB of events, {came.polled / 1000:.0f} kB in "
        f"{came.polls} polls",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load.bench.watched")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="each measured stretch")
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(_measure(reactor, asked)))


if __name__ == "__main__":
    main()
