"""The command line of `python -m load bench`."""

import argparse
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from load import exit_codes
from load.arguments import at_least
from load.report.outputs import tell

if TYPE_CHECKING:
    from load.arguments import Commands
    from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["add_bench"]


def add_bench(commands: "Commands") -> None:
    """Add the command to those of a parser."""
    bench = commands.add_parser(
        "bench",
        help="how far a bazaar is from what its own framework can do at best",
        description="Starts a bazaar with a cache, one without, bare Klein and gRPC servers, and"
        " FastAPI on PostgreSQL where that is installed; measures them in turns, and prints"
        " rates, latencies and ratios. Then a bazaar with a million orders: its trades, memory,"
        " start and resync.",
        epilog=exit_codes.described("bench"),
    )
    bench.set_defaults(start=_start)
    count = at_least(1, int)
    bench.add_argument("--rounds", type=count, default=5, help="of which medians are shown (5)")
    bench.add_argument("--seconds", type=count, default=2, help="each measured stretch (2)")
    bench.add_argument("--connections", type=_counts, default=(1, 5, 32, 128), metavar="N,N",
                       help="keep-alive connections (1,5,32,128)")  # fmt: skip
    bench.add_argument("--cache", default="auto", help="of the bazaar that has one (auto)")
    bench.add_argument("--orders", type=at_least(0, int), default=1_000_000,
                       help="in the long log (1000000); 0: leave that out")  # fmt: skip
    bench.add_argument("--json", action="store_true", help="print the figures as JSON")


def _start(asked: argparse.Namespace, reactor: "Reactor") -> Coroutine[Any, Any, int]:
    from .command import Bench, BenchOptions

    connections = ",".join(map(str, asked.connections))
    command = (
        f"python -m load bench --rounds {asked.rounds} --seconds {asked.seconds}"
        f" --connections {connections} --cache {asked.cache} --orders {asked.orders}"
    )
    options = BenchOptions(
        rounds=asked.rounds,
        seconds=asked.seconds,
        connections=asked.connections,
        cache=asked.cache,
        orders=asked.orders,
        json=asked.json,
        command=command,
    )
    return Bench(reactor, options, tell).run()


def _counts(text: str) -> tuple[int, ...]:
    read_count = at_least(1, int)
    return tuple(dict.fromkeys(read_count(each) for each in text.split(",")))
