"""What readers of `GET /events` cost a trade: a front-end without and with them, in turns.

python -m load.bench.readers [--readers 1000] [--rounds 5] [--seconds 4] [--connections 32]
                             [--encoding gzip|identity]

Prints trades a second, and the CPU time of all processes of the bazaar for each trade; the median
of the ratios within a round; and what a reader was sent. The readers' own process is not counted,
but shares the processors.
"""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Mapping
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen

import msgspec
from twisted.internet import task
from twisted.internet.defer import Deferred

from load.bazaar.local import LocalFleet
from load.bazaar.processes import environment
from twisted_bazaar.runtime.reactor import Reactor

from .figures import Sample
from .generator import Generator
from .speed import STOCKS, WARM_UP_SECONDS
from .stretches import cpu_us, stretch

__all__ = ["main"]

START_SECONDS = 60.0


class _Came(msgspec.Struct):
    reads: int
    bytes: int
    ended: int


class _Readers:
    """The process of the readers."""

    def __init__(self, folder: Path, url: str, readers: int, encoding: str) -> None:
        self._file = folder / "reading"
        self._file.unlink(missing_ok=True)
        at = url.removeprefix("http://")
        command = [sys.executable, "-m", "load.bench.reading", at, str(readers), encoding]
        self._process = Popen(
            [*command, str(self._file)], stdin=PIPE, stdout=PIPE, env=environment()
        )

    async def read(self) -> bool:
        """Whether all of them do."""
        return self._file.exists()

    def end(self) -> _Came:
        """End them; returns what they were sent."""
        printed, _ = self._process.communicate()
        return msgspec.json.decode(printed, type=_Came)


async def _measure(reactor: Reactor, asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bazaar-readers-") as name:
        folder = Path(name)
        bazaar = LocalFleet(reactor, folder, (), ["--cache=memory"])
        await bazaar.start()
        try:
            generator = Generator(folder)
            url, pairs = bazaar.urls[0], []
            await generator.trades(url, STOCKS, asked.connections, WARM_UP_SECONDS)

            def trades() -> Awaitable[Sample]:
                return stretch(bazaar, generator.trades, asked.connections, asked.seconds)

            for number in range(asked.rounds):
                # A machine that becomes slower, or quicker, is so for both.
                first = None if number % 2 else await trades()
                readers = _Readers(folder, url, asked.readers, asked.encoding)
                await bazaar.until(readers.read, "all readers read", START_SECONDS)
                with_them = await trades()
                came = readers.end()
                without = first or await trades()
                pairs.append((without, with_them))
                _tell(without, with_them, came, asked)
            await bazaar.stop()
        finally:
            await bazaar.end()
    rates = [with_them.rate / without.rate for without, with_them in pairs]
    costs = [cpu_us(with_them) / cpu_us(without) for without, with_them in pairs]
    p50s = [with_them.p50_ms / without.p50_ms for without, with_them in pairs]
    print(
        f"{asked.readers} readers ({asked.encoding}), {asked.connections} connections: "
        f"trades a second {median(rates):.3f}, CPU of the bazaar for each trade "
        f"{median(costs):.3f}, p50 {median(p50s):.3f} of those without"
    )


def _tell(without: Sample, with_them: Sample, came: _Came, asked: argparse.Namespace) -> None:
    for name, sample in (("without", without), ("with   ", with_them)):
        used: Mapping[str, float] = sample.cpu_us
        cpu = "  ".join(f"{process} {used[process]:.0f}" for process in used)
        print(
            f"{name}: {sample.rate:.0f} trades/s, p50 {sample.p50_ms:.1f} ms, p99 "
            f"{sample.p99_ms:.1f} ms, {sample.errors} errors; CPU us for each "
            f"{cpu_us(sample):.0f}: {cpu}"
        )
    print(
        f"  a reader: {came.bytes / asked.readers / 1000:.0f} kB in "
        f"{came.reads / asked.readers:.0f} reads; {came.ended} were ended",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load.bench.readers")
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="each measured stretch")
    parser.add_argument("--connections", type=int, default=32, help="that trade")
    parser.add_argument("--encoding", choices=("gzip", "identity"), default="gzip")
    asked = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(_measure(reactor, asked)))


if __name__ == "__main__":
    main()
