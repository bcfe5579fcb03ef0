"""The bot of `examples/bot.py`: killed at any place and started again, its books are right."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests import ROOT
from twisted_bazaar.client import Client, Order, Placed

from .bazaar import Bazaar
from .killed_bot import BOT

TRADES = 2
"""That the bot makes after each start."""

FIRST = [
    # Request 1 looks at the stocks, and request 2 is the trade.
    ("asking", 1),
    ("half written", 1),
    ("written", 1),
    ("on disk", 1),
    ("asking", 2),
    ("asked", 2),
    ("answered", 2),
    ("half written", 2),
    ("written", 2),
]
"""Places of its first trade."""
FEW = [("half written", 1), ("asked", 2)]
SECOND = ("asked", 4)
"""A place of its second trade."""
RECONCILING = ("asked", 1)
"""It has a trade to send again, and is killed once it has."""


def run(*command: str) -> int:
    """The status of the bot, or of what kills it."""
    return subprocess.run([sys.executable, *command], cwd=ROOT, timeout=60).returncode


def run_killed(place: tuple[str, int], *arguments: str) -> None:
    at, count = place
    command = ["-m", "tests.integration.killed_bot", at, str(count), *arguments]
    assert run(*command) == -signal.SIGKILL, f"the bot does not come to {place}"


def entries(books: Path) -> dict[str, Placed | None]:
    """What the books say, by key: the order, or that it has none so far."""
    found: dict[str, Placed | None] = {}
    for line in books.read_bytes().splitlines():
        entry = msgspec.json.decode(line)
        placed = msgspec.convert(entry["outcome"], Placed | None)
        found[entry["trade"]["client_order_id"]] = placed
    return found


def assert_they_agree(books: dict[str, Placed | None], orders: list[Order]) -> None:
    """Every order is in the books once, with its number and price, and the reverse."""
    booked = {(key, each.number, each.price) for key, each in books.items() if each is not None}
    assert len(booked) == len(books), "a trade has no outcome"
    assert booked == {(each.client_order_id, each.number, each.price) for each in orders}
    assert len(orders) == len(booked), "a trade was made twice"


@pytest.mark.parametrize("first", [FEW, pytest.param(FIRST, marks=pytest.mark.slow)])
def test_a_bot_that_is_killed_anywhere_has_right_books_once_it_has_run_again(
    start_bazaar: Callable[..., Bazaar], tmp_path: Path, first: list[tuple[str, int]]
) -> None:
    bazaar = start_bazaar("--replicas=1")
    books = tmp_path / "books.jsonl"
    places = [*first, SECOND]
    with Client(bazaar.url) as client:
        for nth, place in enumerate(places, 1):
            arguments = (bazaar.url, str(books), str(TRADES * nth))
            run_killed(place, *arguments)
            if place == SECOND:
                run_killed(RECONCILING, *arguments)
            assert run(str(BOT), *arguments) == 0
            assert_they_agree(entries(books), list(client.orders()))
    assert len(entries(books)) == TRADES * len(places)
