"""A backup that is taken while clients trade is restored elsewhere, whole or up to a point."""

import csv
import io
from pathlib import Path

import pytest

from tests.commands import run

from .bazaar import Bazaar
from .trader import Trader
from .waiting import wait_until

pytestmark = pytest.mark.slow

CLIENTS = 8


def _tool(*arguments: str | Path) -> str:
    """What `python -m twisted_bazaar` prints."""
    done = run(*arguments)
    assert done.returncode == 0, done
    return done.stdout


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
    with Bazaar(tmp_path / "before", "--replicas=1") as before:
        source = before.data / "order-1"
        address = before.processes()["frontend"]["address"]
        with Trader(address, ["GameStart", "FishCo"], CLIENTS) as trader:
            _traded(trader, 100)
            early = trader.last_number
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
    assert early <= int(first["last_number"]) < last
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
