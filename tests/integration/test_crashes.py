"""Services are killed, stopped and paused while clients trade, and lose their folders."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .bazaar import Bazaar
from .cluster import Cluster
from .replicas import leader, verify_all, wait_converged
from .trader import check_nothing_lost, trader_of, wait_trading
from .waiting import wait_until

SHORT_DEADLINE_SECONDS = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Shared by the tests that use it; each leaves it with all services."""
    with Cluster(tmp_path_factory.mktemp("crashes") / "cluster") as running:
        yield running


def test_with_two_replicas_down_trades_and_lookups_are_refused_and_known_orders_shown(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path / "cluster", f"--deadline={SHORT_DEADLINE_SECONDS}") as cluster:
        trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
        assert cluster.request("POST", "/orders", trade).status == 200
        wait_converged(cluster, 1)
        before = cluster.request("GET", "/stocks/GameStart").body
        cluster.kill("order-3")
        cluster.kill("order-2")

        sent = time.monotonic()
        refused = cluster.request("POST", "/orders", trade, {"Idempotency-Key": "while-down"})
        assert refused.status == 503
        assert "Retry-After" in refused.headers
        assert time.monotonic() - sent < SHORT_DEADLINE_SECONDS + 1

        # Longer than any lease: the two could trade by themselves, for all that is known here.
        refused = cluster.request("GET", "/stocks/GameStart")
        assert refused.status == 503
        assert "Retry-After" in refused.headers
        known = wait_until(lambda: shown(cluster, 1), "a known order is shown")
        assert known["name"] == "GameStart"
        assert cluster.request("GET", "/orders/2").status == 503

        cluster.launch("order-2")
        traded = wait_until(lambda: placed(cluster, trade, "while-down"), "trading resumes", 20)
        assert traded["data"]["transaction_number"] == 2
        after = cluster.request("GET", "/stocks/GameStart").body
        assert after["data"]["quantity"] == before["data"]["quantity"] - 1
        cluster.launch("order-3")
        wait_converged(cluster, 2)
        verify_all(cluster)


def shown(bazaar: Bazaar, number: int) -> Any:
    """The order `number`; None: no replica can tell yet."""
    answer = bazaar.request("GET", f"/orders/{number}")
    assert answer.status in (200, 503), answer
    return answer.body["data"] if answer.status == 200 else None


def placed(bazaar: Bazaar, trade: object, key: str) -> Any:
    """What a trade was answered with; None: refused for now."""
    answer = bazaar.request("POST", "/orders", trade, {"Idempotency-Key": key})
    assert answer.status in (200, 503), answer
    return answer.body if answer.status == 200 else None


def test_a_replica_whose_folder_was_wiped_gets_everything_from_the_others(
    cluster: Cluster,
) -> None:
    with trader_of(cluster) as trader:
        wait_trading(trader, 100)
        for name in ("order-1", leader(cluster)):
            cluster.kill(name)
            shutil.rmtree(cluster.data / name)
            cluster.launch(name)
            wait_trading(trader)
            wait_until(lambda: len(reachable(cluster)) == 3, "all replicas answer", 15)
    assert trader.failed == []
    wait_converged(cluster, trader.last_number)
    check_nothing_lost(cluster, trader)
    verify_all(cluster)


def reachable(cluster: Cluster) -> list[int]:
    rows = cluster.request("GET", "/replicas").body["data"]
    return [row["id"] for row in rows if row["reachable"]]


def test_a_catalog_whose_folder_was_wiped_is_rebuilt_from_the_order_log(
    cluster: Cluster,
) -> None:
    with trader_of(cluster) as trader:
        wait_trading(trader, 50)
    cluster.kill("catalog")
    shutil.rmtree(cluster.data / "catalog")
    cluster.launch("catalog")
    cluster.wait_ready()
    check_nothing_lost(cluster, trader)


def test_a_paused_leader_is_replaced_and_follows_when_it_resumes(cluster: Cluster) -> None:
    with trader_of(cluster) as trader:
        wait_trading(trader)
        paused = leader(cluster)
        cluster.send(paused, signal.SIGSTOP)
        wait_until(lambda: leader(cluster) != paused, "another replica leads", 10)
        wait_trading(trader)
        cluster.send(paused, signal.SIGCONT)
        wait_until(lambda: len(reachable(cluster)) == 3, "all replicas answer", 10)
        wait_trading(trader)
        assert leader(cluster) != paused
    assert trader.failed == []
    wait_converged(cluster, trader.last_number)
    check_nothing_lost(cluster, trader)
    verify_all(cluster)


def test_a_stopped_service_finishes_what_is_under_way_and_exits_with_status_zero(
    cluster: Cluster,
) -> None:
    with trader_of(cluster) as trader:
        wait_trading(trader)
        for name in ("order-2", "order-3"):
            cluster.kill(name, signal.SIGTERM)
            cluster.launch(name)
            wait_trading(trader)
            wait_until(lambda: len(reachable(cluster)) == 3, "all replicas answer", 15)
    assert trader.failed == []
    wait_converged(cluster, trader.last_number)
    check_nothing_lost(cluster, trader)
