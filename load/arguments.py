"""What may be said on the command line of `python -m load`, and the options of `run`."""

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted_bazaar.market import MAX_TRADE_QUANTITY

from .threshold import EXAMPLE, Threshold, parse

__all__ = ["add_run", "at_least"]

DEFAULT_URL = "http://127.0.0.1:8081"


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
    count, positive = at_least(1, int), at_least(0.001, float)
    run.add_argument("--url", type=_url, default=DEFAULT_URL, help=f"({DEFAULT_URL})")
    run.add_argument("--clients", type=count, default=5, help="each with a connection (5)")
    run.add_argument("--p", type=_share, default=0.5, metavar="P",
                     help="probability that a trade follows a lookup, 0 to 1 (0.5)")  # fmt: skip
    run.add_argument("--side", choices=("buy", "sell", "both"), default="both",
                     help="of trades; both: evenly, so that stocks last (both)")  # fmt: skip
    run.add_argument("--quantity", type=_quantity, default=(1, 10), metavar="LEAST:MOST",
                     help="shares of a trade (1:10)")  # fmt: skip
    run.add_argument("--separate", action="store_true",
                     help="trade on a connection of its own, not on that of lookups")  # fmt: skip
    until = run.add_mutually_exclusive_group()
    until.add_argument("--duration", type=positive, metavar="SECONDS", help="how long (10)")
    until.add_argument("--iterations", type=count, help="lookups of each client, however long")
    run.add_argument("--rate", type=positive,
                     help="requests a second of all clients, whether answered or not; latency"
                     " counts from when each was due (as fast as answers come)")  # fmt: skip
    run.add_argument("--threshold", type=_threshold, action="append", default=[],
                     metavar=f"'{EXAMPLE}'", help="to be kept; may be repeated")  # fmt: skip
    run.add_argument("--seed", type=at_least(0, int), help="of all choices (any)")
    run.add_argument("--history", type=Path, metavar="FILE",
                     help="keep every call in FILE; nobody else may trade meanwhile")  # fmt: skip
    run.add_argument("--json", action="store_true", help="print the figures as JSON")


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
