"""`twistd bazaar --engine embedded-postgres`: the log is in a server of the bazaar's own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from twisted_bazaar.local.postgres import server_binaries
from twisted_bazaar.partitions import local_number, partition_of

from .bazaar import Bazaar

pytestmark = pytest.mark.slow

OPTIONS = "--engine=embedded-postgres", "--partitions=2"


@pytest.fixture(scope="module")
def bazaar() -> Iterator[Bazaar]:
    """In no folder of pytest's: where root runs the tests, another user runs the server."""
    if server_binaries() is None:
        pytest.skip("PostgreSQL is not installed: Debian has it as the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="bazaar-embedded-", dir="/tmp"))
    folder.chmod(0o711)
    running = Bazaar(folder, *OPTIONS)
    try:
        with running:
            yield running
    finally:
        shutil.rmtree(folder)


def buy(bazaar: Bazaar, stock: str, key: str) -> int:
    """Buy one share; the number of the order."""
    trade = {"name": stock, "quantity": 1, "type": "buy"}
    answer = bazaar.request("POST", "/orders", trade, {"Idempotency-Key": key})
    assert answer.status == 200, f"{answer.body}\n{bazaar.tail()}"
    number: int = answer.body["data"]["transaction_number"]
    return number


def test_its_password_is_in_one_file_and_nobody_is_served_without(bazaar: Bazaar) -> None:
    line = (bazaar.data / "engine.pgpass").read_text()
    password = line.strip().rpartition(":")[2]
    shown = (bazaar.data / "processes.json").read_text() + bazaar.log.read_text()
    assert len(password) >= 32
    assert password not in shown
    address = bazaar.processes()["engine"]["address"]
    url = f"postgresql://bazaar@{address}/postgres"
    wrong = bazaar.folder / "wrong.pgpass"
    wrong.touch(0o600)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url, passfile=str(wrong)).close()
    number = buy(bazaar, "GameStart", "a row")
    with psycopg.connect(url, passfile=str(bazaar.data / "engine.pgpass")) as connection:
        rows = connection.execute("SELECT number, part FROM bazaar.orders").fetchall()
    partition = partition_of(number, 2)
    assert (local_number(number, 2), partition) in rows


def test_orders_outlive_its_processes_and_its_server(bazaar: Bazaar) -> None:
    before = bazaar.request("GET", "/orders").body["data"]
    numbers = [buy(bazaar, "GameStart", "one"), buy(bazaar, "FishCo", "two")]
    old = bazaar.kill("engine")
    numbers.append(buy(bazaar, "GameStart", "three"))
    bazaar.wait_restarted("engine", old)
    old = bazaar.kill("order-3")
    numbers.append(buy(bazaar, "FishCo", "four"))
    bazaar.wait_restarted("order-3", old)
    assert len(set(numbers)) == 4
    bazaar.stop()
    assert "engine (process" not in bazaar.tail().rpartition("told to stop")[2]
    bazaar.start()
    listed = bazaar.request("GET", "/orders").body["data"]
    assert [each["number"] for each in listed[len(before) :]] == numbers
    assert buy(bazaar, "GameStart", "one") == numbers[0]
