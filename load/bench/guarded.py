"""What certificates, API keys and rates cost: a bazaar in plain text, one with TLS between its
processes, and one that asks for API keys as well and limits each client's rate, in turns.

    python -m load.bench.guarded [--starts 6] [--rounds 2] [--seconds 2] [--connections 1,5,32,128]

All are started first; those that are not measured are stopped (SIGSTOP) meanwhile. Each round
compares them within seconds, so that a machine that becomes slower is so for all. After so many
rounds all are started anew: two starts of the same bazaar differ by up to a tenth, for as long as
they run, and a second one in plain text shows by how much. What is printed are the medians of all
comparisons, and the middle half of them in brackets. It needs `wrk`.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from twisted.internet import task
from twisted.internet.defer import Deferred

from load.arguments import at_least
from load.bazaar.local import LocalFleet
from load.errors import CannotRun, NotInTime
from twisted_bazaar.access import Client, Permission
from twisted_bazaar.frontend.access.client_file import (
    API_KEY_BYTES,
    ClientEntry,
    api_key,
    hash_of,
    written,
)
from twisted_bazaar.rate import Rate
from twisted_bazaar.runtime.reactor import Reactor

from .figures import Sample
from .generator import Generator
from .speed import STOCKS, WARM_UP_SECONDS, rest, wake
from .stretches import cpu_us, stretch

__all__ = ["AGAIN", "ALL", "PLAIN", "TLS", "main", "page", "turns"]

PLAIN, AGAIN, TLS, ALL = "plain text", "plain text again", "TLS", "TLS, API keys, rates"
RATE = 1_000_000
"""Requests a second that the client may make: more than it can."""
LOOKUP_CONNECTIONS = 32

Taken = Mapping[str, Sequence[Sample]]
"""The samples of each kind of bazaar, by round."""
_Samples = Mapping[tuple[str, int], dict[str, list[Sample]]]
"""The same by what was measured, with so many connections."""


class _Guarded:
    """One bazaar, and what puts load on it."""

    def __init__(self, reactor: Reactor, folder: Path, options: Sequence[str], key: str | None):
        folder.mkdir()
        self.bazaar = LocalFleet(reactor, folder, (), options, api_key=key)
        self.generator = Generator(folder, key)


class _Bench:
    """One start of all kinds. What is measured comes to `taken`."""

    def __init__(
        self, reactor: Reactor, folder: Path, asked: argparse.Namespace, taken: "_Samples"
    ) -> None:
        self._asked = asked
        self._taken = taken
        folder.mkdir()
        key = api_key(os.urandom(API_KEY_BYTES))
        permissions = frozenset({Permission.READ, Permission.TRADE})
        client = Client("bench", permissions, Rate.of(RATE))
        clients = folder / "clients.toml"
        clients.write_text(written([ClientEntry(client, (hash_of(key.encode()),))]))
        self._kinds = {
            PLAIN: _Guarded(reactor, folder / "plain", ["--plain-inside"], None),
            AGAIN: _Guarded(reactor, folder / "again", ["--plain-inside"], None),
            TLS: _Guarded(reactor, folder / "tls", [], None),
            ALL: _Guarded(reactor, folder / "all", [f"--clients={clients}"], key),
        }

    async def run(self, start: int) -> None:
        """Start all for the `start`th time, measure, and end all. Raises `CannotRun`,
        `NotInTime`."""
        asked, kinds = self._asked, self._kinds
        if not all(kind.generator.is_wrk for kind in kinds.values()):
            raise CannotRun("there is no wrk")
        try:
            for name in turns(list(kinds), start):
                await kinds[name].bazaar.start()
                rest(kinds[name].bazaar)
            what = [("trades", connections) for connections in asked.connections]
            first = start * asked.rounds
            for number in range(first, first + asked.rounds):
                rounds = asked.starts * asked.rounds
                print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
                for load, connections in (*what, ("lookups", LOOKUP_CONNECTIONS)):
                    for name in turns(list(kinds), number):
                        sample = await self._take(kinds[name], load, connections)
                        self._taken[load, connections][name].append(sample)
        finally:
            for kind in kinds.values():
                kind.bazaar.heal()
                await kind.bazaar.end()

    async def _take(self, kind: _Guarded, load: str, connections: int) -> Sample:
        generator, bazaar = kind.generator, kind.bazaar
        put = generator.trades if load == "trades" else generator.lookups
        await wake(bazaar)
        await put(bazaar.urls[0], STOCKS, connections, WARM_UP_SECONDS)
        sample = await stretch(bazaar, put, connections, self._asked.seconds)
        rest(bazaar)
        return sample


def turns(names: Sequence[str], number: int) -> Sequence[str]:
    """The order in round `number`: each comes at each place as often, and after each of its
    neighbours as often as before it."""
    first = number % len(names)
    order = [*names[first:], *names[:first]]
    return order if number // len(names) % 2 == 0 else order[::-1]


def page(load: str, connections: int, taken: Taken) -> Sequence[str]:
    """The lines of one load: the medians of each kind, and how it compares with plain text."""
    lines = [
        f"{load}, {connections} connections{'a second':>12}{'p50 ms':>8}{'CPU us':>8}"
        f"{'rate / plain text':>26}{'CPU / plain text':>26}"
    ]
    for name, samples in taken.items():
        shown = "".join(
            f"{_compared(samples, taken[PLAIN], of):>26}" for of in (lambda s: s.rate, cpu_us)
        )
        rate, p50, cpu = (
            median(map(of, samples)) for of in (lambda s: s.rate, lambda s: s.p50_ms, cpu_us)
        )
        errors = sum(sample.errors for sample in samples)
        lines.append(
            f"  {name:<{len(load) + len(str(connections)) + 13}}{rate:>11.0f}{p50:>8.2f}{cpu:>8.0f}"
            f"{shown}{f'  {errors} ERRORS' if errors else ''}"
        )
    return lines


def _compared(
    samples: Sequence[Sample], plain: Sequence[Sample], of: Callable[[Sample], float]
) -> str:
    ratios = [of(one) / of(other) for one, other in zip(samples, plain, strict=True)]
    if len(ratios) < 2:
        return f"{ratios[0]:.2f}"
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


async def _measure(reactor: Reactor, asked: argparse.Namespace) -> None:
    taken: _Samples = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="bazaar-guarded-") as name:
        try:
            for start in range(asked.starts):
                await _Bench(reactor, Path(name, str(start)), asked, taken).run(start)
        except (CannotRun, NotInTime) as why:
            raise SystemExit(f"bench: {why}") from None
    for (load, connections), samples in taken.items():
        print("\n".join(page(load, connections, samples)))


def _counts(text: str) -> Sequence[int]:
    return [at_least(1, int)(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load.bench.guarded")
    parser.add_argument("--starts", type=at_least(1, int), default=6)
    parser.add_argument("--rounds", type=at_least(1, int), default=2, help="after each start")
    parser.add_argument("--seconds", type=at_least(1, int), default=2, help="each measured stretch")
    parser.add_argument("--connections", type=_counts, default=[1, 5, 32, 128])
    asked = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(_measure(reactor, asked)))


if __name__ == "__main__":
    main()
