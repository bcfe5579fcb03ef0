"""What may be said on the command line of `python -m load`, and the options of `run` and
`sweep`."""

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted_bazaar.market import MAX_TRADE_QUANTITY

from .run.threshold import EXAMPLE, Threshold, parse

__all__ = ["DEFAULT_CACHES", "DEFAULT_SWEEP_SECONDS", "add_run", "add_sweep", "at_least"]

DEFAULT_URL = "http://127.0.0.1:8081"
DEFAULT_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
DEFAULT_CACHES = ("auto", "off")
DEFAULT_SWEEP_SECONDS = 6.0


def at_least(least: float, kind: type) -> Any:
    """Reads a number from `least` on, int or float by `kind`, below a billion."""

    def read_number(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not least <= number < 10**9:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {word} from {least:g}, not {text!r}")
        return number

    return read_number


def add_run(commands: Any) -> None:
    """Add the command to those of a parser."""
    run = commands.add_parser(
        "run",
        help="the reference workload: lookups and trades, measured",
        description="Each client looks up a random stock, trades it with probability --p, and so"
        " on; before it leaves it queries every order that it was told of, and compares. Exit"
        " status 1: a threshold was missed; 2: an order is not as it was acknowledged.",
    )
    run.add_argument("--url", type=_url, default=DEFAULT_URL, help=f"({DEFAULT_URL})")
    run.add_argument("--p", type=_share, default=0.5, metavar="P",
                     help="probability that a trade follows a lookup, 0 to 1 (0.5)")  # fmt: skip
    _add_mix(run, "how long (10)")
    run.add_argument("--rate", type=at_least(0.001, float),
                     help="requests a second of all clients, whether answered or not; latency"
                     " counts from when each was due (as fast as answers come)")  # fmt: skip
    run.add_argument("--threshold", type=_threshold, action="append", default=[],
                     metavar=f"'{EXAMPLE}'", help="to be kept; may be repeated")  # fmt: skip
    run.add_argument("--history", type=Path, metavar="FILE",
                     help="keep every call in FILE; nobody else may trade meanwhile")  # fmt: skip
    run.add_argument("--json", action="store_true", help="print the figures as JSON")


def add_sweep(commands: Any) -> None:
    """Add the command to those of a parser."""
    sweep = commands.add_parser(
        "sweep",
        help="the reference workload by p, with and without a cache: tables, plots and CSV",
        description="Runs the reference workload once for each p and each cache, every time"
        " against a fresh bazaar, and shows what lookups and trades take. Exit status 2: an order"
        " is not as it was acknowledged.",
    )
    sweep.add_argument("--p", type=_shares, default=DEFAULT_SHARES, metavar="P,P,...",
                       help="probabilities that a trade follows a lookup"
                       " (0,0.2,0.4,0.6,0.8)")  # fmt: skip
    sweep.add_argument("--caches", type=_caches, metavar="CACHE,...",
                       help="of `twistd bazaar` (auto,off)")  # fmt: skip
    sweep.add_argument("--url", type=_url,
                       help="of a bazaar that runs already, instead of fresh ones")  # fmt: skip
    _add_mix(sweep, f"of each setting ({DEFAULT_SWEEP_SECONDS:g})")
    sweep.add_argument("--html", type=Path, default=Path("sweep.html"), metavar="FILE",
                       help="the report with its plots (sweep.html)")  # fmt: skip
    sweep.add_argument("--csv", type=Path, default=Path("sweep.csv"), metavar="FILE",
                       help="all figures (sweep.csv)")  # fmt: skip


def _add_mix(parser: Any, how_long: str) -> None:
    """What the reference workload is, but for how often it trades."""
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


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        plain = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain or not text.isascii() or parts.path.strip("/") or "@" in text or "?" in text:
        raise argparse.ArgumentTypeError(f"must be like {DEFAULT_URL}, not {text!r}")
    return f"http://{parts.netloc}"


def _share(text: str) -> float:
    share: float = at_least(0.0, float)(text)
    if share > 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return share


def _shares(text: str) -> tuple[float, ...]:
    return _different([_share(each) for each in text.split(",")], text)


def _caches(text: str) -> tuple[str, ...]:
    caches = text.split(",")
    if not all(caches):
        raise argparse.ArgumentTypeError(f"must be like auto,off, not {text!r}")
    return _different(caches, text)


def _different(each: list[Any], text: str) -> tuple[Any, ...]:
    if len(set(each)) < len(each):
        raise argparse.ArgumentTypeError(f"must not name one twice, as {text!r} does")
    return tuple(each)


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
