"""The orders of a stock or side are found in the index, or its damage is noticed."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fakes.histories import LISTED, extend, history, order
from tests.unit.storage.test_index import execute, log_of, made, take_in
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.market import Listed, Listing, Side, Traded
from twisted_bazaar.storage import stock_orders
from twisted_bazaar.storage.blocks import BLOCK_ORDERS
from twisted_bazaar.storage.index import Index

ORDERS = 2 * BLOCK_ORDERS + 500
LONG = history(ORDERS)
GAME_START, FISH = (listing.name for listing in LISTED.stocks)


def matching(entries: Sequence[Entry], stock: str, side: Side | None) -> list[int]:
    """The numbers of the orders that the index is to find."""
    events = (entry.event for entry in entries)
    return [
        event.number
        for event in events
        if isinstance(event, Traded) and stock in ("", event.stock) and side in (None, event.side)
    ]


LOG = log_of(LONG)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an index of `LONG`."""
    return made(tmp_path_factory.mktemp("index") / "index.sqlite", LONG).read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    return path


@pytest.fixture
def long(path: Path) -> Iterator[Index]:
    index = Index(path, LOG)
    assert index.rebuilt is None
    yield index
    index.close()


SELECTIONS = [
    (stock, side)
    for stock in ("", GAME_START, FISH)
    for side in (None, *Side)
    if stock or side is not None
]


@pytest.mark.parametrize(("stock", "side"), SELECTIONS)
def test_each_order_of_a_stock_and_side_is_found_once(
    long: Index, stock: str, side: Side | None
) -> None:
    random = Random(f"{stock} {side}")
    expected = matching(LONG, stock, side)
    for _ in range(50):
        after, upto = sorted(random.choices((0, 1, 1999, 2000, 2001, 4499, 4500, 9999), k=2))
        limit = random.choice((1, 7, 5000))
        wanted = [number for number in expected if after < number <= upto]
        found = long.matching(stock, side, after, upto, limit, descending=False)
        assert (found.numbers, found.last_number) == (wanted[:limit], ORDERS)
        end = wanted[limit - 1] if len(wanted) >= limit else max(after, min(upto, ORDERS))
        assert found.examined == end
        found = long.matching(stock, side, after, upto, limit, descending=True)
        assert list(found.numbers) == wanted[::-1][:limit]
        assert found.examined == (wanted[-limit] if len(wanted) >= limit else after + 1)


def test_a_stock_that_is_not_listed_has_no_orders(long: Index) -> None:
    assert long.matching("Nope", None, 3, 77, 10, descending=False) == ([], 77, ORDERS)
    assert long.matching("Nope", None, 3, 77, 10, descending=True) == ([], 4, ORDERS)


def test_a_search_examines_a_bounded_number_of_orders(
    long: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_orders, "MAX_EXAMINED", 100)
    found = long.matching(FISH, None, 10, ORDERS, 5000, descending=False)
    assert found.examined == 110
    assert found.numbers == [n for n in matching(LONG, FISH, None) if 10 < n <= 110]
    found = long.matching(FISH, None, 10, 4000, 5000, descending=True)
    assert found.examined == 3901
    assert found.numbers == [n for n in matching(LONG, FISH, None) if 3900 < n <= 4000][::-1]


def test_orders_are_found_as_soon_as_they_are_written_and_after_a_start(tmp_path: Path) -> None:
    random = Random(5)
    more = Listed(tuple(Listing(f"S{number}", 1, 10**9) for number in range(600)))
    events = [entry.event for entry in history(1500)]
    events += [more, *(order(number) for number in range(1501, 1901))]
    late = (Traded(n, f"key-{n}", f"S{n % 600}", Side.BUY, 1) for n in range(1901, 4501))
    entries = extend([], [*events, *late])
    path = tmp_path / "index.sqlite"
    index, at = Index(path, log_of(entries)), 0
    while at < len(entries):
        size = random.choice((1, 3, 100, 1500))
        take_in(index, entries[at : at + size])
        at = min(at + size, len(entries))
        if random.random() < 0.3:
            index.close()
            index = Index(path, log_of(entries))
            assert (index.index, index.rebuilt) == (at, None)
        for stock, side in ((FISH, None), ("", Side.SELL), ("S300", Side.BUY), ("S44", None)):
            found = index.matching(stock, side, 0, 9999, 9999, descending=random.random() < 0.5)
            assert sorted(found.numbers) == matching(entries[:at], stock, side)
    index.close()


