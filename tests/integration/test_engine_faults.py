"""Clients trade while order processes, and the engine's servers, are killed; while a stock moves to
another partition, and a partition to another process. Nothing is lost, and the log is gapless."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from twisted_bazaar.partitions import home
from twisted_bazaar.tools.signed_operations import Operator

from .background_trader import BackgroundTrader
from .engine_cluster import EngineCluster
from .postgres_servers import PostgresServers
from .replicas import leader
from .trader import Trader, check_nothing_lost
from .waiting import wait_until

pytestmark = pytest.mark.slow

SECRET = b"0123456789abcdef"
STOCK = "GameStart"
PARTITIONS = 2


def test_no_order_is_lost_while_leaders_and_the_engines_primary_are_killed(tmp_path: Path) -> None:
    with (
        PostgresServers() as servers,
        EngineCluster(tmp_path, servers.database("faults")) as bazaar,
    ):
        with Trader(bazaar.address["frontend"], ["GameStart", "FishCo"]) as trader:
            for _ in range(2):
                _wait_traded(trader)
                first = leader(bazaar)
                bazaar.kill(first)
                _wait_traded(trader)
                bazaar.launch(first)
            servers.fail_over()
            _wait_traded(trader)
        assert trader.failed == [], "none waited for its whole deadline"
        check_nothing_lost(bazaar, trader)


def _wait_traded(trader: Trader) -> None:
    seen = trader.last_number
    wait_until(lambda: trader.last_number > seen + 50, "trades go on", 30)


def test_a_stock_moves_while_it_trades_and_so_does_the_lead(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    option = (f"--secret-file={secret}",)
    there = 1 - home(STOCK, PARTITIONS)
    with (
        PostgresServers(1) as servers,
        EngineCluster(
            tmp_path / "bazaar",
            servers.database("moves"),
            frontends={"frontend": option},
            catalogs={"catalog": option},
            partitions=PARTITIONS,
        ) as bazaar,
    ):

        def asked(**operation: Any) -> Any:
            return Operator(bazaar.internal["frontend"], SECRET).operate(operation)

        def led_by(partition: int) -> int:
            shown: Mapping[str, Any] = asked(operation="partitions")
            leaders = [row["leader"] for row in shown["partitions"]]
            return int(leaders[partition])

        with BackgroundTrader(bazaar.address["frontend"], STOCK) as trader:
            wait_until(lambda: len(trader.placed) > 100, "trades go on")
            asked(operation="move", name=STOCK, partition=there)
            moved = len(trader.placed)
            wait_until(lambda: len(trader.placed) > moved + 100, "trades go on after the move")
            asked(operation="lead", partition=there, member=1)
            wait_until(lambda: led_by(there) == 1, "member 1 leads")
            led = len(trader.placed)
            wait_until(lambda: len(trader.placed) > led + 100, "trades go on with member 1")
        assert trader.failures == []
        assert max(trader.seconds) < 2.0
        for partition in range(PARTITIONS):
            numbers = [each // 1000 for each in trader.placed if each % 1000 == partition]
            assert numbers == list(range(1, len(numbers) + 1)), "gapless, and in order"
            assert len(numbers) > 90
        stock = bazaar.request("GET", f"/stocks/{STOCK}").body["data"]
        assert stock["volume"] == len(trader.placed)


def test_members_stop_in_time_and_are_reachable_though_the_engine_is_silent(
    tmp_path: Path,
) -> None:
    with (
        PostgresServers(1) as servers,
        EngineCluster(tmp_path, servers.database("silent")) as bazaar,
    ):
        first = leader(bazaar)
        servers.pause(servers.primary)

        def none_leads() -> bool:
            rows = bazaar.request("GET", "/replicas").body["data"]
            assert all(row["reachable"] for row in rows)
            return all(row["role"] == "follower" for row in rows)

        wait_until(none_leads, "its lead is given up", 20, bazaar.tail)
        begun = time.monotonic()
        bazaar.kill(first, signal.SIGTERM)
        assert time.monotonic() - begun < 5.0
        servers.resume(servers.primary)
        order = {"name": STOCK, "quantity": 1, "type": "buy"}
        placed = wait_until(
            lambda: bazaar.request("POST", "/orders", order).status == 200, "trades go on", 20
        )
        assert placed
        bazaar.launch(first)
        wait_until(lambda: bazaar.listens(first), "it is back", 20)
