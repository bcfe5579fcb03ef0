"""The command line of `python -m load sweep`."""

import argparse
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from load import exit_codes
from load.arguments import bazaar_url, refuse, seed
from load.report.outputs import tell
from load.run.arguments import add_workload, mix, share

if TYPE_CHECKING:
    from load.arguments import Commands
    from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["add_sweep"]

DEFAULT_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
DEFAULT_CACHES = ("auto", "off")
DEFAULT_SECONDS = 6.0

T = TypeVar("T")


def add_sweep(commands: "Commands") -> None:
    """Add the command to those of a parser."""
    sweep = commands.add_parser(
        "sweep",
        help="the reference workload by p, with and without a cache: tables, plots and CSV",
        description="Runs the reference workload once for each p and each cache, every time"
        " against a fresh bazaar, and shows what lookups and trades take.",
        epilog=exit_codes.described("sweep"),
    )
    sweep.set_defaults(start=_start)
    sweep.add_argument("--p", type=_shares, default=DEFAULT_SHARES, metavar="P,P,...",
                       help="probabilities that a trade follows a lookup"
                       " (0,0.2,0.4,0.6,0.8)")  # fmt: skip
    sweep.add_argument("--caches", type=_caches, metavar="CACHE,...",
                       help="of `twistd bazaar` (auto,off)")  # fmt: skip
    sweep.add_argument("--url", type=bazaar_url,
                       help="of a bazaar that runs already, instead of fresh ones")  # fmt: skip
    add_workload(sweep, f"of each setting ({DEFAULT_SECONDS:g})")
    sweep.add_argument("--html", type=Path, default=Path("sweep.html"), metavar="FILE",
                       help="the report with its plots (sweep.html)")  # fmt: skip
    sweep.add_argument("--csv", type=Path, default=Path("sweep.csv"), metavar="FILE",
                       help="all figures (sweep.csv)")  # fmt: skip


def _start(asked: argparse.Namespace, reactor: "Reactor") -> Coroutine[Any, Any, int]:
    if asked.url and asked.caches:
        refuse("--caches is for bazaars that are started here, not with --url")
    try:
        from .command import Sweep, SweepOptions
    except ModuleNotFoundError as why:
        refuse(f"sweep needs {why.name}, one of the project's dev dependencies")
    options = SweepOptions(
        shares=asked.p,
        caches=() if asked.url else asked.caches or DEFAULT_CACHES,
        mix=mix(asked, DEFAULT_SECONDS),
        seed=seed(asked),
        url=asked.url or "",
        html=asked.html,
        csv=asked.csv,
    )
    return Sweep(reactor, options, tell).run()


def _shares(text: str) -> tuple[float, ...]:
    return _distinct([share(each) for each in text.split(",")], text)


def _caches(text: str) -> tuple[str, ...]:
    caches = text.split(",")
    if not all(caches):
        raise argparse.ArgumentTypeError(f"must be like auto,off, not {text!r}")
    return _distinct(caches, text)


def _distinct(each: Sequence[T], text: str) -> tuple[T, ...]:
    if len(set(each)) < len(each):
        raise argparse.ArgumentTypeError(f"must not name one twice, as {text!r} does")
    return tuple(each)
