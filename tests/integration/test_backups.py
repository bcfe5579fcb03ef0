"""A backup that is taken while clients trade is restored elsewhere, whole or up to a point."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from .bazaar import Bazaar
from .trader import Trader
from .waiting import wait_until

CLIENTS = 8


def _tool(*arguments: str | Path, fails: bool = False) -> str:
    """What `python -m twisted_bazaar` prints; with `fails`, on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "twisted_bazaar", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (1 if fails else 0), done.stderr or done.stdout
    return done.stderr if fails else done.stdout


def _said(line: str) -> dict[str, str]:
    """The fields of a line `ok: last_number=…`."""
    return dict(field.split("=") for field in line.removeprefix("ok: ").split())


def _orders(folder: Path) -> list[list[str]]:
    """The exported orders, with their header."""
    return list(csv.reader(io.StringIO(_tool("export", "--whole", folder))))


def _traded(trader: Trader, more: int) -> None:
    seen = trader.last_number
    wait_until(lambda: trader.last_number >= seen + more, "trades go on", 30)


def test_a_bazaar_is_restored_from_a_backup_and_an_increment_taken_while_it_trades(
    tmp_path: Path,
) -> None:
    whole, increment = tmp_path / "whole", tmp_path / "increment"
    with Bazaar(tmp_path / "before") as before:
        source = before.data / "order-1"
        address = before.processes()["frontend"]["address"]
        with Trader(address, ["GameStart", "FishCo"], CLIENTS) as trader:
            _traded(trader, 100)
            first = _said(_tool("backup", source, whole))
            _traded(trader, 100)
        assert not trader.failed
        stocks = before.request("GET", "/stocks").body
        last = trader.last_number

        def is_taken() -> bool:
            said = _said(_tool("backup", source, increment, "--since", whole))
            return int(said["last_number"]) == last

        wait_until(is_taken, "the index of the replica has all orders")
        orders = _orders(source)
        named = before.request("GET", f"/orders/{last}").body
    assert 100 <= int(first["last_number"]) < last
    _tool("verify", whole)

    data = tmp_path / "restored" / "data"
    made = _said(_tool("restore", whole, increment, data))
    assert int(made["last_number"]) == last
    for number in (1, 2, 3):
        assert _orders(data / f"order-{number}") == orders
        assert f"digest={made['digest']}" in _tool("verify", data / f"order-{number}")
    with Bazaar(tmp_path / "restored") as restored:
        assert restored.request("GET", "/stocks").body == stocks
        assert restored.request("GET", f"/orders/{last}").body == named
        key = {"name": "FishCo", "quantity": 1, "type": "sell", "client_order_id": "k"}
        placed = restored.request("POST", "/orders", key)
        assert placed.body["data"]["transaction_number"] == last + 1

    point = int(first["last_number"]) - 7
    _tool("restore", whole, increment, tmp_path / "point", "--until", str(point))
    assert _orders(tmp_path / "point" / "order-2") == orders[: 1 + point]


def test_a_restored_bazaar_and_the_one_before_have_nothing_to_do_with_each_other(
    tmp_path: Path,
) -> None:
    backup = tmp_path / "backup"
    with Bazaar(tmp_path / "bazaar", "--replicas=1") as bazaar:
        order = {"name": "GameStart", "quantity": 1, "type": "buy"}
        assert bazaar.request("POST", "/orders", order).status == 200

        def is_taken() -> bool:
            return "last_number=1 " in _tool("backup", bazaar.data / "order-1", backup)

        wait_until(is_taken, "the index of the replica has the order")
        assert bazaar.request("POST", "/orders", order).status == 200
        tag = bazaar.request("GET", "/stocks/GameStart").headers["ETag"]
    (bazaar.data / "order-1").rename(tmp_path / "old")
    # The catalog's file is ahead of what is restored, and so are caches of clients.
    _tool("restore", backup, bazaar.data, "--replicas", "1")
    with bazaar:
        stock = bazaar.request("GET", "/stocks/GameStart", headers={"If-None-Match": tag})
        assert stock.status == 200
        assert stock.body["data"]["quantity"] == 99
        assert bazaar.request("GET", "/orders/2").status == 404


@pytest.mark.parametrize(
    ("why", "command"),
    [
        ("order-1: is not empty; restore into another folder", "restore {backup} {data}"),
        ("goes on after entry", "restore {increment} {empty}"),
        ("end with order 1, before 9", "restore {backup} {empty} --until 9"),
        ("no backup, or a damaged one", "restore {text} {empty}"),
        ("not a whole one", "restore {cut} {empty}"),
        ("No such file", "restore {empty}/none {empty}"),
        ("not the folder of an order replica", "backup {empty} {empty}/file"),
        ("of another log", "backup {data}/order-1 {empty}/file --since {other}"),
    ],
)
def test_what_cannot_be_restored_is_one_line(
    taken: dict[str, Path], tmp_path: Path, why: str, command: str
) -> None:
    named = {**taken, "empty": tmp_path}
    line = _tool(*command.format(**named).split(), fails=True)
    assert why in line
    assert line.count("\n") == 1
    assert not list(tmp_path.glob("order-*"))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Backups of every kind, and the data that they are of."""
    folder = tmp_path_factory.mktemp("backups")
    files = {name: folder / name for name in ("backup", "increment", "other", "text", "cut")}
    for name, asked in (("backup", "data"), ("other", "another")):
        with Bazaar(folder / asked, "--replicas=1") as bazaar:
            order = {"name": "GameStart", "quantity": 1, "type": "buy"}
            assert bazaar.request("POST", "/orders", order).status == 200
            source = bazaar.data / "order-1"
        with Bazaar(folder / asked, "--replicas=1"):
            pass  # A start brings the index up to date.
        _tool("backup", source, files[name])
        if name == "backup":
            _tool("backup", source, files["increment"], "--since", files["backup"])
    files["text"].write_text("a text\n")
    files["cut"].write_bytes(files["backup"].read_bytes()[:-20])
    return {**files, "data": folder / "data" / "data"}
