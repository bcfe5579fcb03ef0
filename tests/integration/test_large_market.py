"""The largest market, with the longest names, also over restarts and failures.

Clients that ask for all stocks and hang up, many times a second, do not delay trades.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import pytest

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.market import MAX_STOCKS

from .bazaar import Answer, Bazaar
from .waiting import wait_until

pytestmark = pytest.mark.slow

PATIENCE = 20.0
NAMES = [f"{number:05}".ljust(64, "🐟") for number in range(MAX_STOCKS)]
"""Of 241 bytes each."""


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    folder = tmp_path_factory.mktemp("large")
    listing = folder / "listing.csv"
    listing.write_text("name,price,quantity\n" + "".join(f"{name},12.34,100\n" for name in NAMES))
    with Bazaar(folder, f"--listing={listing}") as bazaar:
        yield bazaar


def buy(bazaar: Bazaar, number: int) -> int:
    """One share of a stock. What is left is shown at once, from memory soon, and in the list."""
    trade = {"name": NAMES[number], "quantity": 1, "type": "buy"}
    answer = bazaar.request("POST", "/orders", trade)
    assert answer.status == 200, answer
    left = all_stocks(bazaar)[number]["quantity"]
    path = f"/stocks/{quote(NAMES[number])}"
    assert bazaar.request("GET", path).body["data"]["quantity"] == left

    def from_memory() -> bool:
        again = bazaar.request("GET", path)
        assert again.body["data"]["quantity"] == left
        return again.headers["X-Cache"] == "hit"

    wait_until(from_memory, "the catalog's pushes come through", PATIENCE, bazaar.tail)
    return int(left)


def all_stocks(bazaar: Bazaar) -> list[dict[str, Any]]:
    def answered() -> Answer | None:
        answer = bazaar.request("GET", "/stocks")
        # What is being sent to clients that hung up counts until that is noticed.
        return answer if answer.status == 200 else None

    answer = wait_until(answered, "all stocks are shown", 10, bazaar.tail)
    stocks: list[dict[str, Any]] = answer.body["data"]
    assert [stock["name"] for stock in stocks] == NAMES
    return stocks


def replicas(bazaar: Bazaar) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in bazaar.request("GET", "/replicas").body["data"]}


def leader(bazaar: Bazaar) -> tuple[int, int]:
    [leads] = [row for row in replicas(bazaar).values() if row["role"] == "leader"]
    return leads["id"], leads["term"]


def test_the_largest_market_is_listed_shown_and_traded(bazaar: Bazaar) -> None:
    assert buy(bazaar, 7) == 99
    assert buy(bazaar, MAX_STOCKS - 1) == 99


def test_a_flood_of_requests_for_all_stocks_does_not_delay_trades(bazaar: Bazaar) -> None:
    host, _, port = bazaar.url.removeprefix("http://").rpartition(":")
    before = leader(bazaar)

    def trade() -> float:
        began = time.monotonic()
        trade = {"name": NAMES[11], "quantity": 1, "type": "buy"}
        assert bazaar.request("POST", "/orders", trade).status == 200
        return time.monotonic() - began

    calm = median(trade() for _ in range(20))
    asked: list[socket.socket] = []
    flooded = []
    for _ in range(40):
        for _ in range(4):
            asked.append(socket.create_connection((host, int(port))))
            asked[-1].sendall(b"GET /stocks HTTP/1.1\r\nHost: x\r\n\r\n")
        flooded.append(trade())
        while len(asked) > 12:
            asked.pop(0).close()
    for each in asked:
        each.close()
    assert median(flooded) < 10 * calm + 0.05, (calm, sorted(flooded))
    assert leader(bazaar) == before
    assert buy(bazaar, 11) == 39


def test_a_client_that_does_not_read_all_stocks_delays_no_other(bazaar: Bazaar) -> None:
    host, _, port = bazaar.url.removeprefix("http://").rpartition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(20)]
    try:
        for each in idle:
            each.sendall(b"GET /stocks HTTP/1.1\r\nHost: x\r\n\r\n")
        refused = 0
        for each in idle:
            each.settimeout(PATIENCE)
            refused += each.recv(12) == b"HTTP/1.1 503"
        assert 0 < refused < len(idle), "what is being sent has a bound"
        assert bazaar.request("GET", "/ping").status == 200
        assert bazaar.request("GET", f"/stocks/{quote(NAMES[7])}").status == 200
    finally:
        for each in idle:
            each.close()
    wait_until(
        lambda: bazaar.request("GET", "/stocks").status == 200, "it is shown again", PATIENCE
    )


def test_a_catalog_that_lost_its_file_is_rebuilt(bazaar: Bazaar) -> None:
    path = bazaar.data / "catalog" / "catalog.csv"
    old = bazaar.kill("catalog")
    with suppress(FileNotFoundError):
        path.unlink()
    bazaar.wait_restarted("catalog", old)
    bazaar.wait_ready()
    assert buy(bazaar, 7) == 98


def test_another_leader_takes_over_the_largest_market(bazaar: Bazaar) -> None:
    before = leader(bazaar)
    bazaar.kill(f"order-{before[0]}")

    def another() -> bool:
        leading = [row for row in replicas(bazaar).values() if row["role"] == "leader"]
        return any(row["term"] > before[1] for row in leading)

    wait_until(another, "another replica leads", PATIENCE, bazaar.tail)
    bazaar.wait_ready()
    assert buy(bazaar, 7) == 97
    log = bazaar.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert max(map(len, log.splitlines())) < 4000, "no line of log holds a listing"


def test_a_replica_that_lost_its_folder_recovers_the_largest_market(bazaar: Bazaar) -> None:
    bazaar.stop()
    shutil.rmtree(bazaar.data / "order-1")
    bazaar.start()
    buy(bazaar, 7)

    def same() -> bool:
        rows = replicas(bazaar).values()
        return all(row["reachable"] for row in rows) and len({row["digest"] for row in rows}) == 1

    wait_until(same, "all replicas hold the same log", PATIENCE, bazaar.tail)


def test_more_stocks_are_one_line_and_status_1(tmp_path: Path) -> None:
    listing = tmp_path / "listing.csv"
    listing.write_text("name,price,quantity\n" + "".join(f"S{n},1,1\n" for n in range(20_001)))
    own = ["--listen=127.0.0.1:1", f"--data={tmp_path / 'data'}", f"--listing={listing}"]
    ended = subprocess.run(
        twistd("bazaar-catalog", *own),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (
        1,
        f"bazaar-catalog: {listing} lists 20001 stocks; there may be at most 20000\n",
    )
