"""Names with special characters are looked up, traded, cached, stored and exported."""

import csv
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.commands import run

from .bazaar import Bazaar
from .waiting import wait_until

NAMES = [
    *["BTC/USD", "BRK.B", "A+B", "100%", "#1 & Co", "a?b", "a;b", "株式会社 🐟", "=1+1", "-x"],
    *['"', "'", "a,b", "x" * 64, "\\", "...", "%2F", "<b>", "a:b", "*"],
]


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "listing.csv"
    write(path, NAMES)
    return path


@pytest.fixture(scope="module")
def bazaar(listing: Path) -> Iterator[Bazaar]:
    with Bazaar(listing.parent / "bazaar", "--replicas=1", f"--listing={listing}") as running:
        yield running


def write(path: Path, names: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        table.writerows([["name", "price", "quantity"], *([name, "1.50", "100"] for name in names)])


def shown(bazaar: Bazaar, name: str) -> tuple[int, int, str]:
    answer = bazaar.request("GET", f"/stocks/{quote(name, safe='')}")
    assert answer.status == 200, (name, answer)
    data = answer.body["data"]
    assert data == {**data, "name": name, "price": 1.5}
    return data["quantity"], data["volume"], answer.headers["X-Cache"]


def test_every_call_serves_every_name_also_after_a_restart(bazaar: Bazaar, listing: Path) -> None:
    for number, name in enumerate(NAMES, 1):
        trade = {"name": name, "quantity": number, "type": "buy"}
        placed = bazaar.request("POST", "/orders", trade).body["data"]
        assert placed["transaction_number"] == number
        assert shown(bazaar, name)[:2] == (100 - number, number)
    for name in NAMES:
        wait_until(lambda: shown(bazaar, name)[2] == "hit", f"{name} is in Redis")  # noqa: B023
    found = bazaar.request("GET", "/stocks").body["data"]
    assert [stock["name"] for stock in found] == sorted(NAMES)
    orders = bazaar.request("GET", "/orders").body["data"]
    assert [order["name"] for order in orders] == NAMES

    bazaar.stop()
    assert "is ignored" not in bazaar.log.read_text()
    write(listing, [*NAMES, "Another"])
    bazaar.start()
    for number, name in enumerate(NAMES, 1):
        assert shown(bazaar, name)[:2] == (100 - number, number)
    assert bazaar.request("GET", "/stocks/Another").status == 404
    ignored = [line for line in bazaar.log.read_text().splitlines() if "is ignored" in line]
    assert len(ignored) == 1, ignored
    assert f"--listing {listing} is ignored, as the market is already open" in ignored[0]
    assert ignored[0].endswith("'Another' is not in the market")


def test_no_exported_cell_is_a_formula(bazaar: Bazaar) -> None:
    ran = run("export", bazaar.data / "order-1")
    assert ran.returncode == 0, ran
    header, *rows = csv.reader(ran.stdout.splitlines())
    assert header == ["transaction_number", "name", "type", "quantity"]
    assert [row[1].removeprefix("'") for row in rows] == NAMES
    assert not [row for row in rows if row[1][0] in "=+-@"]