SPOILT = [
    "DELETE FROM blocks WHERE number = 1",
    "DELETE FROM blocks WHERE number = 2",
    "DELETE FROM blocks",
    "UPDATE blocks SET number = 7 WHERE number = 1",
    "UPDATE blocks SET orders = zeroblob(4000) WHERE number = 1",
    "UPDATE blocks SET orders = substr(orders, 1, 800) WHERE number = 2",
    "UPDATE blocks SET orders = 'text' WHERE number = 1",
    "UPDATE blocks SET orders = 17 WHERE number = 1",
    "UPDATE blocks SET sum = sum + 1 WHERE number = 2",
    "UPDATE blocks SET sum = 'none' WHERE number = 2",
    "UPDATE blocks SET (orders, sum) = (SELECT orders, sum FROM blocks WHERE number = 0)"
    " WHERE number = 1",
    "DROP TABLE blocks",
]


@pytest.mark.parametrize("statement", SPOILT)
@pytest.mark.parametrize("descending", [False, True])
def test_damage_during_use_is_noticed(path: Path, statement: str, descending: bool) -> None:
    index = Index(path, LOG)
    execute(statement)(path)  # type: ignore[operator]
    with pytest.raises(Damaged, match="the next start makes it anew"):
        index.matching(FISH, None, 0, ORDERS, 5000, descending)
    index.close()
    assert not path.exists()


@pytest.mark.parametrize(
    "statement",
    [
        *SPOILT,
        "UPDATE listed SET name = 'Other' WHERE id = 1",
        "UPDATE listed SET name = x'00' WHERE id = 1",
        "UPDATE listed SET id = 7 WHERE id = 1",
        "UPDATE listed SET sum = sum + 1 WHERE id = 0",
        "DELETE FROM listed WHERE id = 1",
        "DELETE FROM listed",
        "DROP TABLE listed",
        "INSERT INTO blocks SELECT 3, orders, sum FROM blocks WHERE number = 1; DELETE FROM blocks"
        " WHERE number = 2",
    ],
)
def test_damage_is_noticed_at_the_start(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(statement)
    connection.close()
    index = Index(path, LOG)
    assert index.index == 0
    assert index.rebuilt is not None
    take_in(index, LONG[:11])
    assert index.matching(FISH, None, 0, 9, 9, False).numbers == matching(LONG[:11], FISH, None)
    index.close()


def flipped(path: Path, random: Random) -> Callable[[], None]:
    """Flip a bit of a file, and return what flips it back."""
    at, bit = random.randrange(100, path.stat().st_size), 1 << random.randrange(8)

    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(at)
            [byte] = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ bit]))

    flip()
    return flip


def test_a_flipped_bit_makes_no_answer_wrong(path: Path, content: bytes) -> None:
    random = Random(11)
    expected = {selection: matching(LONG, *selection) for selection in SELECTIONS}
    noticed = 0
    for _ in range(150):
        path.write_bytes(content)
        index = Index(path, LOG)
        unflip = flipped(path, random)
        stock, side = random.choice(SELECTIONS)
        try:
            found = index.matching(stock, side, 0, ORDERS, 9999, random.random() < 0.5)
            assert sorted(found.numbers) == expected[stock, side]
        except (Damaged, Unusable):
            noticed += 1
        else:
            unflip()
        index.close()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert noticed > 5


def test_a_block_as_it_was_earlier_is_noticed(tmp_path: Path) -> None:
    """It is sound, and an order is missing in it: a write to the file was lost."""
    path = tmp_path / "index.sqlite"
    index = Index(path, LOG)
    take_in(index, LONG[:50])
    with sqlite3.connect(path) as connection:
        [earlier] = connection.execute("SELECT * FROM blocks").fetchall()
    take_in(index, LONG[50:100])
    with connection:
        connection.execute("REPLACE INTO blocks VALUES (?, ?, ?)", earlier)
    connection.close()
    assert index.matching(FISH, None, 0, 40, 99, False).numbers == matching(LONG[:42], FISH, None)
    with pytest.raises(Damaged):
        index.matching(FISH, None, 0, 98, 99, False)
    index.close()


def test_a_caller_that_asks_for_no_orders_gets_none(long: Index) -> None:
    for descending, upto in ((False, 0), (True, 4501)):
        found = long.matching(FISH, None, 0, 4500, 0, descending=descending)
        assert (found.numbers, found.examined) == ([], upto)
