"""The orders of a client are found in the index, or its damage is noticed."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fakes.histories import LISTED, extend, history, order
from tests.unit.storage.test_index import execute, log_of, made, take_in
from twisted_bazaar.consensus.entries import Entry, Opened
from twisted_bazaar.errors import Damaged
from twisted_bazaar.market import Side, Traded
from twisted_bazaar.order_keys import client_of, scoped
from twisted_bazaar.storage import client_orders
from twisted_bazaar.storage.blocks import BLOCK_ORDERS
from twisted_bazaar.storage.index import Index, witness_in

FIRST = BLOCK_ORDERS + 300
"""The first order that a client placed."""
ORDERS = 2 * BLOCK_ORDERS + 500
CLIENTS = ("alice", "bob", "")
FISH = LISTED.stocks[1].name


def client_at(number: int) -> str:
    return CLIENTS[number % 3] if number >= FIRST else ""


def keyed(number: int, client: str) -> Traded:
    return order(number, scoped(client, f"key-{number}"))


LONG = extend(
    [], [Opened(leader=3), LISTED, *(keyed(n, client_at(n)) for n in range(1, ORDERS + 1))]
)
LOG = log_of(LONG)


def expected(
    entries: Sequence[Entry], client: str, stock: str = "", side: Side | None = None
) -> list[int]:
    return [
        event.number
        for event in (entry.event for entry in entries)
        if isinstance(event, Traded)
        and client_of(event.key) == client
        and stock in ("", event.stock)
        and side in (None, event.side)
    ]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("index") / "index.sqlite", LONG).read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("client", ["alice", "bob"])
@pytest.mark.parametrize("stock", ["", FISH])
@pytest.mark.parametrize("side", [None, *Side])
def test_each_order_of_a_client_is_found_once(
    path: Path, client: str, stock: str, side: Side | None
) -> None:
    index = Index(path, LOG)
    assert index.rebuilt is None
    random = Random(f"{client} {stock} {side}")
    all_of_it = expected(LONG, client, stock, side)
    for _ in range(20):
        after = random.randrange(ORDERS)
        upto = random.randrange(after, ORDERS + 1)
        limit = random.choice((1, 7, ORDERS))
        within = [number for number in all_of_it if after < number <= upto]
        found = index.matching(stock, side, after, upto, limit, False, client)
        assert found.numbers == within[:limit]
        found = index.matching(stock, side, after, upto, limit, True, client)
        assert found.numbers == within[::-1][:limit]
    index.close()


def test_a_client_without_orders_has_none(path: Path) -> None:
    index = Index(path, LOG)
    assert index.matching("", None, 3, 77, 10, False, "carol") == ([], 77, ORDERS)
    assert index.matching("", None, 3, 77, 10, True, "alice") == ([], 4, ORDERS)
    index.close()


def test_orders_are_found_as_soon_as_they_are_written_and_after_a_start(tmp_path: Path) -> None:
    random = Random(7)
    path = tmp_path / "index.sqlite"
    index, at = Index(path, LOG), 0
    while at < len(LONG):
        size = random.choice((1, 3, 100, 1500))
        take_in(index, LONG[at : at + size])
        at = min(at + size, len(LONG))
        if random.random() < 0.3:
            index.close()
            index = Index(path, LOG)
            assert (index.index, index.rebuilt) == (at, None)
        found = index.matching("", None, 0, 9999, 9999, random.random() < 0.5, "alice")
        assert sorted(found.numbers) == expected(LONG[:at], "alice")
    index.close()


def test_without_clients_the_index_has_nothing_of_them(tmp_path: Path) -> None:
    path = made(tmp_path / "index.sqlite", history(2100))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM client_blocks").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM client_ids").fetchone() == (0,)
    connection.close()


def test_more_clients_than_have_numbers_share_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = client_orders.ClientOrders.__init__
    monkeypatch.setattr(init, "__defaults__", (3,))
    names = [f"c{number}" for number in range(10)]
    events = [keyed(number, names[number % 10]) for number in range(1, 61)]
    entries = extend([], [Opened(leader=3), LISTED, *events])
    path = made(tmp_path / "index.sqlite", entries)
    index = Index(path, log_of(entries))
    assert index.rebuilt is None
    for name in names:
        found = index.matching("", None, 0, 60, 60, False, name).numbers
        assert {*expected(entries, name)} <= {*found}
    index.close()


SPOILT = [
    "DELETE FROM client_blocks WHERE number = 1",
    "DELETE FROM client_blocks WHERE number = 2",
    "UPDATE client_blocks SET orders = zeroblob(4000) WHERE number = 1",
    "UPDATE client_blocks SET orders = substr(orders, 1, 800) WHERE number = 2",
    "UPDATE client_blocks SET sum = sum + 1 WHERE number = 2",
    "DROP TABLE client_blocks",
]


@pytest.mark.parametrize("statement", SPOILT)
@pytest.mark.parametrize("descending", [False, True])
def test_damage_during_use_is_noticed(path: Path, statement: str, descending: bool) -> None:
    index = Index(path, LOG)
    execute(statement)(path)  # type: ignore[operator]
    with pytest.raises(Damaged, match="the next start makes it anew"):
        index.matching("", None, 0, ORDERS, 5000, descending, "alice")
    index.close()


@pytest.mark.parametrize(
    "statement",
    [
        *SPOILT,
        "DELETE FROM client_blocks",
        "DELETE FROM client_blocks; DELETE FROM client_ids",
        "DELETE FROM client_ids",
        "DELETE FROM client_ids WHERE id = 2",
        "UPDATE client_ids SET name = 'carol' WHERE id = 1",
        "UPDATE position SET client_orders = 0",
    ],
)
def test_damage_is_noticed_at_the_start(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(statement)
    connection.close()
    index = Index(path, LOG)
    assert index.index == 0
    assert index.rebuilt is not None
    index.close()


def earlier(path: Path) -> None:
    """Make an index one of the format before: without clients."""
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP TABLE client_ids; DROP TABLE client_blocks; PRAGMA user_version = 3;"
            "ALTER TABLE position DROP COLUMN client_orders"
        )
        from twisted_bazaar.storage.index import _sum

        *values, _ = connection.execute("SELECT * FROM position").fetchone()
        connection.execute("UPDATE position SET sum = ?", (_sum(tuple(values)),))
    connection.close()


def test_an_index_of_the_format_before_is_taken_over_and_is_a_witness_as_it_was(
    tmp_path: Path,
) -> None:
    entries = history(2100)
    path = made(tmp_path / "index.sqlite", entries)
    before = witness_in(path)
    earlier(path)
    assert witness_in(path) == before
    more = [*entries, *extend(entries, [keyed(2101, "alice")])]
    index = Index(path, log_of(more))
    assert (index.index, index.rebuilt) == (len(entries), None)
    take_in(index, more[len(entries) :])
    assert index.matching("", None, 0, 9999, 9, False, "alice").numbers == [2101]
    index.close()


def test_an_index_of_the_format_before_whose_orders_have_clients_is_made_anew(path: Path) -> None:
    earlier(path)
    index = Index(path, LOG)
    assert index.rebuilt is not None
    assert "lacks the clients" in index.rebuilt
    index.close()
