"""The command line of `python -m load run`, and the options that `sweep` shares with it."""

import argparse
import shlex
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import exit_codes
from load.arguments import DEFAULT_URL, at_least, bazaar_url, refuse, seed
from twisted_bazaar.market import MAX_TRADE_QUANTITY

from .mix import Mix
from .threshold import EXAMPLE, Threshold, parse

if TYPE_CHECKING:
    from load.arguments import Commands
    from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["add_run", "add_workload", "mix", "share"]

DEFAULT_SECONDS = 10.0


def add_run(commands: "Commands") -> None:
    """Add the command to those of a parser."""
    run = commands.add_parser(
        "run",
        help="the reference workload: lookups and trades, measured",
        description="Each client looks up a random stock, trades it with probability --p, and so"
        " on; before it leaves it queries every order that was acknowledged to it, and compares.",
        epilog=exit_codes.described("run"),
    )
    run.set_defaults(start=_start)
    run.add_argument("--url", type=bazaar_url, default=DEFAULT_URL, help=f"({DEFAULT_URL})")
    run.add_argument("--p", type=share, default=0.5, metavar="P",
                     help="probability that a trade follows a lookup, 0 to 1 (0.5)")  # fmt: skip
    add_workload(run, f"how long ({DEFAULT_SECONDS:g})")
    run.add_argument("--rate", type=at_least(0.001, float),
                     help="requests a second of all clients, whether answered or not; latency"
                     " counts from when each was due (as fast as answers come)")  # fmt: skip
    run.add_argument("--threshold", type=_threshold, action="append", default=[],
                     metavar=f"'{EXAMPLE}'", help="to be kept; may be repeated")  # fmt: skip
    run.add_argument("--history", type=Path, metavar="FILE",
                     help="keep every call in FILE; nothing else may trade meanwhile")  # fmt: skip
    run.add_argument("--json", action="store_true", help="print the figures as JSON")


def add_workload(parser: argparse.ArgumentParser, how_long: str) -> None:
    """Add the options of the reference workload, but for how often it trades."""
    count = at_least(1, int)
    parser.add_argument("--clients", type=count, default=5, help="each with a connection (5)")
    parser.add_argument("--side", choices=("buy", "sell", "both"), default="both",
                        help="of trades; both: evenly, so that stocks last (both)")  # fmt: skip
    parser.add_argument("--quantity", type=_quantity, default=(1, 10), metavar="LEAST:MOST",
                        help="shares of a trade (1:10)")  # fmt: skip
    parser.add_argument("--separate", action="store_true",
                        help="trade on a connection of its own, not on that of"
                        " lookups")  # fmt: skip
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--duration", type=at_least(0.001, float), metavar="SECONDS", help=how_long)
    until.add_argument("--iterations", type=count, help="lookups of each client, however long")
    parser.add_argument("--seed", type=at_least(0, int), help="of all choices (any)")


def mix(asked: argparse.Namespace, default_seconds: float, share: float = 0.0) -> Mix:
    """The workload that the options of `add_workload` ask for."""
    seconds = asked.duration
    if seconds is None and asked.iterations is None:
        seconds = default_seconds
    least, most = asked.quantity
    return Mix(
        clients=asked.clients,
        share=share,
        side=asked.side,
        least=least,
        most=most,
        iterations=asked.iterations,
        seconds=seconds,
        rate=getattr(asked, "rate", None),
        separate=asked.separate,
    )


def _start(asked: argparse.Namespace, reactor: "Reactor") -> Coroutine[Any, Any, int]:
    try:
        from .command import Run, RunOptions
    except ModuleNotFoundError as why:
        refuse(f"run needs {why.name}, one of the project's dev dependencies")
    workload, number = mix(asked, DEFAULT_SECONDS, asked.p), seed(asked)
    command = ["python", "-m", "load", "run", "--url", asked.url]
    command += workload.options(f"{asked.p:g}")
    for each in asked.threshold:
        command += ["--threshold", each.text]
    options = RunOptions(
        url=asked.url,
        mix=workload,
        seed=number,
        history=asked.history,
        thresholds=tuple(asked.threshold),
        json=asked.json,
        command=shlex.join([*command, "--seed", str(number)]),
    )
    return Run(reactor, options).run()


def share(text: str) -> float:
    """Read a probability, 0 to 1."""
    read = at_least(0.0, float)(text)
    if read > 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return read


def _quantity(text: str) -> tuple[int, int]:
    least, _, most = text.partition(":")
    try:
        least_number, most_number = int(least), int(most or least)
    except ValueError:
        least_number = most_number = 0
    if not 1 <= least_number <= most_number <= MAX_TRADE_QUANTITY:
        raise argparse.ArgumentTypeError(f"must be like 1:10, not {text!r}")
    return least_number, most_number


def _threshold(text: str) -> Threshold:
    try:
        return parse(text)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None
